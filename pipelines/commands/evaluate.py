"""``frontalize evaluate``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.terminal.console import INTERRUPTED, Console
from pipelines.commands.terminal.options import CORES, Device, Json, Quiet, Recipe, Workers
from pipelines.evaluate.config import EvaluateConfig, IdentityAgainst
from pipelines.extras import NETWORKS, require_extra
from pipelines.html import require_page, write_page
from pipelines.runtime.interrupt import Interrupt

if TYPE_CHECKING:
    from pipelines.evaluate.candidate_models import RankedPair
    from pipelines.evaluate.evaluate import Evaluation
DEFAULT = EvaluateConfig()
MAX_FAILURES = 10  # printed; --json has all


def evaluate(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="Root of a paired set; of a split one, val/ is used.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The HTML page.")] = Path("evaluation.html"),
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="raw, geometric, refiner (by default all three), or a run's generator.safetensors; repeatable."
        ),
    ] = None,
    recipe: Recipe = DEFAULT.recipe,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the photos from which the set was made: geometric and refiner take them, as in batch, "
            "instead of the crops."
        ),
    ] = DEFAULT.photos,
    recognizer: Annotated[
        Path | None, typer.Option(help="An ONNX face recognizer, to measure identity.")
    ] = DEFAULT.recognizer,
    identity_against: Annotated[
        IdentityAgainst,
        typer.Option(help="Compare identity with the pair's own target, or with the others of the same person."),
    ] = DEFAULT.identity_against,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Measure how far landmarks are from those of the target.")
    ] = DEFAULT.landmarks,
    by: Annotated[
        list[str] | None,
        typer.Option(help="A column of labels.csv, to report each of its values apart; repeatable."),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Side in pixels at which images are compared; by default the targets'.")
    ] = DEFAULT.size,
    batch_size: Annotated[int, typer.Option(help="Faces per pass of a network.")] = DEFAULT.batch_size,
    device: Device = DEFAULT.device,
    workers: Workers = CORES,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare models with the targets of a set: image measures, landmarks, identity by a recognizer, all by yaw."""
    config = EvaluateConfig(
        models=tuple(model or DEFAULT.models),
        recipe=recipe,
        photos=photos,
        recognizer=recognizer,
        identity_against=identity_against,
        landmarks=landmarks,
        by=tuple(by or DEFAULT.by),
        size=size,
        batch_size=batch_size,
        device=device,
        workers=workers,
    )
    require_extra("train", "evaluate", *NETWORKS, "torchmetrics")
    require_page(out)
    _run(Console(json, quiet), dataset, out, config)


def _run(console: Console, dataset: Path, out: Path, config: EvaluateConfig) -> None:
    from pipelines.evaluate.evaluate import Evaluation

    started = time.monotonic()
    with Interrupt() as stop:
        evaluation = Evaluation(dataset, config)
        split = f" of {evaluation.split}/" if evaluation.split else ""
        console.print(
            f"evaluating {len(evaluation.pairs):,} pairs{split} at {evaluation.size} px on {evaluation.device}"
        )
        for _ in console.track(evaluation.run(stop), "evaluating", len(evaluation.pairs), lambda _: ""):
            pass
    if stop.pressed:
        raise typer.Exit(INTERRUPTED)
    document = evaluation.document()
    _write_page(out, evaluation, document)
    seconds = time.monotonic() - started
    _print_summary(console, document, seconds)
    console.print(f"page: {out}")
    console.print_json({**document, "page": str(out), "seconds": round(seconds, 3)})
    if document["failed"]:
        raise typer.Exit(1)


def _write_page(out: Path, evaluation: "Evaluation", document: dict[str, Any]) -> None:
    from pipelines.evaluate.page import Example, evaluation_page

    def examples(pairs: "list[RankedPair]") -> list[Example]:
        return [
            Example(pair.pictures, [evaluation.row(candidate, pair.number) for candidate in evaluation.candidates])
            for pair in pairs
        ]

    extremes = [candidate.best_and_worst() for candidate in evaluation.candidates if document["models"]]
    write_page(out, evaluation_page(document, [(examples(best), examples(worst)) for best, worst in extremes]))


def _print_summary(console: Console, document: dict[str, Any], seconds: float) -> None:
    if document["models"]:
        _print_table(console, document)
    for row in document["failed"][:MAX_FAILURES]:
        console.error(f"failed {row['input']}: {row['reason']}")
    if len(document["failed"]) > MAX_FAILURES:
        console.error(f"and {len(document['failed']) - MAX_FAILURES:,} more; --json has all")
    rate = document["pairs"] / max(seconds, 1e-9)
    console.print(f"{document['pairs']:,} pairs, {document['people']:,} people; {seconds:.1f} s, {rate:.0f}/s")


def _print_table(console: Console, document: dict[str, Any]) -> None:
    from pipelines.evaluate.summary import column_headings, tables

    rows = [["pairs of", "model", *column_headings(document)]]
    rows += [[row.pairs, row.model, *row.cells] for _, some in tables(document) for row in some]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        texts = [cell.ljust(width) for cell, width in zip(cells[:2], widths, strict=False)]
        numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
        console.print("  ".join((*texts, *numbers)))
