"""Where the sets of one command may lie."""

from pathlib import Path

from toolkit.errors import ConfigError


def require_apart(out: Path, dataset: Path) -> None:
    """Require that OUT does not lie in a set, nor contain it. Both are absolute paths.

    Raises:
        ConfigError: one is in the other.
    """
    if dataset == out or dataset in out.parents or out in dataset.parents:
        raise ConfigError(f"OUT {out} and the set {dataset} contain each other; choose an OUT elsewhere")
