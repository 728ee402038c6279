"""``frontalize pairs morph``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.arguments import valid_max_rejects
from pipelines.commands.terminal.bulk import run_and_report
from pipelines.commands.terminal.console import Console
from pipelines.commands.terminal.options import ALL, CORES, Device, Json, MaxRejects, Overwrite, Quality, Quiet, Workers
from pipelines.pairs.config import MorphConfig
from pipelines.pairs.morph_subjects import morph_subjects, plan_morphs
from pipelines.runtime.config import BulkConfig, ImageFormat
from pipelines.runtime.interrupt import Interrupt

MORPH = MorphConfig()


def morph(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A paired set whose inputs are frontal views.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Root of the new paired set.")],
    per_subject: Annotated[
        int, typer.Option(help="New subjects made of each one, each with another partner.")
    ] = MORPH.per_subject,
    views: Annotated[int, typer.Option(help="Inputs of a new subject, at most.")] = MORPH.views,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = MORPH.seed,
    format: Annotated[ImageFormat, typer.Option(help="Image format of views and targets.")] = MORPH.format,
    quality: Quality = MORPH.quality,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make new people for training: heads of a paired set with parts of the faces of others in it."""
    config = MorphConfig(per_subject=per_subject, views=views, seed=seed, format=format, quality=quality)
    bulk, limit, console = (
        BulkConfig(workers=workers, overwrite=overwrite, device=device),
        valid_max_rejects(max_rejects),
        Console(json, quiet),
    )
    with Interrupt() as stop:
        plan, source, set_digest = plan_morphs(dataset, out)
        outcomes = morph_subjects(plan, source, set_digest, config, bulk, stop)
        run_and_report(console, plan, outcomes, "morphing", limit, stop)
