from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipelines.batches import Feed, Normalization
from pipelines.batches_dali import DaliLoader, decode_once
from pipelines.batches_torch import TorchLoader, load_pairs
from toolkit.errors import DatasetError
from toolkit.images import encode_image
from toolkit.subjects import read_pairs

CPU = torch.device("cpu")
LEVEL = 1 / 128  # one of 256 grey levels, in network numbers


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8]) -> Path:
    """Five people of different sizes, colours and formats, three inputs each; one lies on its side by EXIF."""
    root = tmp_path_factory.mktemp("set")
    for place, size in enumerate((128, 160, 256, 96, 200)):
        left = 120 + 10 * place
        face = np.roll(portrait[40 : 40 + size, left : left + size], place, axis=2)
        (root / f"{place:03d}").mkdir()
        (root / f"{place:03d}.jpg").write_bytes(encode_image(face, ".jpg"))
        for number in range(3):
            suffix = ".png" if place == 4 else ".jpg"
            data = encode_image(np.ascontiguousarray(face // (number + 1)), suffix)
            (root / f"{place:03d}" / f"{number}{suffix}").write_bytes(data)
    return root


def feed(root: Path, **changes: object) -> Feed:
    settings: dict[str, object] = {
        "root": root,
        "pairs": read_pairs(root),
        "batch_size": 4,
        "image_size": 128,
        "normalization": Normalization(128, 128),
        "seed": 3,
        "workers": 2,
    }
    return Feed(**{**settings, **changes})  # type: ignore[arg-type]


def test_every_pair_comes_once_per_epoch_in_a_new_order(dataset: Path) -> None:
    plan = feed(dataset)
    stream = np.concatenate([plan.indices(step) for step in range(15)])  # 60 places = 4 epochs of 15
    epochs = stream.reshape(4, 15)
    assert all(Counter(epoch.tolist()) == Counter(range(15)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    np.testing.assert_array_equal(feed(dataset).indices(7), plan.indices(7))
    assert (feed(dataset, seed=4).indices(7) != plan.indices(7)).any()


def test_a_set_smaller_than_a_batch_still_fills_it(dataset: Path) -> None:
    assert len(feed(dataset, batch_size=40).indices(2)) == 40


def test_dali_and_torch_give_the_same_pairs_within_tolerance(dataset: Path) -> None:
    """Same images, same order; pixels apart by at most 2 of 256 levels (the JPEG decoders), 0.1 on average."""
    plan = feed(dataset)
    by_dali, by_torch = DaliLoader(plan, CPU).batches(2, 9), TorchLoader(plan, CPU).batches(2, 9)
    for one, other in zip(by_dali, by_torch, strict=True):
        for mine, reference in ((one.input, other.input), (one.target, other.target)):
            assert mine.shape == reference.shape == (4, 3, 128, 128)
            assert mine.dtype == torch.float32
            apart = (mine - reference).abs() / LEVEL
            assert apart.max() <= 2.001
            assert apart.mean() <= 0.1


def test_batches_start_anywhere(dataset: Path) -> None:
    plan = feed(dataset)
    whole = list(DaliLoader(plan, CPU).batches(0, 6))
    rest = list(DaliLoader(plan, CPU).batches(4, 6))
    for one, other in zip(whole[4:], rest, strict=True):
        torch.testing.assert_close(one.input, other.input, rtol=0, atol=0)
        torch.testing.assert_close(one.target, other.target, rtol=0, atol=0)


def test_batches_stay_what_they_are_after_the_next_one(dataset: Path) -> None:
    """DALI reuses its buffers; a batch that is kept must not change under the trainer's hands."""
    stream = DaliLoader(feed(dataset), CPU).batches(0, 8)
    first = next(stream)
    kept = first.input.clone()
    for _ in stream:
        pass
    torch.testing.assert_close(first.input, kept, rtol=0, atol=0)


def test_levels_become_numbers_as_the_recipe_says(dataset: Path) -> None:
    plan = feed(dataset)
    batch = load_pairs(plan, plan.pairs[:2], CPU)
    levels = batch.input * 128 + 128
    torch.testing.assert_close(levels, levels.round())
    assert levels.min() >= 0 and levels.max() <= 255


@pytest.mark.parametrize("loader", [DaliLoader, TorchLoader])
def test_a_damaged_file_is_named(dataset: Path, tmp_path: Path, loader: type[DaliLoader] | type[TorchLoader]) -> None:
    (tmp_path / "a").mkdir()
    good = (dataset / "000.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(good)
    (tmp_path / "a" / "1.jpg").write_bytes(good[:300])
    with pytest.raises(DatasetError, match="a/1.jpg"):
        list(loader(feed(tmp_path, batch_size=2), CPU).batches(0, 3))


def test_dali_decodes_here() -> None:
    assert decode_once(CPU) == (16, 16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_mixed_decoding_gives_the_same_pairs(dataset: Path) -> None:
    """nvJPEG's upsampling differs from libjpeg's: 3 levels on average."""
    plan = feed(dataset)
    gpu = torch.device("cuda", 0)
    for one, other in zip(DaliLoader(plan, gpu).batches(0, 4), TorchLoader(plan, CPU).batches(0, 4), strict=True):
        assert one.input.device == gpu
        assert ((one.input.cpu() - other.input).abs() / LEVEL).mean() <= 3
