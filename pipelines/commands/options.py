"""Options that several verbs share, and how a bulk run ends."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from pipelines.align_photos import align_photos
from pipelines.bulk import Tally, share_of
from pipelines.configs import AlignPhotosConfig, BulkConfig, all_cores
from pipelines.metadata import write_metadata
from pipelines.outputs import WRITERS
from pipelines.plan import Plan, plan_photos
from pipelines.screen import INTERRUPTED, Interrupt, Screen, describe, describe_limits
from toolkit.ledger import LEDGER_NAME, Outcome

Source = Annotated[Path, typer.Argument(metavar="SRC", help="Folder of photos, searched with its sub-folders.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="Where to write; sub-folders are mirrored.")]
Workers = Annotated[int, typer.Option(help="Worker processes; the default is one per core.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, all else on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Do finished inputs again instead of resuming.")]
MaxRejects = Annotated[str, typer.Option(help="Rejected inputs beyond this make the exit code 1: a number or N%.")]
Metadata = Annotated[
    bool, typer.Option("--metadata", help="Write metadata.jsonl too: datasets' imagefolder loads OUT with it.")
]
Shard = Annotated[str, typer.Option(metavar="I/N", help="The I-th of N parts, from 0, for job arrays; one OUT.")]
Quality = Annotated[int, typer.Option(help="Of JPEG and WebP, 1 to 100.")]

CORES = all_cores()
ALL = "100%"
WHOLE = "0/1"


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
