"""``frontalize pairs split``."""

from typing import Annotated

import typer

from pipelines.commands.terminal.console import INTERRUPTED, Screen
from pipelines.commands.terminal.options import Dataset, Json, Overwrite, Quiet
from pipelines.pairs.split import carry_out, counted, divide
from pipelines.runtime.interrupt import Interrupt


def split(
    dataset: Dataset,
    val: Annotated[str, typer.Option(help="For validation: a share of the people, or so many.")] = "10%",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The set again as `train/` and `val/`, hard links, no person in both, the same in every run."""
    screen = Screen(json, quiet)
    division = divide(dataset, val)
    with Interrupt() as stop:
        for _ in screen.track(carry_out(division, overwrite), "dividing", len(division.part_of), lambda _: ""):
            if stop.pressed:
                raise typer.Exit(INTERRUPTED)
    parts = counted(division)
    for part, numbers in parts.items():
        screen.say(f"{part}: " + ", ".join(f"{count:,} {name}" for name, count in numbers.items()))
    screen.result({"dataset": str(division.root), **parts})
