"""``frontalize pairs build``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.arguments import valid_max_rejects
from pipelines.commands.terminal.bulk import align_first, run_and_report
from pipelines.commands.terminal.console import Console, describe
from pipelines.commands.terminal.options import ALL, CORES, Device, Json, MaxRejects, Overwrite, Quiet, Source, Workers
from pipelines.pairs.build import build_pairs, require_pairs
from pipelines.pairs.config import PairsConfig
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Interrupt
from pipelines.runtime.plan import separate_folders
from toolkit.photos.files import list_photos
from toolkit.records.ledger import LEDGER_NAME

DEFAULT = PairsConfig(subjects="folders")
WORKING_COPY = ".aligned"  # folder in the set with the crops: its files are links to them, and later runs reuse them


def build(
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Root of the paired set.")],
    subjects: Annotated[
        str,
        typer.Option(help="folders, a regular expression with a group, or a CSV file with the columns file,subject."),
    ],
    target: Annotated[
        str, typer.Option(help="auto (the most frontal, sharp and neutral photo), or a glob.")
    ] = DEFAULT.target,
    link: Annotated[
        bool, typer.Option("--link", help="Make hard links to the crops instead of copies.")
    ] = DEFAULT.link,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build a paired set from photos, or from crops of `frontalize align`."""
    config, limit, console = (
        PairsConfig(subjects=subjects, target=target, link=link),
        valid_max_rejects(max_rejects),
        Console(json, quiet),
    )
    bulk = BulkConfig(workers=workers, overwrite=overwrite, device=device)
    with Interrupt() as stop:
        source, out = separate_folders(source, out)
        aligned = source
        if not (source / LEDGER_NAME).exists():
            if photos := list_photos(source, exclude=out)[0]:
                require_pairs(photos, config)
            aligned = out / WORKING_COPY
            console.print("aligned: " + describe(align_first(console, source, aligned, bulk, stop, exclude=out)))
        plan, outcomes = build_pairs(source, aligned, out, config, overwrite)
        run_and_report(console, plan, outcomes, "pairing", limit, stop)
