"""``frontalize align``."""

from typing import Annotated

import typer

from pipelines.align.align_photos import align_photos
from pipelines.align.config import AlignPhotosConfig
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
    Shard,
    Source,
    Workers,
)
from pipelines.runtime.config import BulkConfig, ImageFormat
from pipelines.runtime.interrupt import Interrupt
from toolkit.crops.align import AlignConfig, FacePolicy
from toolkit.geometry.crop import Template
from toolkit.landmarks.config import FindConfig

CROP, FIND, DEFAULT = AlignConfig(), FindConfig(), AlignPhotosConfig()

KeepExif = Annotated[bool, typer.Option("--keep-exif", help="Copy the photo's EXIF into the crops.")]
MinPresence = Annotated[float, typer.Option(help="Minimum confidence of the mesh network, 0 to 1.")]
Retries = Annotated[bool, typer.Option(help="Retry padded, flipped, rotated and in tiles where no face is found.")]
RefineProfiles = Annotated[bool, typer.Option(help="Average several landmark fits on profile faces.")]
Detector = Annotated[
    str | None, typer.Option(help="One more detector for retries: a YuNet .onnx, a registered name or module:Class.")
]
Landmarker = Annotated[
    str | None, typer.Option(help="Another landmarker: a face_landmarker.task, a registered name or module:Class.")
]


def align(
    source: Source,
    out: Out,
    size: Annotated[int, typer.Option(help="Side of the square crops, pixels.")] = CROP.size,
    faces: Annotated[FacePolicy, typer.Option(help="Which of several faces.")] = CROP.faces,
    min_face: Annotated[int, typer.Option(help="Reject faces smaller than this, in pixels.")] = CROP.min_face,
    template: Annotated[Template, typer.Option(help="Where the face lies in the crop.")] = CROP.template,
    margin: Annotated[float, typer.Option(help="Extra border around the crop, as a share of its side.")] = CROP.margin,
    format: Annotated[ImageFormat, typer.Option(help="Image format of the crops.")] = DEFAULT.format,
    quality: Quality = DEFAULT.quality,
    keep_exif: KeepExif = DEFAULT.keep_exif,
    min_detection: Annotated[float, typer.Option(help="Minimum score of a detection, 0 to 1.")] = FIND.min_detection,
    min_presence: MinPresence = FIND.min_presence,
    retries: Retries = FIND.retries,
    refine_profiles: RefineProfiles = FIND.refine_profiles,
    detector: Detector = None,
    landmarker: Landmarker = None,
    device: Device = "auto",
    workers: Workers = CORES,
    max_rejects: MaxRejects = ALL,
    overwrite: Overwrite = False,
    shard: Shard = WHOLE,
    metadata: Metadata = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Cut one square crop per face: chin on the bottom edge, inner-eye midpoint at 0.8 h and 0.5 w, eyes level."""
    config = AlignPhotosConfig(
        crop=AlignConfig(size=size, faces=faces, min_face=min_face, template=template, margin=margin),
        find=FindConfig(
            min_detection=min_detection,
            min_presence=min_presence,
            retries=retries,
            refine_profiles=refine_profiles,
            detector=detector,
            landmarker=landmarker,
        ),
        format=format,
        quality=quality,
        keep_exif=keep_exif,
    )
    bulk, limit, console = (
        BulkConfig(workers=workers, overwrite=overwrite, shard=parse_shard(shard), device=device),
        valid_max_rejects(max_rejects),
        Console(json, quiet),
    )
    with Interrupt() as stop:
        plan = make_plan(source, out, console).sharded(*bulk.shard)
        run_and_report(
            console,
            plan,
            align_photos(plan, config, bulk, stop),
            "aligning",
            limit,
            stop,
            metadata,
            parallel_slots(bulk),
        )
