"""An evaluation as an HTML page: the results of every model by yaw, its best and its worst pairs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.evaluate.summary import COLUMNS, column_headings, tables
from pipelines.html import data_url, render
from toolkit.photos.types import Image

TEMPLATE = Path(__file__).with_suffix(".html")
MEASURES_NOTE = (
    "L1 and L2 of images in [-1, 1], PSNR (dB) and SSIM of images in [0, 1], means over the generated faces; "
    "missing: no face was generated."
)
PHOTOS_NOTE = "Frontal views are made from the photos, other generators and raw take the crops."
LANDMARKS_NOTE = (
    "landmarks: mean distance of 468 mesh points of face and target, in pixels at a side of 128, without a further "
    "alignment; not found: the landmarker finds no face in the generated image or in the target."
)
IDENTITY_NOTE = (
    "Identity by the recognizer, for which every face and target is aligned in the same way. cosine: mean to {own}; "
    "impostor: mean to a target of another person, one drawn for each input; accuracy: share of own and impostor pairs "
    "that are classified correctly, ten folds by person, threshold from the other nine; AUC; rank-1: the most similar "
    "of all {subjects:,} targets{but} shows the same person. A missing face counts as cosine 0."
)
OWN = {
    "target": {"own": "the input's own target", "but": ""},
    "other": {"own": "the other targets of the same person", "but": " but the input's own"},
}
WITHOUT_OTHER_NOTE = "{without_other_target:,} pairs of people with one target only do not count for identity."


@dataclass(frozen=True, slots=True)
class Example:
    """One pair on the page."""

    pictures: Sequence[Image | str]  # the input, for each model its face or why there is none, the target
    rows: Sequence[dict[str, Any]]  # for each model: input, target, yaw and measures


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell of a table of pairs."""

    image: str  # data URL; empty if there is none
    alt: str
    lines: Sequence[str]


def evaluation_page(document: dict[str, Any], examples: Sequence[tuple[Sequence[Example], Sequence[Example]]]) -> str:
    """Return the page.

    Args:
        document: of :meth:`pipelines.evaluate.evaluate.Evaluation.document`.
        examples: for each model its best and its worst pairs.
    """
    score, _ = COLUMNS[document["ranked_by"]]
    sections = [
        {"heading": f"{model['name']}: the {kind} pairs by {score}", "pairs": [list(_cells(one)) for one in pairs]}
        for model, both in zip(document["models"], examples, strict=True)
        for kind, pairs in zip(("best", "worst"), both, strict=True)
    ]
    return render(
        TEMPLATE,
        document=document,
        summary=_summary(document),
        headings=column_headings(document) if document["models"] else [],
        tables=list(tables(document)) if document["models"] else [],
        sections=sections,
    )


def _summary(document: dict[str, Any]) -> str:
    text = (
        f"{document['pairs']:,} pairs, {document['subjects']:,} targets, {document['people']:,} people, compared at "
        f"{document['size']} px. {MEASURES_NOTE}"
    )
    notes = [text]
    if document["photos"]:
        notes.append(PHOTOS_NOTE)
    if document["landmarks"]:
        notes.append(LANDMARKS_NOTE)
    if document["recognizer"]:
        notes.append(IDENTITY_NOTE.format(**document, **OWN[document["identity_against"]]))
    if document["without_other_target"]:
        notes.append(WITHOUT_OTHER_NOTE.format(**document))
    return " ".join(notes)


def _cells(example: Example) -> Iterator[_Cell]:
    first = example.rows[0]
    yaw = [] if first["yaw"] is None else [f"yaw {first['yaw']:+.0f}°"]
    texts = [[first["input"], *yaw], *map(_measures, example.rows), [first["target"]]]
    for picture, lines in zip(example.pictures, texts, strict=True):
        if isinstance(picture, str):
            yield _Cell("", "", [picture])
        else:
            yield _Cell(data_url(picture), first["input"], lines)


def _measures(row: dict[str, Any]) -> list[str]:
    known = [(heading, form.format(row[key])) for key, (heading, form) in COLUMNS.items() if row.get(key) is not None]
    return [f"{heading} {value}" for heading, value in known]
