"""What is done already: one line for each finished step, so that a report goes on after a stop."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from examples.gpu.claims import Claim
from toolkit.errors import ConfigError
from toolkit.photos.files import write_atomic


class State:
    """The finished steps of a report.

    Args:
        path: the file of lines.
        settings: of the report; the first line.
        fresh: forget what is there.

    Raises:
        ConfigError: the file is of a report with other settings.
    """

    def __init__(self, path: Path, settings: dict[str, Any], fresh: bool) -> None:
        self._path, self.steps = path, dict[str, dict[str, Any]]()
        rows = [] if fresh or not path.exists() else list(filter(None, map(_parsed, path.read_text().splitlines())))
        if rows and rows[0] != settings:
            raise ConfigError(f"{path.parent}: holds another report ({rows[0]}); use --fresh or another OUT")
        self.steps = {row["step"]: row for row in rows[1:]}
        # Written anew: a line that was cut by a stop must not have another one appended.
        write_atomic(path, "".join(json.dumps(row) + "\n" for row in (settings, *self.steps.values())))

    def add(self, step: str, seconds: float, claims: list[Claim], error: str = "") -> None:
        """Record a step; one that ended with an error is done again by the next call."""
        row = {"step": step, "seconds": round(seconds, 1), "claims": [asdict(claim) for claim in claims]}
        self.steps[step] = row | {"error": error}
        if not error:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    def claims(self, step: str) -> list[Claim]:
        """Return the claims of a step that was done."""
        return [Claim(**claim) for claim in self.steps[step]["claims"]]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return row
