"""A group of commands, each imported when it is called: importing all of them takes a third of a second."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer

from pipelines.commands.terminal.options import Command
from toolkit.errors import ConfigError

WAY_OUT = "`frontalize doctor` says what is missing; OpenCV needs: apt-get install libgl1 libglib2.0-0"


class LazyGroup(typer.core.TyperGroup):
    """A group that imports a command when it is called.

    Attributes:
        functions: ``module:function`` of each command by its name. Commands added in other ways are listed behind them.
    """

    functions: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _Commands(self.functions, self.commands)


class _Commands(Mapping[str, Any]):
    """Commands by their names, made at first use."""

    def __init__(self, functions: Mapping[str, str], made: Mapping[str, Any]) -> None:
        self._functions, self._made, self._names = functions, dict(made), [*functions, *made]

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make_command(name, self._functions[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _make_command(name: str, place: str) -> Any:
    module, function = place.split(":")
    try:
        called = getattr(import_module(module), function)
    except ImportError as error:  # most often a shared library that a bare container lacks
        raise ConfigError(f"{name} cannot be loaded ({error}); {WAY_OUT}") from error
    alone = typer.Typer(add_completion=False)
    alone.command(name, cls=Command)(called)
    return typer.main.get_command(alone)
