"""``frontalize doctor``."""

import dataclasses
from pathlib import Path

import typer
from rich.table import Table

from pipelines.commands.terminal.console import Screen
from pipelines.commands.terminal.options import Json, Quiet
from pipelines.doctor import Check, cpu_path_works, examine

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(json: Json = False, quiet: Quiet = False) -> None:
    """Check Python, every dependency, the landmark models, DALI, CUDA and the disk; exit 0 if the CPU path works."""
    screen = Screen(json, quiet)
    checks = list(examine(Path.cwd()))
    works = cpu_path_works(checks)
    screen.table(_table(checks))
    screen.say("the CPU path works" if works else "the CPU path does not work: see the lines in red")
    screen.result({"ok": works, "checks": [dataclasses.asdict(check) for check in checks]})
    if not works:
        raise typer.Exit(2)


def _table(checks: list[Check]) -> Table:
    table = Table("check", "found", "wanted", "verdict")
    for check in checks:
        table.add_row(check.name, check.found, check.wanted, f"[{COLOURS[check.verdict]}]{check.verdict}[/]")
    return table
