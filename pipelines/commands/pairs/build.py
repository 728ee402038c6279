"""``frontalize pairs ...``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.bulk import align_into, checked_limit, run_watched
from pipelines.commands.terminal.console import Screen, describe
from pipelines.commands.terminal.options import ALL, CORES, Device, Json, MaxRejects, Overwrite, Quiet, Source, Workers
from pipelines.pairs.build import build_pairs
from pipelines.pairs.config import PairsConfig
from pipelines.runtime.config import BulkConfig, require_cpu
from pipelines.runtime.interrupt import Interrupt
from pipelines.runtime.plan import apart
from toolkit.records.ledger import LEDGER_NAME

DEFAULT = PairsConfig(subjects="folders")
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
