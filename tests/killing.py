"""Start commands and end them halfway, however fast the machine is."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from toolkit.records.ledger import LEDGER_NAME

TRIES = 5
SECONDS = 120  # until a command must have reached the point where it is ended


def end_halfway(
    command: Sequence[object],
    out: Path,
    reached: Callable[[], bool],
    unfinished: Callable[[], bool],
    number: int = signal.SIGKILL,
    group: bool = False,
) -> int:
    """Run a command, send it a signal when it has reached a point, and return its exit code.

    A run that was done before the signal came proves nothing: its output is removed and it is started again.

    Args:
        command: the words of what to run.
        out: the folder it writes.
        reached: tells whether it is time for the signal.
        unfinished: tells, after the end, whether the run has left work to do.
        number: the signal.
        group: the signal also goes to the command's own worker processes, as a terminal's Ctrl-C does.
    """
    for _ in range(TRIES):
        process = subprocess.Popen([str(word) for word in command], start_new_session=True)
        deadline = time.monotonic() + SECONDS
        while process.poll() is None and not reached() and time.monotonic() < deadline:
            time.sleep(0.002)
        if process.poll() is None:
            (os.killpg if group else os.kill)(process.pid, number)
        code = process.wait(timeout=60)
        if code not in (0, 1) and unfinished():
            return code
        assert code in (0, 1, -number, 128 + number), f"ended with {code} by itself"
        shutil.rmtree(out, ignore_errors=True)
    raise AssertionError(f"{TRIES} runs were done before they could be ended")


def rows_in(out: Path, holding: bytes = b"") -> int:
    """Count the rows of the ledger in a folder that hold some text; 0 where there is no ledger yet."""
    ledger = out / LEDGER_NAME
    return sum(holding in row for row in ledger.read_bytes().splitlines()) if ledger.exists() else 0
