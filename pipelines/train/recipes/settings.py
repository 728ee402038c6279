"""Turn ``--set key=value`` into a recipe's config: typed values, each within its bounds."""

import dataclasses
import math
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pipelines.runtime.renamed import RENAMED_SETTINGS
from toolkit.errors import ConfigError


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """Which numbers a field may have."""

    text: str
    holds: Callable[[float], bool]


POSITIVE = Bounds("more than 0", lambda value: value > 0)
NON_NEGATIVE = Bounds("0 or more", lambda value: value >= 0)
COUNT = Bounds("1 or more", lambda value: value >= 1)
FRACTION = Bounds("0 to 1", lambda value: 0 <= value <= 1)
BELOW_ONE = Bounds("0 or more and below 1", lambda value: 0 <= value < 1)


def require_bounds(config: Any, bounds: Bounds, *names: str) -> None:
    """Check number fields of a config dataclass; None is accepted, of tuples each number is checked.

    Raises:
        ConfigError: a number out of bounds, infinite or NaN.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name in names:
        value = getattr(config, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if not all(number is None or (math.isfinite(number) and bounds.holds(number)) for number in numbers):
            default = _written(defaults[name])
            raise ConfigError(f"{name}={_written(value)}: must be {bounds.text}; the default is {default}")


def with_settings(kind: type[Any], settings: dict[str, str], overrides: dict[str, Any] | None = None) -> Any:
    """Return an instance of a config dataclass, its fields set from text.

    Args:
        kind: the dataclass.
        settings: text by field name.
        overrides: typed values by field name; they take precedence over ``settings``.

    Raises:
        ConfigError: no such field, or a text that does not fit the field's type.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    values = {}
    for key, text in settings.items():
        if key not in names:
            raise ConfigError(f"--set {key}={text}: {_advice(key, names)}")
        try:
            values[key] = _parse(text, hints[key])
        except ValueError as error:
            raise ConfigError(f"--set {key}={text}: must be {_type_text(hints[key])}") from error
    return kind(**{**values, **(overrides or {})})


def _advice(key: str, names: list[str]) -> str:
    if RENAMED_SETTINGS.get(key) in names:
        return f"this setting is now called {RENAMED_SETTINGS[key]}"
    return f"no such setting; this recipe has {', '.join(names)}"


def _parse(text: str, hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if text.lower() == "none":
            return None
        [hint] = [kind for kind in get_args(hint) if kind is not type(None)]
    if get_origin(hint) is Literal:
        if text not in get_args(hint):
            raise ValueError
        return text
    if get_origin(hint) is tuple:
        kinds, words = get_args(hint), text.split(",")
        if len(words) != len(kinds):
            raise ValueError
        return tuple(_parse(word, kind) for word, kind in zip(words, kinds, strict=True))
    if hint is bool:
        return _parse_bool(text)
    return hint(text)


def _parse_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


def _type_text(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join("none" if kind is type(None) else _type_text(kind) for kind in get_args(hint))
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if get_origin(hint) is tuple:
        return ",".join(_type_text(kind) for kind in get_args(hint))
    return "true or false" if hint is bool else f"of type {hint.__name__}"


def _written(value: Any) -> str:
    """The value as ``--set`` takes it."""
    return ",".join(map(_written, value)) if isinstance(value, tuple) else "none" if value is None else f"{value}"
