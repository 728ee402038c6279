"""``frontalize batch``."""

from typing import Annotated

import typer

from pipelines.batch.config import FrontalizeConfig
from pipelines.batch.geometric import frontal_views
from pipelines.commands.terminal.arguments import parse_shard
from pipelines.commands.terminal.bulk import checked_limit, lanes_of, planned, run_watched
from pipelines.commands.terminal.console import Screen
from pipelines.commands.terminal.options import (
    ALL,
    CORES,
    WHOLE,
    Device,
    Json,
    MaxRejects,
    Metadata,
    Out,
    Overwrite,
    Quality,
    Quiet,
    Shard,
    Source,
    Workers,
)
from pipelines.runtime.config import BulkConfig, Engine, ImageFormat, require_cpu
from pipelines.runtime.interrupt import Interrupt

DEFAULT = FrontalizeConfig(model="refiner")


def batch(
    source: Source,
    out: Out,
    model: Annotated[str, typer.Option(help="refiner, geometric, or a run's generator.safetensors.")] = DEFAULT.model,
    size: Annotated[int | None, typer.Option(help="Side of the outputs, pixels; by default the model's.")] = None,
    aligned: Annotated[bool, typer.Option("--aligned", help="The photos are crops of `frontalize align`.")] = False,
    paste_back: Annotated[
        bool, typer.Option("--paste-back", help="Write whole photos, with frontal faces; --size is then the views'.")
    ] = False,
    max_turn: Annotated[
        float, typer.Option(help="With --paste-back: degrees; a face turned further is left as it is.")
    ] = DEFAULT.max_turn,
    batch_size: Annotated[int, typer.Option(help="Faces per pass of the network.")] = DEFAULT.batch_size,
    format: Annotated[ImageFormat, typer.Option(help="Of the outputs.")] = DEFAULT.format,
    quality: Quality = DEFAULT.quality,
    device: Device = DEFAULT.device,
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    shard: Shard = WHOLE,
    engine: Annotated[Engine, typer.Option(help="Who runs it: this machine's processes, or Ray.")] = "local",
    metadata: Metadata = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A frontal face for every photo; raw photos are aligned on the way.

    With --paste-back the outputs are the photos themselves, upright and in full size, every face in them frontal that
    is turned by at most --max-turn. The ledger says of each face whether it is pasted; a photo in which none can be is
    rejected as `turned`.
    """
    config = FrontalizeConfig(
        model=model,
        size=size,
        aligned=aligned,
        paste_back=paste_back,
        max_turn=max_turn,
        batch_size=batch_size,
        format=format,
        quality=quality,
        device=device,
    )
    bulk, limit, screen = (
        BulkConfig(workers=workers, overwrite=overwrite, shard=parse_shard(shard), engine=engine),
        checked_limit(max_rejects),
        Screen(json, quiet),
    )
    if model == "geometric":
        require_cpu(device)
    with Interrupt() as stop:
        plan = planned(source, out, screen).sharded(*bulk.shard)
        if model == "geometric":
            screen.say("frontalizing by geometry on the CPU")
            outcomes = frontal_views(plan, config, bulk, stop)
        else:
            from pipelines.batch.network import Frontalizer

            frontalizer = Frontalizer(config)
            screen.say(f"frontalizing with {frontalizer.card.architecture} on {frontalizer.place}")
            outcomes = frontalizer.run(plan, bulk, stop)
        run_watched(screen, plan, outcomes, "frontalizing", limit, stop, metadata, lanes_of(bulk))
