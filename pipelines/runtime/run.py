"""What all bulk runs share: skip finished inputs, record each outcome in the ledger."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.renamed import FIRST_NAMES
from toolkit.errors import ConfigError
from toolkit.records.ledger import Ledger, Outcome

Work = Callable[[Sequence[Job]], Iterator[Outcome]]


def run_bulk(plan: Plan, work: Work, settings: str, overwrite: bool) -> Iterator[Outcome]:
    """Carry out a plan; yield one outcome per input, each recorded in the ledger first.

    Args:
        plan: from :func:`pipelines.runtime.plan.plan_photos`.
        work: makes outcomes from jobs, in any order.
        settings: digest of what shapes the outputs; inputs finished with another one are processed again.
        overwrite: process finished inputs again.

    Raises:
        ConfigError: OUT cannot be written, another run is writing there, or a link in it leads elsewhere.
    """
    _require_real_folders(plan)
    with Ledger(plan.out, plan.source, plan.shard) as ledger:
        if _is_case_insensitive(ledger.path):
            plan = plan.without_case_collisions()
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
    """Outputs must stay inside OUT: none of its folders may be a symbolic link."""
    homes = {job.stem.rpartition("/")[0] for job in plan.jobs}
    for folder in sorted({folder for home in homes for folder in (Path(home), *Path(home).parents)} - {Path()}):
        if (plan.out / folder).is_symlink():
            raise ConfigError(f"OUT {plan.out / folder}: is a link to another place; remove it or choose another OUT")


def _is_case_insensitive(ledger: Path) -> bool:
    """Whether the file system takes A.jpg and a.jpg for one name (most USB sticks, Windows and Mac shares)."""
    other = ledger.with_name(ledger.name.upper())
    return other.exists() and other.samefile(ledger)


def _is_finished(last: Outcome, job: Job, plan: Plan, settings: str) -> bool:
    """Same settings, outputs in place, input unchanged. Failures are tried again: their cause may be gone."""
    if last.status == "failed" or last.settings != settings or (job.taken and len(last.outputs) > 1):
        return False
    if len(last.outputs) == 1 and os.path.splitext(last.outputs[0])[0] != job.stem:
        return False
    # Plain strings: for a million finished photos, creating Path objects would take longer than the disk.
    if not all(os.path.exists(os.path.join(plan.out, output)) for output in last.outputs):  # noqa: PTH110, PTH118
        return False
    return _is_unchanged(last, os.path.join(plan.source, job.input))  # noqa: PTH118


def _is_unchanged(last: Outcome, path: str) -> bool:
    """Compare size and modification time; hash the file only if the time alone differs (a copy, a touch)."""
    try:
        stat = os.stat(path)  # noqa: PTH116
        if stat.st_size != last.size:
            return False
        if stat.st_mtime_ns == last.mtime_ns:
            return True
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == last.sha256
    except OSError:  # gone or unreadable: processing it gives the reason
        return False


def _remove_stale(last: Outcome | None, outcome: Outcome, out: Path, owners: dict[str, str]) -> None:
    """Remove outputs that an earlier run made of this input and this run did not.

    A name that now belongs to another input is left alone, and so is one that is no file of OUT any more.
    """
    if last is not None and outcome.status != "failed":
        for output in set(last.outputs) - set(outcome.outputs):
            if owners.get(os.path.splitext(output)[0], outcome.input) == outcome.input:
                _remove(out / output, out)


def _remove(path: Path, out: Path) -> None:
    with suppress(OSError):  # gone, in place of a folder that is a file now, or a folder itself
        if path.parent.resolve().is_relative_to(out):  # not through a link
            path.unlink()


def digest(*parts: Any) -> str:
    """Twelve hex digits that change with the settings: dataclasses and plain values.

    Fields count by their first names, so that ledgers of earlier versions stay valid.
    """
    plain = [dataclasses.asdict(part) if dataclasses.is_dataclass(part) else part for part in parts]  # type: ignore[arg-type]
    text = json.dumps(_with_first_names(plain), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _with_first_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {FIRST_NAMES.get(key, key): _with_first_names(item) for key, item in value.items()}
    return [_with_first_names(item) for item in value] if isinstance(value, list | tuple) else value
