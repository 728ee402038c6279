import io
import sys
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, features

from tests.icc import P3, RED_IN_P3, linear_grey_profile, rgb_profile
from tests.toolkit.photos.encoded import saved
from toolkit.errors import PhotoFailed
from toolkit.photos.decode import Photo, decode_photo
from toolkit.photos.files import encode_image

Tag = ExifTags.Base


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_read_upright(orientation: int, format: str) -> None:
    stored = Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 9, 3), np.uint8)).resize((90, 60))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(stored, format, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    np.testing.assert_array_equal(decode_photo(data), np.asarray(upright))


def test_the_orientation_may_stand_in_xmp() -> None:
    data = saved(Image.new("RGB", (60, 40)), "JPEG", xmp=b'<x:xmpmeta tiff:Orientation="6"/>')
    assert Photo(data).size == (40, 60)
    assert decode_photo(data).shape == (60, 40, 3)


@pytest.mark.parametrize("entry", [b"\0\2\0\0\0\2x\0\0\0", b"\0\3\0\0\0\1\0\x09\0\0"], ids=["text", "nine"])
def test_an_orientation_that_is_none_turns_nothing(entry: bytes) -> None:
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12" + entry + bytes(4)
    photo = Photo(encode_image(np.zeros((40, 60, 3), np.uint8), ".jpg", exif=block))
    assert photo.size == (60, 40)
    assert photo.pixels()[0].shape == (40, 60, 3)


def test_jpegs_decode_to_the_pixels_that_pillow_gives(portrait: NDArray[np.uint8]) -> None:
    data = encode_image(portrait, ".jpg", 80)
    np.testing.assert_array_equal(decode_photo(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("LA", (8, 8), (0, 255)), (0, 0, 0)),
        (Image.new("L", (8, 8), 77), (77, 77, 77)),
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
        (Image.new("P", (8, 8), 0), (0, 0, 0)),
        (Image.fromarray(np.full((8, 8), 32896, np.uint16)), (128, 128, 128)),
    ],
    ids=["transparent is white", "opaque grey with alpha", "grey", "black and white", "palette", "16 bits"],
)
def test_every_mode_becomes_rgb(image: Image.Image, expected: tuple[int, int, int]) -> None:
    photo = decode_photo(saved(image, "PNG"))
    assert photo.shape == (8, 8, 3)
    assert tuple(photo[0, 0]) == expected


def test_cmyk_is_read_as_its_colours() -> None:
    photo = decode_photo(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    assert photo[0, 0, 0] > 200 and photo[0, 0, 1] < 60


def test_a_large_photo_in_strips_is_the_photo(portrait: NDArray[np.uint8]) -> None:
    tall = np.ascontiguousarray(np.tile(portrait, (2, 1, 1))[:1000])
    assert np.array_equal(decode_photo(encode_image(tall, ".png")), tall)


def test_only_the_first_frame_is_decoded() -> None:
    frames = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (200, 100, 0)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:] * 500)
    assert decode_photo(data)[0, 0, 0] == 200


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("scale", [1 / 8, 1.0])
def test_wide_colours_become_srgb(format: str, scale: float) -> None:
    exact: dict[str, dict[str, object]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    image, options = Image.new("RGB", (64, 64), RED_IN_P3), exact.get(format, {})
    bare, wide = (saved(image, format, icc_profile=profile, **options) for profile in (None, rgb_profile(P3)))
    np.testing.assert_allclose(Photo(bare).pixels(scale)[0][4, 4], RED_IN_P3, atol=2)
    np.testing.assert_allclose(Photo(wide).pixels(scale)[0][4, 4], (255, 0, 0), atol=3)


def test_wide_colours_under_glass_become_srgb_before_the_white_shines_through() -> None:
    data = saved(Image.new("RGBA", (8, 8), (*RED_IN_P3, 128)), "PNG", icc_profile=rgb_profile(P3))
    np.testing.assert_allclose(decode_photo(data)[0, 0], (255, 127, 127), atol=2)


def test_a_grey_with_alpha_takes_its_profile_too() -> None:
    data = saved(Image.new("LA", (8, 8), (128, 255)), "PNG", icc_profile=linear_grey_profile())
    np.testing.assert_allclose(decode_photo(data)[0, 0], (188, 188, 188), atol=1)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_damaged_profile_leaves_the_pixels_alone(portrait: NDArray[np.uint8], format: str) -> None:
    image = Image.fromarray(portrait[:64, :64])
    plain, damaged = (saved(image, format, icc_profile=profile) for profile in (None, rgb_profile(P3)[:200]))
    assert plain != damaged
    np.testing.assert_array_equal(decode_photo(damaged), decode_photo(plain))


def test_one_colour_can_be_the_transparent_one() -> None:
    image = Image.new("RGB", (8, 8), (0, 255, 52))
    image.putpixel((1, 0), (9, 9, 9))
    photo = decode_photo(saved(image, "PNG", transparency=(0, 255, 52)))
    assert photo[0, :2].tolist() == [[255, 255, 255], [9, 9, 9]]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow cannot read AVIF")
def test_avif_is_read_upright(portrait: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[Tag.Orientation] = 6
    photo = Photo(saved(Image.fromarray(portrait[:64, :96]), "AVIF", quality=95, exif=exif))
    assert photo.size == (64, 96)
    assert np.abs(np.rot90(photo.pixels()[0]).astype(int) - portrait[:64, :96]).mean() < 4


HEIC = b"\0\0\0\x1cftypheic" + bytes(40)


def test_heic_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoFailed, match="^unreadable: .*pip install pillow-heif"):
        Photo(HEIC)


def test_heic_is_left_to_its_package_where_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    package = ModuleType("pillow_heif")
    package.register_heif_opener = lambda: calls.append("registered")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    decode_photo(saved(Image.new("RGB", (8, 8)), "PNG"))
    assert not calls
    with pytest.raises(PhotoFailed, match="^not-an-image"):
        Photo(HEIC)
    assert calls == ["registered"]


def test_heic_is_read(portrait: NDArray[np.uint8]) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(portrait)).save(buffer, quality=95)
    photo = Photo(buffer.getvalue())
    assert photo.size == (512, 512)
    assert np.abs(photo.pixels()[0].astype(int) - portrait).mean() < 4
