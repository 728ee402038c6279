"""``frontalize pairs import``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.bulk import checked_limit, planned, run_watched
from pipelines.commands.terminal.console import INTERRUPTED, Screen, describe
from pipelines.commands.terminal.options import (
    ALL,
    CORES,
    Device,
    Json,
    MaxRejects,
    Overwrite,
    Quality,
    Quiet,
    Source,
    Workers,
)
from pipelines.pairs.config import Aligning, ForeignSet, ImportConfig
from pipelines.pairs.import_sets import CROPS, cut_crops, lay_out, plan_import
from pipelines.runtime.config import BulkConfig, ImageFormat, require_cpu
from pipelines.runtime.interrupt import Interrupt
from pipelines.runtime.plan import apart

DEFAULT = ImportConfig(kind="multipie")


def import_set(
    kind: Annotated[ForeignSet, typer.Argument(metavar="multipie|cfp|celeba", help="Which set SRC holds.")],
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Root of the paired set.")],
    size: Annotated[int, typer.Option(help="Side of the square crops, pixels.")] = DEFAULT.size,
    align: Annotated[
        Aligning, typer.Option(help="auto: square photos are crops already (but CFP's are not); or always, or never.")
    ] = DEFAULT.align,
    light: Annotated[
        int,
        typer.Option(help="Multi-PIE: light of the targets, 0 to 19; 7 is the frontal flash, 0 and 19 are without."),
    ] = DEFAULT.light,
    format: Annotated[ImageFormat, typer.Option(help="Of the crops.")] = DEFAULT.format,
    quality: Quality = DEFAULT.quality,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A data set that others made in the subject-folder layout, its poses, lights, people and attributes as labels."""
    config = ImportConfig(kind=kind, size=size, align=align, light=light, format=format, quality=quality)
    bulk, limit, screen = (
        BulkConfig(workers=workers, overwrite=overwrite),
        checked_limit(max_rejects),
        Screen(json, quiet),
    )
    require_cpu(device)
    with Interrupt() as stop:
        source, out = apart(source, out)
        crops, listing = plan_import(planned(source, out / CROPS, screen, leave_out=out), config)
        tally = screen.watch(cut_crops(crops, config, bulk, stop), "aligning", len(crops))
        screen.say("crops: " + describe(tally))
        if stop.pressed:
            raise typer.Exit(INTERRUPTED)
        plan, outcomes = lay_out(crops, listing, out, config, overwrite)
        run_watched(screen, plan, outcomes, "pairing", limit, stop)
