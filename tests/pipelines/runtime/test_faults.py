"""What goes wrong under a run: it is killed while it writes, the disk is full, rights are missing, the clock jumps."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.photo_jobs.job import PhotoOutput, process_photo, spread
from pipelines.runtime.config import BulkConfig, JobLimits
from pipelines.runtime.image_writer import write_output
from pipelines.runtime.plan import Job, Plan, plan_photos
from pipelines.runtime.run import run_bulk
from tests.conftest import FRONTALIZE, tree
from tests.killing import end_halfway, rows_in
from toolkit.errors import ConfigError, PhotoFailed
from toolkit.photos.files import encode_image, write_atomic
from toolkit.records.ledger import Outcome, read_ledger

# A bulk run of ten outputs whose n-th system call of a kind is its last.
DYING = """
import hashlib, os, signal, sys
from pathlib import Path
from pipelines.runtime.plan import plan_photos
from pipelines.runtime.run import run_bulk
from toolkit.photos.files import write_atomic
from toolkit.records.ledger import Outcome
source, out, call, number = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
real, left = getattr(os, call, None), [number]
def dying(*words, **options):
    left[0] -= 1
    if left[0] == 0:
        if call == "write":
            real(words[0], words[1][:7])
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*words, **options)
if number:
    setattr(os, call, dying)
def work(jobs):
    for job in jobs:
        write_atomic(out / f"{job.stem}.jpg", job.input.encode() * 99)
        known = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest(), "settings": "s"}
        yield Outcome(input=job.input, status="written", outputs=[f"{job.stem}.jpg"], **known)
