"""Files of a set that cannot be decoded, or that decoders read differently."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pipelines.train.config import TrainConfig
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import BatchSpec
from pipelines.train.data.dali_loader import DaliLoader, is_decoded_alike
from pipelines.train.data.torch_loader import TorchLoader
from pipelines.train.trainer import Training
from tests.pipelines.train.data.loading import (
    CPU,
    LOADERS,
    OPTIONS,
    AnyLoader,
    assert_near,
    assert_same,
    make_spec,
)
from toolkit.errors import DatasetError
from toolkit.photos.decode import decode_photo
from toolkit.photos.files import encode_image

# --- files that cannot be decoded


def damaged(root: Path, portrait: NDArray[np.uint8], **files: bytes) -> Path:
    """Three people with two sound inputs each, and what else is given, by stem: ``b_x`` is ``b/x.jpg``."""
    face = np.ascontiguousarray(portrait[50:178, 160:288])
    for person in "abc":
        (root / person).mkdir()
        for number in range(2):
            (root / person / f"{number}.jpg").write_bytes(
                encode_image(np.asarray(face // (number + 1), np.uint8), ".jpg")
            )
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
    source = loader(make_spec(root, evaluation=True, batch_size=8), CPU)
    [batch] = source.batches(0, 1)
    # 0 and 1 of a are sound; a/2 and all of b, whose target is empty, become c/0; c/2, the last, becomes a/0
    assert batch.index.tolist() == [0, 1, 5, 5, 5, 5, 6, 0]
    assert {str(Path(file).relative_to(root)) for file in source.replaced} == {"a/2.jpg", "b.jpg", "c/2.jpg"}
    assert source.replaced[f"{root}/b.jpg"] == "not-an-image: the file is empty (0 bytes)"


@pytest.mark.slow
@LOADERS
def test_damage_leaves_every_batch_the_same_from_wherever_one_starts(
    tmp_path: Path, portrait: NDArray[np.uint8], loader: AnyLoader
) -> None:
    good = encode_image(portrait[:128, :128], ".jpg")
    root = damaged(tmp_path, portrait, a_2=good[:300], b_2=b"GIF89a", c_2=refused_by_dali(good))
    spec = make_spec(root, batch_spec=BatchSpec(second="person", augment=Augment(**OPTIONS["everything"][0])))
    whole = list(loader(spec, CPU).batches(0, 9))
    for first in range(1, 9):
        assert_same(next(loader(spec, CPU).batches(first, 9)), whole[first])
    for one, other in zip(whole, TorchLoader(spec, CPU).batches(0, 9), strict=True):
        assert_near(one, other, 24, 0.3)


@pytest.mark.slow
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
    with pytest.raises(DatasetError, match="no pair can be decoded; .*not-an-image"):
        list(loader(make_spec(root), CPU).batches(0, 2))


def refused_by_dali(jpeg: bytes) -> bytes:
    """A JPEG that begins and ends as it should, with nothing between: DALI's pipeline dies of it."""
    return jpeg[: jpeg.index(b"\xff\xda") + 12] + b"\xff\xd9"


def odd_files(face: NDArray[np.uint8]) -> dict[str, bytes]:
    """Files of which decoders make different things, or which only some of them read."""

    def saved(form: str, photo: Image.Image, **options: object) -> bytes:
        buffer = io.BytesIO()
        photo.save(buffer, form, **options)
        return buffer.getvalue()

    photo, noise = Image.fromarray(face), np.random.default_rng(0).integers(0, 256, 1000, np.uint8).tobytes()
    jpeg, png, webp = saved("JPEG", photo), saved("PNG", photo), saved("WEBP", photo)
    clear = photo.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    return {
        "422": saved("JPEG", photo, subsampling=1),
        "progressive": saved("JPEG", photo, progressive=True),
        "gray jpeg": saved("JPEG", photo.convert("L")),
        "cmyk": saved("JPEG", photo.convert("CMYK")),
        "padded": jpeg + bytes(100),
        "half": jpeg[: len(jpeg) // 2],
        "half, with an end": jpeg[: len(jpeg) // 2] + b"\xff\xd9",
        "middle lost": jpeg[:2000] + jpeg[3000:],
        "noise inside": jpeg[:2000] + noise + jpeg[3000:],
        "zeros inside": jpeg[:2000] + bytes(1000) + jpeg[3000:],
        "no pixels": refused_by_dali(jpeg),
        "only an end": b"\xff\xd8\xff\xd9",
        "gray png": saved("PNG", photo.convert("L")),
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
    spec = make_spec(damaged(tmp_path, portrait, b_2=data), evaluation=True, batch_size=8)
    dali, reference = DaliLoader(spec, CPU), TorchLoader(spec, CPU)
    [one], [other] = dali.batches(0, 1), reference.batches(0, 1)
    assert_near(one, other, 0, 0)
    assert dali.replaced == reference.replaced


def test_sound_files_go_to_dali_as_they_are(dataset: Path, portrait: NDArray[np.uint8]) -> None:
    """Decoding them by Pillow and handing pixels over would be right too, and slow."""
    assert all(is_decoded_alike(path.read_bytes()) for path in dataset.rglob("*.*") if path.suffix != ".csv")
    odd = odd_files(np.ascontiguousarray(portrait[50:178, 160:288]))
    assert {
        kind for kind in ("422", "progressive", "gray jpeg", "gray png") if not is_decoded_alike(odd[kind])
    } == set()
    profiled = io.BytesIO()
    Image.fromarray(decode_photo(odd["422"])).save(profiled, "JPEG", icc_profile=b"x" * 200)
    assert not is_decoded_alike(profiled.getvalue())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_damaged_files_are_replaced_on_a_gpu_too(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    good = encode_image(portrait[:128, :128], ".jpg")
    spec = make_spec(
        damaged(tmp_path, portrait, a_2=good[:300], c_2=refused_by_dali(good)), evaluation=True, batch_size=8
    )
    gpu = torch.device("cuda", 0)
    dali, reference = DaliLoader(spec, gpu), TorchLoader(spec, CPU)
    [one], [other] = dali.batches(0, 1), reference.batches(0, 1)
    assert one.index.tolist() == other.index.tolist()
    assert dali.replaced == reference.replaced
