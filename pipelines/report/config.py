"""Settings of ``frontalize report``."""

from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportConfig:
    """``frontalize report``."""

    photos: Path | None = None  # where the inputs are; None: where the ledger says
    most: int = 10_000  # inputs on the page; of more, a share of the rejected and of the others, evenly spaced

    def __post_init__(self) -> None:
        if self.photos is not None and not self.photos.is_dir():
            raise ConfigError(f"photos {self.photos}: no such folder; give the SRC of the run")
        if self.most < 1:
            raise ConfigError(f"most={self.most}: must be 1 or more; try 10000")
