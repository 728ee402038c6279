"""``frontalize pairs merge``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.console import INTERRUPTED, Console
from pipelines.commands.terminal.options import Json, Overwrite, Quiet
from pipelines.pairs.merge import plan_merge, write_merged
from pipelines.runtime.interrupt import Interrupt


def merge(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DATASET... OUT", help="Two or more paired sets, then the merged one.")
    ],
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Merge paired sets into one, as hard links."""
    console = Console(json, quiet)
    *datasets, out = folders
    plan = plan_merge(datasets, out)
    with Interrupt() as stop:
        for _ in console.track(write_merged(plan, overwrite), "merging", len(plan.files), lambda _: ""):
            if stop.pressed:
                raise typer.Exit(INTERRUPTED)
    people = len({row["person"] for row in plan.rows})
    console.print(f"{plan.pairs:,} pairs of {people:,} people in {plan.out}")
    console.print_json({"out": str(plan.out), "pairs": plan.pairs, "people": people, "files": len(plan.files)})
