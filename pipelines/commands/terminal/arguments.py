"""What some of the command line's words stand for."""

from toolkit.errors import ConfigError


def parse_shard(text: str) -> tuple[int, int]:
    """``i/n`` of the command line.

    Raises:
        ConfigError: two whole numbers cannot be read; their bounds are the config's business.
    """
    part, _, parts = text.partition("/")
    try:
        return int(part), int(parts)
    except ValueError as error:
        raise ConfigError(f"shard={text!r}: must be i/n; the first of four is 0/4") from error


def parse_angles(text: str) -> tuple[float, ...]:
    """Degrees as the command line has them: ``-75:75:15`` (first, last, step), or ``-30,0,30``.

    Raises:
        ConfigError: neither.
    """
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            count = int((last - first) / step + 1e-9) + 1
            if step <= 0 or not 1 <= count <= 1000:
                raise ValueError
            return tuple(first + number * step for number in range(count))
        return tuple(float(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"angles {text!r}: say first:last:step, as -75:75:15, or a list, as -30,0,30") from error
