import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from toolkit.errors import PhotoRejected
from toolkit.geometry.affine import add_margin, fit_similarity, invert
from toolkit.geometry.crop import ARCFACE_XY, TEMPLATES, chin_crop_points, crop_matrix
from toolkit.geometry.head_pose import head_frame, head_pose
from toolkit.geometry.mesh_topology import (
    CHIN,
    FOREHEAD,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)

Array = NDArray[np.float64]


def head(
    yaw: float = 0, pitch: float = 0, roll: float = 0, scale: float = 1, shift: tuple[float, float] = (0, 0)
) -> Array:
    """A mesh whose named points are those of a plain head, turned in this order; the rest lie between them."""
    points = np.zeros((478, 3))
    points[RIGHT_EYE_OUTER], points[LEFT_EYE_OUTER] = (-45, 0, 10), (45, 0, 10)
    points[RIGHT_EYE_INNER], points[LEFT_EYE_INNER] = (-17, 0, 0), (17, 0, 0)
    points[FOREHEAD], points[CHIN], points[NOSE_TIP] = (0, -60, 0), (0, 100, 0), (0, 45, -40)
    points[MOUTH_RIGHT], points[MOUTH_LEFT] = (-25, 70, -5), (25, 70, -5)
    y, p, r = np.radians([yaw, pitch, roll])
    about_down = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_across = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_view = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    turned: Array = points @ (about_view @ about_across @ about_down).T * scale + [*shift, 0]
    return turned


@given(angle=st.floats(-np.pi, np.pi), scale=st.floats(0.05, 20), shift=st.floats(-500, 500))
def test_recovers_any_similarity(angle: float, scale: float, shift: float) -> None:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    truth = np.array([[c, -s, shift], [s, c, -shift]])
    moved = ARCFACE_XY @ truth[:, :2].T + truth[:, 2]
    np.testing.assert_allclose(fit_similarity(ARCFACE_XY, moved), truth, atol=1e-7)


def test_never_mirrors_a_face() -> None:
    matrix = fit_similarity(ARCFACE_XY, ARCFACE_XY * [-1.0, 1.0])
    assert np.linalg.det(matrix[:, :2]) > 0


def test_points_that_coincide_are_rejected() -> None:
    with pytest.raises(PhotoRejected, match="bad-mesh: all 5 points lie at"):
        fit_similarity(np.ones((5, 2)), ARCFACE_XY)


@given(yaw=st.floats(-80, 80), pitch=st.floats(-60, 60), roll=st.floats(-170, 170), scale=st.floats(0.2, 9))
def test_pose_is_read_back_stretched(yaw: float, pitch: float, roll: float, scale: float) -> None:
    """Meshes of turned heads are flattened, so the angles read are larger than the mesh's own, by a fourth at most."""
    pose = head_pose(head(yaw, pitch, roll, scale, (300, 200)))
    np.testing.assert_allclose(pose.roll, roll, atol=1e-6)
    np.testing.assert_allclose(pose.pitch, 1.07 * pitch, atol=1e-6)
    assert 1.2 * abs(yaw) - 1e-6 <= abs(pose.yaw) <= min(90, 1.55 * abs(yaw)) + 1e-6 or abs(pose.yaw) == 90
    assert pose.yaw * yaw >= -1e-9


def test_yaw_grows_with_the_turn_and_ends_in_profile() -> None:
    read = [head_pose(head(yaw)).yaw for yaw in range(-85, 86, 5)]
    assert read == sorted(read)
    assert read[0] == -90
    assert read[-1] == 90
    np.testing.assert_allclose(read, np.negative(read[::-1]), atol=1e-9)


def test_signs_are_the_subjects() -> None:
    to_their_left = head(yaw=30)
    assert to_their_left[NOSE_TIP, 0] > 0  # the nose moves to the right of the image
    looking_up = head(pitch=20)
    assert looking_up[NOSE_TIP, 1] < head()[NOSE_TIP, 1]
    left_shoulder = head(roll=10)
    assert left_shoulder[LEFT_EYE_OUTER, 1] > left_shoulder[RIGHT_EYE_OUTER, 1]


@given(roll=st.floats(-180, 180), scale=st.floats(0.3, 8), x=st.floats(-900, 900), size=st.integers(32, 1024))
def test_chin_crop_puts_midpoint_and_chin_where_they_belong(roll: float, scale: float, x: float, size: int) -> None:
    mesh = head(roll=roll, scale=scale, shift=(x, 50))
    matrix = crop_matrix(mesh, size)
    crop = mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    edge = crop + 0.5  # shares count from the pixels' edges
    midpoint = (edge[RIGHT_EYE_INNER] + edge[LEFT_EYE_INNER]) / 2
    np.testing.assert_allclose(midpoint, [0.5 * size, 0.2 * size], atol=1e-6 * size)
    chin = matrix[:, :2] @ chin_crop_points(mesh)[1] + matrix[:, 2] + 0.5
    np.testing.assert_allclose(chin[1], size, atol=1e-6 * size)
    assert 0.99 * size < edge[CHIN, 1] < size  # the mesh's own chin lies above the true one
    np.testing.assert_allclose(crop[RIGHT_EYE_OUTER, 1], crop[LEFT_EYE_OUTER, 1], atol=1e-6 * size)


