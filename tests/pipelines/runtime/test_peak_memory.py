"""A run stays under two gigabytes whatever the photos are, and one that asks for more takes no others with it."""

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import FRONTALIZE
from toolkit.photos.files import encode_image

MOST = 2_000_000_000  # bytes


def taken(session: int) -> int:
    """Bytes of all processes of a session, what they share counted once."""
    total = 0
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):  # not a process, or it has just ended
            if os.getsid(int(process.name)) == session:
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return total


@pytest.fixture(scope="module")
def photos(portrait: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bombs, a large photo without a face, two portraits."""
    root = tmp_path_factory.mktemp("photos")
    Image.new("L", (13_000, 13_000)).save(root / "a.png", compress_level=1)  # 170 million pixels in 170 kB
    Image.new("RGB", (8_000, 6_000)).save(root / "b.png", compress_level=1)
    (root / "c.jpg").write_bytes(encode_image(portrait, ".jpg"))
    (root / "d.png").hardlink_to(root / "a.png")
    (root / "e.jpg").hardlink_to(root / "c.jpg")
    return root


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is counted as Linux does")
@pytest.mark.parametrize("command", ["align", "batch"])
def test_bombs_cost_themselves_alone(command: str, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [*FRONTALIZE, command, str(photos), str(out), "--workers", "2"]
    run = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while run.poll() is None:
        peak = max(peak, taken(run.pid))
        time.sleep(0.1)
    rows = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    ends = {row["input"][0]: (row["status"], row["reason"].split(":")[0]) for row in rows}
    bomb, faceless, written = ("failed", "out-of-memory"), ("rejected", "no-face"), ("written", "")
    assert ends == {"a": bomb, "b": faceless, "c": written, "d": bomb, "e": written}
    assert run.returncode == 1
    assert 50 << 20 < peak < MOST
