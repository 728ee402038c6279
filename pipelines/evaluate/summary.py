"""Summarize the results of the models: over all pairs of a set, by yaw of the inputs, and by group."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    "landmark_distance": ("landmarks", "{:.2f}"),
    "not_found": ("not found", "{:,}"),
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
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)  # column -> (N,) of each input, empty: unknown


@dataclass(frozen=True, slots=True)
class IdentityScores:
    """Verification and identification of one model's faces."""

    own: Array  # (N,) mean cosine to the input's references; 0 without a face, NaN without references
    impostor: Array  # (N,) cosine to a target of another person; empty if there is no other person
    correct: Flags  # (2, N) whether own and impostor pairs are classified correctly; empty likewise
    rank1: Flags  # (N,) whether the most similar target shows the same person
    folds: Indices  # (N,)

    @property
    def compared(self) -> Flags:
        """(N,) whether there are references, so that the input counts."""
        return ~np.isnan(self.own)


@dataclass(frozen=True, slots=True)
class ModelResults:
    """What was measured on the N faces of one model."""

    measures: Array  # (N, 4) as pipelines.metrics.image_metrics.MEASURES; NaN where the model generated no face
    distances: Array | None  # (N,) of the landmarks, pixels; NaN where no face is found; None: not measured
    identity: IdentityScores | None  # None without a recognizer


def compare_identities(
    truth: GroundTruth, faces: Array, gallery: Array, references: Array, left_out: Indices | None
) -> IdentityScores:
    """Compare the embeddings of one model's faces with those of the targets.

    Args:
        truth: identities of inputs and targets.
        faces: (N, D) unit vectors; zeros where the model generated no face.
        gallery: (T, D) unit vectors of the targets.
        references: (N, D) mean embedding of the targets that should show the same person; NaN where there are none.
        left_out: (N,) index of the target that is not searched for each input, for rank-1; None: all are searched.
    """
    person, target_person = truth.person, truth.target_person
    folds = person % FOLDS
    own = np.einsum("nd,nd->n", faces, references)
    rank1 = rank1_correct(faces, person, gallery, target_person, left_out)
    known = ~np.isnan(own)
    if min(len(np.unique(target_person)), len(np.unique(folds[known]))) < 2:
        return IdentityScores(own, np.zeros(0), np.zeros((2, 0), bool), rank1, folds)
    impostor = np.einsum("nd,nd->n", faces, gallery[draw_impostors(person, target_person)])
    cosines, same = np.concatenate([own[known], impostor[known]]), np.repeat([True, False], known.sum())
    correct = np.zeros((2, len(own)), bool)
    correct[:, known] = cross_validated_correct(cosines, same, np.tile(folds[known], 2)).reshape(2, -1)
    return IdentityScores(own, impostor, correct, rank1, folds)


def summarize_model(truth: GroundTruth, results: ModelResults) -> dict[str, Any]:
    """Average the results of one model.

    Args:
        truth: yaw and groups of the inputs.
        results: of the model.

    Returns:
        A result with the keys of :data:`COLUMNS` over all pairs; under ``bins`` one for each bin of yaw that has
        pairs, with ``from`` and ``to``; under ``groups`` one for each group, with ``by``, its column, and ``group``.
        Image measures are means over the generated faces, the distance of landmarks over those in which a face is
        found; identity includes missing faces as cosine 0. Values that cannot be measured are None.
    """
    turned = np.minimum(np.abs(truth.yaw), BINS[-1])
    bins = []
    for low, high in itertools.pairwise(BINS):
        inside = (turned >= low) & ((turned < high) | ((turned == high) & (high == BINS[-1])))
        if inside.any():
            bins.append({"from": low, "to": high, **_average(results, inside)})
    groups = [
        {"by": column, "group": group, **_average(results, np.array(values) == group)}
        for column, values in truth.groups.items()
        for group in sorted(set(values))
    ]
    return {**_average(results, np.ones(len(turned), bool)), "bins": bins, "groups": groups}


def _average(results: ModelResults, inside: Flags) -> dict[str, Any]:
    generated = inside & ~np.isnan(results.measures[:, 0])
    result: dict[str, Any] = {"pairs": int(inside.sum()), "missing": int(inside.sum() - generated.sum())}
    result |= {name: _mean(values[generated]) for name, values in zip(MEASURES, results.measures.T, strict=True)}
    if results.distances is not None:
        found = generated & ~np.isnan(results.distances)
        result["landmark_distance"] = _mean(results.distances[found])
        result["not_found"] = int(generated.sum() - found.sum())
    return result if results.identity is None else result | _average_identity(results.identity, inside)


def _average_identity(identity: IdentityScores, inside: Flags) -> dict[str, Any]:
    inside = inside & identity.compared
    result: dict[str, Any] = {"identity_cosine": _mean(identity.own[inside])}
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


def tables(document: dict[str, Any]) -> Iterator[tuple[str, list[TableRow]]]:
    """Yield the tables of an evaluation, each with its column of labels.csv; it is empty for the first.

    The first table has the models over all pairs, then by yaw; each further one has the groups of a column.
    """
    models = document["models"]
    by_yaw = [
        (f"yaw {results[0]['from']} to {results[0]['to']}", results)
        for results in zip(*(model["bins"] for model in models), strict=True)
    ]
    yield "", list(_rows(models, [("all", models), *by_yaw]))
    groups = list(zip(*(model["groups"] for model in models), strict=True))
    for column, some in itertools.groupby(groups, key=lambda results: str(results[0]["by"])):
        parts = [(f"{column} {results[0]['group'] or 'unknown'}", results) for results in some]
        yield column, list(_rows(models, parts))


def _rows(
    models: Sequence[dict[str, Any]], parts: Iterable[tuple[str, Sequence[dict[str, Any]]]]
) -> Iterator[TableRow]:
    for pairs, results in parts:
        for number, (model, result) in enumerate(zip(models, results, strict=True)):
            yield TableRow(pairs if number == 0 else "", model["name"], _cells(result))


def _cells(result: dict[str, Any]) -> list[str]:
    values = [(result[key], form) for key, (_, form) in COLUMNS.items() if key in result]
    return ["-" if value is None else form.format(value) for value, form in values]