@pytest.mark.parametrize("roll", [-30, 0, 45])
@pytest.mark.parametrize("pitch", [-15, 0, 15])
def test_turning_the_head_neither_rolls_nor_rescales_the_crop(pitch: float, roll: float) -> None:
    """From frontal to profile, the crop's turn stays the head's roll and its scale the face's height."""
    scales, turns = [], []
    for yaw in range(-90, 91, 5):
        linear = crop_matrix(head(yaw, pitch, roll), 256)[:, :2]
        scales.append(np.sqrt(np.linalg.det(linear)))
        turns.append(np.degrees(np.arctan2(linear[0, 1], linear[0, 0])))
    assert np.ptp(scales) < 0.06 * np.mean(scales)
    # a nodding head's eye line really tilts as it turns: up to atan(sin(pitch) * tan(yaw)), faded out by design
    assert np.abs(np.array(turns) - roll).max() < (1e-6 if pitch == 0 else 8)
    assert np.abs(np.diff(turns)).max() < 3


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_scale_with_the_size_and_undo(template: str) -> None:
    mesh = head(roll=12, scale=2, shift=(400, 300))
    small, large = crop_matrix(mesh, 112, template), crop_matrix(mesh, 224, template)  # type: ignore[arg-type]
    np.testing.assert_allclose(large[:, :2], 2 * small[:, :2])
    points = mesh[:, :2]
    crop = points @ large[:, :2].T + large[:, 2]
    back = invert(large)
    np.testing.assert_allclose(crop @ back[:, :2].T + back[:, 2], points, atol=1e-9)


def test_ffhq_square_is_centred_below_the_eyes() -> None:
    """FFHQ: side 2 * max(2 * eye distance, 1.8 * eye-mouth distance), centre a tenth of the way to the mouth."""
    matrix = crop_matrix(head(), 1024, "ffhq")
    side = 2 * max(2 * 62, 1.8 * 70)
    np.testing.assert_allclose(np.sqrt(np.linalg.det(matrix[:, :2])), 1024 / side, rtol=1e-9)
    np.testing.assert_allclose(matrix[:, :2] @ [0, 7] + matrix[:, 2], [511.5, 511.5], atol=1e-6)


def test_a_midpoint_leans_on_the_lids_across_the_face_only() -> None:
    mesh = head(roll=20)
    lids = np.array([246, 161, 160, 159, 158, 157, 173, 155, 154, 153, 145, 144, 163, 7])
    across, down = head_frame(mesh)[:, 0], head_frame(mesh)[:, 1]
    before, chin = chin_crop_points(mesh)
    mesh[lids] += 3.2 * across + 5 * down
    after, chin_after = chin_crop_points(mesh)
    np.testing.assert_allclose(after - before, 0.6 * 14 / 32 * 3.2 * across[:2], atol=1e-9)
    np.testing.assert_allclose(chin_after, chin, atol=0.01)


def test_a_margin_leaves_room_on_all_sides() -> None:
    mesh = head(roll=30, scale=1.5, shift=(200, 100))
    matrix = crop_matrix(mesh, 256)
    wide = add_margin(matrix, 256, 0.25)
    corners = np.array([[-0.5, -0.5], [255.5, 255.5]])
    back = invert(matrix)
    seen = (corners @ back[:, :2].T + back[:, 2]) @ wide[:, :2].T + wide[:, 2]
    np.testing.assert_allclose(seen + 0.5, [[256 / 6, 256 / 6], [256 * 5 / 6, 256 * 5 / 6]], atol=1e-9)
    np.testing.assert_array_equal(add_margin(matrix, 256, 0), matrix)


def test_an_upside_down_mesh_is_rejected() -> None:
    mesh = head()
    mesh[CHIN] = mesh[RIGHT_EYE_INNER]
    mesh[FOREHEAD] = (0, 50, 0)
    with pytest.raises(PhotoRejected, match="^bad-mesh"):
        crop_matrix(mesh, 256)


def test_a_point_has_no_head_frame() -> None:
    with pytest.raises(PhotoRejected, match="^bad-mesh: eyes 0 px apart"):
        head_pose(np.zeros((478, 3)))
