"""``frontalize doctor``."""

import dataclasses
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from pipelines.commands.terminal.console import Console
from pipelines.commands.terminal.options import Json, Quiet
from pipelines.doctor import Check, cpu_path_works, run_checks

COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(json: Json = False, quiet: Quiet = False) -> None:
    """Check Python, all dependencies, landmark models, DALI, CUDA and disk; exit with 0 if the CPU path works."""
    console = Console(json, quiet)
    checks = list(run_checks(Path.cwd()))
    works = cpu_path_works(checks)
    console.print_table(_table(checks))
    console.print("the CPU path works" if works else "the CPU path does not work: see the lines in red")
    console.print_json({"ok": works, "checks": [dataclasses.asdict(check) for check in checks]})
    if not works:
        raise typer.Exit(2)


def _table(checks: list[Check]) -> Table:
    table = Table("check", "found", "wanted", "verdict")
    for check in checks:
        texts = (
            Text(text) for text in (check.name, check.found, check.wanted)
        )  # no markup: names of extras in brackets
        table.add_row(*texts, Text(check.verdict, style=COLORS[check.verdict]))
    return table
