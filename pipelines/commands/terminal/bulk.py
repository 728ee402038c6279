"""How a bulk command plans, runs, reports and exits."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import typer

from pipelines.align.align_photos import align_photos
from pipelines.align.config import AlignPhotosConfig
from pipelines.commands.terminal.console import INTERRUPTED, Screen, describe, describe_limits
from pipelines.report.metadata import write_metadata
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.image_writer import WRITERS
from pipelines.runtime.interrupt import Interrupt
from pipelines.runtime.plan import Plan, plan_photos
from pipelines.runtime.tally import Tally, share_of
from toolkit.records.ledger import LEDGER_NAME, Outcome


def planned(source: Path, out: Path, screen: Screen, leave_out: Path | None = None) -> Plan:
    """Plan a bulk run, and say which files of other kinds it leaves alone."""
    plan = plan_photos(source, out, leave_out)
    if plan.passed_over:
        kinds = ", ".join(f"{suffix} {number:,}" for suffix, number in plan.passed_over.most_common(5))
        screen.say(f"{plan.passed_over.total():,} files are no photos by their names and were left alone: {kinds}")
    return plan


def run_watched(
    screen: Screen,
    plan: Plan,
    outcomes: Iterator[Outcome],
    label: str,
    max_rejects: str,
    stop: Interrupt,
    metadata: bool = False,
    lanes: Mapping[str, int] | None = None,
) -> None:
    """Run a bulk stage to its end, tell the counts and what limited it, exit as they say."""
    tally = screen.watch(outcomes, label, len(plan))
    screen.say(describe(tally))
    if lanes and (limits := describe_limits(tally, lanes)):
        screen.say(limits)
    screen.say(f"ledger: {plan.out / LEDGER_NAME}")
    if metadata:
        screen.say(f"for datasets: {write_metadata(plan.out)}")
    screen.result(
        {
            **tally.counts,
            "total": tally.counts.total(),
            "reasons": tally.reasons,
            "seconds": round(tally.seconds, 3),
            "busy": tally.busy(lanes) if lanes else {},
            "out": str(plan.out),
            "ledger": str(plan.out / LEDGER_NAME),
            "interrupted": stop.pressed,
        }
    )
    if stop.pressed:
        raise typer.Exit(INTERRUPTED)
    if code := tally.exit_code(max_rejects):
        raise typer.Exit(code)


def lanes_of(bulk: BulkConfig) -> dict[str, int] | None:
    """How much goes on at once at each place of a run; unknown on a cluster."""
    return None if bulk.engine == "ray" else {"workers": bulk.workers, "network": 1, "writers": WRITERS}


def align_into(
    screen: Screen, source: Path, out: Path, bulk: BulkConfig, stop: Interrupt, leave_out: Path | None = None
) -> Tally:
    """Align on the way to something else, with the defaults."""
    plan = planned(source, out, screen, leave_out)
    tally = screen.watch(align_photos(plan, AlignPhotosConfig(), bulk, stop), "aligning", len(plan))
    if stop.pressed:
        raise typer.Exit(INTERRUPTED)
    return tally


def checked_limit(max_rejects: str) -> str:
    """The option as it is, once it is known to be readable: a typing error must not wait for the end of the night."""
    share_of(max_rejects, 0)
    return max_rejects
