"""What the commands show: progress on stderr, results on stdout, and an orderly stop."""

import json
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from pipelines.runtime.tally import Tally
from toolkit.records.ledger import Outcome

ItemT = TypeVar("ItemT")
REFRESH = 0.05  # seconds between moves of the bar: what skips thousands a second has better things to do
SHOWN_FAILURES = 20  # the ledger has them all
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it


class Screen:
    """Where a command's words go.

    Args:
        as_json: one JSON document on stdout, all else on stderr.
        quiet: nothing but errors, and the JSON document if asked for.
    """

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self._out = Console(highlight=False, soft_wrap=True, emoji=False)
        self._err = Console(highlight=False, soft_wrap=True, emoji=False, stderr=True)
        self._as_json, self._quiet = as_json, quiet

    def say(self, text: str) -> None:
        """One line for a person; never markup, since file names may hold brackets."""
        if not self._quiet:
            (self._err if self._as_json else self._out).print(printable(text), markup=False)

    def complain(self, text: str) -> None:
        """One red line on stderr, also when quiet."""
        self._err.print(printable(text), style="red", markup=False)

    def table(self, table: Table) -> None:
        """A table for a person."""
        if not self._quiet:
            (self._err if self._as_json else self._out).print(table)

    def result(self, document: dict[str, Any]) -> None:
        """The document for a program, where one was asked for."""
        if self._as_json:
            self._out.print(json.dumps(document), markup=False)

    def track(self, items: Iterable[ItemT], label: str, total: int, each: Callable[[ItemT], str]) -> Iterator[ItemT]:
        """A progress bar with rate and ETA around a loop; gone without a terminal.

        Args:
            each: what to show at the right of the bar for an item; may be empty.
        """
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        hidden = self._quiet or not self._err.is_terminal
        with Progress(*columns, console=self._err, disable=hidden, transient=True) as progress:
            task = progress.add_task(label, total=total, note="")
            done, shown = 0, 0.0
            for item in items:
                yield item
                done += 1
                if (now := time.monotonic()) - shown > REFRESH:
                    progress.update(task, advance=done, note=each(item))
                    done, shown = 0, now
            progress.update(task, advance=done)

    def watch(self, outcomes: Iterable[Outcome], label: str, total: int) -> Tally:
        """Run a bulk stage to its end: a bar, the first failures by name, the counts."""
        tally, started = Tally(), time.monotonic()
        for outcome in self.track(outcomes, label, total, lambda _: ""):
            tally.add(outcome)
            if outcome.status == "failed" and tally.counts["failed"] <= SHOWN_FAILURES:
                self.complain(f"failed {outcome.input}: {outcome.reason}".replace("\n", "\\n"))
        tally.seconds = time.monotonic() - started
        return tally


def printable(text: str) -> str:
    """A text that no terminal takes for a command: names may hold escape sequences, and bytes that are no Unicode."""
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
    """``1,320 photos: 1,318 written, 2 rejected (no-face 2); 14.2 s, 93 photos/s``."""
    counts = [f"{number:,} {status}" for status, number in tally.counts.items() if number]
    reasons = ", ".join(f"{code} {number:,}" for code, number in tally.reasons.most_common(6))
    total = tally.counts.total()
    rate = f"{tally.seconds:.1f} s, {total / max(tally.seconds, 1e-9):,.0f}/s"
    return f"{total:,} photos: {', '.join(counts)}{f' ({reasons})' if reasons else ''}; {rate}"


def describe_limits(tally: Tally, lanes: Mapping[str, int]) -> str:
    """``limited by landmarks (workers 96 % busy: landmarks 61 %, decode 20 %; network 31 %)``; empty where nothing ran.

    Behind each stage: its share of the time of its place, and the photos a second that the place could do of it alone.
    """
    busy = tally.busy(lanes)
    if not busy:
        return ""
    places = sorted(busy, key=lambda place: sum(busy[place].values()), reverse=True)
    limit = max(busy[places[0]], key=busy[places[0]].__getitem__)
    told = (f"{place} {sum(busy[place].values()):.0%} busy: {_stages(tally, busy[place])}" for place in places)
    return f"limited by {limit}; {'; '.join(told)}"


def _stages(tally: Tally, shares: Mapping[str, float]) -> str:
    alone = {stage: tally.timed / max(share * tally.seconds, 1e-9) for stage, share in shares.items()}
    return ", ".join(f"{stage} {share:.0%} ({alone[stage]:,.0f}/s alone)" for stage, share in shares.items())
