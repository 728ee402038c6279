"""A check of model files before they are loaded."""

from pathlib import Path

from toolkit.errors import ConfigError

MAX_MODEL_BYTES = 1 << 30  # four times the largest known recognizer


def require_model(path: Path, what: str, way_out: str) -> None:
    """Check that a model file exists and is of a reasonable size, before a library reads all of it.

    Args:
        path: of the file.
        what: the first words of the error message, as ``"detector "``.
        way_out: the last words of the error message: what to give instead.

    Raises:
        ConfigError: the file is missing, is not a regular file, or is larger than 1 GiB.
    """
    if not path.is_file():
        raise ConfigError(f"{what}{path}: no such file; {way_out}")
    if (size := path.stat().st_size) > MAX_MODEL_BYTES:
        raise ConfigError(f"{what}{path}: {size:,} bytes, the limit is {MAX_MODEL_BYTES:,}; {way_out}")
