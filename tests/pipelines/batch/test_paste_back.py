"""`batch --paste-back`: photos are decoded in worker processes alone, where time and memory are bounded."""

from pathlib import Path

import pytest

from tests.conftest import Run
from toolkit.photos.decode import Photo, read_photo
from toolkit.records.ledger import read_ledger


@pytest.mark.slow
def test_the_process_of_the_command_decodes_no_photo(
    small_photos: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*words: object) -> None:
        raise AssertionError("a photo is decoded outside the worker processes")

    monkeypatch.setattr(Photo, "__init__", decoded)
    result = run("batch", small_photos, tmp_path / "out", "--paste-back", "--size", "128", "--workers", "2")
    assert result.exit_code == 0, result.output
    monkeypatch.undo()
    rows = read_ledger(tmp_path / "out")
    assert [row.status for row in rows] == ["written"] * 2
    assert all(face["pasted"] for row in rows for face in row.faces)
    for row in rows:
        before, after = read_photo(small_photos / row.input), read_photo(tmp_path / "out" / row.outputs[0])
        assert after.shape == before.shape
