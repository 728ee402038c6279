"""``frontalize pairs split``."""

from typing import Annotated

import typer

from pipelines.commands.terminal.console import INTERRUPTED, Console
from pipelines.commands.terminal.options import Dataset, Json, Overwrite, Quiet
from pipelines.pairs.split import count_splits, plan_split, write_splits
from pipelines.runtime.interrupt import Interrupt


def split(
    dataset: Dataset,
    val: Annotated[str, typer.Option(help="People for validation: a percentage, or a number.")] = "10%",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Split a set into `train/` and `val/` by person, as hard links; the result is the same in every run."""
    console = Console(json, quiet)
    plan = plan_split(dataset, val)
    with Interrupt() as stop:
        for _ in console.track(write_splits(plan, overwrite), "splitting", len(plan.split_of), lambda _: ""):
            if stop.pressed:
                raise typer.Exit(INTERRUPTED)
    counts = count_splits(plan)
    for split_name, numbers in counts.items():
        console.print(f"{split_name}: " + ", ".join(f"{count:,} {what}" for what, count in numbers.items()))
    console.print_json({"dataset": str(plan.root), **counts})
