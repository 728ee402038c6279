"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.runtime.config import all_cores
from pipelines.runtime.renamed import RENAMED_OPTIONS
from toolkit.errors import ConfigError

Source = Annotated[Path, typer.Argument(metavar="SRC", help="Folder of photos; subfolders are included.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="Output folder; subfolders are mirrored.")]
Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="Root of a paired set.")]
Workers = Annotated[int, typer.Option(help="Worker processes; by default one per core.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, everything else on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only errors.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Process finished inputs again instead of resuming.")]
MaxRejects = Annotated[str, typer.Option(help="Exit with 1 if more inputs are rejected: a number or N%.")]
Metadata = Annotated[
    bool, typer.Option("--metadata", help="Write metadata.jsonl for `datasets.load_dataset('imagefolder')`.")
]
Recipe = Annotated[
    Path | None,
    typer.Option(metavar="FILE.py", help="Recipe file that defines the network, if it is not built in. Its code runs."),
]
Shard = Annotated[str, typer.Option(metavar="I/N", help="Process the I-th of N parts, counted from 0, for job arrays.")]
Quality = Annotated[int, typer.Option(help="Quality of JPEG and WebP, 1 to 100.")]

CORES = all_cores()
ALL = "100%"
WHOLE = "0/1"


class Command(typer.core.TyperCommand):
    """A command whose renamed options are errors that name the new ones."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click.

        Raises:
            ConfigError: an option has another name now.
        """
        known = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        for word in args:
            name = word.partition("=")[0]
            if (new := RENAMED_OPTIONS.get(name)) in known and name not in known:
                raise ConfigError(f"{name}: this option is called {new} now; see `{ctx.command_path} --help`")
        return super().parse_args(ctx, args)
