from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import ConfigError
from toolkit.identity.recognizer import CROP_SIDE, GRAY, Recognizer, to_recognizer_crop
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo


def test_one_person_looks_more_alike_than_two(shared: Path, landmarker: Landmarker) -> None:
    recognizer = Recognizer(shared / "models" / "mobilefacenet_112x96.onnx")
    config = AlignConfig(size=112, template="arcface")
    crops = [
        align_photo(read_photo(shared / "london" / f"{name}.jpg"), landmarker, config)[0].image
        for name in ("001_neutral", "001_smiling", "012_neutral", "012_smiling")
    ]
    vectors = recognizer.embed(crops)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
    cosines = vectors @ vectors.T
    assert min(cosines[0, 1], cosines[2, 3]) > 0.5 > 0.3 > cosines[:2, 2:].max()
    np.testing.assert_allclose(recognizer.embed([crops[0][:, ::-1]])[0], vectors[0], atol=1e-5)


def test_files_that_are_no_recogniser_are_set_up_errors(tmp_path: Path, shared: Path) -> None:
    nonsense = tmp_path / "x.onnx"
    nonsense.write_bytes(b"nonsense")
    for path, says in ((tmp_path / "none", "no such file"), (nonsense, "not an ONNX file")):
        with pytest.raises(ConfigError, match=says):
            Recognizer(path)


@pytest.mark.parametrize("size", [64, 112, 256])
def test_a_chin_crop_comes_into_the_recognisers_frame(
    size: int, portrait: NDArray[np.uint8], landmarker: Landmarker
) -> None:
    """The face lands where the five-point alignment of the whole photo puts it; beyond the crop all is grey."""
    [crop] = align_photo(portrait, landmarker, AlignConfig(size=size))
    [aligned] = align_photo(portrait, landmarker, AlignConfig(size=CROP_SIDE, template="arcface"))
    seen = to_recognizer_crop(crop.image)
    assert seen.shape == (CROP_SIDE, CROP_SIDE, 3)
    assert (seen[:34] == GRAY).all() and (seen[:, :10] == GRAY).all() and (seen[:, 102:] == GRAY).all()
    face = aligned.image[44:104, 26:86].astype(float)
    off = {
        (down, across): np.abs(seen[44 + down : 104 + down, 26 + across : 86 + across] - face).mean()
        for down in range(-4, 5)
        for across in range(-4, 5)
    }
    nearest = min(off, key=lambda shift: off[shift])
    assert max(map(abs, nearest)) <= 1  # pixels: hers is not the mean face
