"""Options of the loaders, and how their batches are compared."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import BatchSpec, LoaderSpec, PairBatch
from pipelines.train.data.dali_loader import DaliLoader
from pipelines.train.data.torch_loader import TorchLoader
from pipelines.weights.normalization import Normalization
from toolkit.records.subjects import read_pairs

CPU = torch.device("cpu")


LEVEL = 1 / 128  # one of 256 gray levels, in network numbers


LOADERS = pytest.mark.parametrize("loader", [DaliLoader, TorchLoader])


AnyLoader = type[DaliLoader] | type[TorchLoader]


# Options of a loader, and by how many of 256 levels DALI and torch may differ there, at most and on average. Resizing
# rounds differently in one pixel of some hundred; a JPEG coder makes more of such a difference where it falls between
# two steps of a coefficient.
OPTIONS: dict[str, tuple[dict[str, Any], float, float]] = {
    "plain": ({}, 2, 0.05),
    "window": ({"load_size": 144}, 2, 0.05),
    "flip": ({"flip": 0.5}, 2, 0.05),
    "colors": ({"brightness": 0.4, "contrast": 0.4, "saturation": 0.5}, 4, 0.05),
    "jpeg": ({"jpeg": 0.7, "jpeg_quality": (20, 95)}, 24, 0.3),
    "blur": ({"blur": 0.7}, 2, 0.05),
    "everything": (
        {"load_size": 144, "flip": 0.5, "brightness": 0.4, "contrast": 0.4, "saturation": 0.5, "jpeg": 1, "blur": 1},
        24,
        0.3,
    ),
}


EVERYTHING = BatchSpec(labels=True, attributes=True, second="neighbor", augment=Augment(**OPTIONS["everything"][0]))


def make_spec(root: Path, **changes: object) -> LoaderSpec:
    pairs = read_pairs(root)
    batch_spec = changes.get("batch_spec", BatchSpec())
    assert isinstance(batch_spec, BatchSpec)
    settings: dict[str, object] = {
        "root": root,
        "pairs": pairs,
        "batch_size": 4,
        "image_size": 128,
        "normalization": Normalization(128, 128),
        "seed": 3,
        "workers": 2,
        "labels": batch_spec.read_labels(root, pairs),
    }
    return LoaderSpec(**{**settings, **changes})  # type: ignore[arg-type]


def fields(batch: PairBatch) -> dict[str, torch.Tensor]:
    return {name: value for name in PairBatch.__slots__ if (value := getattr(batch, name)) is not None}


def assert_same(one: PairBatch, other: PairBatch) -> None:
    assert fields(one).keys() == fields(other).keys()
    for name, value in fields(one).items():
        torch.testing.assert_close(value, fields(other)[name], rtol=0, atol=0)


def assert_near(one: PairBatch, other: PairBatch, most: float, mean: float) -> None:
    assert fields(one).keys() == fields(other).keys()
    for name, value in fields(one).items():
        reference = fields(other)[name]
        assert (value.shape, value.dtype) == (reference.shape, reference.dtype)
        if value.ndim == 4:
            apart = (value - reference).abs() / LEVEL
            assert apart.max() <= most + 1e-3 and apart.mean() <= mean, (name, apart.max(), apart.mean())
            assert value.is_contiguous()
        else:
            assert torch.equal(value, reference)
