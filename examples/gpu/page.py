"""The report as a Markdown page."""

from collections.abc import Iterable, Mapping

from examples.gpu.claims import Claim

DRY = (
    "**Dry form.** The CPU stands in for the GPU, sizes are tiny and nothing is proven: this page shows only that the "
    "report runs."
)


def page(machine: Mapping[str, str], steps: Iterable[tuple[str, float, list[Claim]]], dry: bool) -> str:
    """Return the page.

    Args:
        machine: rows of the first table.
        steps: name, seconds and claims of each.
        dry: whether the CPU stood in for the GPU.
    """
    rows = [(name, seconds, claims) for name, seconds, claims in steps]
    claims = [claim for _, _, some in rows for claim in some]
    counts = [(word, sum(claim.verdict.startswith(word) for claim in claims)) for word in ("holds", "fails", "skipped")]
    lines = ["# GPU report", "", *([DRY, ""] if dry else [])]
    lines += [f"Claims: {', '.join(f'{number} {word}' for word, number in counts)}.", "", "## Machine", ""]
    lines += _table(("what", "found"), machine.items())
    lines += ["", "## Claims", ""]
    lines += _table(
        ("claim", "figure", "bound", "verdict"),
        ((claim.name, claim.figure, claim.bound, claim.verdict) for claim in claims),
    )
    lines += ["", "## Time", ""]
    lines += _table(("step", "seconds"), ((name, f"{seconds:.1f}") for name, seconds, _ in rows))
    return "\n".join(lines) + "\n"


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    cells = [heading, ("---",) * len(heading), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in cells]
