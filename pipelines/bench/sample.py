"""The photos that are measured."""

from pathlib import Path

from toolkit.errors import ConfigError
from toolkit.photos.files import list_photos
from toolkit.records.subjects import spread_over_subjects


def choose_photos(source: Path, count: int) -> list[Path]:
    """Return at most ``count`` photos of a folder, evenly spaced.

    Raises:
        ConfigError: the folder is missing or holds no photo.
    """
    if not source.is_dir():
        raise ConfigError(f"SRC {source}: no such folder; leave it out for drawn photos")
    found = list_photos(source)[0]
    if not found:
        raise ConfigError(f"SRC {source}: no photo in it; leave it out for drawn ones")
    return [(source / name).resolve() for name in spread_over_subjects(found, count)]


def link_photos(photos: list[Path], folder: Path, count: int) -> None:
    """Fill a folder with ``count`` links to photos, each of them as often as it takes."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        file = photos[number % len(photos)]
        link = folder / f"{number:06d}{file.suffix}"
        if not link.exists():
            link.symlink_to(file)
