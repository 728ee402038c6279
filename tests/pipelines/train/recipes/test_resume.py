"""Every recipe resumes bit for bit and leaves weights that work."""

import multiprocessing
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.train.config import RECIPE_NAMES, TrainConfig
from pipelines.train.trainer import CHECKPOINT
from pipelines.weights.checkpoint import load_generator
from tests.killing import TRIES
from tests.pipelines.train.recipes.runs import CPU, config, metrics, train
from toolkit.photos.decode import read_photo


def kill_nine(config: TrainConfig, run: Path) -> None:
    """Train in a process that is killed at some moment after its first checkpoint.

    A run that was done before proves nothing: it is removed, and the next one is killed earlier.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([train.__module__])  # torch is imported once for all of them
    moments = random.Random(config.recipe)
    for attempt in range(TRIES):
        process = context.Process(target=train, args=(config, run))
        process.start()
        while process.is_alive() and not (run / CHECKPOINT).exists():
            time.sleep(0.002)
        process.join(moments.uniform(0, 0.2) * (1 - attempt / (TRIES - 1)))
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            return
        assert process.exitcode == 0
        shutil.rmtree(run)
    raise AssertionError(f"{TRIES} runs were done before they could be killed")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [name for name in RECIPE_NAMES if name != "siamese-gan-v2"])  # as v1 but a setting
def test_a_run_killed_and_resumed_equals_an_undisturbed_one_bit_for_bit(
    recipe: str, dataset: Path, tmp_path: Path
) -> None:
    settings = {
        "refiner": {"gan_warmup": "1", "identity_warmup": "1"},
        "scaleway": {},
        "attributes": {"channels": "16"},
    }
    changes = {"ema": 0.5, "settings": settings.get(recipe, {"flip": "0.5"})}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(config(dataset, recipe, **changes, save_every=2), whole)  # what is saved between changes nothing
    kill_nine(config(dataset, recipe, **changes), parts)
    train(config(dataset, recipe, **changes), parts)
    assert metrics(parts) == metrics(whole)
    assert [row["step"] for row in metrics(whole)] == [1, 2]
    assert all(np.isfinite(value) for row in metrics(whole) for value in row.values())
    assert (parts / "generator.safetensors").read_bytes() == (whole / "generator.safetensors").read_bytes()
    validated = {name for name in metrics(whole)[-1] if name.startswith("val_")}
    assert validated == (set() if recipe == "attributes" else {"val_l1", "val_l2", "val_psnr", "val_ssim"})
    net, card = load_generator(whole / "generator.safetensors", CPU)
    assert card.recipe == recipe
    if recipe == "attributes":
        assert card.shape["channels"] == 16
        assert net(torch.ones(1, 2)).shape == (1, 3, 64, 64)
    else:
        size = card.image_size
        parts_of_view = [torch.zeros(1, planes, size, size) for planes in (1, 3)] if recipe == "refiner" else []
        made = net(torch.zeros(1, 3, size, size), *parts_of_view)
        assert (made.image if recipe == "refiner" else made).shape == (1, 3, size, size)
        assert card.load_size == (128 if size == 128 else 100)
    if recipe == "multitask":  # a row for every pose
        assert read_photo(whole / "samples" / "000002_multitask.jpg").shape == (9 * 96, 96, 3)
