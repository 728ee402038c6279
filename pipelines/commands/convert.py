"""``frontalize convert``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.console import Console
from pipelines.commands.terminal.options import Json, Quiet, Recipe
from pipelines.extras import NETWORKS, require_extra
from pipelines.runtime.config import require_recipe_file


def convert(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A run, or the published generator of scaleway/frontalization, a pickled module."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="For `frontalize batch --model`.")],
    recipe: Recipe = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Save a run's weights in half precision, or convert those of `scaleway/frontalization` without running code."""
    require_extra("train", "convert", *NETWORKS)
    from pipelines.export.convert_weights import convert_weights, halve_weights

    require_recipe_file(recipe)
    console = Console(json, quiet)
    is_run = weights.is_dir() or weights.suffix == ".safetensors"
    count = halve_weights(weights, out, recipe) if is_run else convert_weights(weights, out)
    console.print(f"{out}: {count} tensors")
    console.print_json({"out": str(out), "tensors": count})
