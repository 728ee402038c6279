"""A hundred thousand photos in one folder, and a million in a plan: time, memory, and open files all along.

    python -m examples.endurance.crowds --photos 100000 --plan 1000000 --seed 0

Most photos are of 32 px and show no face; one in a thousand is a face of tests/data, one in a thousand is damaged. They
are hard links to some hundred files. Memory and open files of the command and of its workers are sampled all along. The
exit code is 1 if one of them grows by more than a tenth from the second fifth of the run to the last, or if a photo has
no row or two.
"""

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from examples.endurance.runs import FACES, ROOT, Command
from toolkit.photos.files import encode_image
from toolkit.records.ledger import LEDGER_NAME, sorted_outcomes

EVERY = 0.5  # seconds between samples
TINY, DIFFERENT, RARE = 32, 100, 1000  # pixels; different tiny photos; one in so many is a face, one damaged
PER_FOLDER, LINKS = 1000, 50_000  # of the plan; links to one file (ext4 allows 65,000)
GROWTH, MIN_SAMPLES = 1.1, 50
PLAN = """
import resource, sys, time
from pathlib import Path
from pipelines.runtime.plan import plan_photos
began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
plan = plan_photos(Path(sys.argv[1]), Path(sys.argv[1] + "-out"))
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds = time.process_time() - began
print(f"{len(plan):,} photos planned in {seconds:.1f} s of the processor, {(used - before) >> 10} MB")
"""


@dataclass(slots=True)
class Samples:
    """Memory and open files of one process, with the number of rows that were done."""

    rows: list[int] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)  # MB that are resident
    files: list[int] = field(default_factory=list)

    def fifth(self, number: int, values: list[float] | list[int]) -> float:
        """Return the median in the n-th fifth of this process's samples."""
        count = len(values)
        return statistics.median(values[count * number // 5 : max(count * (number + 1) // 5, 1)])

    def slope(self) -> float:
        """Return the growth in MB per 10,000 photos, from the second fifth on."""
        start = len(self.rows) // 5
        if len(set(self.rows[start:])) < 2:
            return 0.0
        return float(np.polyfit(self.rows[start:], self.memory[start:], 1)[0]) * 10_000

    def grows(self) -> bool:
        """Tell whether the last fifth is above the second one."""
        return any(self.fifth(4, values) > GROWTH * self.fifth(1, values) for values in (self.memory, self.files))


def make_crowd(root: Path, count: int, rng: random.Random) -> None:
    """Write the photos, as hard links in one folder."""
    root.mkdir()
    sources = root.with_name("sources")
    sources.mkdir()
    noise = np.random.default_rng(rng.randrange(1 << 30))
    for number in range(DIFFERENT):
        image = noise.integers(0, 256, (TINY, TINY, 3), np.uint8)
        (sources / f"{number}.jpg").write_bytes(encode_image(image, ".jpg", 60))
    (sources / "damaged.jpg").write_bytes((sources / "0.jpg").read_bytes()[:200])
    faces = [Path(shutil.copy(face, sources / face.name)) for face in sorted(FACES.glob("*.jpg"))]
    for number in range(count):
        source = sources / f"{rng.randrange(DIFFERENT)}.jpg"
        if number % RARE == 0:
            source = rng.choice(faces)
        elif number % RARE == 1:
            source = sources / "damaged.jpg"
        os.link(source, f"{root}/{number:06}.jpg")


def sample(command: Command, ledger: Path) -> dict[str, Samples]:
    """Sample a command and its workers until it ends."""
    found: dict[str, Samples] = {}
    size, rows = 0, 0
    while command.poll() is None:
        time.sleep(EVERY)
        if ledger.exists():
            with ledger.open("rb") as file:
                file.seek(size)
                new = file.read()
            size, rows = size + len(new), rows + new.count(b"\n")
        if not rows:
            continue  # it loads its models
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
        try:
            workers = [int(child) for child in children.read_text().split()]
        except OSError:
            break
        for number in (command.pid, *workers):
            try:
                status = dict(line.split(":", 1) for line in Path(f"/proc/{number}/status").read_text().splitlines())
                files = len(os.listdir(f"/proc/{number}/fd"))  # noqa: PTH208
                memory = int(status["VmRSS"].split()[0]) / 1024
            except (OSError, KeyError):  # it has just ended
                continue
            one = found.setdefault("command" if number == command.pid else f"process {number}", Samples())
            one.rows.append(rows)
            one.memory.append(memory)
            one.files.append(files)
    return found


def align_crowd(folder: Path, count: int, rng: random.Random) -> int:
    """Align the photos; print what was sampled, and return the number of defects."""
    make_crowd(folder / "photos", count, rng)
    out, began = folder / "out", time.monotonic()
    command = Command(["align", folder / "photos", out, "--no-retries", "--quiet", "--workers", 2], folder / "log.txt")
    found = sample(command, out / LEDGER_NAME)
    code, seconds = command.wait(), time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = Counter(row.input for row in sorted_outcomes(out))
    statuses = Counter(row.code or row.status for row in sorted_outcomes(out))
    lines = (out / LEDGER_NAME).read_bytes().count(b"\n")
    print(
        f"{count:,} photos: {dict(statuses)}; exit code {code}; {seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s"
    )
    print("| process        | samples | MB, 2nd fifth | MB, last fifth | MB per 10,000 | files, 2nd | files, last |")
    print("|---|---|---|---|---|---|---|")
    defects = (set(rows.values()) != {1}) + (len(rows) != count) + (lines != count)
    for name, one in found.items():
        if len(one.rows) >= MIN_SAMPLES:  # not workers that were replaced at once
            memory, files = ([one.fifth(n, values) for n in (1, 4)] for values in (one.memory, one.files))
            print(
                f"| {name:14} | {len(one.rows):7} | {memory[0]:13.1f} | {memory[1]:14.1f} | {one.slope():13.2f} "
                f"| {files[0]:10.0f} | {files[1]:11.0f} |"
            )
            defects += one.grows()
    return defects


def plan_crowd(root: Path, count: int) -> None:
    """Plan so many photos in folders of a thousand, without doing anything with them."""
    root.mkdir()
    source = root / "source"
    for number in range(count):
        if number % LINKS == 0:
            source = root.with_name(f"source{number}")
            source.touch()
        if number % PER_FOLDER == 0:
            (root / f"{number // PER_FOLDER:04}").mkdir()
        os.link(source, f"{root}/{number // PER_FOLDER:04}/{number:07}.jpg")
    place = os.environ | {"PYTHONPATH": str(ROOT)}
    print(subprocess.run([sys.executable, "-c", PLAN, root], env=place, capture_output=True, text=True).stdout, end="")


def main() -> None:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--photos", type=int, default=100_000)
    asked.add_argument("--plan", type=int, default=1_000_000)
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    defects = 0
    with tempfile.TemporaryDirectory(prefix="crowd-") as folder:
        if given.plan:
            plan_crowd(Path(folder, "plan"), given.plan)
            shutil.rmtree(Path(folder, "plan"))
        if given.photos:
            defects = align_crowd(Path(folder), given.photos, random.Random(given.seed))
    print(f"{defects} defects")
    sys.exit(int(defects > 0))


if __name__ == "__main__":
    main()
