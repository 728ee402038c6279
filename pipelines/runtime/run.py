"""What every bulk run shares: skip the finished, record each outcome, count them up."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from pipelines.runtime.plan import Job, Plan
from toolkit.errors import ConfigError
from toolkit.records.ledger import Ledger, Outcome

Work = Callable[[Sequence[Job]], Iterator[Outcome]]


def run_bulk(plan: Plan, work: Work, settings: str, overwrite: bool) -> Iterator[Outcome]:
    """Do a plan, one outcome per input, each in the ledger before it is handed on.

    Args:
        plan: from :func:`pipelines.runtime.plan.plan_photos`.
        work: turns jobs into outcomes, in any order.
        settings: digest of what shapes the outputs; inputs finished under another one are done again.
        overwrite: do all again.

    Raises:
        ConfigError: OUT cannot be written, another run is writing there, or a link in it leads elsewhere.
    """
    _require_real_folders(plan)
    with Ledger(plan.out, plan.source, plan.shard) as ledger:
        if _is_blind_to_case(ledger.path):
            plan = plan.without_case_twins()
        todo: list[Job] = []
        for job in plan.jobs:
            last = None if overwrite else ledger.last(job.input)
            if last is None or not _is_finished(last, job, plan, settings):
                todo.append(job)
                continue
            ledger.skip(job.input)
            yield last.as_skipped()
        owners = {job.stem: job.input for job in chain(plan.jobs, plan.elsewhere)}
        for outcome in chain(plan.refused, work(todo)):
            _remove_stale(ledger.last(outcome.input), outcome, plan.out, owners)
            ledger.append(outcome)
            yield outcome


def _require_real_folders(plan: Plan) -> None:
    """What is written to OUT shall lie in OUT: none of its folders may be a link that somebody left there."""
    homes = {job.stem.rpartition("/")[0] for job in plan.jobs}
    for folder in sorted({folder for home in homes for folder in (Path(home), *Path(home).parents)} - {Path()}):
        if (plan.out / folder).is_symlink():
            raise ConfigError(f"OUT {plan.out / folder}: is a link to another place; remove it or choose another OUT")


def _is_blind_to_case(ledger: Path) -> bool:
    """The disk takes A.jpg and a.jpg for one name (most USB sticks, Windows and Mac shares): asked of a file there."""
    other = ledger.with_name(ledger.name.upper())
    return other.exists() and other.samefile(ledger)


def _is_finished(last: Outcome, job: Job, plan: Plan, settings: str) -> bool:
    """Same settings, outputs in place, input unchanged. Failures are tried again: a full disk passes."""
    if last.status == "failed" or last.settings != settings or (job.taken and len(last.outputs) > 1):
        return False
    if len(last.outputs) == 1 and os.path.splitext(last.outputs[0])[0] != job.stem:
        return False
    # Plain strings here: of a million finished photos, the paths as objects would take longer than the disk.
    if not all(os.path.exists(os.path.join(plan.out, output)) for output in last.outputs):  # noqa: PTH110, PTH118
        return False
    return _is_unchanged(last, os.path.join(plan.source, job.input))  # noqa: PTH118


def _is_unchanged(last: Outcome, path: str) -> bool:
    """Size and time of change decide; only where the time alone differs (a copy, a touch) is the file hashed."""
    try:
        stat = os.stat(path)  # noqa: PTH116
        if stat.st_size != last.size:
            return False
        if stat.st_mtime_ns == last.mtime_ns:
            return True
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == last.sha256
    except OSError:  # gone or unreadable: the run itself will say so
        return False


def _remove_stale(last: Outcome | None, outcome: Outcome, out: Path, owners: dict[str, str]) -> None:
    """Outputs that an earlier run made of this input and the new one did not would pass for results of today.

    A name that has become another input's is left to that one.
    """
    if last is not None and outcome.status != "failed":
        for output in set(last.outputs) - set(outcome.outputs):
            if owners.get(os.path.splitext(output)[0], outcome.input) == outcome.input:
                (out / output).unlink(missing_ok=True)


def digest(*parts: Any) -> str:
    """Twelve hex digits for settings: dataclasses and plain values."""
    plain = [dataclasses.asdict(part) if dataclasses.is_dataclass(part) else part for part in parts]  # type: ignore[arg-type]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:12]
