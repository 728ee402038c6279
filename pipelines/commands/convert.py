"""``frontalize convert``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import Json, Quiet
from pipelines.screen import Screen


def convert(
    weights: Annotated[Path, typer.Argument(metavar="FILE", help="The ancestor's generator, a whole pickled module.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="For `frontalize batch --model`.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Published weights of `scaleway/frontalization` into a file of ours; nothing in them is run."""
    from pipelines.convert_weights import convert_weights

    screen = Screen(json, quiet)
    count = convert_weights(weights, out)
    screen.say(f"{out}: {count} tensors")
    screen.result({"out": str(out), "tensors": count})
