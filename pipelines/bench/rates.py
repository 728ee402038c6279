"""How fast something is: rates with their spread, and the machine that they are of."""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from pipelines.runtime.config import all_cores


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast one stage is."""

    stage: str
    what: str  # sizes and numbers that the rate depends on
    place: str  # where it ran
    unit: str  # what is counted
    rates: list[float]  # units a second, one for each round
    copies: int = 1  # how many of it run side by side in bulk, at best without slowing each other

    @property
    def rate(self) -> float:
        """Units a second: the median round."""
        return statistics.median(self.rates)

    def row(self, counts: Sequence[int]) -> dict[str, Any]:
        """Plain values; ``seconds`` is what so many units take, with all copies at work."""
        return {
            "stage": self.stage,
            "what": self.what,
            "place": self.place,
            "unit": self.unit,
            "per_second": self.rate,
            "slowest": min(self.rates),
            "fastest": max(self.rates),
            "seconds": {str(count): count / (self.rate * self.copies) for count in counts},
        }


def steady_rates(moments: Sequence[float], parts: int = 3) -> list[float]:
    """Things a second while all workers are busy: not as they start, nor as the first of them run out of work.

    Args:
        moments: when each thing was finished, seconds, ascending; a dozen or more.
        parts: how many rates, one after the other, of all but the first and the last sixth.
    """
    edge = len(moments) // 6
    marks = [edge + (len(moments) - 1 - 2 * edge) * part // parts for part in range(parts + 1)]
    return [(end - start) / max(moments[end] - moments[start], 1e-9) for start, end in pairwise(marks)]


def machine(device: torch.device) -> dict[str, Any]:
    """Where it was measured."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "processor": named[0] if named else platform.machine(),
        "cores": all_cores(),
        "device": gpu or f"CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }
