"""Settings of ``frontalize report``."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.runtime.config import require_at_least
from toolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportConfig:
    """``frontalize report``."""

    photos: Path | None = None  # folder of the inputs; None: where the ledger says
    most: int = 10_000  # inputs on the page; of more, an evenly spaced share, rejected ones included

    def __post_init__(self) -> None:
        if self.photos is not None and not self.photos.is_dir():
            raise ConfigError(f"photos {self.photos}: no such folder; give the SRC of the run")
        require_at_least("most", self.most, 1, "try 10000")
