"""Every error a user can meet, in one tree.

FrontalizeError            the text gives the value, the bound and the way out
├── ConfigError            the set-up is wrong; nothing was started (exit code 2)
│   ├── DatasetError       a paired set breaks the subject-folder layout
│   └── CheckpointError    a weights or checkpoint file is not one of ours, or does not fit
└── PhotoError             one input cannot be used: a row in the ledger, never a crash
    ├── PhotoFailed        it could not be processed
    └── PhotoRejected      it was readable but is not usable
"""


class FrontalizeError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(FrontalizeError):
    """The set-up is wrong; raised before any work starts."""


class DatasetError(ConfigError):
    """A paired set breaks the subject-folder layout."""


class CheckpointError(ConfigError):
    """A weights or checkpoint file is not one of ours, or does not fit."""


class TrainingDiverged(FrontalizeError):
    """A loss is no number any more: the run stops, its last checkpoint is good."""


class ExportDiffers(FrontalizeError):
    """An exported network does not give torch's numbers: no file is written."""


class PhotoError(FrontalizeError):
    """One input cannot be used.

    Args:
        code: stable and short, for programs: ``no-face``, ``unreadable``, ``too-large`` ...
        detail: for people: what was found, the bound, the way out.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)  # both, so that the error survives the trip between processes
        self.code = code
        self.detail = detail

    @property
    def reason(self) -> str:
        """The ledger's text: the code, then the detail."""
        return f"{self.code}: {self.detail}"

    def __str__(self) -> str:
        return self.reason


class PhotoFailed(PhotoError):
    """The input could not be processed."""


class PhotoRejected(PhotoError):
    """The input was readable but is not usable."""
