"""``frontalize pairs import``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.arguments import valid_max_rejects
from pipelines.commands.terminal.bulk import make_plan, run_and_report
from pipelines.commands.terminal.console import INTERRUPTED, Console, describe
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
from pipelines.pairs.config import AlignPolicy, ImportConfig, KnownSet
from pipelines.pairs.import_sets import CROPS, make_crops, place_crops, plan_import
from pipelines.runtime.config import BulkConfig, ImageFormat
from pipelines.runtime.interrupt import Interrupt
from pipelines.runtime.plan import separate_folders

DEFAULT = ImportConfig(kind="multipie")


def import_set(
    kind: Annotated[KnownSet, typer.Argument(metavar="multipie|cfp|celeba|london", help="The dataset in SRC.")],
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Root of the paired set.")],
    size: Annotated[int, typer.Option(help="Side of the square crops, pixels.")] = DEFAULT.size,
    align: Annotated[
        AlignPolicy,
        typer.Option(help="auto (square photos are crops already, but not those of CFP and London), always, never."),
    ] = DEFAULT.align,
    light: Annotated[
        int,
        typer.Option(help="Multi-PIE: light of the targets, 0 to 19; 7 is the frontal flash, 0 and 19 are no flash."),
    ] = DEFAULT.light,
    format: Annotated[ImageFormat, typer.Option(help="Image format of the crops.")] = DEFAULT.format,
    quality: Quality = DEFAULT.quality,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Import a published dataset, with its poses, lights, people and attributes as labels."""
    config = ImportConfig(kind=kind, size=size, align=align, light=light, format=format, quality=quality)
    bulk, limit, console = (
        BulkConfig(workers=workers, overwrite=overwrite, device=device),
        valid_max_rejects(max_rejects),
        Console(json, quiet),
    )
    with Interrupt() as stop:
        source, out = separate_folders(source, out)
        crops, listing = plan_import(make_plan(source, out / CROPS, console, exclude=out), config)
        tally = console.watch(make_crops(crops, config, bulk, stop), "aligning", len(crops))
        console.print("crops: " + describe(tally))
        if stop.pressed:
            raise typer.Exit(INTERRUPTED)
        plan, outcomes = place_crops(crops, listing, out, config, overwrite)
        run_and_report(console, plan, outcomes, "pairing", limit, stop)
