from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.align import AlignConfig, align_photo
from toolkit.errors import ConfigError
from toolkit.landmarks import Landmarker
from toolkit.photos import read_photo
from toolkit.recognizer import Recognizer


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


def test_the_protocol_counts_what_it_says() -> None:
    from examples.measure_identity import accuracy, area_under_curve

    same: NDArray[np.bool_] = np.repeat([True, False], 100)
    folds = np.tile(np.arange(10), 20)
    apart = np.where(same, 0.6, 0.1)
    assert accuracy(apart, same, folds) == area_under_curve(apart, same) == 1
    assert area_under_curve(np.zeros(200), same) == 0.5
    mixed = np.random.default_rng(0).normal(apart, 0.3)
    assert 0.7 < accuracy(mixed, same, folds) < area_under_curve(mixed, same) < 1
