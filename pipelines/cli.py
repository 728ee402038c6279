"""The command line: one command per file in `pipelines.commands`. Start here, then read the stage of a command."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from pipelines.commands.terminal.lazy_group import LazyGroup
from toolkit.errors import ConfigError

COMMANDS = {  # module:function, in the order of --help
    "doctor": "pipelines.commands.doctor:doctor",
    "align": "pipelines.commands.align:align",
    "train": "pipelines.commands.train:train",
    "batch": "pipelines.commands.batch:batch",
    "evaluate": "pipelines.commands.evaluate:evaluate",
    "report": "pipelines.commands.report:report",
    "generate": "pipelines.commands.generate:generate",
    "convert": "pipelines.commands.convert:convert",
    "export": "pipelines.commands.export:export",
    "bench": "pipelines.commands.bench:bench",
    "demo": "pipelines.commands.demo:demo",
}
PAIRS_COMMANDS = {
    "build": "pipelines.commands.pairs.build:build",
    "synth": "pipelines.commands.pairs.synth:synth",
    "import": "pipelines.commands.pairs.import_set:import_set",
    "views": "pipelines.commands.pairs.views:views",
    "morph": "pipelines.commands.pairs.morph:morph",
    "merge": "pipelines.commands.pairs.merge:merge",
    "verify": "pipelines.commands.pairs.verify:verify",
    "split": "pipelines.commands.pairs.split:split",
}


class _Frontalize(LazyGroup):
    """Prints a wrong set-up as one red line and exits with 2."""

    functions = COMMANDS

    def make_context(self, *args: Any, **more: Any) -> Any:
        with _one_line_errors():  # --help loads all commands
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        with _one_line_errors():
            return super().invoke(ctx)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        _print_error(str(error))
        raise typer.Exit(2) from error
    except OSError as error:  # what the system refuses: a full disk, missing rights, a folder that is gone
        if error.strerror is None or error.errno == errno.EPIPE:
            raise
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        _print_error(f"{place}{error.strerror}; repair that and run the same command again")
        raise typer.Exit(2) from error


def _print_error(text: str) -> None:
    from pipelines.commands.terminal.console import Console  # not above: it takes 30 ms

    Console(as_json=False, quiet=False).error(f"error: {text}")


class _Pairs(LazyGroup):
    functions = PAIRS_COMMANDS


app = typer.Typer(cls=_Frontalize, no_args_is_help=True, add_completion=False)
pairs = typer.Typer(cls=_Pairs, no_args_is_help=True, help="Build, import, check and split paired sets.")
app.add_typer(pairs, name="pairs")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

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
