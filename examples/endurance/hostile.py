"""Run commands where the system fails them: disks, rights, folders and clocks; then run them again where it does not.

    python -m examples.endurance.hostile --rounds 3 --seed 0
    python -m examples.endurance.hostile --scene full-disk --verb align

While something is wrong a command must end with 0, 1 or 2 and no traceback, and leave no half-written file. The run
after that must end as one that nobody disturbed, with the same rows and the same bytes. Small disks are mounted in a
mount namespace of this process; without the rights for it these scenes are left out, by name. The exit code is 1 if
there is a defect.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from examples.endurance import disks, moments, names
from examples.endurance.commands import VERBS, make_inputs, undisturbed
from examples.endurance.stage import Stage

Scene = Callable[[Stage, random.Random], list[str]]
SCENES: dict[str, Scene] = {
    "full-disk": disks.full_disk,
    "few-inodes": disks.few_inodes,
    "quota": disks.quota,
    "read-only": disks.read_only,
    "read-only-later": disks.read_only_later,
    "source-vanishes": moments.source_vanishes,
    "out-vanishes": moments.out_vanishes,
    "clock-jumps": moments.clock_jumps,
    "odd-times": moments.odd_times,
    "odd-names": names.odd_names,
}
MOUNTING = ("full-disk", "few-inodes", "read-only", "read-only-later")


def run(scenes: list[str], verbs: list[str], rounds: int, seed: int, copies: int, folder: Path) -> int:
    """Run scenes for commands, print a table, and return the number of defects."""
    make_inputs(folder, copies)
    can_mount = disks.own_mounts()
    count = 0
    print("| scene            | command       | rounds | met | defects |\n|---|---|---|---|---|", flush=True)
    for scene in scenes:
        if scene in MOUNTING and not can_mount:
            print(f"| {scene:16} | left out: this process may not mount a disk | | | |", flush=True)
            continue
        for verb in names.VERBS if scene == "odd-names" else verbs:
            if verb not in verbs:
                continue
            stage, defects = Stage(verb, folder, undisturbed(verb, folder)), list[str]()
            for number in range(rounds):
                defects += SCENES[scene](stage, random.Random(f"{seed} {scene} {verb} {number}"))
                defects += stage.tracebacks()
                stage.clear()
            print(f"| {scene:16} | {verb:13} | {rounds:6} | {stage.met:3} | {len(defects):7} |", flush=True)
            for defect in dict.fromkeys(defects):
                print(f"    {defect}", flush=True)
            count += len(defects)
    return count


def main() -> None:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=3, help="of each scene with each command")
    asked.add_argument("--copies", type=int, default=1, help="of each of the twelve faces")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--scene", action="append", choices=SCENES, help="repeatable; all by default")
    asked.add_argument("--verb", action="append", choices=VERBS, help="repeatable; all by default")
    given = asked.parse_args()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        scenes, verbs = given.scene or list(SCENES), given.verb or list(VERBS)
        defects = run(scenes, verbs, given.rounds, given.seed, given.copies, folder)
    finally:
        disks.unmount_all(folder)
        shutil.rmtree(folder)
    print(f"seed {given.seed}, {defects} defects; {time.monotonic() - began:.0f} s; user {os.geteuid()}")
    sys.exit(int(defects > 0))


if __name__ == "__main__":
    main()
