"""Photos decoded at an eighth to a half of their size."""

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image

from tests.toolkit.photos.encoded import saved
from toolkit.errors import PhotoFailed
from toolkit.photos.decode import Photo, decode_photo
from toolkit.photos.files import encode_image


def waves(width: int, height: int) -> Image.Image:
    """Red goes up and down from left to right, green from top to bottom, once in 57 pixels."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[..., 0] = 128 + 90 * np.sin(np.arange(width) / 9)
    image[..., 1] = 128 + 90 * np.sin(np.arange(height)[:, None] / 9)
    return Image.fromarray(image)


def lying(image: Image.Image, orientation: int, **options: object) -> bytes:
    """A JPEG that is stored like this image and says how to turn it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return saved(image, "JPEG", quality=100, subsampling=0, exif=exif, **options)


@pytest.mark.parametrize("scale", [1 / 8, 1 / 4, 1 / 2])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size_wh", [(320, 240), (203, 149), (101, 78), (92, 132)], ids=str)
def test_reduced_pixels_lie_where_the_scale_says(size_wh: tuple[int, int], orientation: int, scale: float) -> None:
    photo = Photo(lying(waves(*size_wh), orientation))
    reduced, true_scale = photo.pixels(scale)
    full, one = photo.pixels()
    assert one == 1 and scale <= true_scale <= 1
    assert reduced.shape[:2] == tuple(np.ceil(np.multiply(full.shape[:2], true_scale)))
    assert photo.size == full.shape[1::-1]

    rows, columns = np.indices(reduced.shape[:2], np.float32)
    x, y = (np.asarray((axis + 0.5) / true_scale - 0.5, np.float32) for axis in (columns, rows))
    rim = slice(1, -1)  # the encoder fills its last blocks up
    off = (reduced - cv2.remap(full.astype(np.float32), x, y, cv2.INTER_LINEAR))[rim, rim]
    for axis in (0, 1):
        slope = cv2.remap(np.gradient(full.astype(np.float32), axis=axis), x, y, cv2.INTER_LINEAR)[rim, rim]
        shift = (off * slope).sum() / (slope**2).sum()  # pixels of the full photo: Lucas & Kanade, IJCAI 1981
        assert abs(shift) < 0.1


@pytest.mark.parametrize(
    ("size_wh", "orientation", "expected"),
    [
        ((101, 77), 1, 1 / 8),  # a rest at the right and lower edge is no harm
        ((101, 77), 5, 1 / 8),
        ((104, 77), 2, 1 / 8),
        ((104, 76), 3, 1 / 4),
        ((101, 78), 6, 1 / 2),
        ((101, 77), 6, 1.0),
        ((77, 101), 8, 1.0),
        ((7, 60), 1, 1.0),
    ],
)
def test_an_axis_that_is_turned_round_is_never_cut_into_a_rest(
    size_wh: tuple[int, int], orientation: int, expected: float
) -> None:
    assert Photo(lying(waves(*size_wh), orientation)).pixels(0.01)[1] == expected


@pytest.mark.parametrize(("wanted", "given"), [(0.0, 1 / 8), (0.126, 1 / 4), (0.3, 1 / 2), (0.51, 1.0), (7.0, 1.0)])
def test_a_photo_is_never_coarser_than_wanted(portrait: NDArray[np.uint8], wanted: float, given: float) -> None:
    pixels, scale = Photo(encode_image(portrait, ".jpg")).pixels(wanted)
    assert scale == given
    assert pixels.shape == (512 * given, 512 * given, 3)


def test_a_reduced_portrait_is_the_mean_of_its_blocks(portrait: NDArray[np.uint8]) -> None:
    photo = Photo(encode_image(portrait, ".jpg"))
    blocks = cv2.resize(photo.pixels()[0], (64, 64), interpolation=cv2.INTER_AREA).astype(int)
    reduced, scale = Photo(encode_image(portrait, ".jpg")).pixels(1 / 8)
    assert scale == 1 / 8
    assert np.abs(reduced - blocks).mean() < 1


def test_real_photos_reduce_as_they_should(shared: Path) -> None:
    paths = sorted((shared / "portraits").glob("*.jpg"))[:20]
    assert len(paths) == 20
    for path in paths:
        photo = Photo(path.read_bytes())
        reduced, scale = photo.pixels(1 / 4)
        whole = photo.pixels()[0]
        height, width = (4 * (side // 4) for side in whole.shape[:2])
        blocks = cv2.resize(whole[:height, :width], (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        assert scale == 1 / 4
        assert np.abs(reduced[: height // 4, : width // 4].astype(int) - blocks).mean() < 2


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_odd_jpegs_come_whole(mode: str) -> None:
    pixels, scale = Photo(saved(Image.new(mode, (64, 32)), "JPEG")).pixels(1 / 8)
    assert (pixels.shape, scale) == ((32, 64, 3), 1.0)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_other_forms_come_whole(format: str) -> None:
    photo = Photo(saved(Image.new("RGB", (64, 32)), format))
    assert photo.size == (64, 32)
    assert photo.pixels(1 / 8)[1] == 1.0


def test_a_photo_with_more_behind_it_is_reduced_too(portrait: NDArray[np.uint8]) -> None:
    data = saved(Image.fromarray(portrait), "MPO", save_all=True, append_images=[Image.new("RGB", (512, 512))])
    photo = Photo(data)
    assert photo.pixels(1 / 8)[1] == 1 / 8
    np.testing.assert_array_equal(photo.pixels()[0], np.asarray(Image.open(io.BytesIO(data))))


def test_a_cut_jpeg_is_unreadable_at_every_scale(portrait: NDArray[np.uint8]) -> None:
    photo = Photo(encode_image(portrait, ".jpg")[:20_000])
    assert photo.size == (512, 512)
    for scale in (1 / 8, 1.0):
        with pytest.raises(PhotoFailed, match="^unreadable: "):
            photo.pixels(scale)


def test_a_jpeg_that_only_pillow_forgives_comes_whole_and_says_so(portrait: NDArray[np.uint8]) -> None:
    data = encode_image(portrait, ".jpg")
    photo = Photo(data[:-2] + b"litter" + data[-2:])
    assert photo.pixels(1 / 8)[1] == 1.0
    np.testing.assert_array_equal(photo.pixels()[0], decode_photo(data))


def test_a_decoder_that_does_not_reduce_is_found_out(
    portrait: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = simplejpeg.decode_jpeg
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda data, **_: real(data))
    pixels, scale = Photo(encode_image(portrait, ".jpg")).pixels(1 / 8)
    assert (pixels.shape, scale) == ((512, 512, 3), 1.0)


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The heights that were asked of libjpeg."""
    heights: list[int] = []
    real = simplejpeg.decode_jpeg

    def decode(data: bytes, min_height: int, **options: object) -> NDArray[np.uint8]:
        heights.append(min_height)
        return np.asarray(real(data, min_height=min_height, **options))

    monkeypatch.setattr(simplejpeg, "decode_jpeg", decode)
    return iter([heights])


def test_only_a_finer_scale_is_decoded_again(portrait: NDArray[np.uint8], decodes: Iterator[list[int]]) -> None:
    heights = next(decodes)
    photo = Photo(encode_image(portrait, ".jpg"))
    assert photo.size == (512, 512)
    assert heights == []
    scales = [photo.pixels(scale)[1] for scale in (1 / 4, 1 / 4, 1 / 8, 1 / 2, 1 / 8, 1.0, 1 / 2)]
    assert scales == [1 / 4, 1 / 4, 1 / 4, 1 / 2, 1 / 2, 1.0, 1.0]
    assert heights == [128, 256, 512]
