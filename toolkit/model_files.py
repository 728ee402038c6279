"""How large a model file may be that somebody hands us."""

from pathlib import Path

from toolkit.errors import ConfigError

MOST_MODEL = 1 << 30  # bytes: four times the largest recogniser known


def require_model(path: Path, what: str, way_out: str) -> None:
    """See that a model can be read at all, before a library reads it whole.

    Args:
        path: of the file.
        what: what it is for, as the first words of the message.
        way_out: what to give instead.

    Raises:
        ConfigError: missing, no regular file, or larger than a gigabyte.
    """
    if not path.is_file():
        raise ConfigError(f"{what}{path}: no such file; {way_out}")
    if (size := path.stat().st_size) > MOST_MODEL:
        raise ConfigError(f"{what}{path}: {size:,} bytes, the bound is {MOST_MODEL:,}; {way_out}")
