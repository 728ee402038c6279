"""`evaluate` without worker processes, and a recognizer of textures."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.evaluate.sets import ByTexture


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


@pytest.fixture
def recognizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("pipelines.evaluate.face_networks.Recognizer", ByTexture)
    path = tmp_path / "recognizer.onnx"
    path.touch()
    return path
