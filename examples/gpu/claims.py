"""Claims with their figures, bounds and verdicts."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of the report."""

    name: str
    figure: str
    bound: str  # empty: a figure without one
    verdict: str  # holds, fails, measured, or "skipped: " and what is missing


class Lacking(Exception):
    """The machine lacks what a step needs; the text names it."""


class OutOfTime(Exception):
    """A command was ended because the time was up."""


class StepFailed(Exception):
    """A command ended with an error."""


def at_most(name: str, value: float, bound: float, unit: str = "") -> Claim:
    """Claim that a value is at most a bound. NaN fails."""
    return Claim(name, _text(value, unit), f"at most {_text(bound, unit)}", "holds" if value <= bound else "fails")


def at_least(name: str, value: float, bound: float, unit: str = "") -> Claim:
    """Claim that a value is at least a bound. NaN fails."""
    return Claim(name, _text(value, unit), f"at least {_text(bound, unit)}", "holds" if value >= bound else "fails")


def measured(name: str, figure: str) -> Claim:
    """A figure without a bound."""
    return Claim(name, figure, "", "measured")


def skipped(name: str, what: str) -> Claim:
    """A claim that could not be checked here."""
    return Claim(name, "", "", f"skipped: {what}")


def _text(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.3g} %"
    number = f"{value:,.0f}" if math.isfinite(value) and abs(value) >= 1000 else f"{value:.3g}"
    return f"{number} {unit}".strip()
