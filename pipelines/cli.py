"""The command line: one command per file in `pipelines.commands`. Start here, then read the stage of a command."""

from importlib.metadata import version
from typing import Annotated, Any

import typer

from pipelines.commands import align, batch, bench, convert, demo, doctor, evaluate, export, generate, report, train
from pipelines.commands.pairs import build, import_set, split, synth, verify
from pipelines.commands.terminal.console import Console
from pipelines.commands.terminal.options import Command
from toolkit.errors import ConfigError


class _Group(typer.core.TyperGroup):
    """Prints a wrong set-up as one red line and exits with 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            Console(as_json=False, quiet=False).error(f"error: {error}")
            raise typer.Exit(2) from error


app = typer.Typer(cls=_Group, no_args_is_help=True, add_completion=False)
app.command(cls=Command)(doctor.doctor)
app.command(cls=Command)(align.align)
pairs = typer.Typer(no_args_is_help=True, help="Build, import, check and split paired sets.")
pairs.command(cls=Command)(build.build)
pairs.command(cls=Command)(synth.synth)
pairs.command("import", cls=Command)(import_set.import_set)
pairs.command(cls=Command)(verify.verify)
pairs.command(cls=Command)(split.split)
app.add_typer(pairs, name="pairs")
app.command(cls=Command)(train.train)
app.command(cls=Command)(batch.batch)
app.command(cls=Command)(evaluate.evaluate)
app.command(cls=Command)(report.report)
app.command(cls=Command)(generate.generate)
app.command(cls=Command)(convert.convert)
app.command(cls=Command)(export.export)
app.command(cls=Command)(bench.bench)
app.command(cls=Command)(demo.demo)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(version("frontalize"))
        raise typer.Exit


@app.callback()
def frontalize(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Align photo collections, build paired sets, train on them, and frontalize whole folders."""


def main() -> None:
    """Run the command line."""
    app()
