"""Option texts parsed to values."""

import math

from pipelines.runtime.tally import max_rejected
from toolkit.errors import ConfigError

MAX_ANGLES = 1000


def parse_shard(text: str) -> tuple[int, int]:
    """Parse ``i/n``.

    Raises:
        ConfigError: it is not two whole numbers; :class:`pipelines.runtime.config.BulkConfig` checks their bounds.
    """
    part, _, parts = text.partition("/")
    try:
        return int(part), int(parts)
    except ValueError as error:
        raise ConfigError(f"shard={text!r}: must be i/n; the first of four is 0/4") from error


def parse_angles(text: str) -> tuple[float, ...]:
    """Parse degrees: ``-75:75:15`` (first, last, step), or ``-30,0,30``.

    Raises:
        ConfigError: it is neither, or more than a thousand angles.
    """
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            count = math.floor((last - first) / step + 1e-9) + 1
            if step <= 0 or not 1 <= count <= MAX_ANGLES:
                raise ValueError
            return tuple(first + number * step for number in range(count))
        return tuple(float(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ConfigError(f"angles {text!r}: give first:last:step, as -75:75:15, or a list, as -30,0,30") from error


def valid_max_rejects(text: str) -> str:
    """The text as it is, checked before work starts.

    Raises:
        ConfigError: neither a number nor a percentage.
    """
    max_rejected(text, 0)
    return text
