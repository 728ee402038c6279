import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from toolkit.errors import ConfigError
from toolkit.photos.decode import decode_photo
from toolkit.photos.files import encode_image, link_or_copy, list_photos, write_atomic


def test_listing_is_sorted_by_parts_and_counts_what_it_leaves_alone(tmp_path: Path) -> None:
    for name in ("b/1.jpg", "a.jpg", "a-b/2.JPG", "a/3.png", ".hidden/4.jpg", ".5.jpg", "notes.txt", "out/6.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    photos, others = list_photos(tmp_path, exclude=tmp_path / "out")
    assert photos == ["a/3.png", "a-b/2.JPG", "a.jpg", "b/1.jpg"]
    assert others == {".txt": 1}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_atomic(path, "old")

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_is_there_already_is_left_alone_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """As after a kill between the link and its row: renaming one link of a file to another removes neither."""
    file, target, other = tmp_path / "file", tmp_path / "target", tmp_path / "other"
    file.write_bytes(b"new")
    other.write_bytes(b"old")
    for _ in range(2):
        link_or_copy(file, target)
        link_or_copy(file, other)
    assert target.samefile(file) and other.samefile(file)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "target", "other"}
    target.unlink()
    target.symlink_to(file)
    link_or_copy(file, target)
    assert not target.is_symlink() and target.read_bytes() == b"new"


@pytest.mark.parametrize(("suffix", "tolerance"), [(".png", 0), (".jpg", 12), (".webp", 24)])
def test_written_images_read_back(portrait: NDArray[np.uint8], suffix: str, tolerance: int) -> None:
    crop = portrait[60:188, 160:288]
    back = decode_photo(encode_image(crop, suffix, 95))
    assert np.abs(back.astype(int) - crop).mean() <= tolerance / 4
    assert np.abs(back.astype(int) - crop).max() <= tolerance * 4


def test_other_suffixes_are_refused() -> None:
    with pytest.raises(ConfigError, match="choose one of .jpg, .png, .webp"):
        encode_image(np.zeros((4, 4, 3), np.uint8), ".gif")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_an_exif_block_is_written_and_read_back(portrait: NDArray[np.uint8], suffix: str) -> None:
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "Box & Lens"
    with Image.open(io.BytesIO(encode_image(portrait[:40, :60], suffix, exif=tags.tobytes()))) as image:
        assert dict(image.getexif()) == {ExifTags.Base.Make: "Box & Lens"}
        image.load()
        assert image.size == (60, 40)


@pytest.mark.parametrize(("length", "kept"), [(65_533, True), (65_534, False)])
def test_an_exif_block_too_long_for_a_jpeg_is_left_out(length: int, kept: bool) -> None:
    block = b"Exif\0\0" + bytes(length - 6)
    data = encode_image(np.zeros((8, 8, 3), np.uint8), ".jpg", exif=block)
    assert (Image.open(io.BytesIO(data)).info.get("exif") == block) is kept
    assert decode_photo(data).shape == (8, 8, 3)
