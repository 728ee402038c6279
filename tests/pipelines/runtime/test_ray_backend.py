"""`batch --engine ray`: the same outputs as without, whatever dies on the way."""

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.runtime.plan import Job
from pipelines.runtime.ray_backend import RayStage, run_on_ray
from tests.conftest import Run, tree
from tests.killing import SECONDS, rows_in
from toolkit.records.ledger import Outcome, read_ledger

pytestmark = pytest.mark.slow  # Ray takes ten seconds to start


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[Any]:
    """One Ray for all tests: it takes some ten seconds to start."""
    ray = pytest.importorskip("ray", reason="the extra ray is not installed: pip install '.[ray]'")
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  as the engine has it
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    ray.init(cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_outputs_are_those_of_the_local_engine(photos: Path, run: Run, tmp_path: Path) -> None:
    words = ["batch", photos, "--model", "geometric", "--format", "png"]
    assert run(*words, tmp_path / "local").exit_code == 1  # one photo is damaged
    assert run(*words, tmp_path / "ray", "--engine", "ray").exit_code == 1
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    local, rays = (
        {row.input: replace(row, seconds=0) for row in read_ledger(tmp_path / name)} for name in ("local", "ray")
    )
    assert rays == local
    assert "7 skipped" in run(*words, tmp_path / "ray", "--engine", "ray").output


def _mortal(folder: Path, model: None, jobs: Iterable[Job]) -> Iterator[Outcome]:
    """Dies of 13 each time, of 5 once."""
    for job in jobs:
        first = folder / f"{os.getpid()}-{job.input}"
        if job.input == "13" or (job.input == "5" and not list(folder.glob("*-5"))):
            first.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield Outcome(input=job.input, status="written")


def test_an_actor_that_dies_costs_time_and_one_that_always_dies_only_its_block(tmp_path: Path) -> None:
    from functools import partial

    left: list[str] = []

    def one_by_one(jobs: Sequence[Job]) -> Iterator[Outcome]:
        left.extend(job.input for job in jobs)
        for job in jobs:
            yield Outcome(input=job.input, status="failed")

    jobs = [Job(str(number), str(number)) for number in range(16)]
    stages = [RayStage(_load_nothing, _same), RayStage(_load_nothing, partial(_mortal, tmp_path))]  # two, as with GPUs
    work = run_on_ray(stages, 2, 2, lambda: False, one_by_one)
    outcomes = {outcome.input: outcome.status for outcome in work(jobs)}
    assert len(list(tmp_path.glob("*-5"))) == 1
    assert left == ["12", "13"]
    assert outcomes == {job.input: "failed" if job.input in left else "written" for job in jobs}


def test_outputs_are_the_same_if_a_machine_of_the_cluster_dies_in_the_middle(
    photos: Path, run: Run, tmp_path: Path, cluster: Any
) -> None:
    """A second node on this machine, all of whose processes are killed while one works there."""
    import ray

    count = 160  # enough for both nodes, although one starts later
    for number in range(count):
        (tmp_path / "photos" / f"{number % 6}").mkdir(parents=True, exist_ok=True)
        photo = photos / ("ann", "bea")[number % 2] / f"{number % 3}.jpg"
        (tmp_path / "photos" / f"{number % 6}" / f"{number}.jpg").symlink_to(photo)
    words = ["batch", tmp_path / "photos", "--model", "geometric", "--size", "64", "--format", "png"]
    assert run(*words, tmp_path / "one", "--workers", "1").exit_code == 0
    node, found, done = cluster.add_node(num_cpus=1), list[int](), threading.Event()

    def kill() -> None:
        deadline = time.monotonic() + SECONDS
        while not (rows_in(tmp_path / "two") and is_busy(node)) and not done.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
        found.append(rows_in(tmp_path / "two"))
        cluster.remove_node(node, allow_graceful=False)

    def is_busy(node: Any) -> bool:
        return "CPU" not in ray._private.state.available_resources_per_node()[node.node_id]

    killer = threading.Thread(target=kill)
    killer.start()
    result = run(*words, tmp_path / "two", "--engine", "ray", "--batch-size", "1")
    done.set()
    killer.join()
    assert result.exit_code == 0, result.output
    assert 0 < found[0] < count
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    assert rows_in(tmp_path / "two") == count


def _load_nothing() -> None:
    return None


def _same(model: None, jobs: Iterable[Job]) -> Iterable[Job]:
    return jobs
