"""What is known of a foreign set before any photo is opened."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from toolkit.errors import PhotoFailed
from toolkit.records.ledger import Outcome, refused

Role = Literal["target", "input", "candidate", "both"]  # candidate: the best of them becomes the target


@dataclass(frozen=True, slots=True)
class Item:
    """One photo and its place in the paired set."""

    photo: str  # relative to SRC, with "/"
    subject: str  # the folder of its pair
    name: str  # in that folder, without suffix
    role: Role  # both: target, and its own only input
    labels: dict[str, Any] = field(default_factory=dict)  # columns of labels.csv that the set itself tells


@dataclass(frozen=True, slots=True)
class Listing:
    """A foreign set, read from its names and tables."""

    items: list[Item]
    refused: list[Outcome]  # photos whose names or tables do not fit, with the reason
    tables: str = ""  # changes when what the tables say changes


def without_collisions(items: Sequence[Item]) -> tuple[list[Item], list[Outcome]]:
    """Take out all photos that would land on one place, so that none is preferred by chance."""
    places = Counter((item.subject, item.name) for item in items)
    clear = [item for item in items if places[item.subject, item.name] == 1]
    refusals = []
    for item in items:
        if places[item.subject, item.name] > 1:
            error = PhotoFailed("collision", f"another photo is {item.name} of {item.subject} too; keep one of them")
            refusals.append(refused(item.photo, error))
    return clear, refusals
