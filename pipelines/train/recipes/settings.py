"""How ``--set key=value`` reaches a recipe's config: text to typed values."""

import dataclasses
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from toolkit.errors import ConfigError


def with_settings(kind: type[Any], settings: dict[str, str], given: dict[str, Any] | None = None) -> Any:
    """A config of a dataclass, its fields set from text.

    Args:
        kind: the dataclass.
        settings: text by the name of the field.
        given: values that are typed already; they come last.

    Raises:
        ConfigError: no such field, or a text that does not fit its type.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    values = {}
    for key, text in settings.items():
        if key not in names:
            raise ConfigError(f"--set {key}={text}: no such setting; this recipe has {', '.join(names)}")
        try:
            values[key] = _parse(text, hints[key])
        except ValueError as error:
            raise ConfigError(f"--set {key}={text}: must be {_said(hints[key])}") from error
    return kind(**{**values, **(given or {})})


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
        return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else _refuse()
    return hint(text)


def _refuse() -> bool:
    raise ValueError


def _said(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join("none" if kind is type(None) else _said(kind) for kind in get_args(hint))
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if get_origin(hint) is tuple:
        return ",".join(_said(kind) for kind in get_args(hint))
    return "true or false" if hint is bool else f"of type {hint.__name__}"
