"""Counts of a bulk run."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from toolkit.errors import ConfigError
from toolkit.records.ledger import Outcome


def share_of(limit: str, total: int) -> float:
    """How many inputs ``"20"`` or ``"5%"`` of a total are.

    Raises:
        ConfigError: neither a number nor a percentage.
    """
    try:
        number = float(limit.removesuffix("%"))
    except ValueError as error:
        raise ConfigError(f"max-rejects={limit!r}: must be a number or a percentage; try 5%") from error
    if not number >= 0:
        raise ConfigError(f"max-rejects={limit!r}: must be 0 or more; try 5%")
    return number * total / 100 if limit.endswith("%") else number


@dataclass(slots=True)
class Tally:
    """Counts of a run, for its last lines and its exit code."""

    counts: Counter[str] = field(default_factory=lambda: Counter(written=0, skipped=0, rejected=0, failed=0))
    reasons: Counter[str] = field(default_factory=Counter)
    unusable: int = 0  # rejected now, or skipped because rejected before
    seconds: float = 0.0
    laps: Counter[tuple[str, str]] = field(default_factory=Counter)  # seconds of all photos, by place and stage
    timed: int = 0  # photos that they are of

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.counts[outcome.status] += 1
        self.unusable += outcome.status == "rejected" or (outcome.status == "skipped" and not outcome.outputs)
        if outcome.code:
            self.reasons[outcome.code] += 1
        self.timed += bool(outcome.laps)
        self.laps.update(outcome.laps)

    def busy(self, lanes: Mapping[str, int]) -> dict[str, dict[str, float]]:
        """How much of each place's time went into each of its stages, as shares of all its lanes.

        Args:
            lanes: of each place, how much goes on there at once.
        """
        shares: dict[str, dict[str, float]] = {}
        for (place, stage), seconds in self.laps.most_common():
            shares.setdefault(place, {})[stage] = seconds / max(lanes[place] * self.seconds, 1e-9)
        return shares

    def exit_code(self, max_rejects: str) -> int:
        """0 when all worked; 1 when one failed, or more were rejected than allowed."""
        return int(self.counts["failed"] > 0 or self.unusable > share_of(max_rejects, self.counts.total()))
