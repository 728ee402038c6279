"""Feed mutated inputs to every reader of files, tables, names and texts.

    python -m examples.fuzz.readers --runs 100000 --seed 0
    python -m examples.fuzz.readers --runs 2000 --only checkpoint --only onnx

Anything but a FrontalizeError is a fault, and so is an input that takes more than 20 s or a gigabyte, ends the process,
or makes it touch a file outside its folder. Faults are kept in ``faults/``; the exit code is 1 if there is one. Every
input follows from ``--seed``, its reader and its number.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from examples.fuzz import folders, tables, weights
from examples.fuzz.isolation import Reader, Result, feed
from examples.fuzz_readers import EXTREMES, WORDS

PHOTOS = weights.SHARED / "hostile"  # more photos to mutate, where they are here


def readers(photos: Path | None) -> list[Reader]:
    """All readers, the quick ones with the largest shares."""
    return [
        Reader("photo", 2500, partial(folders.photo, folder=photos), EXTREMES),
        Reader("ledger", 1000, folders.ledger, WORDS, text=True),
        Reader("resume", 600, folders.resume, WORDS, text=True),
        Reader("crops", 500, folders.crops, WORDS, text=True),
        Reader("labels", 900, folders.labels, tables.NUMBERS, text=True),
        Reader("layout", 500, folders.layout, folders.LAYOUT_WORDS, text=True),
        Reader("subject table", 400, tables.subject_table, tables.TEXTS, text=True),
        Reader("subject pattern", 200, tables.subject_pattern, tables.PATTERNS),
        Reader("celeba", 500, tables.celeba, tables.NUMBERS, text=True),
        Reader("london", 400, tables.london, tables.NUMBERS, text=True),
        Reader("multipie", 200, tables.multipie, tables.TEXTS, text=True),
        Reader("cfp", 400, tables.cfp, tables.NUMBERS, text=True),
        Reader("options", 200, tables.options, tables.NUMBERS, text=True),
        Reader("settings", 300, tables.settings, tables.NUMBERS, text=True),
        Reader("run config", 150, tables.run_config, WORDS, text=True),
        Reader("safetensors", 500, weights.safetensors, weights.CARDS, text=True),
        Reader("checkpoint", 300, weights.checkpoint, weights.PICKLES),
        Reader("pickled module", 400, weights.pickled, weights.PICKLES),
        Reader("onnx", 200, weights.onnx, weights.GRAPHS),
        Reader("dlib manifest", 40, weights.dlib, WORDS, text=True),
        Reader("notebook", 100, weights.notebook, EXTREMES),
        Reader("task bundle", 2, weights.task, EXTREMES),
    ]


def run(asked: list[Reader], runs: int, seed: int, keep: Path) -> list[Result]:
    """Feed all of them and print a table."""
    shares = sum(reader.share for reader in asked)
    done: list[Result] = []
    print(
        "| reader          | inputs | CPU s  | slowest, s | faults | most frequent |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for place, reader in enumerate(asked):
        before, after = (sum(one.share for one in asked[:end]) * runs // shares for end in (place, place + 1))
        result = feed(reader, after - before, seed, keep)
        seen = ", ".join(f"{word} {count:,}" for word, count in result.seen.most_common(4)) or result.missing
        counts = f"{result.runs:6,} | {result.seconds:6.1f} | {result.slowest:10.2f} | {len(result.faults):6}"
        print(f"| {reader.name:15} | {counts} | {seen} |", flush=True)
        for fault in result.faults[:20]:
            print(f"    {fault}", flush=True)
        done.append(result)
    return done


def main() -> None:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", type=int, default=100_000, help="inputs of all readers together")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--only", action="append", help="a reader; repeatable; all by default")
    asked.add_argument("--photos", type=Path, default=PHOTOS if PHOTOS.is_dir() else None, help="more photos to mutate")
    given = asked.parse_args()
    known = readers(given.photos)
    if unknown := set(given.only or ()) - {reader.name for reader in known}:
        asked.error(f"no reader {', '.join(unknown)}; known are {', '.join(reader.name for reader in known)}")
    began = time.monotonic()
    done = run(
        [one for one in known if one.name in (given.only or (one.name,))], given.runs, given.seed, Path("faults")
    )
    runs, faults = sum(one.runs for one in done), sum(len(one.faults) for one in done)
    print(f"{runs:,} inputs, seed {given.seed}, {faults} faults; {time.monotonic() - began:.0f} s")
    sys.exit(int(faults > 0))


if __name__ == "__main__":
    main()
