"""All errors that are raised on purpose.

FrontalizeError            the message gives the value, the limit and what to do
├── ConfigError            the setup is wrong; no work was started (exit code 2)
│   ├── DatasetError       a paired set violates the subject-folder layout
│   └── CheckpointError    a file of weights or a checkpoint is invalid or does not fit
├── TrainingDiverged       a loss is not finite; the last checkpoint is valid
├── ExportDiffers          an exported network does not reproduce torch's results
└── PhotoError             one input cannot be used: a row in the ledger, not the end of a run
    ├── PhotoFailed        it could not be processed
    └── PhotoRejected      it is readable but not usable
"""


class FrontalizeError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(FrontalizeError):
    """The setup is wrong; raised before any work starts."""


class DatasetError(ConfigError):
    """A paired set violates the subject-folder layout."""


class CheckpointError(ConfigError):
    """A file of weights or a checkpoint is invalid or does not fit."""


class TrainingDiverged(FrontalizeError):
    """A loss is not finite: the run stops, and its last checkpoint is valid."""


class ExportDiffers(FrontalizeError):
    """An exported network does not reproduce torch's results: no file is written."""


class PhotoError(FrontalizeError):
    """One input cannot be used.

    Args:
        code: a short and stable text for programs: ``no-face``, ``unreadable``, ``too-large`` ...
        detail: a text for people: the value, the limit and what to do.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)  # both, so that the error can be pickled
        self.code = code
        self.detail = detail

    @property
    def reason(self) -> str:
        """The text in the ledger: code and detail."""
        return f"{self.code}: {self.detail}"

    def __str__(self) -> str:
        return self.reason


class PhotoFailed(PhotoError):
    """The input could not be processed."""


class PhotoRejected(PhotoError):
    """The input is readable but not usable."""
