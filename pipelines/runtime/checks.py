"""Checks of settings, with messages that give the value, the bound and a way out."""

import math
import re
from pathlib import Path
from typing import Any, get_args

from toolkit.errors import ConfigError


def require_between(name: str, value: float, low: float, high: float, way_out: str) -> None:
    """Require ``low <= value <= high``.

    Raises:
        ConfigError: it is outside, or not a number.
    """
    if not low <= value <= high:
        raise ConfigError(f"{name}={_plain(value)}: must be {_plain(low)} to {_plain(high)}; {way_out}")


def require_at_least(name: str, value: float, low: float, way_out: str) -> None:
    """Require ``low <= value``, and a finite value.

    Raises:
        ConfigError: it is below, infinite, or not a number.
    """
    if not low <= value < math.inf:
        raise ConfigError(f"{name}={_plain(value)}: must be {_plain(low)} or more; {way_out}")


def require_choice(name: str, value: Any, choices: Any) -> None:
    """Require one of the values of a Literal.

    Raises:
        ConfigError: it is another one.
    """
    if value not in get_args(choices):
        raise ConfigError(f"{name}={value!r}: choose one of {', '.join(map(str, get_args(choices)))}")


def require_quality(quality: int) -> None:
    """Require a quality of JPEG and WebP."""
    require_between("quality", quality, 1, 100, "try 95")


def require_workers(workers: int) -> None:
    """Require a number of processes."""
    require_at_least("workers", workers, 1, "leave it out for all cores")


def require_recognizer(path: Path | None) -> None:
    """Require the file of a face recognizer, if one is given."""
    if path is not None and not path.is_file():
        raise ConfigError(f"recognizer {path}: no such file; give an ONNX face recognizer")


def require_recipe_file(path: Path | None) -> None:
    """Require a user's recipe file, if one is given."""
    if path is not None and not path.is_file():
        raise ConfigError(f"recipe {path}: no such file; give the .py file that the model was trained with")


def require_device_name(device: str) -> None:
    """Require a device's name; whether the device exists is known only to torch."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ConfigError(f"device={device!r}: choose auto, cpu, cuda or cuda:i")


def require_cpu(device: str) -> None:
    """Require a device that runs the landmark models: a GPU asked for by name is an error, never a silent CPU run."""
    require_device_name(device)
    if device not in ("auto", "cpu"):
        raise ConfigError(f"device={device!r}: the landmark models run on the CPU; use --device cpu or leave it out")


def _plain(value: float) -> str:
    return f"{value:,.10g}" if isinstance(value, int | float) and abs(value) >= 10_000 else f"{value:g}"
