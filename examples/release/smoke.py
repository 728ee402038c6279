"""Run an installed frontalize as a user does, away from the checkout.

    python examples/release/smoke.py COMMAND PHOTOS [--full] [--version 0.2.0]

COMMAND is the command of the installation, as ``/opt/frontalize/bin/frontalize``; PHOTOS a folder of faces named
``<subject>_<anything>.jpg``, as tests/data. Every command runs in a new folder, beside folders called ``toolkit``,
``models`` and ``pipelines`` that must not be taken for the installed ones. ``--full`` is for installations with the
extras ``train``, ``demo`` and ``onnx``; otherwise the commands that need them must say which extra to install.

This file needs Python alone.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DECOYS = ("toolkit", "models", "pipelines")
SUBJECTS = r"^(\d+)_"
Step = tuple[str, int, str]  # a command, its exit code, what it must have written or said
LIGHT: tuple[Step, ...] = (
    ("--help", 0, "align"),
    ("pairs --help", 0, "synth"),
    ("doctor", 0, "the CPU path works"),
    ("align photos crops", 0, "crops/*.jpg"),
    ("batch photos frontal", 0, "frontal/*.jpg"),
    ("batch photos frontal", 0, "skipped"),
    ("batch photos geometric --model geometric --size 128", 0, "geometric/*.jpg"),
    ("batch photos pasted --paste-back", 0, "pasted/*.jpg"),
    ("report frontal", 0, "frontal/report.html"),
    (f"pairs build photos set --subjects {SUBJECTS}", 0, "set/*/*.jpg"),
    ("pairs verify set", 0, "no defects"),
    ("pairs split set --val 50%", 0, "set/train/*/*.jpg"),
    ("pairs synth photos turned --yaws=-30,30", 0, "turned/*/*.jpg"),
    ("align missing out", 2, "no such folder"),
)
MISSING: tuple[Step, ...] = (
    ("train set run", 2, "frontalize[train]"),
    ("evaluate set", 2, "frontalize[train]"),
    ("export refiner refiner.onnx", 2, "frontalize[train]"),
)
FULL: tuple[Step, ...] = (
    ("train set run --recipe scaleway --steps 2 --batch-size 2 --device cpu", 0, "run/generator.safetensors"),
    ("batch photos by-run --model run/generator.safetensors --device cpu", 0, "by-run/*.jpg"),
    ("evaluate set --model geometric --model refiner --device cpu", 0, "refiner"),
    ("export refiner refiner.onnx", 0, "refiner.onnx"),
    ("bench photos --photos 2 --rounds 1 --device cpu", 0, "from end to end"),
    ("demo demo", 0, "demo/contact-sheet.png"),
)


def main(command: Path, photos: Path, full: bool, version: str | None) -> None:
    """Run all steps; end with 1 at the first that goes wrong."""
    steps = ((("--version", 0, version),) if version else ()) + LIGHT + (FULL if full else MISSING)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "photos").mkdir()
        for photo in sorted(photos.glob("*.jpg")):
            shutil.copy(photo, folder / "photos")
        for name in DECOYS:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text("raise ImportError('a folder of the user, not the package')\n")
        for step in steps:
            started = time.perf_counter()
            if wrong := run(command.absolute(), folder, step):
                sys.exit(f"FAILED: frontalize {step[0]}\n{wrong}")
            print(f"ok {time.perf_counter() - started:5.1f} s  frontalize {step[0]}", flush=True)
    print(f"{len(steps)} commands of {command} work")


def run(command: Path, folder: Path, step: Step) -> str:
    """Run one step; return what is wrong, or nothing."""
    words, code, proof = step
    ended = subprocess.run([command, *words.split()], cwd=folder, capture_output=True, text=True, check=False)
    said = ended.stdout + ended.stderr
    if ended.returncode != code:
        return f"exit code {ended.returncode}, expected {code}\n{said}"
    if "Traceback" in said or "Warning" in said:
        return f"a traceback or a warning\n{said}"
    if proof not in " ".join(said.split()) and not list(folder.glob(proof)):
        return f"neither said nor written: {proof}\n{said}"
    return ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--version")
    given = parser.parse_args()
    main(given.command, given.photos, given.full, given.version)
