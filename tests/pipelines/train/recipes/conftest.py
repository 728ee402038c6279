"""A paired set for the recipes."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import Run
from toolkit.photos.files import encode_image
from toolkit.records.labels import write_labels
from toolkit.records.subjects import mask_of, unmirrored_of


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8], run: Run) -> Path:
    """Three people in a few poses, lamps and traits, divided."""
    root = tmp_path_factory.mktemp("set")
    rows = []
    for number, person in enumerate(("ann", "bea", "cid")):
        face = np.ascontiguousarray(np.roll(portrait[50:178, 160:288], number, axis=2)[:, :: -1 if number else 1])
        (root / person).mkdir()
        for name, yaw, shift in ((f"{person}.jpg", 0, 0), *((f"{person}/{yaw}.jpg", yaw, yaw) for yaw in (-30, 0, 45))):
            (root / name).write_bytes(encode_image(np.roll(face, shift // 3, axis=1), ".jpg"))
            if "/" in name:
                (root / mask_of(name)).write_bytes(encode_image(face[:, :, 0], ".png"))
                (root / unmirrored_of(name)).write_bytes(encode_image(face, ".jpg"))
            row = {"file": name, "subject": person, "role": "input" if "/" in name else "target", "yaw": yaw}
            lamp = {"light": 10 * number, "light_strength": 0.5} if yaw else {}
            rows.append(row | lamp | {"attr_Male": number % 2, "attr_Smiling": 1})
    write_labels(root, rows)
    assert run("pairs", "split", root, "--val", "1").exit_code == 0
    return root
