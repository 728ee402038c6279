"""``metadata.jsonl`` beside the images of an output folder: the format of Hugging Face ``datasets``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigError
from toolkit.photos.files import write_atomic
from toolkit.records.ledger import Outcome, sorted_outcomes

NAME = "metadata.jsonl"
FACE_FIELDS = ("yaw", "pitch", "roll", "score", "sharpness")


def write_metadata(out: Path) -> Path:
    """Write the input, its hash and the pose of every image of an output folder, from its ledger.

    Args:
        out: output folder of `align` or `batch`, for ``load_dataset("imagefolder", data_dir=out)``.

    Raises:
        ConfigError: it cannot be written.
    """
    rows = "".join(json.dumps(row) + "\n" for outcome in sorted_outcomes(out) for row in _rows(outcome))
    try:
        write_atomic(out / NAME, rows)
    except OSError as error:
        raise ConfigError(f"{out / NAME}: cannot be written ({error.strerror})") from error
    return out / NAME


def _rows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    faces = outcome.faces or [{}] * len(outcome.outputs)  # `batch --aligned` finds no faces
    for output, face in zip(outcome.outputs, faces, strict=False):
        numbers = {name: face.get(name) for name in FACE_FIELDS}  # the loader requires every column in every row
        yield {"file_name": output, "input": outcome.input, "sha256": outcome.sha256, **numbers}
