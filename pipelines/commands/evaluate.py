"""``frontalize evaluate``."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.terminal.console import INTERRUPTED, Screen
from pipelines.commands.terminal.options import CORES, Device, Json, Quiet, Workers
from pipelines.evaluate.config import EvaluateConfig
from pipelines.runtime.interrupt import Interrupt
from toolkit.errors import ConfigError
from toolkit.photos.files import write_whole

if TYPE_CHECKING:
    from pipelines.evaluate.evaluate import Evaluation
DEFAULT = EvaluateConfig()
SHOWN = 10  # pairs that could not be read; --json has them all


def evaluate(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Root of a paired set; of a divided one, val/.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The page.")] = Path("evaluation.html"),
    model: Annotated[
        list[str] | None,
        typer.Option(help="raw, geometric, refiner (these by default), or a run's generator.safetensors; repeatable."),
    ] = None,
    recognizer: Annotated[
        Path | None, typer.Option(help="An ONNX face recogniser: how much of the person is left.")
    ] = DEFAULT.recognizer,
    by: Annotated[
        str | None, typer.Option(help="A column of labels.csv: the numbers for each of its values, too.")
    ] = DEFAULT.by,
    size: Annotated[
        int | None, typer.Option(help="Side at which images are compared, pixels; by default the targets'.")
    ] = DEFAULT.size,
    batch_size: Annotated[int, typer.Option(help="Faces per pass of a network.")] = DEFAULT.batch_size,
    device: Device = DEFAULT.device,
    workers: Workers = CORES,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """How near models come to the targets: L1, L2, PSNR, SSIM, and with a recogniser identity, all by yaw."""
    config = EvaluateConfig(
        models=tuple(model or DEFAULT.models),
        recognizer=recognizer,
        by=by,
        size=size,
        batch_size=batch_size,
        device=device,
        workers=workers,
    )
    _check_page(out)
    from pipelines.evaluate.evaluate import Evaluation

    screen, started = Screen(json, quiet), time.monotonic()
    with Interrupt() as stop:
        evaluation = Evaluation(dataset, config)
        part = f" of {evaluation.part}/" if evaluation.part else ""
        screen.say(f"judging {len(evaluation.pairs):,} pairs{part} at {evaluation.size} px on {evaluation.device}")
        for _ in screen.track(evaluation.run(stop), "judging", len(evaluation.pairs), lambda _: ""):
            pass
    if stop.pressed:
        raise typer.Exit(INTERRUPTED)
    document = evaluation.document()
    _write_page(out, evaluation, document)
    seconds = time.monotonic() - started
    _tell(screen, document, seconds)
    screen.say(f"page: {out}")
    screen.result({**document, "page": str(out), "seconds": round(seconds, 3)})
    if document["failed"]:
        raise typer.Exit(1)


def _check_page(out: Path) -> None:
    """A page that cannot be written must not wait for the end of the night."""
    if out.suffix.lower() not in (".html", ".htm") or out.is_dir():
        raise ConfigError(f"OUT {out}: no name for a page; end it in .html")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"OUT {out}: {error.filename} cannot be made ({error.strerror}); choose another") from error
    if not os.access(out.parent, os.W_OK):
        raise ConfigError(f"OUT {out}: nothing can be written to {out.parent}; choose another")


def _write_page(out: Path, evaluation: "Evaluation", document: dict[str, Any]) -> None:
    from pipelines.evaluate.page import Example, evaluation_page

    def examples(some: list[Any]) -> list[Example]:
        rows = ([evaluation.row(candidate, shown.number) for candidate in evaluation.candidates] for shown in some)
        return [Example(shown.pictures, row) for shown, row in zip(some, rows, strict=True)]

    extremes = [candidate.best_and_worst() for candidate in evaluation.candidates if document["models"]]
    write_whole(out, evaluation_page(document, [(examples(best), examples(worst)) for best, worst in extremes]))


def _tell(screen: Screen, document: dict[str, Any], seconds: float) -> None:
    if document["models"]:
        _tell_table(screen, document)
    for row in document["failed"][:SHOWN]:
        screen.complain(f"failed {row['input']}: {row['reason']}")
    if len(document["failed"]) > SHOWN:
        screen.complain(f"and {len(document['failed']) - SHOWN:,} more; --json has them all")
    rate = document["pairs"] / max(seconds, 1e-9)
    screen.say(f"{document['pairs']:,} pairs, {document['people']:,} people; {seconds:.1f} s, {rate:.0f}/s")


def _tell_table(screen: Screen, document: dict[str, Any]) -> None:
    from pipelines.evaluate.summary import headings, lines

    rows = [["pairs of", "model", *headings(document)]]
    rows += [[line.pairs, line.model, *line.cells] for line in lines(document)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        texts = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        screen.say("  ".join((*texts, *numbers)))
