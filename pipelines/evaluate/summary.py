"""What a model's faces are worth, summed up: over all pairs of a set, and by how far the inputs are turned."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.metrics.image_metrics import MEASURES
from toolkit.identity.verification import (
    FOLDS,
    area_under_curve,
    draw_strangers,
    judged_right,
    mean_over_folds,
    ranks_first,
)

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]
Flags = NDArray[np.bool_]
BINS = (0, 15, 30, 45, 60, 75, 90)  # degrees of yaw to either side; an edge belongs to the bin above it, 90 to the last
COLUMNS = {  # key of a row: its heading, and how its values are written
    "pairs": ("pairs", "{:,}"),
    "missing": ("missing", "{:,}"),
    "l1": ("L1", "{:.3f}"),
    "l2": ("L2", "{:.3f}"),
    "psnr": ("PSNR", "{:.2f}"),
    "ssim": ("SSIM", "{:.3f}"),
    "identity_cosine": ("cosine", "{:.3f}"),
    "impostor_cosine": ("impostor", "{:.3f}"),
    "accuracy": ("accuracy", "{:.3f}"),
    "auc": ("AUC", "{:.3f}"),
    "rank1": ("rank-1", "{:.3f}"),
}


@dataclass(frozen=True, slots=True)
class Questions:
    """What every model is asked: N pairs whose inputs show people, T targets that do."""

    yaw: Array  # (N,) degrees; NaN where unknown
    person: Numbers  # (N,) whom the input shows, numbered from 0 without gaps
    target: Numbers  # (N,) which target is the input's own
    shown: Numbers  # (T,) whom the targets show
    group: Sequence[str] = ()  # (N,) which group the input belongs to, empty where unknown; or no groups at all


@dataclass(frozen=True, slots=True)
class Identity:
    """What a recogniser says of one model's faces."""

    own: Array  # (N,) cosine to the input's own target; 0 where there is no face
    stranger: Array  # (N,) cosine to a target of somebody else; empty where there is nobody else
    right: Flags  # (2, N) whether those two are told apart rightly; empty likewise
    first: Flags  # (N,) whether the most similar target of all shows the same person
    folds: Numbers  # (N,)


def identify(questions: Questions, faces: Array, gallery: Array) -> Identity:
    """Compare a model's faces with targets.

    Args:
        questions: who is who.
        faces: (N, D) descriptions of length 1; zeros where the model made none.
        gallery: (T, D) of the targets.
    """
    person, shown = questions.person, questions.shown
    folds = person % FOLDS
    own = np.einsum("nd,nd->n", faces, gallery[questions.target])
    first = ranks_first(faces, person, gallery, shown)
    if min(len(np.unique(shown)), len(np.unique(folds))) < 2:
        return Identity(own, np.zeros(0), np.zeros((2, 0), bool), first, folds)
    stranger = np.einsum("nd,nd->n", faces, gallery[draw_strangers(person, shown)])
    same = np.repeat([True, False], len(own))
    right = judged_right(np.concatenate([own, stranger]), same, np.tile(folds, 2))
    return Identity(own, stranger, right.reshape(2, -1), first, folds)


def sum_up(questions: Questions, measures: Array, identity: Identity | None) -> dict[str, Any]:
    """One model's numbers.

    Args:
        questions: what it was asked.
        measures: (N, 4) as :data:`pipelines.metrics.image_metrics.MEASURES`; NaN where it made no face.
        identity: where there is a recogniser.

    Returns:
        A row with the keys of :data:`COLUMNS` over all pairs, under ``bins`` one more for each bin of yaw that has
        pairs, with ``from`` and ``to``, and under ``groups`` one for each group, with ``group``. Image measures are
        means over the faces that were made; identity counts the missing ones as cosine 0. What cannot be measured
        is None.
    """
    turned = np.minimum(np.abs(questions.yaw), BINS[-1])
    rows = []
    for low, high in itertools.pairwise(BINS):
        inside = (turned >= low) & ((turned < high) | ((turned == high) & (high == BINS[-1])))
        if inside.any():
            rows.append({"from": low, "to": high, **_row(measures, identity, inside)})
    every = np.ones(len(turned), bool)
    groups = [
        {"group": group, **_row(measures, identity, np.array(questions.group) == group)}
        for group in sorted(set(questions.group))
    ]
    return {**_row(measures, identity, every), "bins": rows, "groups": groups}


def _row(measures: Array, identity: Identity | None, inside: Flags) -> dict[str, Any]:
    made = inside & ~np.isnan(measures[:, 0])
    row: dict[str, Any] = {"pairs": int(inside.sum()), "missing": int(inside.sum() - made.sum())}
    row |= {name: _mean(values[made]) for name, values in zip(MEASURES, measures.T, strict=True)}
    if identity is None:
        return row
    row["identity_cosine"] = _mean(identity.own[inside])
    if len(identity.stranger) and inside.any():
        cosines = np.concatenate([identity.own[inside], identity.stranger[inside]])
        folds = np.tile(identity.folds[inside], 2)
        row["impostor_cosine"] = _mean(identity.stranger[inside])
        row["accuracy"] = mean_over_folds(identity.right[:, inside].reshape(-1), folds)
        row["auc"] = area_under_curve(cosines, np.repeat([True, False], len(cosines) // 2))
    else:
        row |= {"impostor_cosine": None, "accuracy": None, "auc": None}
    return row | {"rank1": _mean(identity.first[inside])}


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table that people read."""

    pairs: str  # which ones: all, of what yaw, of what group
    model: str
    cells: list[str]  # as headings() names them
    first: bool  # of its bin


def headings(document: dict[str, Any]) -> list[str]:
    """The columns that a document's rows have, after the pairs and the model."""
    return [heading for key, (heading, _) in COLUMNS.items() if key in document["models"][0]]


def lines(document: dict[str, Any]) -> Iterator[Line]:
    """The table of an evaluation: models side by side, over all pairs, then by yaw, then by group."""
    models = document["models"]
    parts = [("all", models)]
    parts += [
        (f"yaw {rows[0]['from']} to {rows[0]['to']}", rows)
        for rows in zip(*(model["bins"] for model in models), strict=True)
    ]
    parts += [
        (f"{document['by']} {rows[0]['group'] or 'unknown'}", rows)
        for rows in zip(*(model["groups"] for model in models), strict=True)
    ]
    for pairs, rows in parts:
        for number, (model, row) in enumerate(zip(models, rows, strict=True)):
            yield Line(pairs if number == 0 else "", model["name"], _cells(row), number == 0)


def _cells(row: dict[str, Any]) -> list[str]:
    shown = [(row[key], form) for key, (_, form) in COLUMNS.items() if key in row]
    return ["-" if value is None else form.format(value) for value, form in shown]
