"""Summarize the results of the models: over all pairs of a set, by yaw of the inputs, and by group."""

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
    cross_validated_correct,
    draw_impostors,
    mean_over_folds,
    rank1_correct,
)

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]
BINS = (0, 15, 30, 45, 60, 75, 90)  # edges of |yaw|, degrees: each belongs to the bin above it, 90 to the last
COLUMNS = {  # key of a result: heading, format
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
class GroundTruth:
    """Pose and identity of N inputs and T targets, the same for every model."""

    yaw: Array  # (N,) degrees; NaN where unknown
    person: Indices  # (N,) identity of each input, numbered from 0 without gaps
    target: Indices  # (N,) index of each input's own target
    target_person: Indices  # (T,) identity of each target
    group: Sequence[str] = ()  # (N,) group of each input, empty where unknown; or no groups


@dataclass(frozen=True, slots=True)
class IdentityScores:
    """Verification and identification of one model's faces."""

    own: Array  # (N,) cosine to the input's own target; 0 without a face
    impostor: Array  # (N,) cosine to a target of another person; empty if there is no other person
    correct: Flags  # (2, N) whether own and impostor pairs are classified correctly; empty likewise
    rank1: Flags  # (N,) whether the most similar of all targets shows the same person
    folds: Indices  # (N,)


def compare_identities(truth: GroundTruth, faces: Array, gallery: Array) -> IdentityScores:
    """Compare the embeddings of one model's faces with those of the targets.

    Args:
        truth: identities of inputs and targets.
        faces: (N, D) unit vectors; zeros where the model generated no face.
        gallery: (T, D) unit vectors of the targets.
    """
    person, target_person = truth.person, truth.target_person
    folds = person % FOLDS
    own = np.einsum("nd,nd->n", faces, gallery[truth.target])
    rank1 = rank1_correct(faces, person, gallery, target_person)
    if min(len(np.unique(target_person)), len(np.unique(folds))) < 2:
        return IdentityScores(own, np.zeros(0), np.zeros((2, 0), bool), rank1, folds)
    impostor = np.einsum("nd,nd->n", faces, gallery[draw_impostors(person, target_person)])
    same = np.repeat([True, False], len(own))
    correct = cross_validated_correct(np.concatenate([own, impostor]), same, np.tile(folds, 2))
    return IdentityScores(own, impostor, correct.reshape(2, -1), rank1, folds)


def summarize_model(truth: GroundTruth, measures: Array, identity: IdentityScores | None) -> dict[str, Any]:
    """Average the results of one model.

    Args:
        truth: yaw and groups of the inputs.
        measures: (N, 4) as :data:`pipelines.metrics.image_metrics.MEASURES`; NaN where the model generated no face.
        identity: None without a recognizer.

    Returns:
        A result with the keys of :data:`COLUMNS` over all pairs; under ``bins`` one for each bin of yaw that has
        pairs, with ``from`` and ``to``; under ``groups`` one for each group, with ``group``. Image measures are
        means over the generated faces; identity includes missing faces as cosine 0. Values that cannot be measured
        are None.
    """
    turned = np.minimum(np.abs(truth.yaw), BINS[-1])
    bins = []
    for low, high in itertools.pairwise(BINS):
        inside = (turned >= low) & ((turned < high) | ((turned == high) & (high == BINS[-1])))
        if inside.any():
            bins.append({"from": low, "to": high, **_average(measures, identity, inside)})
    groups = [
        {"group": group, **_average(measures, identity, np.array(truth.group) == group)}
        for group in sorted(set(truth.group))
    ]
    return {**_average(measures, identity, np.ones(len(turned), bool)), "bins": bins, "groups": groups}


def _average(measures: Array, identity: IdentityScores | None, inside: Flags) -> dict[str, Any]:
    generated = inside & ~np.isnan(measures[:, 0])
    result: dict[str, Any] = {"pairs": int(inside.sum()), "missing": int(inside.sum() - generated.sum())}
    result |= {name: _mean(values[generated]) for name, values in zip(MEASURES, measures.T, strict=True)}
    if identity is None:
        return result
    result["identity_cosine"] = _mean(identity.own[inside])
    if len(identity.impostor) and inside.any():
        cosines = np.concatenate([identity.own[inside], identity.impostor[inside]])
        folds = np.tile(identity.folds[inside], 2)
        result["impostor_cosine"] = _mean(identity.impostor[inside])
        result["accuracy"] = mean_over_folds(identity.correct[:, inside].reshape(-1), folds)
        result["auc"] = area_under_curve(cosines, np.repeat([True, False], len(cosines) // 2))
    else:
        result |= {"impostor_cosine": None, "accuracy": None, "auc": None}
    return result | {"rank1": _mean(identity.rank1[inside])}


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of the printed table."""

    pairs: str  # all, a range of yaw, or a group; empty in the rows of all models but the first
    model: str
    cells: list[str]  # one for each of column_headings()

    @property
    def is_first(self) -> bool:
        """Whether it is the first row of its pairs."""
        return bool(self.pairs)


def column_headings(document: dict[str, Any]) -> list[str]:
    """Return the headings of the table after the pairs and the model."""
    return [heading for key, (heading, _) in COLUMNS.items() if key in document["models"][0]]


def table_rows(document: dict[str, Any]) -> Iterator[TableRow]:
    """Yield the table of an evaluation: the models over all pairs, then by yaw, then by group."""
    models = document["models"]
    parts = [("all", models)]
    parts += [
        (f"yaw {results[0]['from']} to {results[0]['to']}", results)
        for results in zip(*(model["bins"] for model in models), strict=True)
    ]
    parts += [
        (f"{document['by']} {results[0]['group'] or 'unknown'}", results)
        for results in zip(*(model["groups"] for model in models), strict=True)
    ]
    for pairs, results in parts:
        for number, (model, result) in enumerate(zip(models, results, strict=True)):
            yield TableRow(pairs if number == 0 else "", model["name"], _cells(result))


def _cells(result: dict[str, Any]) -> list[str]:
    values = [(result[key], form) for key, (_, form) in COLUMNS.items() if key in result]
    return ["-" if value is None else form.format(value) for value, form in values]
