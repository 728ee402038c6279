"""``frontalize convert``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.console import Screen
from pipelines.commands.terminal.options import Json, Quiet


def convert(
    weights: Annotated[
        Path, typer.Argument(metavar="FILE", help="A run of ours, or the ancestor's generator, a whole pickled module.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="For `frontalize batch --model`.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A run's weights in half precision; or those of `scaleway/frontalization`, of which nothing is run."""
    from pipelines.export.convert_weights import convert_weights, halve_weights

    screen = Screen(json, quiet)
    ours = weights.is_dir() or weights.suffix == ".safetensors"
    count = (halve_weights if ours else convert_weights)(weights, out)
    screen.say(f"{out}: {count} tensors")
    screen.result({"out": str(out), "tensors": count})
