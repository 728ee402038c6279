"""Distances of landmarks, on a portrait that is shifted by known amounts."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.evaluate.face_networks import FaceNetworks
from tests.conftest import Run
from tests.pipelines.evaluate.sets import evaluated
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image


def shifted(image: Image, pixels: int) -> Image:
    return np.asarray(np.roll(image, pixels, axis=1), np.uint8)


@pytest.fixture(scope="module")
def crop(portrait: Image, landmarker: Landmarker) -> Image:
    [crop] = align_photo(portrait, landmarker, AlignConfig(size=256))
    return crop.image


@pytest.fixture
def moved(tmp_path: Path, crop: Image) -> Path:
    """The face itself, moved by 8 of 256 pixels, and a wall; another target is a wall."""
    wall = np.full_like(crop, 90)
    inputs = {"ann/same": crop, "ann/moved": shifted(crop, 8), "ann/wall": wall, "wall/face": crop}
    for name, image in {"ann": crop, "wall": wall, **inputs}.items():
        path = tmp_path / "set" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(image, ".png"))
    return tmp_path / "set"


def test_distances_are_in_pixels_at_a_side_of_128(moved: Path) -> None:
    for size, tolerance in ((None, 0.2), (128, 0.4)):
        document = evaluated(moved, "raw", landmarks=True, size=size)
        [raw] = document["models"]
        assert document["landmarks"]
        distances = {row["input"]: row["landmark_distance"] for row in raw["best"] + raw["worst"]}
        assert distances["ann/same.png"] == 0
        assert distances["ann/moved.png"] == pytest.approx(4, abs=tolerance)
        assert distances["ann/wall.png"] is distances["wall/face.png"] is None
        assert raw["landmark_distance"] == pytest.approx(distances["ann/moved.png"] / 2)
        assert (raw["missing"], raw["not_found"]) == (0, 2)


def test_landmarks_are_in_table_page_and_json(moved: Path, run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = run("evaluate", moved, page, "--model", "raw", "--model", "geometric", "--landmarks", "--json")
    assert result.exit_code == 0, result.stderr
    raw, geometric = json.loads(result.stdout)["models"]
    assert (geometric["missing"], geometric["not_found"]) == (1, 1)  # no view of the wall; the target without a face
    assert geometric["landmark_distance"] < 3
    assert "landmarks  not found" in result.stderr
    assert f"landmarks {raw['best'][0]['landmark_distance']:.2f}" in page.read_text()
    assert "<th>landmarks</th><th>not found</th>" in page.read_text()
    assert "landmark_distance" not in evaluated(moved, "raw")["models"][0]


def test_every_face_keeps_its_place_on_several_threads(crop: Image) -> None:
    shifts = [0, 12, -12, 24, -24]
    with FaceNetworks(None, landmarks=True, threads=2) as networks:
        points = networks.find_points([shifted(crop, shift) for shift in shifts])
        assert networks.find_points([]) == []
    middles = [found[:, 0].mean() for found in points if found is not None]
    assert np.subtract(middles, middles[0]) == pytest.approx([shift / 2 for shift in shifts], abs=0.6)
