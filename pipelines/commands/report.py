"""``frontalize report``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.console import INTERRUPTED, Screen
from pipelines.commands.terminal.options import CORES, Json, Quiet, Workers
from pipelines.report.config import ReportConfig
from pipelines.report.report import Report
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Interrupt

DEFAULT = ReportConfig()


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An output folder, with its ledger.")],
    out: Annotated[Path | None, typer.Argument(metavar="[OUT.html]", help="The page; else DIR/report.html.")] = None,
    photos: Annotated[Path | None, typer.Option(help="Where the inputs are now, if they were moved.")] = DEFAULT.photos,
    most: Annotated[int, typer.Option(help="Inputs on the page; of more, a share evenly spaced.")] = DEFAULT.most,
    workers: Workers = CORES,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A contact sheet of an output folder: before, after, and why not; one HTML file that needs nothing else."""
    screen, config, bulk = Screen(json, quiet), ReportConfig(photos=photos, most=most), BulkConfig(workers=workers)
    page = folder / "report.html" if out is None else out
    with Interrupt() as stop:
        shown = Report(folder, page, config)
        draw_page(screen, shown, bulk.workers, stop)
    size = page.stat().st_size
    screen.say(f"{page}: {len(shown):,} of {shown.counts.total():,} inputs, {size / 1e6:.1f} MB; open it in a browser")
    screen.result({"out": str(page), "shown": len(shown), "bytes": size, **shown.counts})


def draw_page(screen: Screen, report: Report, workers: int, stop: Interrupt) -> None:
    """Draw a report with a progress bar and write it, unless it was told to stop."""
    for _ in screen.track(report.draw(workers, stop), "thumbnails", len(report), lambda _: ""):
        pass
    if stop.pressed:
        raise typer.Exit(INTERRUPTED)
    report.write()
