"""An output folder as Hugging Face's ``datasets`` loads it: ``metadata.jsonl`` beside the images."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError
from toolkit.photos.files import write_whole
from toolkit.records.ledger import Outcome, sorted_outcomes

NAME = "metadata.jsonl"
OF_FACE = ("yaw", "pitch", "roll", "score", "sharpness")


def write_metadata(out: Path) -> Path:
    """Say of every image of an output folder where it came from and how the face looked, as the ledger has it.

    Args:
        out: of `align` or `batch`; then ``load_dataset("imagefolder", data_dir=out)``.

    Raises:
        ConfigError: it cannot be written.
    """
    rows = "".join(json.dumps(row) + "\n" for outcome in sorted_outcomes(out) for row in _rows(outcome))
    try:
        write_whole(out / NAME, rows)
    except OSError as error:
        raise ConfigError(f"{out / NAME}: cannot be written ({error.strerror})") from error
    return out / NAME


def _rows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    faces = outcome.faces or [{}] * len(outcome.outputs)  # crops that `batch --aligned` took as they were
    for output, face in zip(outcome.outputs, faces, strict=False):
        numbers = {name: face.get(name) for name in OF_FACE}  # every row has every column, or the loader complains
        yield {"file_name": output, "input": outcome.input, "sha256": outcome.sha256, **numbers}
