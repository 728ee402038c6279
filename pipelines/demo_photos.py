"""The demo's raw material: many "photos" of one public-domain portrait, as messy as a real folder."""

import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toolkit.errors import ConfigError
from toolkit.landmarks.finder import open_landmarker
from toolkit.photos.files import encode_image, write_atomic
from toolkit.views.rotate import RotatableHead

PERSON = "collins"  # Eileen Collins, NASA; public domain; travels in scikit-image's wheel
PHOTOS = 32
SIDEWAYS = 6  # the EXIF orientation of a phone held upright


def draw_photos(folder: Path, seed: int = 0, faceless: bool = True) -> None:
    """Write the photos: one as it is, the others with the head turned, lit and cropped at random; and one with no face.

    Args:
        folder: gets a subject's folder.
        seed: the same one gives the same files.
        faceless: whether to write the one with no face.

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
        photo = _another(turned, generator)
        if number == SIDEWAYS:
            write_atomic(subject / f"photo-{number:02d}.jpg", _sideways(photo))
        else:
            suffix = (".jpg", ".png", ".webp")[number % 3]
            write_atomic(subject / f"photo-{number:02d}{suffix}", encode_image(photo, suffix, 90))
    if faceless:
        write_atomic(subject / "coffee.jpg", encode_image(coffee, ".jpg"))


def _portrait() -> NDArray[np.uint8]:
    try:
        from skimage import data
    except ImportError as error:
        raise ConfigError("the demo needs scikit-image; `pip install frontalize[demo]`") from error
    return np.asarray(data.astronaut(), np.uint8)[:400]


def _coffee() -> NDArray[np.uint8]:
    from skimage import data

    return np.asarray(data.coffee(), np.uint8)


def _another(portrait: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """The portrait from another stand, in another light."""
    side = int(generator.integers(320, 640))
    face = np.array([225.0, 115.0])  # where hers is, px
    half = generator.uniform(95, 150)
    lean = generator.uniform(-0.08, 0.08)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    angle = np.radians(generator.uniform(-25, 25))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = (corners + generator.uniform(-20, 20, 2)) @ turn.T + face
    tilt = np.array([[0, lean], [1, -lean], [1, 1 + lean], [0, 1 - lean]])
    target = tilt * side
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    warped = cv2.warpPerspective(portrait, matrix, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return _relit(np.asarray(warped, np.uint8), generator)


def _relit(photo: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Brightness, a lamp from one side, a colour cast."""
    across = np.linspace(-1, 1, photo.shape[1])[None, :, None]
    down = np.linspace(-1, 1, photo.shape[0])[:, None, None]
    direction = generator.uniform(-0.35, 0.35, 2)
    light = generator.uniform(0.65, 1.25) * (1 + across * direction[0] + down * direction[1])
    cast = generator.uniform(0.95, 1.05, 3)
    return np.asarray(np.clip(photo * light * cast, 0, 255), np.uint8)


def _sideways(photo: NDArray[np.uint8]) -> bytes:
    """A JPEG stored lying on its side, with the EXIF tag that says so."""
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    buffer = io.BytesIO()
    Image.fromarray(np.rot90(photo)).save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()
