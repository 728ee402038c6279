"""Stage: several paired sets -> one with the files of all of them, as hard links.

A subject that occurs in more than one set gets the name of its set as a suffix. People keep their names: a person of
one set is the person of that name in another. After a set has changed, another run adds what is new.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.pairs.folders import require_apart
from toolkit.errors import ConfigError
from toolkit.photos.files import ensure_link
from toolkit.records.labels import Labels, read_labels, write_labels
from toolkit.records.subjects import Pair, read_pairs, view_parts_of


@dataclass(frozen=True, slots=True)
class MergePlan:
    """The files of the merged set."""

    out: Path
    files: dict[str, Path]  # path in OUT -> the file
    rows: list[dict[str, str]]  # of labels.csv
    pairs: int


def plan_merge(roots: Sequence[Path], out: Path) -> MergePlan:
    """Find a place for each file.

    Args:
        roots: of the sets, two or more.
        out: root of the merged set.

    Raises:
        DatasetError: no set, or a violation of its layout.
        ConfigError: fewer than two sets, two of one name, or one that contains OUT or lies in it.
    """
    roots, out = [root.resolve() for root in roots], out.resolve()
    if len(roots) < 2:
        raise ConfigError("one set: name two or more sets, then OUT")
    if name := next((name for name, times in Counter(root.name for root in roots).items() if times > 1), None):
        raise ConfigError(f"two sets are called {name}: subjects are named after their set; rename one of them")
    for root in roots:
        require_apart(out, root)
    sets = [(root, read_pairs(root), read_labels(root)) for root in roots]
    times = Counter(subject for _, pairs, _ in sets for subject in {pair.subject for pair in pairs})
    plan = MergePlan(out, {}, [], sum(len(pairs) for _, pairs, _ in sets))
    taken = set(times)
    for root, pairs, labels in sets:
        names = {subject: subject for subject in {pair.subject for pair in pairs} if times[subject] == 1}
        for pair in pairs:
            if pair.subject not in names:
                names[pair.subject] = _free_name(f"{pair.subject}-{root.name}", root.name, taken)
            _add(plan, root, pair, labels, names[pair.subject])
    return plan


def write_merged(plan: MergePlan, overwrite: bool = False) -> Iterator[str]:
    """Link the files, then write labels.csv; yield each path once it is in place.

    Raises:
        ConfigError: OUT cannot be written.
    """
    try:
        for name, file in plan.files.items():
            ensure_link(file, plan.out / name, overwrite)
            yield name
        write_labels(plan.out, plan.rows, added={name for row in plan.rows for name in row})
    except OSError as error:
        raise ConfigError(f"{error.filename or plan.out}: cannot be written ({error.strerror})") from error


def _free_name(name: str, suffix: str, taken: set[str]) -> str:
    while name in taken:  # a subject of another set is called like that
        name += f"-{suffix}"
    taken.add(name)
    return name


def _add(plan: MergePlan, root: Path, pair: Pair, labels: Labels, subject: str) -> None:
    target = f"{subject}{Path(pair.target).suffix}"
    places = {pair.input: f"{subject}/{Path(pair.input).name}"}
    if target not in plan.files:
        places = {pair.target: target} | places
    for file, place in places.items():
        plan.files[place] = root / file
        row = {name: labels.text(name, file) for name in labels.columns}
        row |= {"file": place, "subject": subject, "role": "input" if "/" in place else "target"}
        plan.rows.append(row | {"person": labels.person(file, pair.subject)})
    for part, place in zip(view_parts_of(pair.input), view_parts_of(places[pair.input]), strict=True):
        if (root / part).exists():
            plan.files[place] = root / part
