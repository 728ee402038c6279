"""``frontalize generate``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.console import Screen
from pipelines.commands.terminal.options import Device, Json, Quiet


def generate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run of the recipe attributes, or its weights.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the faces.")],
    attributes: Annotated[str, typer.Option(help="Traits, as in Smiling=1,Male=0; the others are 0.")] = "",
    n: Annotated[int, typer.Option("-n", help="How many faces.")] = 25,
    seed: Annotated[int, typer.Option(help="Of what differs between them.")] = 0,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Faces with asked-for traits, from an attribute-conditioned generator."""
    from pipelines.export.generate_faces import generate_faces, parse_attributes

    screen = Screen(json, quiet)
    names = generate_faces(run, out, parse_attributes(attributes), n, seed, device)
    screen.say(f"{len(names):,} faces in {out}")
    screen.result({"out": str(out), "outputs": names})
