"""The command line: one verb per file in pipelines.commands. Read this first, then the stage of a verb."""

from importlib.metadata import version
from typing import Annotated, Any

import typer

from pipelines.commands import align, batch, bench, convert, demo, doctor, evaluate, export, generate, report, train
from pipelines.commands.pairs import build, import_set, split, synth, verify
from pipelines.commands.terminal.console import Screen
from toolkit.errors import ConfigError


class _Commands(typer.core.TyperGroup):
    """Turns a wrong set-up into one red line and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            Screen(as_json=False, quiet=False).complain(f"error: {error}")
            raise typer.Exit(2) from error


app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False)
app.command()(doctor.doctor)
app.command()(align.align)
pair_verbs = typer.Typer(no_args_is_help=True, help="Paired sets: inputs SUBJECT/*.jpg with their target SUBJECT.jpg.")
pair_verbs.command()(build.build)
pair_verbs.command()(synth.synth)
pair_verbs.command("import")(import_set.import_set)
pair_verbs.command()(verify.verify)
pair_verbs.command()(split.split)
app.add_typer(pair_verbs, name="pairs")
app.command()(train.train)
app.command()(batch.batch)
app.command()(evaluate.evaluate)
app.command()(report.report)
app.command()(generate.generate)
app.command()(convert.convert)
app.command()(export.export)
app.command()(bench.bench)
app.command()(demo.demo)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(version("frontalize"))
        raise typer.Exit


@app.callback()
def frontalize(
    version: Annotated[bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell it.")] = False,
) -> None:
    """Raw photos in, frontal faces out: align, pair, train, and frontalize whole folders."""


def main() -> None:
    """The console script."""
    app()
