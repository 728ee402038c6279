import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from toolkit.errors import ConfigError, PhotoError, PhotoFailed, PhotoRejected
from toolkit.images import decode_photo, encode_image, list_photos, read_photo, write_whole


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)  # type: ignore[arg-type]
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
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(PhotoRejected, match="^too-large: more than 200 pixels"):
        decode_photo(saved(Image.new("RGB", (30, 30)), "PNG"))


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


def test_listing_is_sorted_by_parts_and_counts_what_it_leaves_alone(tmp_path: Path) -> None:
    for name in ("b/1.jpg", "a.jpg", "a-b/2.JPG", "a/3.png", ".hidden/4.jpg", ".5.jpg", "notes.txt", "out/6.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    photos, others = list_photos(tmp_path, leave_out=tmp_path / "out")
    assert photos == ["a/3.png", "a-b/2.JPG", "a.jpg", "b/1.jpg"]
    assert others == {".txt": 1}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_whole(path, "old")

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("suffix", "tolerance"), [(".png", 0), (".jpg", 12), (".webp", 24)])
def test_written_images_read_back(portrait: NDArray[np.uint8], suffix: str, tolerance: int) -> None:
    crop = portrait[60:188, 160:288]
    back = decode_photo(encode_image(crop, suffix, 95))
    assert np.abs(back.astype(int) - crop).mean() <= tolerance / 4
    assert np.abs(back.astype(int) - crop).max() <= tolerance * 4


def test_other_suffixes_are_refused() -> None:
    with pytest.raises(ConfigError, match="choose one of .jpg, .png, .webp"):
        encode_image(np.zeros((4, 4, 3), np.uint8), ".gif")
