"""One run in two processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests import plain_recipe
from tests.pipelines.train.recipes.runs import config, metrics, train

PLAIN = Path(plain_recipe.__file__)


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_two_processes_with_half_the_batch_each_train_as_one_with_the_whole(dataset: Path, tmp_path: Path) -> None:
    """torchrun's way: the environment says who is who; gradients and metrics are averaged, one process writes."""
    train(config(dataset, str(PLAIN), steps=6, batch_size=4), tmp_path / "one")
    words = ["train", dataset, tmp_path / "two", "--recipe", PLAIN, "--steps", 6, "--batch-size", 2]
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
