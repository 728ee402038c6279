import json
import multiprocessing
from pathlib import Path

import pytest

from toolkit.errors import ConfigError, PhotoFailed, PhotoRejected
from toolkit.ledger import LEDGER_NAME, Ledger, Outcome, read_ledger, refused


def written(name: str, **more: object) -> Outcome:
    return Outcome(input=name, status="written", outputs=[name], **more)  # type: ignore[arg-type]


def test_the_last_line_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(written("a.jpg", seconds=1.0))
        ledger.append(written("b.jpg"))
        ledger.append(refused("a.jpg", PhotoRejected("no-face", "none found")))
    with Ledger(tmp_path) as ledger:
        last = ledger.last("a.jpg")
        assert last is not None and last.status == "rejected" and last.code == "no-face"
        assert ledger.last("c.jpg") is None
    assert [row.input for row in read_ledger(tmp_path)] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_cut_short_is_passed_over_and_does_not_spoil_the_next(tmp_path: Path, cut: int) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(written("a.jpg"))
        ledger.append(written("b.jpg"))
    path = tmp_path / LEDGER_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    with Ledger(tmp_path) as ledger:
        assert ledger.last("a.jpg") == written("a.jpg")
        ledger.append(written("c.jpg"))
    assert {row.input for row in read_ledger(tmp_path)} >= {"a.jpg", "c.jpg"}


def test_any_file_name_survives(tmp_path: Path) -> None:
    names = ["ü/[x].jpg", "line\nbreak.jpg", "not\udcffutf8.jpg", '"quoted".jpg']
    with Ledger(tmp_path) as ledger:
        for name in names:
            ledger.append(written(name))
    assert [row.input for row in read_ledger(tmp_path)] == names


def test_rows_of_a_newer_version_are_read(tmp_path: Path) -> None:
    row = {"input": "a.jpg", "status": "written", "outputs": ["a.jpg"], "colour_of_eyes": "green"}
    (tmp_path / LEDGER_NAME).write_text(json.dumps(row) + "\n" + '{"input": "b.jpg", "status": "strange"}\n[]\n')
    assert read_ledger(tmp_path) == [written("a.jpg")]


def _open(folder: Path, result: "multiprocessing.Queue[str]") -> None:
    try:
        Ledger(folder)
        result.put("opened")
    except ConfigError as error:
        result.put(str(error))


def test_two_runs_cannot_write_to_one_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    with Ledger(tmp_path):
        other = context.Process(target=_open, args=(tmp_path, result))
        other.start()
        assert "another run is writing here" in result.get(timeout=30)
        other.join()


def test_a_folder_that_cannot_be_written_is_a_set_up_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        Ledger(tmp_path / "file" / "out")


def test_contract_of_a_row(tmp_path: Path) -> None:
    """CLI.md: these keys, and a reason that starts with its code."""
    with Ledger(tmp_path) as ledger:
        ledger.append(refused("a.jpg", PhotoFailed("unreadable", "cut short")))
    row = json.loads((tmp_path / LEDGER_NAME).read_text())
    assert row.keys() >= {"input", "sha256", "status", "reason", "outputs", "faces", "seconds"}
    assert (row["status"], row["reason"]) == ("failed", "unreadable: cut short")
