"""Files that are damaged, too large or no photos are refused with a reason."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tests.toolkit.photos.encoded import saved
from toolkit.errors import PhotoError, PhotoFailed, PhotoRejected
from toolkit.photos.decode import decode_photo, read_photo
from toolkit.photos.files import encode_image, list_photos


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


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.touch()
    os.truncate(path, 600 << 20)  # a hole: takes no room on disk
    with pytest.raises(PhotoRejected, match="^too-large: .* bytes, the limit is "):
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


def test_a_decoder_that_wants_too_much_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(PhotoFailed, match="^out-of-memory: "):
        decode_photo(saved(Image.new("RGB", (8, 8)), "PNG"))


def test_missing_files_are_unreadable(tmp_path: Path) -> None:
    with pytest.raises(PhotoFailed, match="^unreadable: No such file"):
        read_photo(tmp_path / "gone.jpg")


@pytest.mark.slow
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
