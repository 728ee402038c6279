"""Scenes of disks: full, without inodes, with a quota, read-only."""

import ctypes
import os
import random
import resource
import subprocess
from functools import partial
from pathlib import Path

from examples.endurance.stage import Stage

CLONE_NEWNS = 0x00020000  # sched.h
LEAST = 64 << 10  # bytes of a small disk


def own_mounts() -> bool:
    """Give this process mounts of its own, which end with it; tell whether it may mount."""
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True).returncode == 0


def mount(place: Path, options: str) -> None:
    """Mount a disk in memory."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "endurance", place], check=True)


def remount(place: Path, options: str) -> None:
    """Change a mounted disk."""
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)


def unmount_all(folder: Path) -> None:
    """Unmount what is mounted in a folder."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place = line.split()[1].encode().decode("unicode_escape")
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", place], check=False)


def _size(out: Path) -> int:
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def full_disk(stage: Stage, rng: random.Random) -> list[str]:
    """A disk that takes a random share of what the command writes."""
    whole = stage.folder / "whole" / stage.verb
    mount(stage.out.parent, f"size={max(LEAST, int(rng.uniform(0.02, 0.95) * _size(whole)))}")
    return _then_larger(stage, "size=90%")


def few_inodes(stage: Stage, rng: random.Random) -> list[str]:
    """A disk that takes a random share of the command's files and folders."""
    count = sum(1 for _ in (stage.folder / "whole" / stage.verb).rglob("*"))
    mount(stage.out.parent, f"size=90%,nr_inodes={max(2, int(rng.uniform(0.02, 0.95) * count))}")
    return _then_larger(stage, "nr_inodes=0")


def _then_larger(stage: Stage, options: str) -> list[str]:
    said = stage.disturbed(stage.start())
    remount(stage.out.parent, options)
    said += stage.healed()
    unmount_all(stage.folder)
    return said


def quota(stage: Stage, rng: random.Random) -> list[str]:
    """Files that may have some bytes each: the ledger and larger outputs do not fit."""
    largest = max(path.stat().st_size for path in (stage.folder / "whole" / stage.verb).rglob("*") if path.is_file())
    limit = int(rng.uniform(0.01, 0.95) * largest)
    bounded = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    return stage.disturbed(stage.start(limit=bounded)) + stage.healed()


def read_only(stage: Stage, rng: random.Random) -> list[str]:
    """An OUT on a disk that takes nothing."""
    mount(stage.out.parent, "size=90%")
    if rng.random() < 0.5:
        stage.out.mkdir()
    remount(stage.out.parent, "ro")
    said = stage.disturbed(stage.start())
    said += [f"{path} was written" for path in stage.out.rglob("*")]
    remount(stage.out.parent, "rw")
    said += stage.healed()
    unmount_all(stage.folder)
    return said


def read_only_later(stage: Stage, rng: random.Random) -> list[str]:
    """Rights that are taken in the middle: folders of OUT get mounts that take nothing."""
    mount(stage.out.parent, "size=90%")
    process = stage.start()
    stage.wait_for(process, rng.uniform(0, 0.9))
    places = [path for path in (stage.out, *stage.out.rglob("*")) if path.is_dir()] if stage.out.is_dir() else []
    for place in places:  # a whole disk with open files does not become read-only
        subprocess.run(["mount", "--bind", place, place], check=False)
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=False)
    # Nobody can remove a temporary file from a folder that takes nothing; the next run has to.
    said = [one for one in stage.disturbed(process) if not one.startswith("left over")]
    for place in reversed(places):
        subprocess.run(["umount", "--lazy", place], check=False)
    said += stage.healed()
    unmount_all(stage.folder)
    return said
