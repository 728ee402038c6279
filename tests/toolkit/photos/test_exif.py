import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from toolkit.photos.decode import Photo
from toolkit.photos.files import encode_image


def camera_tags() -> Image.Exif:
    """What a phone held upright writes, the thumbnail apart."""
    tags = Image.Exif()
    tags[Base.Make] = "Box & Lens"
    tags[Base.Orientation] = 6
    tags[Base.ImageWidth] = 60
    tags[IFD.Exif] = {
        Base.DateTimeOriginal: "2024:05:01 12:00:00",
        Base.ExposureBiasValue: -0.5,
        Base.ColorSpace: 65535,
        Base.ExifImageWidth: 60,
        Base.ExifImageHeight: 40,
        Base.MakerNote: b"offsets",
        0x9214: (30, 20, 8, 8),
    }
    tags[IFD.GPSInfo] = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (48.0, 51.0, 29.5)}
    return tags


def with_thumbnail(block: bytes) -> bytes:
    """The same block with a second directory that holds a small JPEG, as cameras write it."""
    head = len(b"Exif\0\0")
    count = int.from_bytes(block[head + 8 : head + 10], "big")
    link = head + 10 + 12 * count
    at = len(block) - head
    small = encode_image(np.zeros((8, 8, 3), np.uint8), ".jpg")
    entries = [(Base.JpegIFOffset, at + 30), (Base.JpegIFByteCount, len(small))]
    second = (2).to_bytes(2, "big")
    for tag, value in entries:
        second += int(tag).to_bytes(2, "big") + b"\0\4" + (1).to_bytes(4, "big") + value.to_bytes(4, "big")
    return block[:link] + at.to_bytes(4, "big") + block[link + 4 :] + second + bytes(4) + small


def read(block: bytes) -> tuple[Image.Exif, dict[int, Any], dict[int, Any]]:
    tags = Image.Exif()
    tags.load(block)
    return tags, dict(tags.get_ifd(IFD.Exif)), dict(tags.get_ifd(IFD.GPSInfo))


def test_a_crop_keeps_what_still_holds(portrait: NDArray[np.uint8]) -> None:
    source = with_thumbnail(camera_tags().tobytes())
    assert read(source)[0].get_ifd(IFD.IFD1)[Base.JpegIFByteCount] > 100  # the drawn thumbnail is one
    block = Photo(encode_image(portrait[:40, :60], ".jpg", exif=source)).exif()
    assert block is not None
    tags, camera, place = read(block)
    assert dict(tags).keys() == {Base.Make, IFD.Exif, IFD.GPSInfo}
    assert tags[Base.Make] == "Box & Lens"
    assert camera == {
        Base.DateTimeOriginal: "2024:05:01 12:00:00",
        Base.ExposureBiasValue: -0.5,
        Base.ColorSpace: 1,
    }
    assert place == {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (48.0, 51.0, 29.5)}
    assert tags.get_ifd(IFD.IFD1) == {}
    assert len(block) < len(source) - 300


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_crop_with_its_photos_block_is_read_as_it_was_written(portrait: NDArray[np.uint8], suffix: str) -> None:
    block = Photo(encode_image(portrait[:40, :60], ".jpg", exif=camera_tags().tobytes())).exif()
    crop = Photo(encode_image(portrait[:32, :48], suffix, exif=block))
    assert crop.size == (48, 32)  # not turned a second time
    assert crop.exif() == block


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_blocks_of_other_forms_are_read(format: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40)).save(buffer, format, exif=camera_tags().tobytes())
    photo = Photo(buffer.getvalue())
    block = photo.exif()
    assert block is not None
    assert photo.size == (40, 60)
    tags, camera, _ = read(block)
    assert dict(tags).keys() == {Base.Make, IFD.Exif, IFD.GPSInfo}  # of a TIFF: no strips
    assert camera[Base.DateTimeOriginal] == "2024:05:01 12:00:00"


def only_lies() -> bytes:
    tags = Image.Exif()
    tags[Base.Orientation] = 3
    return tags.tobytes()


@pytest.mark.parametrize(
    "block",
    [None, only_lies(), b"Exif\0\0garbage", b"Exif\0\0", camera_tags().tobytes()[:30]],
    ids=["none", "orientation alone", "garbage", "empty", "cut"],
)
def test_nothing_to_keep_is_none_and_no_error(portrait: NDArray[np.uint8], block: bytes | None) -> None:
    photo = Photo(encode_image(portrait[:40, :60], ".jpg", exif=block))
    assert photo.exif() is None
    assert photo.pixels()[0].shape == (40, 60, 3)
