"""``frontalize pairs views``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.arguments import valid_max_rejects
from pipelines.commands.terminal.bulk import make_plan, run_and_report
from pipelines.commands.terminal.console import Console
from pipelines.commands.terminal.options import (
    ALL,
    CORES,
    Device,
    Json,
    MaxRejects,
    Overwrite,
    Quality,
    Quiet,
    Source,
    Workers,
)
from pipelines.pairs.config import ViewsConfig
from pipelines.pairs.turned_views import draw_turned_views, plan_views
from pipelines.runtime.config import BulkConfig, ImageFormat
from pipelines.runtime.interrupt import Interrupt

VIEWS = ViewsConfig()


def views(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="A paired set, made from the photos in SRC.")],
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Root of the new paired set.")],
    variants: Annotated[
        int, typer.Option(help="Views of each turned photo, each degraded in another way.")
    ] = VIEWS.variants,
    degrade: Annotated[
        float, typer.Option(help="Strength of blur, noise and JPEG loss before a view is drawn, 0 to 1.")
    ] = VIEWS.degrade,
    new_backdrop: Annotated[
        bool,
        typer.Option("--new-backdrop", help="Replace what is behind each subject: for photos of one studio."),
    ] = VIEWS.new_backdrop,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = VIEWS.seed,
    size: Annotated[int, typer.Option(help="Side of views and targets, pixels.")] = VIEWS.size,
    format: Annotated[ImageFormat, typer.Option(help="Image format of views and targets.")] = VIEWS.format,
    quality: Quality = VIEWS.quality,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a training set for the refiner from a paired set: inputs are the photos' frontal views, with masks."""
    config = ViewsConfig(
        size=size,
        variants=variants,
        degrade=degrade,
        new_backdrop=new_backdrop,
        seed=seed,
        format=format,
        quality=quality,
    )
    bulk, limit, console = (
        BulkConfig(workers=workers, overwrite=overwrite, device=device),
        valid_max_rejects(max_rejects),
        Console(json, quiet),
    )
    with Interrupt() as stop:
        plan, rows = plan_views(make_plan(source, out, console), dataset)
        run_and_report(console, plan, draw_turned_views(plan, rows, config, bulk, stop), "drawing views", limit, stop)
