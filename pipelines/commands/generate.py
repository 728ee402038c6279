"""``frontalize generate``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.console import Console
from pipelines.commands.terminal.options import Device, Json, Quiet
from pipelines.extras import NETWORKS, require_extra


def generate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run of the recipe attributes, or its weights.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder.")],
    attributes: Annotated[str, typer.Option(help="Attributes, as in Smiling=1,Male=0; the others are 0.")] = "",
    n: Annotated[int, typer.Option("-n", help="Number of faces.")] = 25,
    seed: Annotated[int, typer.Option(help="Seed of the faces.")] = 0,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Generate faces with given attributes from a run of the recipe attributes."""
    require_extra("train", "generate", *NETWORKS)
    from pipelines.export.generate_faces import generate_faces, parse_attributes

    console = Console(json, quiet)
    names = generate_faces(run, out, parse_attributes(attributes), n, seed, device)
    console.print(f"{len(names):,} faces in {out}")
    console.print_json({"out": str(out), "outputs": names})
