"""``frontalize align``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.align.align_photos import align_photos
from pipelines.align.config import AlignPhotosConfig
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
from pipelines.runtime.config import BulkConfig, ImageFormat, require_cpu
from pipelines.runtime.interrupt import Interrupt
from toolkit.crops.align import AlignConfig, FacePolicy
from toolkit.geometry.crop import Template
from toolkit.landmarks.finder import FindConfig

CROP, FIND, DEFAULT = AlignConfig(), FindConfig(), AlignPhotosConfig()


def align(
    source: Source,
    out: Out,
    size: Annotated[int, typer.Option(help="Side of the square crops, pixels.")] = CROP.size,
    faces: Annotated[FacePolicy, typer.Option(help="Of several faces: which.")] = CROP.faces,
    min_face: Annotated[int, typer.Option(help="Reject smaller faces, pixels.")] = CROP.min_face,
    template: Annotated[Template, typer.Option(help="Which crop.")] = CROP.template,
    margin: Annotated[float, typer.Option(help="More around the crop, as a share of its side.")] = CROP.margin,
    format: Annotated[ImageFormat, typer.Option(help="Of the crops.")] = DEFAULT.format,
    quality: Quality = DEFAULT.quality,
    keep_exif: Annotated[bool, typer.Option("--keep-exif", help="Copy the photo's EXIF.")] = DEFAULT.keep_exif,
    min_detection: Annotated[float, typer.Option(help="Drop faces the detector doubts.")] = FIND.min_detection,
    min_presence: Annotated[float, typer.Option(help="Drop faces the mesh network doubts.")] = FIND.min_presence,
    retries: Annotated[bool, typer.Option(help="Look in other ways where none is found.")] = FIND.retries,
    steady: Annotated[bool, typer.Option(help="Look at profiles many times more.")] = FIND.steady,
    detector: Annotated[Path | None, typer.Option(help="A YuNet .onnx: one more detector for retries.")] = None,
    landmarker: Annotated[Path | None, typer.Option(help="A face_landmarker.task; else the built-in models.")] = None,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    shard: Shard = WHOLE,
    metadata: Metadata = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """One square crop per face: chin on the bottom edge, inner-eye midpoint at 0.8 h and 0.5 w, eyes level."""
    config = AlignPhotosConfig(
        crop=AlignConfig(size=size, faces=faces, min_face=min_face, template=template, margin=margin),
        find=FindConfig(
            min_detection=min_detection,
            min_presence=min_presence,
            retries=retries,
            steady=steady,
            detector=detector,
            landmarker=landmarker,
        ),
        format=format,
        quality=quality,
        keep_exif=keep_exif,
    )
    bulk, limit, screen = (
        BulkConfig(workers=workers, overwrite=overwrite, shard=parse_shard(shard)),
        checked_limit(max_rejects),
        Screen(json, quiet),
    )
    require_cpu(device)
    with Interrupt() as stop:
        plan = planned(source, out, screen).sharded(*bulk.shard)
        run_watched(
            screen, plan, align_photos(plan, config, bulk, stop), "aligning", limit, stop, metadata, lanes_of(bulk)
        )
