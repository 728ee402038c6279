"""A training run on disk: its config, its metrics, its sample grids."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from pipelines.weights.normalization import Normalization, to_images
from toolkit.errors import ConfigError
from toolkit.photos.files import write_whole

CONFIG, METRICS = "config.json", "metrics.jsonl"
MOST_CONFIG = 1 << 20  # bytes
_LINE = 20  # px, of a title


def claim_run(run: Path, config: dict[str, Any]) -> None:
    """Make a run's folder this config's own; the same config again finds it as it was.

    Raises:
        ConfigError: the folder holds a run with another config (the difference is shown), or other things.
    """
    path = run / CONFIG
    config = json.loads(json.dumps(config))  # as it will be read again: tuples are lists there
    if path.exists():
        earlier = _read_config(path)
        if difference := _difference(earlier, config):
            raise ConfigError(f"RUN {run} has another config: {difference}. Use the same settings, or another RUN")
        return
    if run.exists() and any(run.iterdir()):
        raise ConfigError(f"RUN {run} is not empty and holds no {CONFIG}; choose a new folder")
    write_whole(path, json.dumps(config, indent=2) + "\n")


def _read_config(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            config = json.loads(file.read(MOST_CONFIG))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); choose a new RUN") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: holds no run's config; choose a new RUN")
    return config


def _difference(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    said = []
    for key in sorted(earlier.keys() | now.keys()):
        one, other = earlier.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            said.append(_difference(one, other))
        elif one != other:
            said.append(f"{key} {one!r} there, {other!r} now")
    return ", ".join(filter(None, said))


class Metrics:
    """``metrics.jsonl`` and TensorBoard events of a run.

    Args:
        run: the run's folder.
        step: lines after this step belong to work that was lost with an interrupted run; they are dropped.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._path = run / METRICS
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
            write_whole(self._path, "".join(f"{line}\n" for line in lines if _is_until(step, line)))
        self._events = SummaryWriter(str(run), purge_step=step + 1)

    def add(self, step: int, values: dict[str, float]) -> None:
        """Write one line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush the events."""
        self._events.close()


def _is_until(step: int, line: str) -> bool:
    """A whole line, up to that step; one that was cut short or damaged is none."""
    try:
        return bool(json.loads(line)["step"] <= step)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def sample_grid(rows: list[Tensor], normalization: Normalization) -> np.ndarray[Any, Any]:
    """Rows of (n, 3, S, S) network numbers -> one picture, (R S, n S, 3) RGB uint8."""
    return np.concatenate([np.concatenate(to_images(images, normalization), axis=1) for images in rows], axis=0)


def titled(picture: np.ndarray[Any, Any], words: str) -> np.ndarray[Any, Any]:
    """A picture under a line of words; as it is without any."""
    if not words:
        return picture
    line = np.full((_LINE, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(line, words, (4, _LINE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([line, picture])
