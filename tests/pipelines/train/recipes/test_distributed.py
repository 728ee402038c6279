"""One run in two processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.pipelines.train.recipes.runs import config, metrics, train

PLAIN_RECIPE = """
from dataclasses import dataclass
from torch import nn
from examples.sharp_recipe import Sharp, SharpConfig
from pipelines.train.recipes.registry import Entry

class PlainNet(nn.Sequential):  # without batch norm, so that two halves of a batch give the gradients of the whole
    def __init__(self):
        super().__init__(nn.Conv2d(3, 8, 5, 2, 2), nn.ELU(), nn.ConvTranspose2d(8, 3, 4, 2, 1))

class Plain(Sharp):
    architecture = "plain"

    def __init__(self, config, setup, data):
        self.config, self.generator = config, PlainNet()
        self.networks = {"generator": setup.network(self.generator, 1e-3, (0.9, 0.999))}

    def shape(self):
        return {}

RECIPE = Entry(Plain, SharpConfig, networks={"plain": PlainNet})
"""


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_processes_with_half_the_batch_each_train_as_one_with_the_whole(dataset: Path, tmp_path: Path) -> None:
    """torchrun's way: the environment says who is who; gradients and metrics are averaged, one process writes."""
    recipe = tmp_path / "plain.py"
    recipe.write_text(PLAIN_RECIPE)
    train(config(dataset, str(recipe), steps=6, batch_size=4), tmp_path / "one")
    words = ["train", dataset, tmp_path / "two", "--recipe", recipe, "--steps", 6, "--batch-size", 2]
    words += ["--loader", "torch", "--device", "cpu", "--workers", "1", "--save-every", 2, "--quiet"]
    script = "from pipelines.cli import main; main()"
    place = os.environ | {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    place |= {"MASTER_PORT": str(free_port()), "TORCHELASTIC_RUN_ID": "none", "GROUP_RANK": "0"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, *map(str, words)], env=place | {"RANK": rank, "LOCAL_RANK": rank}
        )
        for rank in "01"
    ]
    assert [process.wait(120) for process in both] == [0, 0]
    one, two = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    for now in two:
        then = next(row for row in one if row["step"] == now["step"])
        assert [now[name] for name in ("l1", "edges")] == pytest.approx([then["l1"], then["edges"]], rel=1e-4)
    weights, others = (load_file(tmp_path / name / "generator.safetensors") for name in ("one", "two"))
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=1e-4, atol=1e-5)
