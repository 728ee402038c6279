"""Rates with their spread, and the machine that they were measured on."""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.runtime.config import all_cores

if TYPE_CHECKING:  # torch is not part of the light install
    import torch


@dataclass(frozen=True, slots=True)
class Timing:
    """The speed of one stage."""

    stage: str
    what: str  # sizes that the rate depends on
    place: str  # where it ran
    unit: str  # what is counted
    rates: list[float]  # units per second of each round
    copies: int = 1  # how many run in parallel in bulk runs

    @property
    def rate(self) -> float:
        """Units per second: the median of the rounds."""
        return statistics.median(self.rates)

    def row(self, counts: Sequence[int]) -> dict[str, Any]:
        """Plain values; ``seconds`` is the time of ``counts`` units with all copies working."""
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
    """Rates while all workers are busy: without their start, and without the end, when some have no more work.

    Args:
        moments: when each item was finished, seconds, ascending; a dozen or more.
        parts: number of consecutive rates of all but the first and the last sixth.
    """
    edge = len(moments) // 6
    marks = [edge + (len(moments) - 1 - 2 * edge) * part // parts for part in range(parts + 1)]
    return [(end - start) / max(moments[end] - moments[start], 1e-9) for start, end in pairwise(marks)]


def machine(device: "torch.device") -> dict[str, Any]:
    """The machine: processor, cores, device, torch version."""
    import torch

    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "processor": processor(),
        "cores": all_cores(),
        "device": gpu or f"CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }


def processor() -> str:
    """The processor's name."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
