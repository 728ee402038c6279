"""Photos for the demo: variations of one public-domain portrait, as heterogeneous as a real folder."""

import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.extras import require_extra
from toolkit.landmarks.finder import open_landmarker
from toolkit.photos.files import encode_image, write_atomic
from toolkit.views.rotate import RotatableHead

PERSON = "collins"  # Eileen Collins, NASA; public domain; in scikit-image's wheel
PHOTOS = 32
ROTATED = 6  # EXIF orientation of a phone held upright; also the number of the photo that has it


def draw_photos(folder: Path, seed: int = 0, faceless: bool = True) -> None:
    """Write the portrait, variations of it with random pose, light and crop, and one photo without a face.

    Args:
        folder: in which the folder of the subject is created.
        seed: of the random numbers; the same seed gives the same files.
        faceless: write the photo without a face.

    Raises:
        ConfigError: scikit-image is not installed.
    """
    portrait, coffee = _portrait(), _coffee()
    generator = np.random.default_rng(seed)
    head = RotatableHead(portrait, open_landmarker().find(portrait)[0])
    subject = folder / PERSON
    write_atomic(subject / "portrait.png", encode_image(portrait, ".png"))
    for number in range(1, PHOTOS):
        turned = head.view(generator.uniform(-50, 50), generator.uniform(-8, 8)).image
        photo = _warp(turned, generator)
        if number == ROTATED:
            write_atomic(subject / f"photo-{number:02d}.jpg", _encode_rotated(photo))
        else:
            suffix = (".jpg", ".png", ".webp")[number % 3]
            write_atomic(subject / f"photo-{number:02d}{suffix}", encode_image(photo, suffix, 90))
    if faceless:
        write_atomic(subject / "coffee.jpg", encode_image(coffee, ".jpg"))


def _portrait() -> NDArray[np.uint8]:
    require_extra("demo", "the portrait", "skimage")
    from skimage import data

    return np.asarray(data.astronaut(), np.uint8)[:400]


def _coffee() -> NDArray[np.uint8]:
    from skimage import data

    return np.asarray(data.coffee(), np.uint8)


def _warp(portrait: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Crop the portrait with a random size, rotation and perspective, and change its light."""
    side = int(generator.integers(320, 640))
    face = np.array([225.0, 115.0])  # position in the portrait, pixels
    half = generator.uniform(95, 150)
    lean = generator.uniform(-0.08, 0.08)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    angle = np.radians(generator.uniform(-25, 25))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = (corners + generator.uniform(-20, 20, 2)) @ rotation.T + face
    target = np.array([[0, lean], [1, -lean], [1, 1 + lean], [0, 1 - lean]]) * side
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    warped = cv2.warpPerspective(portrait, matrix, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return _change_light(np.asarray(warped, np.uint8), generator)


def _change_light(photo: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Apply a random brightness, a gradient of light, and a color cast."""
    across = np.linspace(-1, 1, photo.shape[1])[None, :, None]
    down = np.linspace(-1, 1, photo.shape[0])[:, None, None]
    direction = generator.uniform(-0.35, 0.35, 2)
    light = generator.uniform(0.65, 1.25) * (1 + across * direction[0] + down * direction[1])
    cast = generator.uniform(0.95, 1.05, 3)
    return np.asarray(np.clip(photo * light * cast, 0, 255), np.uint8)


def _encode_rotated(photo: NDArray[np.uint8]) -> bytes:
    """Encode a JPEG whose pixels are rotated by 90 degrees, with the EXIF orientation that corrects it."""
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    buffer = io.BytesIO()
    Image.fromarray(np.rot90(photo)).save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()
