"""The files of a training run: its config, metrics and sample grids."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from pipelines.runtime.renamed import RENAMED_SETTINGS
from pipelines.train.events import Events
from pipelines.weights.normalization import Normalization, to_images
from toolkit.errors import ConfigError
from toolkit.photos.files import write_atomic

CONFIG, METRICS = "config.json", "metrics.jsonl"
MAX_CONFIG_BYTES = 1 << 20
_TITLE_HEIGHT = 20  # px
_RECIPE_SETTINGS = ("recipe_config", "settings")  # parts of the config whose keys are a recipe's settings


def require_same_config(run: Path, config: dict[str, Any]) -> None:
    """Check that a run's folder is new, or holds a run with this config.

    Keys that an earlier version of this program called otherwise are compared under their names of today.

    Raises:
        ConfigError: the folder holds a run with another config (the difference is shown), or other files.
    """
    path = run / CONFIG
    if path.exists():
        now = _as_stored(config)
        earlier = _with_renamed_keys(_read_config(path), now)
        if difference := _difference(earlier, now):
            raise ConfigError(f"RUN {run} has another config: {difference}. Use the same settings, or another RUN")
    elif run.exists() and any(run.iterdir()):
        raise ConfigError(f"RUN {run} is not empty and holds no {CONFIG}; choose a new folder")


def claim_run(run: Path, config: dict[str, Any]) -> None:
    """Write a new run's config; leave the folder of a run with the same config as it is.

    Raises:
        ConfigError: as :func:`require_same_config`.
    """
    require_same_config(run, config)
    write_config(run, config)


def write_config(run: Path, config: dict[str, Any]) -> None:
    """Write a run's config if there is none: the folder is new, or was removed while the run was trained."""
    if not (run / CONFIG).exists():
        write_atomic(run / CONFIG, json.dumps(config, indent=2) + "\n")


def _as_stored(config: dict[str, Any]) -> dict[str, Any]:
    """The config as it is read back from JSON, where tuples are lists."""
    stored: dict[str, Any] = json.loads(json.dumps(config))
    return stored


def _read_config(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            config = json.loads(file.read(MAX_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); choose a new RUN") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: holds no run's config; choose a new RUN")
    return config


def _with_renamed_keys(earlier: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The earlier config with today's names of settings; a name that the recipe has today is kept."""
    renamed = dict(earlier)
    for part in _RECIPE_SETTINGS:
        if isinstance(settings := earlier.get(part), dict):
            own = now.get("recipe_config", {})
            renamed[part] = {key if key in own else RENAMED_SETTINGS.get(key, key): settings[key] for key in settings}
    return renamed


def _difference(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    differences = []
    for key in sorted(earlier.keys() | now.keys()):
        one, other = earlier.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            differences.append(_difference(one, other))
        elif one != other:
            differences.append(f"{key} {one!r} there, {other!r} now")
    return ", ".join(filter(None, differences))


class Metrics:
    """Writes ``metrics.jsonl`` and TensorBoard events of a run.

    Args:
        run: the run's folder.
        step: of the checkpoint that the run resumes from; lines of later steps are removed, since an interrupted run
            wrote them and lost the work.

    Raises:
        OSError: a file cannot be written.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._path = run / METRICS
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
            write_atomic(self._path, "".join(f"{line}\n" for line in lines if _is_until(step, line)))
        self._events = Events(run, step + 1)

    def add(self, step: int, values: dict[str, float]) -> None:
        """Write the values of one step.

        Raises:
            OSError: they cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)  # it may have been removed in the meantime
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        self._events.add(step, values)


def _is_until(step: int, line: str) -> bool:
    """Whether a line is complete and of that step or an earlier one."""
    try:
        return bool(json.loads(line)["step"] <= step)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def sample_grid(rows: list[Tensor], normalization: Normalization) -> np.ndarray[Any, Any]:
    """Arrange R rows of normalized images, (n, 3, S, S) each, in one picture, (R S, n S, 3) RGB uint8."""
    return np.concatenate([np.concatenate(to_images(images, normalization), axis=1) for images in rows], axis=0)


def with_title(picture: np.ndarray[Any, Any], title: str) -> np.ndarray[Any, Any]:
    """Add a line of text above a picture; an empty title adds nothing."""
    if not title:
        return picture
    line = np.full((_TITLE_HEIGHT, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(line, title, (4, _TITLE_HEIGHT - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([line, picture])
