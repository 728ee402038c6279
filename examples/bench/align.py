"""How much `frontalize align` adds to the bare minimum: decode + FaceMesh, with as many processes, in the same run.

    python3.11 -m venv bare && bare/bin/pip install mediapipe==0.10.21
    python examples/bench/align.py PHOTOS --bare-python bare/bin/python [--rounds 5] [--megapixels 12 --count 80]

Both are whole commands, start-up included, in turn, so that a drifting machine hits both alike.
The bare loop decodes with OpenCV and runs the FaceMesh class of MediaPipe 0.10.21 (478 points, one face), the last
release that has it; `align` also hashes, cuts, encodes, writes and keeps the ledger. With --megapixels, the first
photos are enlarged to that size first and saved as phones do: JPEG, quality 90, halved colour.
"""

import argparse
import importlib
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
    import numpy as np

    photo = cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB)
    return _mesh.process(photo).multi_face_landmarks is not None


def run_bare(photos: Path, workers: int) -> None:
    """The bare loop."""
    try:  # here, because a pool restarts processes that cannot import it for ever
        importlib.import_module("mediapipe.python.solutions.face_mesh")
    except ImportError as error:
        sys.exit(f"no FaceMesh in {sys.executable} ({error}); give --bare-python, with mediapipe==0.10.21")
    with multiprocessing.get_context("spawn").Pool(workers, start_bare) as pool:
        found = sum(pool.imap_unordered(bare, sorted(photos.rglob("*.jpg")), chunksize=8))
    print(f"bare: {found} faces", file=sys.stderr)


def seconds(command: list[str]) -> float:
    """How long a command takes, from start to end."""
    started = time.perf_counter()
    ended = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if ended.returncode:
        sys.exit(ended.stderr)
    return time.perf_counter() - started


def compare(photos: Path, rounds: int, bare_python: str) -> None:
    """Both in turn; medians and the ratio round by round."""
    workers, count = len(os.sched_getaffinity(0)), len(sorted(photos.rglob("*.jpg")))
    ratios, ours, theirs = [], [], []
    for number in range(rounds):
        theirs.append(seconds([bare_python, __file__, str(photos), "--bare", str(workers)]))
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


def enlarge(photos: Path, megapixels: float, count: int, big: Path) -> None:
    """The first photos of a folder, as a camera of that size would have saved them."""
    import cv2
    import numpy as np

    for path in sorted(photos.rglob("*.jpg"))[:count]:
        photo = np.asarray(cv2.imread(str(path)))
        scale = (megapixels * 1e6 / (photo.shape[0] * photo.shape[1])) ** 0.5
        photo = np.asarray(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
        halved = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
        cv2.imwrite(str(big / path.name), photo, halved)


def main() -> None:
    """Read the words of the command line."""
    words = argparse.ArgumentParser()
    words.add_argument("photos", type=Path)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--megapixels", type=float)
    words.add_argument("--count", type=int, default=80)
    words.add_argument("--bare-python", default=sys.executable, help="of an environment with mediapipe==0.10.21")
    words.add_argument("--bare", type=int, help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.bare:
        run_bare(given.photos, given.bare)
    elif given.megapixels:
        with tempfile.TemporaryDirectory() as big:
            enlarge(given.photos, given.megapixels, given.count, Path(big))
            compare(Path(big), given.rounds, given.bare_python)
    else:
        compare(given.photos, given.rounds, given.bare_python)


if __name__ == "__main__":
    main()
