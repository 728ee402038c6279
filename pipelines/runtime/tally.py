"""Counts of a bulk run."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from toolkit.errors import ConfigError
from toolkit.records.ledger import Outcome


def max_rejected(limit: str, total: int) -> float:
    """How many of ``total`` inputs ``"20"`` or ``"5%"`` are.

    Raises:
        ConfigError: neither a number nor a percentage.
    """
    try:
        number = float(limit.removesuffix("%"))
    except ValueError as error:
        raise ConfigError(f"max-rejects={limit!r}: must be a number or a percentage; try 5%") from error
    if not 0 <= number < math.inf:
        raise ConfigError(f"max-rejects={limit!r}: must be 0 or more; try 5%")
    return number * total / 100 if limit.endswith("%") else number


@dataclass(slots=True)
class Tally:
    """Counts of a run, for its summary and its exit code."""

    counts: Counter[str] = field(default_factory=lambda: Counter(written=0, skipped=0, rejected=0, failed=0))
    reasons: Counter[str] = field(default_factory=Counter)
    unusable: int = 0  # rejected now, or skipped because they were rejected before
    seconds: float = 0.0
    stage_seconds: Counter[tuple[str, str]] = field(default_factory=Counter)  # of all photos, by place and stage
    timed: int = 0  # number of those photos

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.counts[outcome.status] += 1
        self.unusable += outcome.status == "rejected" or (outcome.status == "skipped" and not outcome.outputs)
        if outcome.code:
            self.reasons[outcome.code] += 1
        self.timed += bool(outcome.stage_seconds)
        self.stage_seconds.update(outcome.stage_seconds)

    def busy(self, slots: Mapping[str, int]) -> dict[str, dict[str, float]]:
        """Each stage's share of the time of its place.

        Args:
            slots: how many photos each place works on at once.
        """
        shares: dict[str, dict[str, float]] = {}
        for (place, stage), seconds in self.stage_seconds.most_common():
            shares.setdefault(place, {})[stage] = seconds / max(slots[place] * self.seconds, 1e-9)
        return shares

    def exit_code(self, max_rejects: str) -> int:
        """0 if all worked; 1 if an input failed, or more were rejected than allowed."""
        return int(self.counts["failed"] > 0 or self.unusable > max_rejected(max_rejects, self.counts.total()))
