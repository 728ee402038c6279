"""Morphs of two real faces: whose landmarks, whose colors, and nothing folded."""

from dataclasses import astuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.faces import frontal_faces
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.faces.morph import Morph, Shares, draw_shares, warp_map
from toolkit.geometry.mesh_topology import MOUTH_LEFT, MOUTH_RIGHT, SKIN
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.types import Image

SIZE = 128  # px
BORDER = 40  # px around a crop in which a face is searched
ALL, NOTHING = Shares(1, 1, 1, 1), Shares(0, 0, 0, 0)
EYES, MOUTH, MIDDLE = (slice(14, 32), slice(24, 104)), (slice(78, 94), slice(44, 84)), (slice(16, 112), slice(32, 96))
Points = NDArray[np.float64]
Faces = tuple[tuple[Image, Points], tuple[Image, Points]]


@pytest.fixture(scope="module")
def faces(landmarker: Landmarker) -> Faces:
    """Two people: crop and landmarks in it."""
    photos = frontal_faces()
    one, other = (_portrait(photos[number], landmarker) for number in ("003", "030"))
    return one, other


def _portrait(photo: Image, landmarker: Landmarker) -> tuple[Image, Points]:
    [crop] = align_photo(photo, landmarker, AlignConfig(size=SIZE))
    return crop.image, found_in(crop.image, landmarker)


def found_in(crop: Image, landmarker: Landmarker) -> Points:
    room = cv2.copyMakeBorder(crop, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    return landmarker.find(np.asarray(room, np.uint8))[0].landmarks[:SKIN, :2] - BORDER


def test_without_a_share_the_first_face_stays_as_it_is(faces: Faces) -> None:
    (one, mesh), (other, other_mesh) = faces
    morph = Morph(mesh, other_mesh, NOTHING, SIZE)
    assert np.array_equal(morph.colors([one], [other])[0], one)
    assert np.array_equal(morph.mask(one[..., 0], other[..., 0]), one[..., 0])
    assert np.array_equal(morph.landmarks, mesh)


def test_with_the_whole_share_the_landmarks_are_the_second_face_s(faces: Faces, landmarker: Landmarker) -> None:
    (one, mesh), (other, other_mesh) = faces
    [new] = Morph(mesh, other_mesh, ALL, SIZE).colors([one], [other])
    inside = np.all((mesh > 8) & (mesh < SIZE - 8), axis=1)
    seen = found_in(new, landmarker)[inside]
    to_one, to_other = (np.linalg.norm(seen - face[inside], axis=1).mean() for face in (mesh, other_mesh))
    assert to_other < 0.5 * to_one


def test_hair_and_background_stay_the_first_person_s(faces: Faces) -> None:
    (one, mesh), (other, _) = faces
    same = Morph(mesh, mesh, ALL, SIZE)  # nothing moves
    [new] = same.colors([one], [other])
    outside = np.zeros((SIZE, SIZE), bool)
    outside[-12:, :12] = outside[-12:, -12:] = True  # beside the chin
    assert np.abs(new.astype(int) - one)[outside].max() <= 2
    assert np.abs(new.astype(int) - one)[MIDDLE].mean() > 5


def test_a_part_changes_alone(faces: Faces) -> None:
    (one, mesh), (other, other_mesh) = faces
    morph = Morph(mesh, other_mesh, Shares(0, 0, 1, 0), SIZE)
    [new] = morph.colors([one], [other])
    change = np.abs(new.astype(int) - one)
    assert change[MOUTH].mean() > 6 and change[EYES].mean() < 1
    corners = [MOUTH_RIGHT, MOUTH_LEFT]
    assert np.abs(mesh - other_mesh)[corners].max() > 3
    assert np.allclose(morph.landmarks[corners], other_mesh[corners], atol=0.5)


def test_colors_are_matched_to_the_first_face_s(faces: Faces) -> None:
    (one, mesh), (other, other_mesh) = faces
    dark = (other // 3).astype(np.uint8)
    [new] = Morph(mesh, other_mesh, ALL, SIZE).colors([one], [dark])
    assert np.abs(dark[MIDDLE].mean(axis=(0, 1)) - one[MIDDLE].mean(axis=(0, 1))).min() > 60
    assert np.abs(new[MIDDLE].mean(axis=(0, 1)) - one[MIDDLE].mean(axis=(0, 1))).max() < 8


def test_all_images_get_the_change_of_color_of_the_first(faces: Faces) -> None:
    (one, mesh), (other, other_mesh) = faces
    morph = Morph(mesh, other_mesh, ALL, SIZE)
    first, second = morph.colors([one, one], [other, (other // 2).astype(np.uint8)])
    alone = morph.colors([one], [other])[0]
    assert np.array_equal(first, alone)
    assert first[MIDDLE].mean() - second[MIDDLE].mean() > 30  # darker before, darker after


def test_no_morph_folds(faces: Faces) -> None:
    (_, mesh), (_, other_mesh) = faces
    random = np.random.default_rng(0)
    noisy = mesh + random.normal(0, 1, mesh.shape)  # as if each landmark were found a pixel off
    for source, target in ((mesh, other_mesh), (mesh, noisy), (mesh, mesh + 8 * (mesh[:, 1:] > 70))):
        x, y = warp_map(source, np.asarray(target), SIZE)
        area = np.gradient(x, axis=1) * np.gradient(y, axis=0) - np.gradient(x, axis=0) * np.gradient(y, axis=1)
        assert area.min() > 0.05


def test_a_warp_is_the_same_at_any_size(faces: Faces) -> None:
    (_, mesh), (_, other_mesh) = faces
    small, large = (
        np.stack(warp_map((mesh + 0.5) * scale - 0.5, (other_mesh + 0.5) * scale - 0.5, scale * SIZE), axis=-1)
        for scale in (1, 2)
    )
    halved = (large[::2, ::2] + large[1::2, 1::2]) / 2
    assert np.abs((halved + 0.5) / 2 - 0.5 - small).max() < 0.05


def test_a_new_person_is_neither_of_the_two() -> None:
    random = np.random.default_rng(0)
    drawn = [astuple(draw_shares(random)) for _ in range(300)]
    assert (0, 0, 0, 0) not in drawn and (1, 1, 1, 1) not in drawn
    for part in zip(*drawn, strict=True):
        assert min(part) == 0 and max(part) == 1 and len(set(part)) > 50
    assert drawn[0] == astuple(draw_shares(np.random.default_rng(0)))
