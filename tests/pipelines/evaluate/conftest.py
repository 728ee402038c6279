"""`evaluate` without worker processes, and a recognizer of textures."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.photos.types import Image


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker processes: a job is done where it is asked for. One test has them."""

    def inline(
        load: Callable[[], Any],
        work: Callable[[Any, Any], Any],
        jobs: Sequence[Any],
        workers: int,
        stop: Any,
        ahead: int,
    ) -> Iterator[Any]:
        model = load()
        for job in jobs:
            if stop():
                return
            yield work(model, job)

    monkeypatch.setattr("pipelines.evaluate.evaluate.run_in_workers", inline)


class _ByTexture:
    """Stands for a recognizer: compares textures."""

    def __init__(self, path: Path) -> None:
        assert path.is_file()

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float64]:
        middle = np.stack([crop[56:104, 32:80].astype(float) for crop in crops])
        cells = middle.reshape(len(crops), 6, 8, 6, 8, 3).mean(axis=(2, 4)).reshape(len(crops), -1)
        cells -= cells.mean(axis=1, keepdims=True)
        return np.asarray(cells / np.linalg.norm(cells, axis=1, keepdims=True))


@pytest.fixture
def recognizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("pipelines.evaluate.evaluate.Recognizer", _ByTexture)
    path = tmp_path / "recognizer.onnx"
    path.touch()
    return path
