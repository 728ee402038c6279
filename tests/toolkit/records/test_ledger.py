import json
import multiprocessing
import multiprocessing.synchronize
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.memory import little_memory
from toolkit.errors import ConfigError, PhotoFailed, PhotoRejected
from toolkit.records.ledger import LEDGER_NAME, MAX_LINE, Ledger, Outcome, error_outcome, read_ledger


def written(name: str, **more: object) -> Outcome:
    return Outcome(input=name, status="written", outputs=[name], **more)  # type: ignore[arg-type]


def test_the_last_line_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(written("a.jpg", seconds=1.0))
        ledger.append(written("b.jpg"))
        ledger.append(error_outcome("a.jpg", PhotoRejected("no-face", "none found")))
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


def test_a_damaged_line_does_not_hide_the_good_one_before_it(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(written("a.jpg", size=7))
        ledger.append(written("b.jpg"))
        ledger.append(written("a.jpg", size=8))
    path = tmp_path / LEDGER_NAME
    whole = path.read_bytes()
    for damaged in (whole.replace(b'"size": 8', b'"size" 8'), whole.removesuffix(b"\n").replace(b'"size": 8', b"}")):
        path.write_bytes(damaged)
        assert {row.input: row.size for row in read_ledger(tmp_path)} == {"a.jpg": 7, "b.jpg": -1}
        with Ledger(tmp_path) as ledger:
            for _ in range(2):
                assert ledger.last("a.jpg") == written("a.jpg", size=7)
            assert ledger.last("b.jpg") == written("b.jpg")
        assert {row.input: row.size for row in read_ledger(tmp_path)} == {"a.jpg": 7, "b.jpg": -1}


def test_a_skipped_line_says_all_that_the_finished_one_said(tmp_path: Path) -> None:
    tricky = 'a "status": "written", "seconds": 7.jpg'
    with Ledger(tmp_path, tmp_path / "src") as ledger:
        ledger.append(written(tricky, seconds=1.5, faces=[{"yaw": 3.0}], size=7, settings="abc"))
    with Ledger(tmp_path, tmp_path / "src") as ledger:
        ledger.skip(tricky)
    [row] = read_ledger(tmp_path)
    done = written(tricky, faces=[{"yaw": 3.0}], size=7, settings="abc", source="src")
    assert row == replace(done, status="skipped")
    assert (tmp_path / LEDGER_NAME).read_bytes().count(b"\n") == 2


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


def _open(folder: Path, shard: tuple[int, int]) -> str:
    try:
        with Ledger(folder, shard=shard):
            return "opened"
    except ConfigError as error:
        return str(error)


@pytest.mark.parametrize(
    ("mine", "other", "said"),
    [
        ((0, 1), (0, 1), "another run is writing here"),
        ((0, 1), (2, 3), "another run is writing here"),
        ((1, 3), (1, 3), "another run is writing here"),
        ((1, 3), (1, 2), "another run is writing here"),
        ((1, 3), (0, 3), "opened"),
        ((1, 3), (2, 3), "opened"),
        ((99_998, 100_000), (99_999, 100_000), "opened"),
    ],
)
def test_two_runs_write_to_one_folder_as_two_shards_alone(
    mine: tuple[int, int], other: tuple[int, int], said: str, tmp_path: Path
) -> None:
    with Ledger(tmp_path, shard=mine):
        assert said in _open(tmp_path, other)
        read_ledger(tmp_path)  # to open and close the file elsewhere lets go of no lock
        assert said in _open(tmp_path, other)
    assert _open(tmp_path, other) == "opened"


def test_a_process_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready))
    other.start()
    assert ready.wait(60)
    assert "another run is writing here" in _open(tmp_path, (0, 1))
    other.kill()
    other.join()
    assert _open(tmp_path, (0, 1)) == "opened"


def _hold(folder: Path, ready: "multiprocessing.synchronize.Event") -> None:
    with Ledger(folder):
        ready.set()
        time.sleep(600)


def test_a_folder_that_cannot_be_written_is_a_set_up_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        Ledger(tmp_path / "file" / "out")


def refused_run(folder: Path, shard: tuple[int, int] = (0, 1), rows: Iterable[Outcome] = ()) -> None:
    """Open a ledger, append rows, and end with an error."""
    with Ledger(folder, shard=shard) as ledger:
        for row in rows:
            ledger.append(row)
        raise ConfigError("a wrong set-up")


def test_an_error_before_the_first_line_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a wrong set-up"):
        refused_run(tmp_path / "new" / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="a wrong set-up"):
        refused_run(tmp_path / "out")
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


def test_an_error_leaves_the_lines_and_the_ledgers_of_other_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a wrong set-up"):
        refused_run(tmp_path, rows=[written("a.jpg")])
    assert read_ledger(tmp_path) == [written("a.jpg")]
    with Ledger(tmp_path / "out", shard=(0, 2)) as other:
        with pytest.raises(ConfigError, match="a wrong set-up"):
            refused_run(tmp_path / "out", shard=(1, 2))
        other.append(written("b.jpg"))
    assert read_ledger(tmp_path / "out") == [written("b.jpg")]


def test_a_ledger_that_is_removed_while_a_run_opens_it_takes_no_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock_late(file: int, kind: int, *others: Any, **more: Any) -> None:
        (tmp_path / LEDGER_NAME).unlink(missing_ok=True)

    monkeypatch.setattr("toolkit.records.ledger._lock", lock_late)
    with pytest.raises(ConfigError, match="another run is writing here"):
        Ledger(tmp_path)


def test_contract_of_a_row(tmp_path: Path) -> None:
    """These keys, and a reason that starts with its code."""
    with Ledger(tmp_path) as ledger:
        ledger.append(error_outcome("a.jpg", PhotoFailed("unreadable", "cut short")))
    row = json.loads((tmp_path / LEDGER_NAME).read_text())
    assert row.keys() >= {"input", "sha256", "status", "reason", "outputs", "faces", "seconds"}
    assert (row["status"], row["reason"]) == ("failed", "unreadable: cut short")


@pytest.mark.parametrize(
    "row",
    [
        {"status": "done"},
        {"input": ["a"]},
        {"input": 7},
        {"outputs": "a.jpg"},
        {"outputs": [7]},
        {"faces": [7]},
        {"faces": [{"yaw": "left"}]},
        {"faces": [{"yaw": float("inf")}]},
        {"reason": None},
        {"settings": []},
    ],
)
def test_rows_that_no_run_of_ours_writes_are_passed_over(row: dict[str, Any], tmp_path: Path) -> None:
    good = {"input": "b.jpg", "status": "written"}
    lines = [json.dumps({"input": "a.jpg", "status": "written"} | row), "[" * 100_000, json.dumps(good)]
    (tmp_path / "ledger.jsonl").write_text("\n".join(lines) + "\n")
    assert [outcome.input for outcome in read_ledger(tmp_path)] == ["b.jpg"]


def test_a_line_without_end_is_read_in_pieces(tmp_path: Path) -> None:
    with (tmp_path / "ledger.jsonl").open("wb") as file:
        file.write(b'{"input": "' + b"x" * (3 * MAX_LINE))
        file.write(b'"}\n{"input": "b.jpg", "status": "written"}\n')
    with little_memory(5 * MAX_LINE):
        assert [outcome.input for outcome in read_ledger(tmp_path)] == ["b.jpg"]
