"""``frontalize batch``."""

from typing import Annotated

import typer

from pipelines.batch.config import VIEW_SIZE, FrontalizeConfig
from pipelines.batch.geometric import frontal_views
from pipelines.commands.terminal.arguments import parse_shard, valid_max_rejects
from pipelines.commands.terminal.bulk import make_plan, parallel_slots, run_and_report
from pipelines.commands.terminal.console import Console
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
    Recipe,
    Shard,
    Source,
    Workers,
)
from pipelines.runtime.config import BulkConfig, Engine, ImageFormat
from pipelines.runtime.interrupt import Interrupt

DEFAULT = FrontalizeConfig(model="refiner")


Model = Annotated[str, typer.Option(help="refiner, geometric, or a run's generator.safetensors.")]
Size = Annotated[
    int | None, typer.Option(help=f"Side of the outputs, pixels; by default {VIEW_SIZE}, or a crop model's.")
]
Margin = Annotated[float, typer.Option(help="Extra border around the face's square, as a share of its side.")]
Aligned = Annotated[bool, typer.Option("--aligned", help="SRC holds crops of `frontalize align`.")]
PasteBack = Annotated[
    bool, typer.Option("--paste-back", help="Write whole photos with frontal faces; --size is then that of the views.")
]
MaxTurn = Annotated[float, typer.Option(help="With --paste-back: leave faces turned further as they are, in degrees.")]
MinConfidence = Annotated[
    float, typer.Option(help="Reject faces of which the network expects a lower cosine to a frontal photo, 0 to 1.")
]
BatchSize = Annotated[int, typer.Option(help="Faces per pass of the network.")]
Format = Annotated[ImageFormat, typer.Option(help="Image format of the outputs.")]
RunOn = Annotated[Engine, typer.Option(help="Run on processes of this machine, or on Ray.")]


def batch(
    source: Source,
    out: Out,
    model: Model = DEFAULT.model,
    recipe: Recipe = DEFAULT.recipe,
    size: Size = DEFAULT.size,
    margin: Margin = DEFAULT.margin,
    aligned: Aligned = DEFAULT.aligned,
    paste_back: PasteBack = DEFAULT.paste_back,
    max_turn: MaxTurn = DEFAULT.max_turn,
    min_confidence: MinConfidence = DEFAULT.min_confidence,
    batch_size: BatchSize = DEFAULT.batch_size,
    format: Format = DEFAULT.format,
    quality: Quality = DEFAULT.quality,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    shard: Shard = WHOLE,
    engine: RunOn = "local",
    metadata: Metadata = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a frontal face for every photo. Raw photos are aligned first.

    With --paste-back, write the photos themselves, upright and in full size, with frontal faces instead of those turned
    by at most --max-turn. The ledger tells for each face whether it is pasted; a photo without such a face is rejected
    as `turned`.
    """
    config = FrontalizeConfig(
        model=model,
        recipe=None if recipe is None else recipe.resolve(),  # for processes of Ray that run elsewhere
        size=size,
        margin=margin,
        aligned=aligned,
        paste_back=paste_back,
        max_turn=max_turn,
        min_confidence=min_confidence,
        batch_size=batch_size,
        format=format,
        quality=quality,
    )
    bulk, limit, console = (
        BulkConfig(workers=workers, overwrite=overwrite, shard=parse_shard(shard), engine=engine, device=device),
        valid_max_rejects(max_rejects),
        Console(json, quiet),
    )
    with Interrupt() as stop:
        plan = make_plan(source, out, console).sharded(*bulk.shard)
        if model == "geometric":
            console.print("frontalizing by geometry")
            outcomes = frontal_views(plan, config, bulk, stop)
        else:
            from pipelines.batch.network import Frontalizer

            frontalizer = Frontalizer(config, bulk)
            console.print(f"frontalizing with {frontalizer.card.architecture} on {', '.join(frontalizer.devices)}")
            outcomes = frontalizer.run(plan, stop)
        run_and_report(console, plan, outcomes, "frontalizing", limit, stop, metadata, parallel_slots(bulk))
