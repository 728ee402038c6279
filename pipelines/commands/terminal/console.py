"""What commands print: results on stdout, progress and errors on stderr."""

import json
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from pipelines.runtime.tally import Tally
from toolkit.records.ledger import Outcome

ItemT = TypeVar("ItemT")
REFRESH_INTERVAL = 0.05  # seconds between updates of the bar: a resumed run skips thousands of inputs per second
MAX_FAILURES = 20  # printed; all are in the ledger
INTERRUPTED = 130  # exit code after Ctrl-C, as in shells


class Console:
    """Where a command prints.

    Args:
        as_json: print one JSON document on stdout and everything else on stderr.
        quiet: print only errors, and the JSON document if asked for.
    """

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self._out = RichConsole(highlight=False, soft_wrap=True, emoji=False)
        self._err = RichConsole(highlight=False, soft_wrap=True, emoji=False, stderr=True)
        self._as_json, self._quiet = as_json, quiet

    def print(self, text: str) -> None:
        """Print a line for a person, without markup: file names may contain brackets."""
        if not self._quiet:
            (self._err if self._as_json else self._out).print(printable(text), markup=False)

    def error(self, text: str) -> None:
        """Print a red line on stderr, also when quiet."""
        self._err.print(printable(text), style="red", markup=False)

    def print_table(self, table: Table) -> None:
        """Print a table for a person."""
        if not self._quiet:
            (self._err if self._as_json else self._out).print(table)

    def print_json(self, document: dict[str, Any]) -> None:
        """Print the document for a program, if asked for."""
        if self._as_json:
            self._out.print(json.dumps(document), markup=False)

    def track(self, items: Iterable[ItemT], label: str, total: int, note: Callable[[ItemT], str]) -> Iterator[ItemT]:
        """Show a progress bar with rate and ETA around a loop; nothing without a terminal.

        Args:
            items: the loop's.
            label: shown on the left.
            total: number of items.
            note: text on the right for an item; may be empty.
        """
        if self._quiet or not self._err.is_terminal:
            yield from items
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=self._err, transient=True) as progress:
            task = progress.add_task(label, total=total, note="")
            done, updated = 0, 0.0
            for item in items:
                yield item
                done += 1
                if (now := time.monotonic()) - updated > REFRESH_INTERVAL:
                    progress.update(task, advance=done, note=note(item))
                    done, updated = 0, now
            progress.update(task, advance=done)

    def watch(self, outcomes: Iterable[Outcome], label: str, total: int) -> Tally:
        """Run a bulk stage to its end with a bar; print the first failures and return the counts."""
        tally, started = Tally(), time.monotonic()
        for outcome in self.track(outcomes, label, total, lambda _: ""):
            tally.add(outcome)
            if outcome.status == "failed" and tally.counts["failed"] <= MAX_FAILURES:
                self.error(f"failed {outcome.input}: {outcome.reason}".replace("\n", "\\n"))
        tally.seconds = time.monotonic() - started
        return tally


def printable(text: str) -> str:
    """Escape what a terminal takes for a command: names may contain escape sequences, or bytes that are no Unicode."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs") and character != "\n"
        else character
        for character in text
    )


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "")


def describe(tally: Tally) -> str:
    """``1,320 photos: 1,318 written, 2 rejected (no-face 2); 14.2 s, 93/s``."""
    counts = [f"{number:,} {status}" for status, number in tally.counts.items() if number]
    reasons = ", ".join(f"{code} {number:,}" for code, number in tally.reasons.most_common(6))
    total = tally.counts.total()
    rate = f"{tally.seconds:.1f} s, {total / max(tally.seconds, 1e-9):,.0f}/s"
    return f"{total:,} photos: {', '.join(counts)}{f' ({reasons})' if reasons else ''}; {rate}"


def describe_limits(tally: Tally, slots: Mapping[str, int]) -> str:
    """``limited by landmarks; workers 96% busy: landmarks 61% (150/s alone), ...; network 31% busy: ...``.

    Behind each stage: its share of the time of its place, and the photos per second that the place could do of that
    stage alone. Empty where nothing ran.
    """
    busy = tally.busy(slots)
    if not busy:
        return ""
    places = sorted(busy, key=lambda place: sum(busy[place].values()), reverse=True)
    limit = max(busy[places[0]], key=busy[places[0]].__getitem__)
    parts = (f"{place} {sum(busy[place].values()):.0%} busy: {_stages(tally, busy[place])}" for place in places)
    return f"limited by {limit}; {'; '.join(parts)}"


def _stages(tally: Tally, shares: Mapping[str, float]) -> str:
    alone = {stage: tally.timed / max(share * tally.seconds, 1e-9) for stage, share in shares.items()}
    return ", ".join(f"{stage} {share:.0%} ({alone[stage]:,.0f}/s alone)" for stage, share in shares.items())
