"""One run in two processes, of one machine and of two."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipelines.weights.checkpoint import load_state
from tests import plain_recipe
from tests.pipelines.train.recipes.runs import config, metrics, train

pytestmark = pytest.mark.slow
PLAIN = Path(plain_recipe.__file__)
FRONTALIZE = Path(sys.executable).with_name("frontalize")  # Fabric starts this file again, torchrun the same program


PLACE = os.environ | {"PYTHONPATH": str(PLAIN.parents[1])}  # the recipe imports another one


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def training(dataset: Path, run: Path) -> list[str]:
    """The words of a short training with batches of two in each process."""
    words = [FRONTALIZE, "train", dataset, run, "--recipe", PLAIN, "--steps", 6, "--batch-size", 2, "--save-every", 6]
    return [str(word) for word in (*words, "--device", "cpu", "--workers", 1, "--quiet")]


@pytest.fixture(scope="module")
def two_processes(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "by two"
    subprocess.run([*training(dataset, run), "--devices", "2"], env=PLACE, check=True)
    return run


def test_two_processes_with_half_the_batch_each_train_as_one_with_the_whole(
    dataset: Path, two_processes: Path, tmp_path: Path
) -> None:
    """Gradients and metrics are averaged, one process writes."""
    train(config(dataset, str(PLAIN), steps=6, batch_size=4, loader="dali"), tmp_path / "one")
    one = metrics(tmp_path / "one")
    for now in metrics(two_processes):
        then = next(row for row in one if row["step"] == now["step"])
        assert [now[name] for name in ("l1", "edges")] == pytest.approx([then["l1"], then["edges"]], rel=1e-4)
    weights, others = (load_file(run / "generator.safetensors") for run in (tmp_path / "one", two_processes))
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=1e-4, atol=1e-5)


def test_two_machines_train_as_two_processes_of_one_do(dataset: Path, two_processes: Path, tmp_path: Path) -> None:
    """torchrun twice, with one process each, joined over the loopback: bit for bit the same."""
    where = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    launch, words = [sys.executable, "-m", "torch.distributed.run", *where], training(dataset, tmp_path / "run")
    machines = [subprocess.Popen([*launch, "--node-rank", rank, "--no-python", *words], env=PLACE) for rank in "01"]
    assert [machine.wait(120) for machine in machines] == [0, 0]
    assert metrics(tmp_path / "run") == metrics(two_processes)
    for name in ("generator.safetensors", "samples/000006.jpg"):
        assert (tmp_path / "run" / name).read_bytes() == (two_processes / name).read_bytes()
    states = [load_state(run / "checkpoints" / "last.ckpt") for run in (tmp_path / "run", two_processes)]
    torch.testing.assert_close(*states, rtol=0, atol=0)
