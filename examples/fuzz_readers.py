"""Feed damaged files to the readers of photos and of ledgers, for as long as you like.

    python examples/fuzz_readers.py photo seeds/ --runs 1000000
    python examples/fuzz_readers.py ledger --runs 1000000
    python examples/fuzz_readers.py photo seeds/ --atheris -- -max_total_time=3600    # guided, pip install atheris

Any error that is not a FrontalizeError ends it; the input is kept in ``crash-<hash>`` for a closer look. Every input
follows from ``--seed`` and its number.
"""

import argparse
import hashlib
import inspect
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from toolkit.errors import PhotoError
from toolkit.photos.decode import Photo
from toolkit.records.ledger import LEDGER_NAME, Ledger, Outcome, read_ledger, sorted_outcomes

MEMORY = 1 << 30  # bytes, as a photo has in a worker process
LARGEST_SEED = 20_000  # bytes: many small inputs find more than a few large ones
EXTREMES = (bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff", b"\0\1", b"\0\0\xff\xff")
ROWS = (
    Outcome(
        input="a/b.jpg", sha256="0" * 64, status="written", outputs=["a/b.jpg"], faces=[{"yaw": 1.5, "score": 0.9}]
    ),
    Outcome(input="ü\n.png", status="failed", reason="unreadable: cut short"),
    Outcome(input="a/b.jpg", status="skipped", outputs=["a/b_1.jpg", "a/b_2.jpg"], faces=[{}, {}], size=7, mtime_ns=1),
)
WORDS = (
    b'"..',
    b"/../",
    b'"/etc/x"',
    b"null",
    b"[[[[",
    b"1e999",
    b"NaN",
    b"\\ud800",
    b"\\u0000",
    b"{",
    b"}",
    b"\n",
    b",",
)


def read_photo(data: bytes) -> str:
    """Everything that a run asks of a photo; the code of what it raised."""
    try:
        photo = Photo(data)
        pixels, scale = photo.pixels(1 / 8)
        whole, _ = photo.pixels()
        width, height = photo.size
        photo.exif()
    except PhotoError as error:
        return error.code
    if whole.shape != (height, width, 3) or pixels.dtype != whole.dtype or not 0 < scale <= 1:
        raise AssertionError(f"{whole.shape} for {width} x {height}")
    return "read"


def read_rows(data: bytes, folder: Path) -> str:
    """A ledger read, resumed and read again: no row leads out of its folder, and none is lost."""
    path = folder / LEDGER_NAME
    path.write_bytes(data)
    before = {row.input: row for row in read_ledger(folder)}
    for row in before.values():
        if any(name.startswith("/") or ".." in name.split("/") for name in (row.input, *row.outputs)):
            raise AssertionError(f"{row} leads out")
    with Ledger(folder) as ledger:
        ledger.append(Outcome(input="new", status="written"))
    after = {row.input: row for row in sorted_outcomes(folder)}
    if after.keys() != before.keys() | {"new"}:
        raise AssertionError(f"{before.keys() ^ after.keys()}")
    return f"{len(before)} rows"


def mutate(data: bytes, seeds: Sequence[bytes], rng: random.Random, words: Sequence[bytes] = EXTREMES) -> bytes:
    """One to three of: flipped bits, a cut, extreme numbers, another file's head, something repeated, zeros."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        near = rng.randrange(min(len(data), 600) or 1) if rng.random() < 0.6 else rng.randrange(len(data) or 1)
        kind, some = rng.randrange(6), rng.randrange(1, 200)
        if kind == 0:
            flipped = bytearray(data or b"\0")
            for _ in range(rng.choice((1, 2, 8))):
                flipped[(near + rng.randrange(64)) % len(flipped)] ^= 1 << rng.randrange(8)
            data = bytes(flipped)
        elif kind == 1:
            data = data[: rng.randrange(len(data) + 1)]
        elif kind == 2:
            word = rng.choice(words)
            data = data[:near] + word + data[near + len(word) * rng.randrange(2) :]
        elif kind == 3:
            other = rng.choice(seeds)
            data = other[: rng.randrange(min(len(other), 2000) + 1)] + data[near:]
        elif kind == 4:
            data = data[:near] + data[near : near + some] * rng.choice((2, 3, 20)) + data[near + some :]
        else:
            data = data[:near] + bytes(min(some, len(data) - near)) + data[near + some :]
    return data


def fuzz(target: Callable[[bytes], str], seeds: Sequence[bytes], runs: int, seed: int, words: Sequence[bytes]) -> None:
    """So many mutations of the seeds; tells how far it is once a minute."""
    told, slowest, started, seen = time.monotonic(), 0.0, time.monotonic(), Counter[str]()
    for number in range(runs):
        rng = random.Random(f"{seed} {number}")
        data = mutate(rng.choice(seeds), seeds, rng, words)
        before = time.monotonic()
        guarded(target, data, seen)
        now = time.monotonic()
        if now - before > slowest:
            slowest = now - before
            print(f"{number:,}: slowest so far, {slowest:.2f} s, {len(data):,} bytes", flush=True)
        if now - told > 60 or number == runs - 1:
            told = now
            print(f"{number + 1:,} runs, {now - started:.0f} s, slowest {slowest:.2f} s: {dict(seen)}", flush=True)


def guarded(target: Callable[[bytes], str], data: bytes, seen: Counter[str]) -> None:
    """Count what it says; keep the input of what it should not do."""
    try:
        seen[target(data)] += 1
    except BaseException:
        Path(f"crash-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
        raise


def guided(target: Callable[[bytes], str], seeds: Sequence[bytes], options: Sequence[str]) -> None:
    """By atheris, which looks at what code an input reaches."""
    import atheris

    with tempfile.TemporaryDirectory() as corpus:
        for data in seeds:
            Path(corpus, hashlib.sha256(data).hexdigest()).write_bytes(data)
        for module in [sys.modules[name] for name in sys.modules if name.startswith(("PIL.", "toolkit."))]:
            kinds = [
                kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__
            ]
            methods = [each for kind in kinds for each in vars(kind).values()]
            for function in filter(inspect.isfunction, [*vars(module).values(), *methods]):
                atheris.instrument_func(function)
        atheris.Setup([sys.argv[0], corpus, *options], lambda data: guarded(target, data, Counter()))
        atheris.Fuzz()


def small_files(folder: Path) -> list[bytes]:
    """The contents of the small files of a folder."""
    found = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    return [data for data in found if 0 < len(data) <= LARGEST_SEED]


def ledger_seeds() -> list[bytes]:
    """What our own ledgers look like."""
    with tempfile.TemporaryDirectory() as folder:
        with Ledger(Path(folder), Path(folder)) as ledger:
            for row in ROWS:
                ledger.append(row)
        whole = Path(folder, LEDGER_NAME).read_bytes()
    return [whole, *whole.splitlines(keepends=True), json.dumps([[[]]]).encode()]


def main() -> None:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("what", choices=["photo", "ledger"])
    asked.add_argument("seeds", type=Path, nargs="?", help="folder of small photos")
    asked.add_argument("--runs", type=int, default=100_000)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--atheris", action="store_true", help="guided by coverage; what follows -- goes to it")
    known, options = asked.parse_known_args()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        if known.what == "photo":
            if known.seeds is None:
                asked.error("photo needs a folder of small photos")
            target: Callable[[bytes], str] = read_photo
            seeds, words = small_files(known.seeds), list(EXTREMES)
        else:
            target = lambda data: read_rows(data, Path(folder))  # noqa: E731
            seeds, words = ledger_seeds(), list(WORDS)
        if known.atheris:
            guided(target, seeds, [option for option in options if option != "--"])
        else:
            fuzz(target, seeds, known.runs, known.seed, words)


if __name__ == "__main__":
    main()
