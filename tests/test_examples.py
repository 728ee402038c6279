"""What the README tells people to run is run here."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.images import encode_image
from toolkit.photos import read_photo

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str, *words: object) -> str:
    command = [sys.executable, str(EXAMPLES / name), *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_one_photo_is_aligned(tmp_path: Path, photos: Path) -> None:
    assert "degrees" in example("align_one_photo.py", photos / "ann" / "0.jpg", tmp_path / "crop.png")
    assert read_photo(tmp_path / "crop.png").shape == (256, 256, 3)


def test_the_crop_is_drawn(tmp_path: Path) -> None:
    example("draw_crop.py", tmp_path / "drawn.png")
    drawn = read_photo(tmp_path / "drawn.png").astype(int)
    assert ((drawn[..., 0] - drawn[..., 1]) > 150).sum() > 500  # the red lines are there


def test_the_align_benchmark_measures_both(photos: Path) -> None:
    assert "align runs at" in example("bench_align.py", photos / "ann", "--rounds", 1)


@pytest.mark.parametrize("count", [3])
def test_the_loader_benchmark_measures_all_three(tmp_path: Path, portrait: NDArray[np.uint8], count: int) -> None:
    (tmp_path / "a").mkdir()
    small = np.ascontiguousarray(portrait[100:132, 200:232])
    for path in (tmp_path / "a.jpg", *(tmp_path / "a" / f"{number}.jpg" for number in range(count))):
        path.write_bytes(encode_image(small, ".jpg"))
    assert "times PIL" in example("bench_loader.py", tmp_path, 1)
