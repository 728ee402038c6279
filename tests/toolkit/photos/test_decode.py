import io
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, features

from tests.icc import P3, RED_IN_P3, linear_grey_profile, rgb_profile
from toolkit.errors import PhotoError, PhotoFailed, PhotoRejected
from toolkit.photos.decode import Photo, decode_photo, read_photo
from toolkit.photos.files import encode_image, list_photos

Tag = ExifTags.Base


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


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


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-an-image"),
        (b"hello", "not-an-image"),
        (b"\xff\xd8\xff", "not-an-image"),
        (b"\x89PNG\r\n\x1a\n", "not-an-image"),
    ],
)
def test_what_is_no_image_is_named_so(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    with pytest.raises(PhotoFailed) as caught:
        read_photo(path)
    assert caught.value.code == code


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.02, 0.98), flip=st.integers(0, 10_000), suffix=st.sampled_from([".jpg", ".png", ".webp"]))
def test_damaged_photos_are_read_or_named_but_never_crash(share: float, flip: int, suffix: str) -> None:
    whole = encode_image(np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8), suffix)
    for data in (whole[: int(len(whole) * share)], whole[: flip % len(whole)] + b"\0" + whole[flip % len(whole) + 1 :]):
        try:
            assert decode_photo(data).shape[2] == 3
        except PhotoError as error:
            assert error.code in ("unreadable", "not-an-image", "too-large")


def test_a_cut_jpeg_is_unreadable(portrait: NDArray[np.uint8]) -> None:
    with pytest.raises(PhotoFailed, match="^unreadable: "):
        decode_photo(encode_image(portrait, ".jpg")[:20_000])


def test_a_bomb_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # whatever a library sets
    huge = b"P5 200000 200000 255\n" + bytes(100)
    with pytest.raises(PhotoRejected, match="^too-large: more than 178,956,970 pixels"):
        decode_photo(huge)


def run_length_bitmap(side: int) -> bytes:
    """A few bytes for every row: one pixel, then the end of the line, which the decoder fills one by one."""
    body, palette = b"\x01\x05\x00\x00" * side, bytes(1024)
    start = 54 + len(palette)
    head = struct.pack("<IHHI", start + len(body), 0, 0, start)
    return b"BM" + head + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 0, 0, 0, 0) + palette + body


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (run_length_bitmap(64), run_length_bitmap(4096)),
        (b"P3 2 2 255\n" + b"9 " * 12, b"P3 4096 4096 255\n" + b"9 " * 12),
        (b"P6 2 2 999\n" + bytes(24), b"P6 4096 4096 999\n" + bytes(24)),
    ],
    ids=["run-length bitmap", "letters", "odd depth"],
)
def test_forms_that_take_a_second_for_a_million_samples_are_bounded(small: bytes, large: bytes) -> None:
    assert decode_photo(small).shape[2] == 3
    with pytest.raises(PhotoRejected, match="^too-large: .* samples .* convert it to PNG first"):
        decode_photo(large)


def test_a_large_photo_in_strips_is_the_photo(portrait: NDArray[np.uint8]) -> None:
    tall = np.ascontiguousarray(np.tile(portrait, (2, 1, 1))[:1000])
    assert np.array_equal(decode_photo(encode_image(tall, ".png")), tall)


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.touch()
    os.truncate(path, 600 << 20)  # a hole: takes no room on disk
    with pytest.raises(PhotoRejected, match="^too-large: .* bytes, the bound is "):
        read_photo(path)


def test_pipes_devices_and_folders_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "endless.jpg").symlink_to("/dev/zero")
    for name in ("pipe.jpg", "folder.jpg", "endless.jpg"):
        with pytest.raises(PhotoFailed, match="^unreadable: "):
            read_photo(tmp_path / name)


def test_a_photo_that_only_another_program_could_draw_is_no_image(tmp_path: Path) -> None:
    script = tmp_path / "ran"
    eps = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n({script}) (w) file\nshowpage\n%%EOF\n"
    with pytest.raises(PhotoFailed, match="^not-an-image"):
        decode_photo(eps.encode())


def test_only_the_first_frame_is_decoded() -> None:
    frames = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (200, 100, 0)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:] * 500)
    assert decode_photo(data)[0, 0, 0] == 200


def test_a_decoder_that_wants_too_much_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(PhotoFailed, match="^out-of-memory: "):
        decode_photo(saved(Image.new("RGB", (8, 8)), "PNG"))


def test_missing_files_are_unreadable(tmp_path: Path) -> None:
    with pytest.raises(PhotoFailed, match="^unreadable: No such file"):
        read_photo(tmp_path / "gone.jpg")


def test_hostile_files_never_crash(shared: Path) -> None:
    files, others = list_photos(shared / "hostile")
    assert len(files) == 792
    assert not others
    read = 0
    for file in files:
        try:
            photo = read_photo(shared / "hostile" / file)
        except PhotoError as error:
            assert error.code in ("unreadable", "not-an-image", "too-large")
        else:
            read += 1
            assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3 and photo.flags.c_contiguous
    assert read > 700


def waves(width: int, height: int) -> Image.Image:
    """Red goes up and down from left to right, green from top to bottom, once in 57 pixels."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[..., 0] = 128 + 90 * np.sin(np.arange(width) / 9)
    image[..., 1] = 128 + 90 * np.sin(np.arange(height)[:, None] / 9)
    return Image.fromarray(image)


def lying(image: Image.Image, orientation: int, **options: object) -> bytes:
    """A JPEG that is stored like this image and says how to turn it."""
    exif = Image.Exif()
    exif[Tag.Orientation] = orientation
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
    x, y = ((axis + 0.5) / true_scale - 0.5 for axis in (columns, rows))
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
    for path in sorted((shared / "portraits").glob("*.jpg"))[:20]:
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
