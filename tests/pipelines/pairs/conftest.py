"""A correct paired set."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.pairs.verification.verify_worker import FileInfo, FileInspector
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.files import encode_image
from toolkit.photos.resample import warp_crop
from toolkit.records.labels import write_labels
from toolkit.views.rotate import rotate_view

PEOPLE = ("ann", "ann-marie", "bea", "carl", "dora")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8], landmarker: Landmarker) -> Path:
    """Five people, two inputs each: one face, each time in another light, so that no two files are duplicates."""
    root = tmp_path_factory.mktemp("good")
    [crop] = align_photo(portrait, landmarker, AlignConfig(size=128))
    rows = []
    for number, person in enumerate(PEOPLE):
        for name, yaw in ((f"{person}.jpg", 0), (f"{person}/left.jpg", 44), (f"{person}/right.jpg", -44)):
            view = rotate_view(portrait, crop.face, yaw + 2 * number, number - 2, (60 * number - 120, 0.9))
            image = warp_crop(view.image, crop_matrix(view.landmarks, 128), 128)
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(encode_image(image, ".jpg"))
            role = "input" if "/" in name else "target"
            digest = inspect_with(root, None)(name).sha256
            rows.append({"file": name, "subject": person, "role": role, "yaw": yaw, "sha256": digest, "source": name})
    write_labels(root, rows)
    return root


def inspect_with(root: Path, landmarker: Landmarker | None) -> Callable[[str], FileInfo]:
    """Read files as a worker process does, with a landmarker that is loaded already."""
    inspector = FileInspector(root, faces=False, recognizer=None)
    inspector._landmarker = landmarker
    return inspector.inspect
