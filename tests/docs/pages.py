"""Markdown pages read as code blocks, and the loose comparison of printed output with the output that a page shows."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
KINDS = ("console", "python", "sh", "json", "csv", "text")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?|(?<![\w.])\.\d+")
_MEASURED = re.compile(r"\s*(?:/s|images/s|s\b|ms\b|MB|GB|GiB|%)")  # units of times, rates, sizes and shares


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block."""

    kind: str
    text: str
    line: int  # of its fence, counted from 1


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a console block and the output that the page shows below it."""

    command: str
    output: list[str]


def blocks(page: Path) -> list[Block]:
    """Return the fenced code blocks of a page."""
    text = page.read_text()
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in _FENCE.finditer(text)]


def steps(block: Block) -> list[Step]:
    """Return the commands of a console block: a line that ends in a backslash goes on in the next one."""
    found: list[Step] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:], []))
        else:
            found[-1].output.append(line)
    return found


def words(command: str) -> list[str]:
    """Split a command as a shell does, without its comment."""
    return shlex.split(command, comments=True)


def matches(shown: list[str], printed: str, exact_counts: bool) -> bool:
    """Return whether printed output is what a page shows.

    ``...`` in the shown text stands for any text, alone on a line for any lines. Decimal fractions, and whole numbers
    with a unit of time, rate, size or share, may differ, and so may the width of spaces. Other whole numbers must be
    equal if ``exact_counts``. Which stage limited a run differs from machine to machine.
    """
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "..." else _line_pattern(line.strip(), exact_counts) + r"\n" for line in shown
    )
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return re.fullmatch(pattern, "".join(line + "\n" for line in lines)) is not None


def _line_pattern(line: str, exact_counts: bool) -> str:
    if line.startswith("limited by "):
        return "limited by .*"
    pattern, end = "", 0
    for number in _NUMBER.finditer(line):
        pattern += _text_pattern(line[end : number.start()])
        end = number.end()
        measured = "." in number[0] or "e" in number[0] or _MEASURED.match(line, end)
        pattern += re.escape(number[0]) if exact_counts and not measured else f"(?:{_NUMBER.pattern})"
    return pattern + _text_pattern(line[end:])


def _text_pattern(text: str) -> str:
    parts = (re.escape(part).replace(r"\ ", " ") for part in text.split("..."))
    return re.sub(" +", r"\\s+", ".*".join(parts))
