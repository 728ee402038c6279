"""Short training runs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from pipelines.train import trainer
from pipelines.train.config import TrainConfig
from pipelines.train.data import torch_loader
from pipelines.train.trainer import Training

CPU = torch.device("cpu")


def never() -> bool:
    return False


def config(dataset: Path, recipe: str, **changes: object) -> TrainConfig:
    settings: dict[str, object] = {
        "dataset": str(dataset),
        "recipe": recipe,
        "steps": 2,
        "batch_size": 2,
        "log_every": 1,
        "save_every": 1,
        "validate_every": 2,
        "loader": "torch",
    }
    return TrainConfig(**{**settings, **changes})  # type: ignore[arg-type]


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def in_this_process(*words: Any, num_workers: int, multiprocessing_context: object, **options: Any) -> DataLoader[Any]:
    """Return a DataLoader without worker processes: each takes seconds to start, for a set of nine photos."""
    return DataLoader(*words, **options)


def train(config: TrainConfig, run: Path) -> None:
    """Train with a loader that reads in this process, and with samples of one pair: some networks draw ten of each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_loader, "DataLoader", in_this_process)
        patch.setattr(trainer, "GRID_PAIRS", 1)
        for _ in Training(config, run, "cpu", 1).run(never):
            pass
