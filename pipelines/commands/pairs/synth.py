"""``frontalize pairs synth``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.arguments import parse_angles
from pipelines.commands.terminal.bulk import checked_limit, planned, run_watched
from pipelines.commands.terminal.console import Screen
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
from pipelines.pairs.config import SynthConfig
from pipelines.pairs.synthesize import as_subjects, synthesize_pairs
from pipelines.runtime.config import BulkConfig, ImageFormat, require_cpu
from pipelines.runtime.interrupt import Interrupt
from toolkit.crops.align import AlignConfig

SYNTH = SynthConfig()


def synth(
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Root of the paired set.")],
    yaws: Annotated[str, typer.Option(help="Degrees to turn heads by: first:last:step, or a list.")] = "-75:75:15",
    pitches: Annotated[str, typer.Option(help="Degrees, positive up; likewise.")] = "0",
    per_photo: Annotated[int | None, typer.Option(help="So many random poses instead of the whole grid.")] = None,
    light: Annotated[float, typer.Option(help="A lamp from a random side: its greatest strength, 0 to 1.")] = 0.0,
    frontalized: Annotated[
        bool,
        typer.Option("--frontalized", help="Bring the views back: inputs are geometric frontal views, with masks."),
    ] = SYNTH.frontalized,
    wear: Annotated[float, typer.Option(help="How badly views are worn before that, 0 to 1.")] = SYNTH.wear,
    relief: Annotated[
        float, typer.Option(help="How far heads get other depths before they are turned, 0 to 1.")
    ] = SYNTH.relief,
    seed: Annotated[int, typer.Option(help="Of the random poses, lamps, wear and depths.")] = SYNTH.seed,
    size: Annotated[int, typer.Option(help="Side of the square crops, pixels.")] = SYNTH.size,
    max_turn: Annotated[float, typer.Option(help="Reject photos turned further, degrees.")] = SYNTH.max_turn,
    subjects: Annotated[
        str | None, typer.Option(help="Who is who, as for `pairs build`; default: each photo is somebody else.")
    ] = SYNTH.subjects,
    min_sharpness: Annotated[float, typer.Option(help="Reject photos more blurred.")] = SYNTH.min_sharpness,
    format: Annotated[ImageFormat, typer.Option(help="Of the crops.")] = SYNTH.format,
    quality: Quality = SYNTH.quality,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Paired set from near-frontal photos: each photo is a target, its head turned in 3D gives the inputs."""
    config = SynthConfig(
        yaws=parse_angles(yaws),
        pitches=parse_angles(pitches),
        per_photo=per_photo,
        light=light,
        frontalized=frontalized,
        wear=wear,
        relief=relief,
        seed=seed,
        size=AlignConfig(size=size).size,
        max_turn=max_turn,
        subjects=subjects,
        min_sharpness=min_sharpness,
        format=format,
        quality=quality,
    )
    bulk, limit, screen = (
        BulkConfig(workers=workers, overwrite=overwrite),
        checked_limit(max_rejects),
        Screen(json, quiet),
    )
    require_cpu(device)
    with Interrupt() as stop:
        plan = as_subjects(planned(source, out, screen))
        run_watched(screen, plan, synthesize_pairs(plan, config, bulk, stop), "turning heads", limit, stop)
