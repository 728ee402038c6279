"""Heads turned and turned back: on the portrait that travels with scikit-image, and on the London faces."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from toolkit.crops.align import AlignConfig, align_photo
from toolkit.faces.depth_jitter import draw_depths
from toolkit.faces.face import Face, Landmarker
from toolkit.faces.head_mesh import build_head, head_mirror, head_triangles, normals, oval
from toolkit.faces.shape_model import fit_shape, head_coordinates, known_shapes
from toolkit.geometry.head_pose import head_pose
from toolkit.geometry.mesh_topology import MIRROR, SKIN
from toolkit.landmarks.averaging import SteadyMesh
from toolkit.landmarks.finder import FindConfig, open_landmarker
from toolkit.photos.decode import read_photo
from toolkit.views.backlight import without_rim
from toolkit.views.frontal import _person, frontal_view
from toolkit.views.head_outline import _tidied, outlined
from toolkit.views.inpaint import fill, person_only
from toolkit.views.profile_contour import within_contour
from toolkit.views.rotate import TurnableHead, rotate_view
from toolkit.views.segmentation import person_likelihood, person_mask

Photo = NDArray[np.uint8]


@pytest.fixture(scope="module")
def head(portrait: Photo, landmarker: Landmarker) -> Photo:
    """The portrait, enlarged: a face of 150 px with room around it."""
    return np.asarray(cv2.resize(portrait[:400, 20:420], None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope="module")
def face(head: Photo, landmarker: Landmarker) -> Face:
    return landmarker.find(head)[0]


def test_the_head_is_closed_wound_and_symmetric() -> None:
    mean, _ = known_shapes()
    vertices, triangles, mirror = build_head(mean).vertices, head_triangles(), head_mirror()
    assert len(vertices) == triangles.max() + 1 == len(mirror)
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    np.testing.assert_allclose(vertices[mirror] * [-1, 1, 1], vertices, atol=1e-6)
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    _, shared = np.unique(edges, axis=0, return_counts=True)
    assert set(shared) == {1, 2}
    assert (shared == 1).sum() == len(oval())  # open at the back of the head alone
    outward = normals(vertices, triangles)
    assert outward[1, 2] < -0.9  # the nose tip faces the camera
    assert (outward[:SKIN, 2] < 0).mean() > 0.97
    assert vertices[:, 2].max() > 1.4  # a skull is deeper than a face


def test_a_known_shape_and_turn_are_found_again() -> None:
    mean, modes = known_shapes()
    shape = mean + modes[0] - 0.7 * modes[3]
    for yaw in (-50, 0, 35):
        angle = np.radians(yaw)
        turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
        mesh = 90 * shape @ turn.T + [200, 150, 0]
        fit = fit_shape(np.concatenate([mesh, mesh[:10]]))
        np.testing.assert_allclose(fit.rotation, turn, atol=0.03)
        np.testing.assert_allclose(fit.scale, 90, rtol=0.03)
        assert np.abs(fit.shape - shape)[:, :2].max() < 0.05
        np.testing.assert_allclose(fit.on_photo(fit.shape)[:, :2], mesh[:, :2], atol=3)
        own = 1e-3 if yaw == -50 else 0.03  # less turned faces keep what their far half shows
        np.testing.assert_allclose(fit.shape[MIRROR[:SKIN]] * [-1, 1, 1], fit.shape, atol=own)


def test_head_coordinates_and_back(face: Face) -> None:
    points, rotation, scale, origin = head_coordinates(face.landmarks)
    np.testing.assert_allclose(scale * points @ rotation.T + origin, face.landmarks, atol=1e-6)
    np.testing.assert_allclose(points[[133, 362]].mean(axis=0), 0, atol=1e-9)
    assert abs(points[152, 1] - 1) < 0.02


def test_no_turn_is_the_photo_and_the_wall_stays(head: Photo, face: Face) -> None:
    turnable = TurnableHead(head, face)
    still, aside = turnable.view(0), turnable.view(40)
    x, y = face.landmarks[[1, 50, 280, 152, 9], :2].round().astype(int).T
    assert np.abs(still.image[y, x].astype(int) - head[y, x]).mean() < 12
    for view in (still, aside):
        assert view.image.shape == head.shape
        corner = np.abs(view.image[:40, :40].astype(int) - head[:40, :40])
        assert corner.mean() < 2  # far from the head nothing changes
    np.testing.assert_array_equal(rotate_view(head, face, 40).image, aside.image)


@pytest.mark.parametrize("yaw", [-45, -20, 20, 45, 60])
def test_turned_heads_are_found_where_they_should_be(
    head: Photo, face: Face, landmarker: Landmarker, yaw: float
) -> None:
    view = rotate_view(head, face, yaw, 5)
    found = landmarker.find(view.image)
    assert found
    off = np.hypot(*(found[0].landmarks[:SKIN, :2] - view.landmarks[:SKIN, :2]).T)
    assert np.median(off) < 0.06 * face.size
    turned = head_pose(found[0].landmarks).yaw - head_pose(face.landmarks).yaw
    assert abs(turned - yaw) < 12


def test_a_lamp_lights_its_side(head: Photo, face: Face) -> None:
    turnable = TurnableHead(head, face)
    even = turnable.view(0).image.astype(float)
    left, right = (turnable.view(0, 0, (azimuth, 0.8)).image.astype(float) for azimuth in (70, -70))
    (rx, ry), (lx, ly) = face.landmarks[[50, 280], :2].round().astype(int)  # cheeks: the subject's right, left
    assert left[ly, lx].mean() > right[ly, lx].mean() + 15
    assert right[ry, rx].mean() > left[ry, rx].mean() + 15
    assert np.abs(left[:40, :40] - even[:40, :40]).max() <= 1  # the wall is not lit


def test_a_frontal_face_stays_itself(head: Photo, face: Face, landmarker: Landmarker) -> None:
    [crop] = align_photo(head, landmarker, AlignConfig(size=128))
    view, visibility = frontal_view(head, face, 128)
    assert view.shape == (128, 128, 3)
    assert visibility.shape == (128, 128)
    assert 0 <= visibility.min() <= visibility.max() <= 1
    _, similar = structural_similarity(crop.image, view, channel_axis=2, full=True)
    assert similar.mean(axis=2)[visibility > 0.5].mean() > 0.65


def test_the_near_half_is_seen_and_the_far_one_mirrored(head: Photo, face: Face) -> None:
    view = rotate_view(head, face, 60)  # to the subject's left: their right half is near
    frontal, visibility = frontal_view(view.image, Face(view.landmarks, None), 128)
    assert visibility[:, 20:56].mean() > 3 * visibility[:, 72:108].mean()
    seen = frontal[30:110, 30:98].astype(float)
    assert np.abs(seen - seen[:, ::-1]).mean() < 12


def test_there_and_back_on_london_faces(shared: Path) -> None:
    """SSIM of the visible part against the aligned crop, and how often the turned face is found at all."""
    landmarker, steady = open_landmarker(FindConfig(steady=False)), SteadyMesh()
    similar: dict[int, list[float]] = {30: [], 45: [], 60: []}
    found = []
    for number, path in enumerate(sorted((shared / "london").glob("*_neutral.jpg"))[3::10]):
        photo = np.asarray(cv2.resize(read_photo(path), None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), np.uint8)
        [crop] = align_photo(photo, landmarker, AlignConfig(size=128))
        turnable = TurnableHead(photo, crop.face)
        for yaw, values in similar.items():
            view = turnable.view(yaw if number % 2 else -yaw).image
            faces = landmarker.find(view)
            found.append(len(faces))
            if faces:
                back, visibility = frontal_view(view, steady(view, faces[0]), 128)
                _, same = structural_similarity(crop.image, back, channel_axis=2, full=True)
                values.append(float(same.mean(axis=2)[visibility > 0.3].mean()))
    assert np.mean(found) > 0.9
    assert np.mean(similar[30]) > 0.76
    assert np.mean(similar[45]) > 0.69
    assert np.mean(similar[60]) > 0.54


def test_the_person_is_told_from_the_wall(head: Photo, face: Face) -> None:
    mask = person_mask(head, face.landmarks[:SKIN])
    assert mask is not None
    x, y = face.landmarks[[1, 9, 152, 50, 280], :2].round().astype(int).T
    assert (mask[y, x] > 0.9).all()
    noise = np.random.default_rng(0).integers(0, 255, head.shape, np.uint8)
    assert person_mask(noise, face.landmarks[:SKIN]) is None
    assert person_only(head, None) is head
    half = np.zeros((6, 8), np.float32)
    half[:, :4] = 1
    photo = np.zeros((6, 8, 3), np.uint8)
    photo[:, :4], photo[:, 4:] = 200, 9
    assert (person_only(photo, half) == 200).all()


def test_holes_are_filled_from_around() -> None:
    photo = np.full((40, 50, 3), 77, np.uint8)
    known = np.ones((40, 50), bool)
    known[10:30, 15:35] = False
    photo[~known] = 255
    np.testing.assert_allclose(fill(photo, known), 77, atol=0.5)


def test_a_mesh_that_runs_over_is_brought_inside(head: Photo, face: Face) -> None:
    view = rotate_view(head, face, 60)
    wide = view.landmarks.copy()
    wide[:, 0] += 0.08 * face.size  # the way it looks: over the contour
    fit = fit_shape(wide)
    mask = person_mask(view.image, view.landmarks[:SKIN])
    assert mask is not None
    mesh = wide[:SKIN, :2]
    drawn = within_contour(mesh, fit, mask)
    nose = slice(1, 7)
    assert (drawn[nose, 0] < mesh[nose, 0] - 2).all()
    np.testing.assert_allclose(drawn[234], mesh[234], atol=1e-6)  # the ear's side stays


def test_a_profile_is_outlined_by_its_colours_where_the_network_sees_nothing(head: Photo, face: Face) -> None:
    view = rotate_view(head, face, 60)
    wide, nose = view.landmarks.copy(), slice(1, 7)
    wide[:, 0] += 0.08 * face.size  # over the contour
    fit, mesh = fit_shape(wide), wide[:SKIN, :2]
    off = np.abs(mesh - view.landmarks[:SKIN, :2])[nose, 0]
    vague = np.full(head.shape[:2], 0.3, np.float32)
    mask = outlined(view.image, mesh, fit, vague)
    assert mask is not None
    assert np.array_equal(mask, outlined(view.image, mesh, fit, vague))
    drawn = within_contour(mesh, fit, mask)
    assert (np.abs(drawn - view.landmarks[:SKIN, :2])[nose, 0] < 0.65 * off).all()
    faceless = view.image.copy()
    eye = int(view.landmarks[263, 0])  # the near one's outer corner
    faceless[:, eye:] = view.image[:, -1:]  # the wall from there on: no mesh can be so far off
    assert outlined(faceless, mesh, fit, vague) is None


def test_a_notch_ahead_of_the_mesh_is_wall_and_one_behind_it_is_face() -> None:
    """Rows 8 and 24 of a head that ends at column 30: wall between nose and lip, and a mouth in shadow."""
    inside, behind = np.zeros((40, 40), np.uint8), np.zeros((40, 40), bool)
    inside[:, :30], behind[:, :30] = 1, True
    inside[8, 26:30], behind[8, 26:30] = 0, False  # the mesh knows of it
    inside[24, 26:30] = 0
    nothing, cheek = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    cheek[15:25, 5:10] = True
    tidied = _tidied(inside, nothing, behind, cheek, 2.0)
    assert not tidied[8, 26:].any()
    assert tidied[24, :30].all()
    assert not tidied[:, 30:].any()


def test_where_nothing_tells_the_head_its_mesh_does(head: Photo, face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.views.frontal.outlined", lambda *_: None)
    monkeypatch.setattr("toolkit.views.frontal.shows_face", lambda *_: False)
    view = rotate_view(head, face, 70)
    mask = _person(view.image, view.landmarks[:SKIN], fit_shape(view.landmarks))
    assert mask is not None
    x, y = view.landmarks[425, :2].round().astype(int)  # the near cheek
    nose, wall = view.landmarks[1, :2].round().astype(int)
    assert mask[y, x] == 1
    assert mask[wall, nose + 5 :].max() == 0
    assert _person(head, face.landmarks[:SKIN], fit_shape(face.landmarks)) is None


def test_a_profile_that_the_photo_cuts_off_is_outlined_by_the_network(head: Photo, face: Face) -> None:
    """No wall ahead of it is sure to be wall, and this one has the colour of skin."""
    view = rotate_view(head, face, 60)
    mesh, fit = view.landmarks[:SKIN, :2], fit_shape(view.landmarks)
    cheek = view.image[tuple(mesh[425, ::-1].astype(int))]
    likely = person_likelihood(view.image, view.landmarks[:SKIN])
    photo = np.where((likely < 0.5)[..., None], cheek, view.image).astype(np.uint8)
    edge = int(mesh[1, 0]) + 2
    cut, likely = np.ascontiguousarray(photo[:, :edge]), np.ascontiguousarray(likely[:, :edge])
    mask = outlined(cut, mesh, fit, likely)
    assert mask is not None
    y, x = int(mesh[164, 1]), edge - 2  # beyond the lip
    assert likely[y, x] < 0.05
    assert mask[y, x] < 0.3


def test_light_from_behind_is_taken_from_the_chin_and_left_on_nose_and_lips(
    head: Photo, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, wall = rotate_view(head, face, 70), 0
    mesh, fit = view.landmarks[:SKIN], fit_shape(view.landmarks)
    inside = view.head > 0.8
    dim = np.where(inside[..., None], np.maximum(view.image * 0.6, wall + 1), wall).astype(np.uint8)
    rim = inside & ~np.roll(inside, -round(0.04 * fit.scale), axis=1)  # it looks to the right
    lit = np.where(rim[..., None], 235, dim).astype(np.uint8)
    mask = inside.astype(np.float32)
    kept = without_rim(lit, mask, mesh, fit)
    lower, chin, nose, root = (int(mesh[point, 1]) for point in (17, 152, 2, 168))
    below, above = slice(lower + 2, chin), slice(root, nose - 2)
    assert (kept[below][rim[below]] == 0).mean() > 0.9
    assert np.array_equal(kept[above], mask[above])
    assert np.array_equal(without_rim(dim, mask, mesh, fit), mask)
    monkeypatch.setattr(
        "toolkit.views.frontal._person", lambda photo, *_: (photo > wall).all(axis=2).astype(np.float32)
    )
    views = [frontal_view(photo, Face(view.landmarks, None), 128)[0].astype(float) for photo in (dim, lit)]
    assert np.abs(views[0] - views[1])[112:126, 60:68].mean() < 15  # the chin; 106 with the rim


def test_depths_change_profiles_alone(head: Photo, face: Face) -> None:
    depths = draw_depths(np.random.default_rng(4))
    assert depths.shape == (SKIN,)
    assert 0.02 < np.abs(depths).mean() < 0.2
    assert not draw_depths(np.random.default_rng(4), 0.0).any()
    usual, other = TurnableHead(head, face), TurnableHead(head, face, depths)
    from_front, from_side = (
        np.abs(usual.view(yaw).landmarks[:SKIN, 0] - other.view(yaw).landmarks[:SKIN, 0]).max() for yaw in (0, 80)
    )
    assert from_side > 0.03 * face.size
    assert from_front < 0.2 * from_side


def test_a_steady_mesh_is_the_same_face(head: Photo, face: Face) -> None:
    steady = SteadyMesh()
    assert steady(head, face) is face
    view = rotate_view(head, face, 50)
    turned = Face(view.landmarks, 0.9)
    calm = steady(view.image, turned)
    assert calm.score == 0.9
    assert np.median(np.hypot(*(calm.landmarks - view.landmarks)[:, :2].T)) < 0.06 * face.size


@pytest.mark.parametrize("yaw", [0, 20, 60])
def test_a_face_close_to_the_camera_keeps_its_shape(monkeypatch: pytest.MonkeyPatch, yaw: float) -> None:
    mean, modes = known_shapes()
    shape, angle = mean + modes[1], np.radians(yaw)
    turned = shape @ np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]).T
    far, near = (fit_shape(_photographed(turned, closeness)) for closeness in (0.0, 0.25))  # 0.25: 45 cm
    assert near.closeness > far.closeness + 0.08
    monkeypatch.setattr("toolkit.faces.shape_model.CLOSENESS_VARIES", 1e-6)
    blind = fit_shape(_photographed(turned, 0.25))
    off, off_blind = (np.abs(fit.shape - shape)[:, :2].mean() for fit in (near, blind))
    assert off < 0.8 * off_blind


def _photographed(turned: NDArray[np.float64], closeness: float) -> NDArray[np.float64]:
    seen = turned[:, :2] / (1 + closeness * turned[:, 2:])
    mesh = np.column_stack([90 * seen + [200, 150], 90 * turned[:, 2]])
    return np.concatenate([mesh, mesh[:10]])
