"""An evaluation as an HTML page: the numbers of every model by yaw, its best pairs and its worst."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.summary import COLUMNS, headings, lines
from pipelines.html import page, picture

NOTE = (
    "L1 and L2 of images in [-1, 1], PSNR (dB) and SSIM of images in [0, 1], means over the faces that were made; "
    "missing: no face was made."
)
IDENTITY_NOTE = (
    "By the recogniser, every face and target as the same square of its crop: cosine, mean to the input's own target; "
    "impostor, mean to a target of somebody else, one drawn for each input; accuracy of telling the two apart, ten "
    "folds by person, threshold from the other nine; AUC; rank-1, the most similar of all {subjects:,} targets shows "
    "the same person. A missing face counts, as cosine 0."
)


@dataclass(frozen=True, slots=True)
class Example:
    """One pair on the page."""

    pictures: Sequence[NDArray[np.uint8] | str]  # input, what each model makes of it or why nothing, target
    rows: Sequence[dict[str, Any]]  # of each model: input, target, yaw and measures


def evaluation_page(document: dict[str, Any], examples: Sequence[tuple[Sequence[Example], Sequence[Example]]]) -> str:
    """The page.

    Args:
        document: as :meth:`pipelines.evaluate.evaluate.Evaluation.document` gives it.
        examples: for each model its best and its worst pairs.
    """
    names = [model["name"] for model in document["models"]]
    parts = [_summary(document)]
    if names:
        parts.append(_table(document))
    for name, (best, worst) in zip(names, examples, strict=True):
        for what, some in (("best", best), ("worst", worst)):
            heading = f"{name}: the {what} pairs by {COLUMNS[document['ranked_by']][0]}"
            parts.append(f"<h2>{html.escape(heading)}</h2>\n{_pairs(names, some)}")
    if document["failed"]:
        parts.append(f"<h2>Not judged</h2>\n<ul class=failed>{_failures(document['failed'])}</ul>")
    return page(f"Evaluation of {document['dataset']}", "\n".join(parts))


def _summary(document: dict[str, Any]) -> str:
    text = (
        f"{document['pairs']:,} pairs, {document['subjects']:,} targets, {document['people']:,} people, compared at "
        f"{document['size']} px. {NOTE}"
    )
    if document["recognizer"]:
        text += " " + IDENTITY_NOTE.format(**document)
    longer = [f"{one['name']}: {one['model']}" for one in document["models"] if one["name"] != one["model"]]
    return "\n".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in (text, *longer))


def _table(document: dict[str, Any]) -> str:
    head = "".join(f"<th>{heading}" for heading in ("pairs of", "model", *headings(document)))
    body = "\n".join(
        f"<tr{' class=first' if line.first else ''}><td>{html.escape(line.pairs)}<td>{html.escape(line.model)}"
        + "".join(f"<td>{cell}" for cell in line.cells)
        for line in lines(document)
    )
    return f"<table class=numbers><tr>{head}\n{body}\n</table>"


def _pairs(names: Sequence[str], examples: Iterable[Example]) -> str:
    head = "".join(f"<th>{html.escape(heading)}" for heading in ("input", *names, "target"))
    return f"<table class=pairs><tr>{head}\n" + "\n".join(map(_example, examples)) + "\n</table>"


def _example(example: Example) -> str:
    first = example.rows[0]
    yaw = "" if first["yaw"] is None else f"<br>yaw {first['yaw']:+.0f}°"
    texts = [html.escape(first["input"]) + yaw, *map(_numbers, example.rows), html.escape(first["target"])]
    cells = [
        f"<td>{html.escape(shown) if isinstance(shown, str) else picture(shown, first['input']) + text}"
        for shown, text in zip(example.pictures, texts, strict=True)
    ]
    return f"<tr>{''.join(cells)}"


def _numbers(row: dict[str, Any]) -> str:
    written = [(heading, form.format(row[key])) for key, (heading, form) in COLUMNS.items() if row.get(key) is not None]
    return "<br>".join(f"{heading} {value}" for heading, value in written)


def _failures(failed: Iterable[dict[str, str]]) -> str:
    return "\n".join(f"<li>{html.escape(row['input'])}: {html.escape(row['reason'])}" for row in failed)
