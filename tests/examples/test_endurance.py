"""Short forms of examples/endurance and examples/fuzz, and that they notice what they are for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from examples.endurance.runs import ERROR, differences, look
from examples.endurance.stage import half_written
from tests.conftest import FRONTALIZE
from tests.examples.conftest import EXAMPLES, example_alone
from tests.faces import FACES

FAULTY = """
import os, signal
from pathlib import Path
from examples.fuzz.isolation import Reader, feed
from toolkit.errors import ConfigError

def prepare(box):
    deeds = {
        b"r": lambda: ConfigError("refused"),
        b"c": lambda: ZeroDivisionError("crash"),
        b"k": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        b"h": lambda: os.kill(os.getpid(), signal.SIGPROF),  # what the timer sends after 20 s
        b"w": lambda: Path(box.parent, "out").write_text("x"),
        b"d": lambda: Path(box, "..", "out").unlink(),
        b"s": lambda: os.system("true"),
        b"b": lambda: Path(box, "in").write_text("x"),
    }
    def read(data):
        deed = deeds.get(data[:1], str)()
        if isinstance(deed, Exception):
            raise deed
        return "read"
    return read, [b"", b"r"]

result = feed(Reader("faulty", 1, prepare, [b"r", b"c", b"k", b"h", b"w", b"d", b"s", b"b"]), 600, 0, Path.cwd())
print(result.runs, sorted({fault.split(": ", 1)[1].split(":")[0] for fault in result.faults}), dict(result.seen))
"""
QUICK = ("photo", "resume", "crops", "labels", "layout", "subject table", "celeba", "london", "cfp", "onnx")


@pytest.mark.slow
def test_kills_lose_nothing() -> None:
    told = example_alone("endurance/kills.py", "--kills", 3, "--copies", 1, "--verb", "align", "--signal", "SIGTERM")
    assert "3 kills, seed 0, 0 defects" in told


@pytest.mark.slow
def test_what_fails_under_a_run_is_told_and_made_good() -> None:
    told = example_alone("endurance/hostile.py", "--rounds", 1, "--verb", "align", "--scene", "quota")
    assert "seed 0, 0 defects" in told
    assert "| quota            | align         |      1 |   1 |       0 |" in told


@pytest.mark.slow
def test_a_crowd_of_photos_has_one_row_each() -> None:
    told = example_alone("endurance/crowds.py", "--photos", 60, "--plan", 3000)
    assert "3,000 photos planned" in told and "60 photos: " in told and "0 defects" in told


@pytest.mark.slow
def test_every_quick_reader_withstands_mutated_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = example_alone("fuzz/readers.py", "--runs", 600, *(word for name in QUICK for word in ("--only", name)))
    assert "600 inputs, seed 0, 0 faults" in told


def test_faults_of_a_reader_are_noticed_and_kept(tmp_path: Path) -> None:
    place = {"PYTHONPATH": str(EXAMPLES.parent)}
    result = subprocess.run([sys.executable, "-c", FAULTY], cwd=tmp_path, env=place, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    runs, faults = result.stdout.split(" ", 1)
    assert runs == "600"
    for fault in ("EscapedError", "ZeroDivisionError", "ends the process with -11", "hangs"):
        assert fault in faults
    assert "'ConfigError'" in faults and "'read'" in faults
    assert {path.read_bytes()[:1] for path in tmp_path.glob("faulty-*")} == {b"c", b"k", b"h", b"w", b"d", b"s"}


def test_what_a_run_has_lost_or_has_too_much_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("003_frontal.jpg", "021_frontal.jpg"):
        shutil.copy(FACES / name, tmp_path / "in")
    subprocess.run([*FRONTALIZE, "align", tmp_path / "in", tmp_path / "out", "--quiet"], check=True)
    wanted = look(tmp_path / "out")
    assert differences(look(tmp_path / "out"), wanted) == [] == half_written(tmp_path / "out")
    ledger = tmp_path / "out" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().splitlines(keepends=True)[0])
    crop = tmp_path / "out" / "021_frontal.jpg"
    crop.write_bytes(crop.read_bytes()[:2000])
    (tmp_path / "out" / ".x.jpg.part").touch()
    assert {one.split()[0] for one in differences(look(tmp_path / "out"), wanted)} == {"no", "021_frontal.jpg", "left"}
    assert [one.split(":")[0] for one in half_written(tmp_path / "out")] == ["left over", "half-written"]


def test_the_last_line_of_a_traceback_is_known() -> None:
    text = "failed a.jpg: unreadable (OSError: x)\n  File x\ntorch.Error: bad\nRuntimeError: worse\nKeyboardInterrupt\n"
    assert ERROR.findall(text) == ["torch.Error: bad", "RuntimeError: worse"]
