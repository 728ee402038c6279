"""A paired set for the loaders."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from toolkit.photos.files import encode_image
from toolkit.records.labels import write_labels


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8]) -> Path:
    """Five people of different sizes, colors and formats, three inputs each; one lies on its side by EXIF."""
    root = tmp_path_factory.mktemp("set")
    rows = []
    for place, size in enumerate((128, 160, 256, 96, 200)):
        left = 120 + 10 * place
        face = np.roll(portrait[40 : 40 + size, left : left + size], place, axis=2)
        (root / f"{place:03d}").mkdir()
        (root / f"{place:03d}.jpg").write_bytes(encode_image(face, ".jpg"))
        for number in range(3):
            suffix = {3: ".webp", 4: ".png"}.get(place, ".jpg")
            image = np.ascontiguousarray(face // (number + 1))
            data = sideways(image) if (place, number) == (1, 1) else encode_image(image, suffix)
            (root / f"{place:03d}" / f"{number}{suffix}").write_bytes(data)
            row = {"file": f"{place:03d}/{number}{suffix}", "subject": f"{place:03d}", "role": "input"}
            lamp = {} if number == 2 else {"light": 30 * place - 60, "light_strength": 0.5}
            rows.append({**row, "yaw": 15 * number - 20, "attr_smile": place % 2, "attr_beard": 1, **lamp})
    write_labels(root, rows)
    return root


def sideways(image: NDArray[np.uint8]) -> bytes:
    """A JPEG stored turned, with the EXIF tag that says so."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(image)).save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()
