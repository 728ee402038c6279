"""``frontalize report``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.console import INTERRUPTED, Console
from pipelines.commands.terminal.options import CORES, Json, Quiet, Workers
from pipelines.report.config import ReportConfig
from pipelines.report.report import Report
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Interrupt

DEFAULT = ReportConfig()


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An output folder with its ledger.")],
    out: Annotated[
        Path | None, typer.Argument(metavar="[OUT.html]", help="The page; by default DIR/report.html.")
    ] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder of the inputs, if they were moved.")] = DEFAULT.photos,
    most: Annotated[int, typer.Option(help="Maximum number of inputs on the page, evenly spaced.")] = DEFAULT.most,
    workers: Workers = CORES,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a contact sheet of an output folder: before, after, and reasons, in one self-contained HTML file."""
    console, config, bulk = Console(json, quiet), ReportConfig(photos=photos, most=most), BulkConfig(workers=workers)
    page = folder / "report.html" if out is None else out
    with Interrupt() as stop:
        shown = Report(folder, page, config)
        draw_page(console, shown, bulk.workers, stop)
    size = page.stat().st_size
    console.print(
        f"{page}: {len(shown):,} of {shown.counts.total():,} inputs, {size / 1e6:.1f} MB; open it in a browser"
    )
    console.print_json({"out": str(page), "shown": len(shown), "bytes": size, **shown.counts})


def draw_page(console: Console, report: Report, workers: int, stop: Interrupt) -> None:
    """Draw the thumbnails of a report with a progress bar, and write it; exit if interrupted."""
    for _ in console.track(report.draw(workers, stop), "thumbnails", len(report), lambda _: ""):
        pass
    if stop.pressed:
        raise typer.Exit(INTERRUPTED)
    report.write()
