"""``frontalize pairs synth``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.arguments import parse_angles, valid_max_rejects
from pipelines.commands.terminal.bulk import make_plan, run_and_report
from pipelines.commands.terminal.console import Console
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
from pipelines.runtime.config import BulkConfig, ImageFormat
from pipelines.runtime.interrupt import Interrupt

SYNTH = SynthConfig()


def synth(
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Root of the paired set.")],
    yaws: Annotated[str, typer.Option(help="Yaws in degrees: first:last:step, or a list.")] = "-75:75:15",
    pitches: Annotated[str, typer.Option(help="Pitches in degrees, positive up: likewise.")] = "0",
    per_photo: Annotated[
        int | None, typer.Option(help="Number of random poses per photo, instead of the whole grid.")
    ] = SYNTH.per_photo,
    light: Annotated[float, typer.Option(help="Maximum strength of a light from a random side, 0 to 1.")] = SYNTH.light,
    round_trip: Annotated[
        bool,
        typer.Option("--round-trip", help="Frontalize the views by geometry: inputs are frontal, with masks."),
    ] = SYNTH.round_trip,
    degrade: Annotated[
        float, typer.Option(help="With --round-trip: strength of blur, noise and JPEG loss before it, 0 to 1.")
    ] = SYNTH.degrade,
    depth_jitter: Annotated[
        float, typer.Option(help="Strength of random changes of the head's depth, 0 to 1.")
    ] = SYNTH.depth_jitter,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = SYNTH.seed,
    size: Annotated[int, typer.Option(help="Side of the square crops, pixels.")] = SYNTH.size,
    max_turn: Annotated[float, typer.Option(help="Reject photos turned further, in degrees.")] = SYNTH.max_turn,
    subjects: Annotated[
        str | None, typer.Option(help="Identities, as for `pairs build`; by default each photo is another person.")
    ] = SYNTH.subjects,
    min_sharpness: Annotated[float, typer.Option(help="Reject photos with a lower sharpness.")] = SYNTH.min_sharpness,
    format: Annotated[ImageFormat, typer.Option(help="Image format of the crops.")] = SYNTH.format,
    quality: Quality = SYNTH.quality,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a paired set from near-frontal photos: each is a target, its head rotated in 3D gives the inputs."""
    config = SynthConfig(
        yaws=parse_angles(yaws),
        pitches=parse_angles(pitches),
        per_photo=per_photo,
        light=light,
        round_trip=round_trip,
        degrade=degrade,
        depth_jitter=depth_jitter,
        seed=seed,
        size=size,
        max_turn=max_turn,
        subjects=subjects,
        min_sharpness=min_sharpness,
        format=format,
        quality=quality,
    )
    bulk, limit, console = (
        BulkConfig(workers=workers, overwrite=overwrite, device=device),
        valid_max_rejects(max_rejects),
        Console(json, quiet),
    )
    with Interrupt() as stop:
        plan = as_subjects(make_plan(source, out, console))
        run_and_report(console, plan, synthesize_pairs(plan, config, bulk, stop), "rotating", limit, stop)