plan = plan_photos(source, out)
print([row.status for row in run_bulk(plan, work, "s", False)])
"""


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    for number in range(10):
        (tmp_path / "in" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / str(number % 2) / f"{number}.jpg").write_bytes(b"x")
    return tmp_path / "in"


def dying(source: Path, out: Path, call: str, number: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", DYING, str(source), str(out), call, str(number)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("call", "number"),
    [(call, number) for call in ("write", "replace", "open") for number in (1, 4)],
)
def test_a_run_that_was_killed_at_any_write_resumes_to_the_same_files(
    call: str, number: int, ten: Path, tmp_path: Path
) -> None:
    assert dying(ten, tmp_path / "out", call, number).returncode == -signal.SIGKILL
    assert all(len(data) == 99 * 7 for name, data in tree(tmp_path / "out").items() if not name.endswith(".part"))
    again = dying(ten, tmp_path / "out", "write", 0)
    assert again.returncode == 0, again.stderr
    assert tree(tmp_path / "out") == {f"{n % 2}/{n}.jpg": f"{n % 2}/{n}.jpg".encode() * 99 for n in range(10)}
    assert len(read_ledger(tmp_path / "out")) == 10
    third = dying(ten, tmp_path / "out", "write", 0)
    assert third.stdout.count("skipped") == 10


def bulk(plan: Plan, write: Callable[[Path, bytes], None] = write_output) -> list[Outcome]:
    def work(job: Job) -> Outcome:
        try:
            write(plan.out / f"{job.stem}.jpg", b"data")
        except PhotoFailed as error:
            return Outcome(input=job.input, status="failed", reason=error.reason)
        known: dict[str, Any] = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
        return Outcome(input=job.input, status="written", outputs=[f"{job.stem}.jpg"], **known)

    return list(run_bulk(plan, lambda jobs: map(work, jobs), "", overwrite=False))


def full_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes so many renames."""
    real, left = os.replace, [count]

    def replace(*words: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(*words)

    monkeypatch.setattr(os, "replace", replace)


def test_photos_that_a_full_disk_does_not_take_are_rows_and_are_done_later(
    ten: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_photos(ten, tmp_path / "out")
    with monkeypatch.context() as full:
        full_after(3, full)
        rows = bulk(plan)
    assert [row.status for row in rows] == ["written"] * 3 + ["failed"] * 7
    assert all("unwritable: " in row.reason and "No space left" in row.reason for row in rows[3:])
    assert len(tree(tmp_path / "out")) == 3  # and nothing half-written
    assert [row.status for row in bulk(plan)] == ["skipped"] * 3 + ["written"] * 7


def test_a_ledger_that_a_full_disk_does_not_take_ends_the_run_in_words(
    ten: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_photos(ten, tmp_path / "out")
    real, left = os.write, [2]

    def write(file: int, data: bytes) -> int:
        left[0] -= 1
        if left[0] < -1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data[: 9 if left[0] == -1 else None])

    with monkeypatch.context() as full:
        full.setattr(os, "write", write)
        with pytest.raises(ConfigError, match="No space left.*run the same command again"):
            bulk(plan)
    assert len(read_ledger(tmp_path / "out")) == 2
    assert [row.status for row in bulk(plan)] == ["skipped"] * 2 + ["written"] * 8


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_fails_its_photos_alone(ten: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "0").mkdir(parents=True)
    (tmp_path / "out" / "0").chmod(0o500)
    rows = {row.input: row.reason for row in bulk(plan_photos(ten, tmp_path / "out"))}
    assert all(("Permission denied" in reason) == name.startswith("0/") for name, reason in rows.items())


def test_rights_that_are_missing_are_a_row(ten: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, data: bytes) -> None:
        if path.parent.name == "0":
            monkeypatch.setattr(os, "open", lambda *words, **options: _deny())
        try:
            write_output(path, data)
        finally:
            monkeypatch.undo()

    rows = bulk(plan_photos(ten, tmp_path / "out"), denied)
    assert [row.reason.startswith("unwritable: ") and "Permission denied" in row.reason for row in rows] == (
        [True] * 5 + [False] * 5
    )


def _deny() -> int:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_clock_that_goes_backwards_changes_no_result(
    ten: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(ticks)))
    done = [
        process_photo(ten, lambda photo, job: PhotoOutput([], []), job)
        for job in plan_photos(ten, tmp_path / "out").jobs
    ]
    assert all(photo.error is not None and photo.error.code == "not-an-image" for photo in done)
    assert all(photo.not_written(PhotoFailed("x", "y"), "").seconds >= 0 for photo in done)
    plan = plan_photos(ten, tmp_path / "out")
    assert {row.status for row in bulk(plan)} == {"written"}
    for path in ten.rglob("*.jpg"):
        os.utime(path, (1, 1))  # inputs older than the outputs, all of a sudden
    assert {row.status for row in bulk(plan)} <= {"written", "skipped"}


def _load_nothing() -> None:
    return None


def _trouble(model: None, job: Job) -> Outcome:
    kind = Path(job.input).stem
    if kind == "hang":
        time.sleep(60)
    if kind == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "bomb":
        len(np.ones(400 << 20, np.uint8))
    return Outcome(input=job.input, status="written")


@pytest.mark.slow
def test_photos_that_hang_die_or_burst_are_rows_and_the_rest_is_done(tmp_path: Path) -> None:
    for name in ("a", "bomb", "c", "die", "e", "hang", "i", "j"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.jpg").touch()
    plan = plan_photos(tmp_path / "in", tmp_path / "out")
    config = BulkConfig(workers=2, limits=JobLimits(seconds=2, memory=200 << 20))
    work = spread(_load_nothing, _trouble, config, lambda: False)
    rows = {row.input: row for row in run_bulk(plan, work, "", overwrite=False)}
    assert len(rows) == 8
    codes = {name: row.code for name, row in rows.items() if row.status == "failed"}
    assert codes == {"bomb.jpg": "out-of-memory", "die.jpg": "crashed", "hang.jpg": "timeout"}


@pytest.mark.slow
def test_ctrl_c_ends_a_run_that_is_busy_with_slow_photos(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    """The parent alone gets the signal."""
    out = tmp_path / "out"
    for number in range(40):
        write_atomic(tmp_path / "in" / f"{number}.jpg", encode_image(portrait, ".jpg"))
    command = [*FRONTALIZE, "align", tmp_path / "in", out, "--workers", "1", "--quiet"]
    partly = lambda: 0 < rows_in(out) < 40  # noqa: E731
    assert end_halfway(command, out, lambda: rows_in(out) > 0, partly, signal.SIGINT) == 130
    assert len(tree(out)) == len(read_ledger(out))
