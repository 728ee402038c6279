"""How much `frontalize align` adds to the bare minimum: decode + FaceMesh, with as many processes, in the same run.

    python examples/bench_align.py PHOTOS [ROUNDS]

Both are whole commands, start-up included, in turn, so that a drifting machine hits both alike.
The bare loop decodes with OpenCV and runs MediaPipe's own FaceMesh class (478 points, one face);
`align` also hashes, cuts, encodes, writes and keeps the ledger.
"""

import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_mesh: Any = None


def start_bare() -> None:
    """Load the model, once per process."""
    global _mesh
    from mediapipe.python.solutions.face_mesh import FaceMesh

    _mesh = FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True)


def bare(path: Path) -> bool:
    """Decode and find; whether there was a face."""
    import cv2

    photo = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return _mesh.process(photo).multi_face_landmarks is not None


def run_bare(photos: Path, workers: int) -> None:
    """The bare loop."""
    with multiprocessing.get_context("spawn").Pool(workers, start_bare) as pool:
        found = sum(pool.imap_unordered(bare, sorted(photos.rglob("*.jpg")), chunksize=8))
    print(f"bare: {found} faces", file=sys.stderr)


def seconds(command: list[str]) -> float:
    """How long a command takes, from start to end."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main(photos: Path, rounds: int) -> None:
    """Both in turn; medians and the ratio round by round."""
    workers, count = len(os.sched_getaffinity(0)), len(sorted(photos.rglob("*.jpg")))
    ratios, ours, theirs = [], [], []
    for number in range(rounds):
        theirs.append(seconds([sys.executable, __file__, str(photos), "bare", str(workers)]))
        with tempfile.TemporaryDirectory() as out:
            align = ["-c", "from pipelines.cli import main; main()", "align", str(photos), f"{out}/crops"]
            ours.append(seconds([sys.executable, *align, "--workers", str(workers)]))
        ratios.append(theirs[-1] / ours[-1])
        print(
            f"round {number + 1}: bare {theirs[-1]:.1f} s, align {ours[-1]:.1f} s, ratio {ratios[-1]:.2f}", flush=True
        )
    rate, bare_rate = count / statistics.median(ours), count / statistics.median(theirs)
    print(f"{count} photos, {workers} processes: align {rate:.0f}/s, bare {bare_rate:.0f}/s", end="; ")
    print(f"align runs at {statistics.median(ratios):.2f} of the bare loop ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[2] == "bare":
        run_bare(Path(sys.argv[1]), int(sys.argv[3]))
    else:
        main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
