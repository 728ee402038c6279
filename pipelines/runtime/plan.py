"""The plan of a bulk run, made before it starts: inputs in sorted order, mirrored outputs, collisions."""

import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from toolkit.errors import ConfigError, PhotoFailed
from toolkit.photos.files import list_photos
from toolkit.records.ledger import Outcome, error_outcome

_NUMBERED = re.compile(r"(.+)_(\d+)")


@dataclass(frozen=True, slots=True)
class Job:
    """One input and the place of its output."""

    input: str  # relative to SRC, with "/"
    stem: str  # relative to OUT, without suffix
    taken: frozenset[int] = frozenset()  # numbers k for which "stem_k" is the name of another input

    def outputs(self, count: int, suffix: str) -> list[str]:
        """Names of ``count`` outputs: ``a/b.jpg``, or ``a/b_1.jpg``, ``a/b_2.jpg`` ...

        Raises:
            PhotoFailed: ``collision``, a numbered name belongs to another input.
        """
        if count == 1:
            return [self.stem + suffix]
        if clash := sorted(number for number in self.taken if number <= count):
            raise PhotoFailed(
                "collision", f"{self.stem}_{clash[0]} is the name of another input; rename one of the two"
            )
        return [f"{self.stem}_{number}{suffix}" for number in range(1, count + 1)]


@dataclass(frozen=True, slots=True)
class Plan:
    """The inputs of a bulk run."""

    source: Path
    out: Path
    jobs: list[Job]
    refused: list[Outcome]  # of inputs that are not processed: two of them share an output, for example
    ignored: Counter[str]  # files of other kinds, by suffix
    shard: tuple[int, int] = (0, 1)  # (i, n): the i-th of n parts of the whole plan
    elsewhere: list[Job] = field(default_factory=list)  # jobs of the other parts

    def __len__(self) -> int:
        return len(self.jobs) + len(self.refused)

    def sharded(self, part: int, parts: int) -> "Plan":
        """Part ``part`` of ``parts``: every n-th photo, because neighbors in a folder take similar time."""
        return replace(
            self,
            jobs=self.jobs[part::parts],
            refused=self.refused[part::parts],
            shard=(part, parts),
            elsewhere=[job for number, job in enumerate(self.jobs) if number % parts != part],
        )

    def without_case_collisions(self) -> "Plan":
        """The plan for a case-insensitive file system: outputs that differ only in case collide."""
        twins: dict[str, list[str]] = {}
        for job in chain(self.jobs, self.elsewhere):
            twins.setdefault(_folded(job.stem), []).append(job.input)
        shared = {stem for stem, group in twins.items() if len(group) > 1}
        refusals = [
            error_outcome(
                job.input, PhotoFailed("collision", f"on this disk the {_same_output(job.input, twins[folded])}")
            )
            for job in self.jobs
            if (folded := _folded(job.stem)) in shared
        ]
        taken = _numbered_names(set(twins))
        jobs = [
            replace(job, taken=job.taken | taken.get(folded, frozenset()))
            for job in self.jobs
            if (folded := _folded(job.stem)) not in shared
        ]
        return replace(self, jobs=jobs, refused=[*self.refused, *refusals])


def plan_photos(source: Path, out: Path, exclude: Path | None = None) -> Plan:
    """Mirror a folder of photos onto an output folder.

    Args:
        source: searched with its sub-folders.
        out: gets the same tree.
        exclude: not searched; ``out`` if None.

    Raises:
        ConfigError: SRC is missing, holds no photo, or lies inside OUT.
    """
    source, out = separate_folders(source, out)
    photos, ignored = list_photos(source, exclude=out if exclude is None else exclude.resolve())
    if not photos:
        raise ConfigError(f"SRC {source}: no photo in it ({ignored.total()} other files); is this the right folder?")
    stems = [os.path.splitext(photo)[0] for photo in photos]
    shared = {stem for stem, times in Counter(stems).items() if times > 1}
    taken = _numbered_names(set(stems))
    named = list(zip(photos, stems, strict=True))
    jobs = [Job(photo, stem, taken.get(stem, frozenset())) for photo, stem in named if stem not in shared]
    return Plan(source, out, jobs, _collisions(named, shared), ignored)


def separate_folders(source: Path, out: Path) -> tuple[Path, Path]:
    """Check that no output can overwrite an input; return both folders as absolute paths.

    Raises:
        ConfigError: SRC is missing, or lies inside OUT.
    """
    if not source.is_dir():
        raise ConfigError(f"SRC {source}: no such folder")
    source, out = source.resolve(), out.resolve()
    if source == out or out in source.parents:
        raise ConfigError(f"OUT {out} holds SRC {source}: outputs could overwrite inputs; choose an OUT elsewhere")
    return source, out


def _numbered_names(stems: set[str]) -> dict[str, frozenset[int]]:
    """For every stem, the numbers k for which "stem_k" is an input too."""
    taken: dict[str, set[int]] = {}
    for stem in stems:
        if (match := _NUMBERED.fullmatch(stem)) and match[1] in stems:
            taken.setdefault(match[1], set()).add(int(match[2]))
    return {stem: frozenset(numbers) for stem, numbers in taken.items()}


def _collisions(named: list[tuple[str, str]], shared: set[str]) -> list[Outcome]:
    inputs: dict[str, list[str]] = {stem: [] for stem in shared}
    for photo, stem in named:
        if stem in shared:
            inputs[stem].append(photo)
    return [
        error_outcome(photo, PhotoFailed("collision", _same_output(photo, group)))
        for group in inputs.values()
        for photo in group
    ]


def _folded(stem: str) -> str:
    """A name as case-insensitive file systems compare it: case folded, accents composed."""
    return unicodedata.normalize("NFC", stem.casefold())


def _same_output(photo: str, group: list[str]) -> str:
    return f"same output as {', '.join(other for other in group if other != photo)}; rename one of them"
