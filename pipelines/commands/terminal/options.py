"""Options that several verbs share, and how a bulk run ends."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.runtime.config import all_cores

Source = Annotated[Path, typer.Argument(metavar="SRC", help="Folder of photos, searched with its sub-folders.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="Where to write; sub-folders are mirrored.")]
Workers = Annotated[int, typer.Option(help="Worker processes; the default is one per core.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, all else on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Do finished inputs again instead of resuming.")]
MaxRejects = Annotated[str, typer.Option(help="Rejected inputs beyond this make the exit code 1: a number or N%.")]
Metadata = Annotated[
    bool, typer.Option("--metadata", help="Write metadata.jsonl too: datasets' imagefolder loads OUT with it.")
]
Shard = Annotated[str, typer.Option(metavar="I/N", help="The I-th of N parts, from 0, for job arrays; one OUT.")]
Quality = Annotated[int, typer.Option(help="Of JPEG and WebP, 1 to 100.")]
CORES = all_cores()
ALL = "100%"
WHOLE = "0/1"
Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="Root of a paired set.")]
