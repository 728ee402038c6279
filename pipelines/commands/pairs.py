"""``frontalize pairs ...``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.build_pairs import build_pairs
from pipelines.commands.options import (
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
    align_into,
    checked_limit,
    planned,
    run_watched,
)
from pipelines.configs import BulkConfig, ImageFormat, PairsConfig, SynthConfig, require_cpu
from pipelines.parsing import parse_angles
from pipelines.plan import apart
from pipelines.screen import Interrupt, Screen, describe
from pipelines.synthesize_pairs import as_subjects, synthesize_pairs
from toolkit.align import AlignConfig
from toolkit.ledger import LEDGER_NAME

DEFAULT, SYNTH = PairsConfig(subjects="folders"), SynthConfig()
WORKING_COPY = ".aligned"  # inside the set: its files are links to these, and a later run starts from them


def build(
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Root of the paired set.")],
    subjects: Annotated[str, typer.Option(help="folders, a regular expression with a group, or a CSV: file,subject.")],
    target: Annotated[str, typer.Option(help="auto: frontal, sharp, neutral; or a glob.")] = DEFAULT.target,
    link: Annotated[bool, typer.Option("--link", help="Hard links to the crops instead of copies.")] = DEFAULT.link,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Subject-folder layout from photos, or from the crops that `frontalize align` wrote."""
    config, limit, screen = (
        PairsConfig(subjects=subjects, target=target, link=link),
        checked_limit(max_rejects),
        Screen(json, quiet),
    )
    bulk = BulkConfig(workers=workers, overwrite=overwrite)
    require_cpu(device)
    with Interrupt() as stop:
        source, out = apart(source, out)
        aligned = source
        if not (source / LEDGER_NAME).exists():
            aligned = out / WORKING_COPY
            screen.say("aligned: " + describe(align_into(screen, source, aligned, bulk, stop, leave_out=out)))
        plan, outcomes = build_pairs(source, aligned, out, config, overwrite)
        run_watched(screen, plan, outcomes, "pairing", limit, stop)


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
