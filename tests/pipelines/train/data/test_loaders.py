import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pipelines.train.config import TrainConfig
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import Feed, Needs, PairBatch
from pipelines.train.data.dali_loader import DaliLoader, decode_once, decoded_alike
from pipelines.train.data.torch_loader import TorchLoader, load_pairs
from pipelines.train.trainer import Training
from pipelines.weights.normalization import Normalization
from toolkit.errors import ConfigError, DatasetError
from toolkit.photos.decode import decode_photo, read_photo
from toolkit.photos.files import encode_image
from toolkit.records.labels import write_labels
from toolkit.records.subjects import read_pairs

CPU = torch.device("cpu")
LEVEL = 1 / 128  # one of 256 grey levels, in network numbers
LOADERS = pytest.mark.parametrize("loader", [DaliLoader, TorchLoader])
AnyLoader = type[DaliLoader] | type[TorchLoader]

# Options of a feed, and by how many of 256 levels DALI and torch may differ there, at most and on average. Resizing
# rounds differently in one pixel of some hundred; a JPEG coder makes more of such a difference where it falls between
# two steps of a coefficient.
OPTIONS: dict[str, tuple[dict[str, object], float, float]] = {
    "plain": ({}, 2, 0.05),
    "window": ({"load_size": 144}, 2, 0.05),
    "mirror": ({"mirror": 0.5}, 2, 0.05),
    "colours": ({"brightness": 0.4, "contrast": 0.4, "saturation": 0.5}, 4, 0.05),
    "jpeg": ({"jpeg": 0.7, "jpeg_quality": (20, 95)}, 24, 0.3),
    "blur": ({"blur": 0.7}, 2, 0.05),
    "everything": (
        {"load_size": 144, "mirror": 0.5, "brightness": 0.4, "contrast": 0.4, "saturation": 0.5, "jpeg": 1, "blur": 1},
        24,
        0.3,
    ),
}
EVERYTHING = Needs(labels=True, attributes=True, second="neighbor", augment=Augment(**OPTIONS["everything"][0]))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8]) -> Path:
    """Five people of different sizes, colours and formats, three inputs each; one lies on its side by EXIF."""
    root = tmp_path_factory.mktemp("set")
    rows = []
    for place, size in enumerate((128, 160, 256, 96, 200)):
        left = 120 + 10 * place
        face = np.roll(portrait[40 : 40 + size, left : left + size], place, axis=2)
        (root / f"{place:03d}").mkdir()
        (root / f"{place:03d}.jpg").write_bytes(encode_image(face, ".jpg"))
        for number in range(3):
            suffix = {3: ".webp", 4: ".png"}.get(place, ".jpg")
            image = np.ascontiguousarray(face // (number + 1))
            data = sideways(image) if (place, number) == (1, 1) else encode_image(image, suffix)
            (root / f"{place:03d}" / f"{number}{suffix}").write_bytes(data)
            row = {"file": f"{place:03d}/{number}{suffix}", "subject": f"{place:03d}", "role": "input"}
            lamp = {} if number == 2 else {"light": 30 * place - 60, "light_strength": 0.5}
            rows.append({**row, "yaw": 15 * number - 20, "attr_smile": place % 2, "attr_beard": 1, **lamp})
    write_labels(root, rows)
    return root


def sideways(image: NDArray[np.uint8]) -> bytes:
    """A JPEG stored turned, with the EXIF tag that says so."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(image)).save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def feed(root: Path, **changes: object) -> Feed:
    pairs = read_pairs(root)
    needs = changes.get("needs", Needs())
    assert isinstance(needs, Needs)
    settings: dict[str, object] = {
        "root": root,
        "pairs": pairs,
        "batch_size": 4,
        "image_size": 128,
        "normalization": Normalization(128, 128),
        "seed": 3,
        "workers": 2,
        "labels": needs.read_labels(root, pairs),
    }
    return Feed(**{**settings, **changes})  # type: ignore[arg-type]


def fields(batch: PairBatch) -> dict[str, torch.Tensor]:
    return {name: value for name in PairBatch.__slots__ if (value := getattr(batch, name)) is not None}


def assert_same(one: PairBatch, other: PairBatch) -> None:
    assert fields(one).keys() == fields(other).keys()
    for name, value in fields(one).items():
        torch.testing.assert_close(value, fields(other)[name], rtol=0, atol=0)


def assert_near(one: PairBatch, other: PairBatch, most: float, mean: float) -> None:
    assert fields(one).keys() == fields(other).keys()
    for name, value in fields(one).items():
        reference = fields(other)[name]
        assert (value.shape, value.dtype) == (reference.shape, reference.dtype)
        if value.ndim == 4:
            apart = (value - reference).abs() / LEVEL
            assert apart.max() <= most + 1e-3 and apart.mean() <= mean, (name, apart.max(), apart.mean())
            assert value.is_contiguous()
        else:
            assert torch.equal(value, reference)


# --- which pairs


def test_every_pair_comes_once_per_epoch_in_a_new_order(dataset: Path) -> None:
    plan = feed(dataset)
    stream = np.concatenate([plan.indices(step) for step in range(15)])  # 60 places = 4 epochs of 15
    epochs = stream.reshape(4, 15)
    assert all(Counter(epoch.tolist()) == Counter(range(15)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    np.testing.assert_array_equal(feed(dataset).indices(7), plan.indices(7))
    assert (feed(dataset, seed=4).indices(7) != plan.indices(7)).any()


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_ranks_share_what_one_would_see(dataset: Path, world_size: int) -> None:
    """Every pair once per epoch over all ranks, whether or not their number divides the set."""
    alone = feed(dataset, batch_size=2 * world_size)
    ranks = [feed(dataset, batch_size=2, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step in range(12):
        np.testing.assert_array_equal(np.concatenate([rank.indices(step) for rank in ranks]), alone.indices(step))
        np.testing.assert_array_equal(np.concatenate([rank.uniform(step) for rank in ranks]), alone.uniform(step))


def test_a_set_smaller_than_a_batch_still_fills_it(dataset: Path) -> None:
    assert len(feed(dataset, batch_size=40).indices(2)) == 40


@LOADERS
def test_evaluation_goes_once_through_the_set_as_listed(dataset: Path, loader: AnyLoader) -> None:
    plan = feed(dataset, evaluation=True, needs=EVERYTHING)
    assert plan.steps_per_pass == 4
    batches = list(loader(plan, CPU).batches(0, plan.steps_per_pass))
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(15))
    assert [len(batch.input) for batch in batches] == [4, 4, 4, 3]
    loaded = load_pairs(feed(dataset, image_size=144), [0], CPU)  # at load_size: the window in the middle, and no more
    torch.testing.assert_close(batches[0].input[:1], loaded.input[:, :, 8:-8, 8:-8], rtol=0, atol=LEVEL * 1.01)


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_in_evaluation_all_ranks_make_the_same_steps(dataset: Path, world_size: int) -> None:
    """15 pairs in steps of 14: one is left, and who has none takes it again."""
    ranks = [
        feed(dataset, batch_size=7, evaluation=True, rank=rank, world_size=world_size) for rank in range(world_size)
    ]
    assert len({rank.steps_per_pass for rank in ranks}) == 1
    seen = [rank.indices(step).tolist() for rank in ranks for step in range(ranks[0].steps_per_pass)]
    assert all(seen)
    assert {index for batch in seen for index in batch} == set(range(15))
    if world_size == 2:
        assert [len(batch) for batch in seen] == [7, 1, 7, 1]


# --- what they look like


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("second", [None, "neighbor"])
def test_dali_and_torch_give_the_same_batches_within_tolerance(dataset: Path, option: str, second: str | None) -> None:
    """Same pairs, same order, same labels, same changes."""
    augment, most, mean = OPTIONS[option]
    needs = Needs(labels=True, attributes=True, second=second, augment=Augment(**augment))  # type: ignore[arg-type]
    plan = feed(dataset, needs=needs)
    for one, other in zip(DaliLoader(plan, CPU).batches(2, 9), TorchLoader(plan, CPU).batches(2, 9), strict=True):
        assert one.input.shape == (4, 3, 128, 128) and (one.second is None) == (second is None)
        assert one.attributes is not None and one.attributes.shape == (4, 2)
        assert_near(one, other, most, mean)


@LOADERS
@pytest.mark.parametrize("needs", [Needs(), EVERYTHING], ids=["plain", "everything"])
def test_a_batch_is_the_same_from_wherever_one_starts(dataset: Path, loader: AnyLoader, needs: Needs) -> None:
    plan = feed(dataset, needs=needs)
    whole, rest = list(loader(plan, CPU).batches(0, 6)), list(loader(plan, CPU).batches(4, 6))
    for one, other in zip(whole[4:], rest, strict=True):
        assert_same(one, other)


def test_batches_stay_what_they_are_after_the_next_one(dataset: Path) -> None:
    """DALI reuses its buffers; a batch that is kept must not change under the trainer's hands."""
    stream = DaliLoader(feed(dataset), CPU).batches(0, 8)
    first = next(stream)
    kept = first.input.clone()
    for _ in stream:
        pass
    torch.testing.assert_close(first.input, kept, rtol=0, atol=0)


def test_levels_become_numbers_as_the_recipe_says(dataset: Path) -> None:
    batch = load_pairs(feed(dataset), [0, 5], CPU)
    levels = batch.input * 128 + 128
    torch.testing.assert_close(levels, levels.round())
    assert levels.min() >= 0 and levels.max() <= 255
    assert batch.index.tolist() == [0, 5]


@LOADERS
def test_photos_stand_upright(dataset: Path, loader: AnyLoader) -> None:
    """Pair 4 lies on its side by EXIF; its neighbours show the same face, darker and brighter."""
    plan = feed(dataset, evaluation=True, image_size=160)
    stored = torch.cat([batch.input for batch in loader(plan, CPU).batches(0, 2)]) * 128 + 128
    upright = torch.from_numpy(read_photo(dataset / "001" / "0.jpg") // 2).permute(2, 0, 1)
    assert (stored[4] - upright).abs().mean() < 3


def test_mirrored_pairs_have_mirrored_labels(dataset: Path) -> None:
    plain = feed(dataset, needs=Needs(labels=True, second="neighbor"))
    mirrored = feed(dataset, needs=Needs(labels=True, second="neighbor", augment=Augment(mirror=1)))
    for one, other in zip(TorchLoader(plain, CPU).batches(0, 4), TorchLoader(mirrored, CPU).batches(0, 4), strict=True):
        assert one.pose is not None and other.pose is not None and one.light is not None and other.light is not None
        assert torch.equal(other.pose, 8 - one.pose)
        assert torch.equal(other.light, torch.where(one.light > 0, 20 - one.light, 0))
        assert torch.equal(other.input, one.input.flip(-1)) and torch.equal(other.target, one.target.flip(-1))
        assert one.second is not None and other.second is not None
        assert torch.equal(other.second, one.second.flip(-1))


def test_what_cannot_be_is_refused_at_once(dataset: Path) -> None:
    with pytest.raises(ConfigError, match="load_size=100: must be image_size=128 or more"):
        feed(dataset, needs=Needs(augment=Augment(load_size=100)))
    with pytest.raises(ConfigError, match="two or more ascending degrees"):
        Needs(yaws=(0.0, -15.0))
    with pytest.raises(ValueError, match=r"give labels=needs\.read_labels"):
        feed(dataset, needs=Needs(labels=True), labels=None)


# --- files that cannot be decoded


def damaged(root: Path, portrait: NDArray[np.uint8], **files: bytes) -> Path:
    """Three people with two sound inputs each, and what else is given, by stem: ``b_x`` is ``b/x.jpg``."""
    face = np.ascontiguousarray(portrait[50:178, 160:288])
    for person in "abc":
        (root / person).mkdir()
        for number in range(2):
            (root / person / f"{number}.jpg").write_bytes(encode_image(face // (number + 1), ".jpg"))
        (root / f"{person}.jpg").write_bytes(encode_image(face, ".jpg"))
    for name, data in files.items():
        (root / f"{name.replace('_', '/')}.jpg").write_bytes(data)
    return root


@LOADERS
def test_damaged_files_are_replaced_by_the_next_pair_and_reported(
    tmp_path: Path, portrait: NDArray[np.uint8], loader: AnyLoader
) -> None:
    good = encode_image(portrait[:128, :128], ".jpg")
    root = damaged(tmp_path, portrait, a_2=good[:300], b=b"", c_2=good[: len(good) // 2])
    source = loader(feed(root, evaluation=True, batch_size=8), CPU)
    [batch] = source.batches(0, 1)
    # 0 and 1 of a are sound; a/2 and all of b, whose target is empty, become c/0; c/2, the last, becomes a/0
    assert batch.index.tolist() == [0, 1, 5, 5, 5, 5, 6, 0]
    assert {str(Path(file).relative_to(root)) for file in source.replaced} == {"a/2.jpg", "b.jpg", "c/2.jpg"}
    assert source.replaced[f"{root}/b.jpg"] == "not-an-image: the file is empty (0 bytes)"


@LOADERS
def test_damage_leaves_every_batch_the_same_from_wherever_one_starts(
    tmp_path: Path, portrait: NDArray[np.uint8], loader: AnyLoader
) -> None:
    good = encode_image(portrait[:128, :128], ".jpg")
    root = damaged(tmp_path, portrait, a_2=good[:300], b_2=b"GIF89a", c_2=refused_by_dali(good))
    plan = feed(root, needs=Needs(second="person", augment=Augment(**OPTIONS["everything"][0])))  # type: ignore[arg-type]
    whole = list(loader(plan, CPU).batches(0, 9))
    for first in range(1, 9):
        assert_same(next(loader(plan, CPU).batches(first, 9)), whole[first])
    for one, other in zip(whole, TorchLoader(plan, CPU).batches(0, 9), strict=True):
        assert_near(one, other, 24, 0.3)


def test_a_run_goes_on_past_damaged_files_and_lists_them(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    (tmp_path / "set").mkdir()
    root = damaged(tmp_path / "set", portrait, a_2=b"no photo")
    config = TrainConfig(dataset=str(root), steps=4, batch_size=4)
    assert len(list(Training(config, tmp_path / "run", "cpu", 2).run(lambda: False))) == 4
    assert list(json.loads((tmp_path / "run" / "replaced.json").read_text())) == [f"{root}/a/2.jpg"]


@LOADERS
def test_a_set_of_damaged_files_alone_is_an_error(
    tmp_path: Path, portrait: NDArray[np.uint8], loader: AnyLoader
) -> None:
    root = damaged(tmp_path, portrait, a=b"x", b=b"y", c=b"z")
    with pytest.raises(DatasetError, match="not one pair can be decoded; .*not-an-image"):
        list(loader(feed(root), CPU).batches(0, 2))


def refused_by_dali(jpeg: bytes) -> bytes:
    """A JPEG that begins and ends as it should, with nothing between: DALI's pipeline dies of it."""
    return jpeg[: jpeg.index(b"\xff\xda") + 12] + b"\xff\xd9"


def odd_files(face: NDArray[np.uint8]) -> dict[str, bytes]:
    """Files of which decoders make different things, or which only some of them read."""

    def saved(form: str, photo: Image.Image, **options: object) -> bytes:
        buffer = io.BytesIO()
        photo.save(buffer, form, **options)  # type: ignore[arg-type]
        return buffer.getvalue()

    photo, noise = Image.fromarray(face), np.random.default_rng(0).integers(0, 256, 1000, np.uint8).tobytes()
    jpeg, png, webp = saved("JPEG", photo), saved("PNG", photo), saved("WEBP", photo)
    clear = photo.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    return {
        "422": saved("JPEG", photo, subsampling=1),
        "progressive": saved("JPEG", photo, progressive=True),
        "grey jpeg": saved("JPEG", photo.convert("L")),
        "cmyk": saved("JPEG", photo.convert("CMYK")),
        "padded": jpeg + bytes(100),
        "half": jpeg[: len(jpeg) // 2],
        "half, with an end": jpeg[: len(jpeg) // 2] + b"\xff\xd9",
        "middle lost": jpeg[:2000] + jpeg[3000:],
        "noise inside": jpeg[:2000] + noise + jpeg[3000:],
        "zeros inside": jpeg[:2000] + bytes(1000) + jpeg[3000:],
        "no pixels": refused_by_dali(jpeg),
        "only an end": b"\xff\xd8\xff\xd9",
        "grey png": saved("PNG", photo.convert("L")),
        "palette": saved("PNG", photo.convert("P")),
        "transparent": saved("PNG", clear),
        "16 bits": saved("PNG", Image.fromarray(face[..., 0].astype(np.uint16) * 257)),
        "half png": png[: len(png) // 2],
        "changed png": png[:3000] + b"x" + png[3001:],
        "lossless webp": saved("WEBP", photo, lossless=True),
        "transparent webp": saved("WEBP", clear),
        "half webp": webp[: len(webp) // 2],
        "bmp": saved("BMP", photo),
        "gif": saved("GIF", photo),
        "text": b"no photo " * 100,
    }


@pytest.mark.parametrize("kind", odd_files(np.zeros((64, 64, 3), np.uint8)))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_odd_files_end_the_same_in_both_loaders(tmp_path: Path, portrait: NDArray[np.uint8], kind: str) -> None:
    data = odd_files(np.ascontiguousarray(portrait[50:178, 160:288]))[kind]
    plan = feed(damaged(tmp_path, portrait, b_2=data), evaluation=True, batch_size=8)
    dali, reference = DaliLoader(plan, CPU), TorchLoader(plan, CPU)
    [one], [other] = dali.batches(0, 1), reference.batches(0, 1)
    assert_near(one, other, 0, 0)
    assert dali.replaced == reference.replaced


def test_sound_files_go_to_dali_as_they_are(dataset: Path, portrait: NDArray[np.uint8]) -> None:
    """Decoding them by Pillow and handing pixels over would be right too, and slow."""
    assert all(decoded_alike(path.read_bytes()) for path in dataset.rglob("*.*") if path.suffix != ".csv")
    odd = odd_files(np.ascontiguousarray(portrait[50:178, 160:288]))
    assert {kind for kind in ("422", "progressive", "grey jpeg", "grey png") if not decoded_alike(odd[kind])} == set()
    profiled = io.BytesIO()
    Image.fromarray(decode_photo(odd["422"])).save(profiled, "JPEG", icc_profile=b"x" * 200)
    assert not decoded_alike(profiled.getvalue())


def test_dali_decodes_here() -> None:
    assert decode_once(CPU) == (16, 16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("option", OPTIONS)
def test_mixed_decoding_gives_the_same_pairs(dataset: Path, option: str) -> None:
    """nvJPEG's upsampling differs from libjpeg's: 3 levels on average, and what the changes make of them."""
    plan = feed(dataset, needs=Needs(labels=True, second="neighbor", augment=Augment(**OPTIONS[option][0])))  # type: ignore[arg-type]
    gpu = torch.device("cuda", 0)
    for one, other in zip(DaliLoader(plan, gpu).batches(0, 4), TorchLoader(plan, CPU).batches(0, 4), strict=True):
        for name, value in fields(one).items():
            reference = fields(other)[name]
            assert value.device == gpu
            if value.ndim == 4:
                assert ((value.cpu() - reference).abs() / LEVEL).mean() <= 4, name
            else:
                assert torch.equal(value.cpu(), reference)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_damaged_files_are_replaced_on_a_gpu_too(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    good = encode_image(portrait[:128, :128], ".jpg")
    plan = feed(damaged(tmp_path, portrait, a_2=good[:300], c_2=refused_by_dali(good)), evaluation=True, batch_size=8)
    gpu = torch.device("cuda", 0)
    dali, reference = DaliLoader(plan, gpu), TorchLoader(plan, CPU)
    [one], [other] = dali.batches(0, 1), reference.batches(0, 1)
    assert one.index.tolist() == other.index.tolist()
    assert dali.replaced == reference.replaced
