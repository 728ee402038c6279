"""`batch --engine ray`: the same outputs as without, whatever dies on the way."""

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.runtime.plan import Job
from pipelines.runtime.ray_backend import RayStage, run_on_ray
from tests.conftest import Run, tree
from toolkit.records.ledger import Outcome, read_ledger

pytestmark = pytest.mark.slow  # Ray takes ten seconds to start


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One Ray for all tests: it takes some ten seconds to start."""
    ray = pytest.importorskip("ray", reason="the extra ray is not installed: pip install '.[ray]'")
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  as the engine has it
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_outputs_are_those_of_the_local_engine(photos: Path, run: Run, tmp_path: Path) -> None:
    words = ["batch", photos, "--model", "geometric", "--format", "png", "--workers", "2"]
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


def _load_nothing() -> None:
    return None


def _same(model: None, jobs: Iterable[Job]) -> Iterable[Job]:
    return jobs
