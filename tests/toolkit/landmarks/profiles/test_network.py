"""Points of faces seen from the side: on turned heads, whose points are known, and on real profiles marked by hand."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.errors import PhotoRejected
from toolkit.faces.face import Face
from toolkit.faces.shape_model import fit_points, load_face_shapes
from toolkit.geometry.mesh_topology import MIRROR, SKIN
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.detection import Region, region_of_mesh
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.profiles.averaging import AveragedMesh
from toolkit.landmarks.profiles.fusion import (
    MAX_DISTANCE,
    PROFILE_WEIGHT,
    SPREAD_RANGE,
    YAW_RANGE,
    fuse,
    mean_distance,
    mesh_from_profile,
)
from toolkit.landmarks.profiles.network import POINTS, ProfileLandmarks, ProfilePoints
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.types import Image
from toolkit.views.rotate import RotatableHead, RotatedView

Points = NDArray[np.float64]


@pytest.fixture(scope="module")
def rotatable_head(portrait: Image, landmarker: Landmarker) -> RotatableHead:
    """The portrait with room around it: no head that the network has learned from."""
    head = np.asarray(cv2.resize(portrait[:400, 20:420], None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC), np.uint8)
    return RotatableHead(head, landmarker.find(head)[0])


@pytest.fixture(scope="module")
def network() -> ProfilePoints:
    return ProfilePoints()


def _size(mesh: Points) -> float:
    return float(np.linalg.norm(mesh[152, :2] - mesh[168, :2]))


@pytest.mark.parametrize("yaw", [45, 70, -70, 88])
def test_points_of_a_turned_head(rotatable_head: RotatableHead, network: ProfilePoints, yaw: float) -> None:
    view = rotatable_head.view(yaw)
    region = region_of_mesh(view.landmarks)
    off = 0.1 * region.side
    seen = network(view.image, Region(region.x + off, region.y - off, region.side * 1.15, region.angle + 0.15))
    assert seen.near_side == -np.sign(yaw)  # turned to the subject's left, the right half is near
    assert seen.spread < SPREAD_RANGE[1]
    away = np.linalg.norm(seen.points - view.landmarks[seen.indices, :2], axis=1)
    assert away.mean() < 0.06 * _size(view.landmarks)


def test_a_mirrored_photo_has_mirrored_points(rotatable_head: RotatableHead, network: ProfilePoints) -> None:
    view = rotatable_head.view(60)
    region, across = region_of_mesh(view.landmarks), view.image.shape[1] - 1
    seen = network(view.image, region)
    mirrored = network(
        np.ascontiguousarray(view.image[:, ::-1]), replace(region, x=across - region.x, angle=-region.angle)
    )
    assert mirrored.near_side == -seen.near_side
    np.testing.assert_allclose(mirrored.points * [-1, 1] + [across, 0], seen.points, atol=0.02 * _size(view.landmarks))
    np.testing.assert_array_equal(MIRROR[mirrored.indices], seen.indices)


def test_where_there_is_no_face_nothing_moves(rotatable_head: RotatableHead, network: ProfilePoints) -> None:
    mesh = rotatable_head.view(70).landmarks
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
    lost = network(noise, Region(200, 200, 300, 0))
    assert lost.spread > SPREAD_RANGE[1]
    np.testing.assert_array_equal(fuse(mesh, lost, 70), mesh)


def _seen(view: RotatedView, shift: float, spread: float = 0.0, near: float = -1.0) -> ProfileLandmarks:
    numbers = POINTS if near < 0 else MIRROR[POINTS]
    return ProfileLandmarks(view.landmarks[numbers, :2] + [shift * _size(view.landmarks), 0], near, spread)


def test_the_mesh_goes_part_of_the_way(rotatable_head: RotatableHead) -> None:
    view = rotatable_head.view(60)
    mesh, profile = view.landmarks, _seen(view, 0.05)
    assert mean_distance(mesh, profile) == pytest.approx(0.05)
    moved = fuse(mesh, profile, 60) - mesh
    np.testing.assert_allclose(moved[:, 0], PROFILE_WEIGHT * 0.05 * _size(mesh))
    np.testing.assert_allclose(moved[:, 1:], 0, atol=1e-9)
    np.testing.assert_array_equal(fuse(mesh, profile, YAW_RANGE[0] - 1), mesh)
    np.testing.assert_array_equal(fuse(mesh, _seen(view, 0.05, SPREAD_RANGE[1]), 60), mesh)
    halfway = fuse(mesh, profile, -sum(YAW_RANGE) / 2) - mesh
    np.testing.assert_allclose(halfway, moved / 2)


def test_a_part_that_disagrees_bends_the_mesh_there(rotatable_head: RotatableHead) -> None:
    view = rotatable_head.view(60)
    mesh, profile = view.landmarks, _seen(view, 0.0)
    nose = np.isin(POINTS, [4, 195, 2, 98, 129])
    profile.points[nose] += [0.1 * _size(mesh), 0]
    moved = (fuse(mesh, profile, 60) - mesh)[:, 0] / _size(mesh)
    assert 0.02 < moved[4] < PROFILE_WEIGHT * 0.1
    assert abs(moved[152]) < 0.2 * moved[4]
    assert abs(moved[10]) < 0.2 * moved[4]


def test_a_lost_mesh_is_made_anew(rotatable_head: RotatableHead) -> None:
    for yaw, near in ((60, -1.0), (-60, 1.0)):
        view = rotatable_head.view(yaw)
        profile = _seen(view, 0.0, near=near)
        lost = view.landmarks + [2 * MAX_DISTANCE * _size(view.landmarks), 0, 0]
        made = fuse(lost, profile, 60)
        np.testing.assert_array_equal(made, mesh_from_profile(profile))
        assert made.shape == (SKIN + 10, 3)
        seen = profile.indices[profile.indices < SKIN]
        assert np.linalg.norm((made - view.landmarks)[seen, :2], axis=1).mean() < 0.05 * _size(view.landmarks)
        doubtful = _seen(view, 0.0, sum(SPREAD_RANGE) / 2 + 1e-6, near)
        np.testing.assert_array_equal(fuse(lost, doubtful, 60), lost)


def test_a_shape_is_found_from_few_points() -> None:
    mean, modes = load_face_shapes()
    shape, numbers = mean + modes[0] - 0.7 * modes[3], POINTS[POINTS < SKIN]
    for yaw, near in ((50, 1.0), (75, 1.0), (-65, -1.0)):
        angle = np.radians(yaw)
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        which = MIRROR[numbers] if near > 0 else numbers
        seen = 90 * (shape @ turn.T)[which, :2] + [200, 150]
        fit = fit_points(seen, which, np.ones(len(which)), near)
        assert np.linalg.norm(fit.project(fit.shape)[which, :2] - seen, axis=1).mean() < 1.5
        assert np.abs(fit.shape - shape)[which].mean() < 0.04


@pytest.mark.slow
def test_real_profiles_are_found_where_people_mark_them(shared: Path) -> None:
    """Eye corners, nose root and tip, lip, mouth corner and chin, in distances from eyes to chin."""
    landmarker = open_landmarker(FindConfig(refine_profiles=False))
    marked = {33: 12, 133: 15, 168: 18, 4: 21, 61: 25, 0: 26, 152: 8}
    errors: dict[bool, list[float]] = {False: [], True: []}
    refine = {asked: AveragedMesh(profiles=asked) for asked in errors}
    for path in sorted((shared / "profiles").glob("*/profile/*.jpg"))[2::11]:
        photo = read_photo(path)
        if not (faces := landmarker.find(photo)):
            continue
        points = np.loadtxt(path.with_suffix(".txt"), delimiter=",") - 1
        size = np.linalg.norm(points[12:18].mean(axis=0) - points[8])
        for asked, found in errors.items():
            mesh = refine[asked](photo, faces[0]).landmarks
            numbers = np.array(list(marked))
            numbers = MIRROR[numbers] if mesh[33, 2] > mesh[263, 2] else numbers
            off = np.linalg.norm(mesh[numbers, :2] - points[list(marked.values())], axis=1)
            found.append(float(off.mean() / size))
    assert len(errors[True]) > 30
    assert np.mean(errors[True]) < 0.06
    assert np.mean(errors[True]) < 0.9 * np.mean(errors[False])
    assert np.mean(np.array(errors[True]) > 0.12) < 0.08


def test_the_landmarker_refines_profiles_only_and_never_fails_for_it(
    rotatable_head: RotatableHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    refining, once = open_landmarker(), open_landmarker(FindConfig(refine_profiles=False))
    for yaw, same in ((0, True), (25, True), (65, False)):
        photo = rotatable_head.view(yaw).image
        [refined], [single] = refining.find(photo), once.find(photo)
        assert np.array_equal(refined.landmarks, single.landmarks) is same

    def lost(*_: object) -> Face:
        raise PhotoRejected("bad-mesh", "no frame")

    monkeypatch.setattr(AveragedMesh, "__call__", lost)
    [kept] = refining.find(photo)
    assert np.array_equal(kept.landmarks, single.landmarks)


def test_the_face_that_comes_back_keeps_what_else_is_known_of_it(rotatable_head: RotatableHead) -> None:
    view = rotatable_head.view(60)
    face = Face(view.landmarks, 0.9, 0.7, "padded")
    averaged = AveragedMesh()(view.image, face)
    assert (averaged.score, averaged.presence, averaged.found_by) == (0.9, 0.7, "padded")
    assert not np.array_equal(averaged.landmarks, AveragedMesh(profiles=False)(view.image, face).landmarks)
