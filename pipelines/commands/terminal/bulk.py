"""How a bulk command plans, runs, reports and exits."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import typer

from pipelines.align.align_photos import align_photos
from pipelines.align.config import AlignPhotosConfig
from pipelines.commands.terminal.console import INTERRUPTED, Console, describe, describe_limits
from pipelines.report.metadata import write_metadata
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.image_writer import WRITERS
from pipelines.runtime.interrupt import Interrupt
from pipelines.runtime.plan import Plan, plan_photos
from pipelines.runtime.tally import Tally
from toolkit.records.ledger import LEDGER_NAME, Outcome


def make_plan(source: Path, out: Path, console: Console, exclude: Path | None = None) -> Plan:
    """Plan a bulk run, and print which files of other kinds are ignored."""
    plan = plan_photos(source, out, exclude)
    if plan.ignored:
        kinds = ", ".join(f"{suffix} {number:,}" for suffix, number in plan.ignored.most_common(5))
        console.print(f"{plan.ignored.total():,} files are no photos by their names and were left alone: {kinds}")
    return plan


def run_and_report(
    console: Console,
    plan: Plan,
    outcomes: Iterator[Outcome],
    label: str,
    max_rejects: str,
    stop: Interrupt,
    metadata: bool = False,
    slots: Mapping[str, int] | None = None,
) -> None:
    """Run a bulk stage to its end, print counts and bottleneck, and exit with the code for them."""
    tally = console.watch(outcomes, label, len(plan))
    console.print(describe(tally))
    if slots and (limits := describe_limits(tally, slots)):
        console.print(limits)
    console.print(f"ledger: {plan.out / LEDGER_NAME}")
    if metadata:
        console.print(f"for datasets: {write_metadata(plan.out)}")
    console.print_json(
        {
            **tally.counts,
            "total": tally.counts.total(),
            "reasons": tally.reasons,
            "seconds": round(tally.seconds, 3),
            "busy": tally.busy(slots) if slots else {},
            "out": str(plan.out),
            "ledger": str(plan.out / LEDGER_NAME),
            "interrupted": stop.pressed,
        }
    )
    if stop.pressed:
        raise typer.Exit(INTERRUPTED)
    if code := tally.exit_code(max_rejects):
        raise typer.Exit(code)


def parallel_slots(bulk: BulkConfig) -> dict[str, int] | None:
    """How many photos each place of a run works on at once; unknown on a cluster."""
    return None if bulk.engine == "ray" else {"workers": bulk.workers, "network": 1, "writers": WRITERS}


def align_first(
    console: Console, source: Path, out: Path, bulk: BulkConfig, stop: Interrupt, exclude: Path | None = None
) -> Tally:
    """Align photos with the defaults, as the first step of another command."""
    plan = make_plan(source, out, console, exclude)
    tally = console.watch(align_photos(plan, AlignPhotosConfig(), bulk, stop), "aligning", len(plan))
    if stop.pressed:
        raise typer.Exit(INTERRUPTED)
    return tally
