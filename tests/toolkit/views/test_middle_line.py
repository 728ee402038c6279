import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.faces.face import Face
from toolkit.faces.shape_model import fit_shape
from toolkit.geometry.mesh_topology import CHIN, LOWER_LIP, NOSE_BASE, NOSE_TIP_FRONT, SKIN, UPPER_LIP
from toolkit.photos.types import Image
from toolkit.views.frontal import frontal_view
from toolkit.views.middle_line import NOSE_BRIDGE, remove_backlight, remove_spots
from toolkit.views.rotate import rotate_view


def test_backlight_is_removed_from_the_chin_and_kept_on_nose_and_lips(
    head_photo: Image, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, background = rotate_view(head_photo, face, 70), 0
    mesh, fit = view.landmarks[:SKIN], fit_shape(view.landmarks)
    inside = view.head > 0.8
    dim = np.where(inside[..., None], np.maximum(view.image * 0.6, background + 1), background).astype(np.uint8)
    line = inside & ~np.roll(inside, -round(0.04 * fit.scale), axis=1)  # the head faces right
    lit = np.where(line[..., None], 235, dim).astype(np.uint8)
    mask = inside.astype(np.float32)
    kept = remove_backlight(lit, mask, mesh, fit)
    lower_lip, chin, nose_base, nose_root = (int(mesh[point, 1]) for point in (17, 152, 2, 168))
    below, above = slice(lower_lip + 2, chin), slice(nose_root, nose_base - 2)
    assert (kept[below][line[below]] == 0).mean() > 0.9
    assert np.array_equal(kept[above], mask[above])
    assert np.array_equal(remove_backlight(dim, mask, mesh, fit), mask)
    monkeypatch.setattr(
        "toolkit.views.frontal._find_person",
        lambda part: ((part.image > background).all(axis=2).astype(np.float32), True),
    )
    views = [frontal_view(photo, Face(view.landmarks, None), 128)[0].astype(float) for photo in (dim, lit)]
    assert np.abs(views[0] - views[1])[112:126, 60:68].mean() < 15  # the chin; 106 with the backlight


@pytest.mark.parametrize("size", [112, 128, 384])
def test_a_spot_on_the_bridge_of_a_profile_gets_the_skins_color(size: int) -> None:
    view, points = spotted_view(size)
    visibility = np.full(len(points), 0.5, np.float32)
    images = view.copy(), view.copy()
    remove_spots(images, points, visibility, size)
    y, x = np.mgrid[:size, :size] / size
    spot = (view < 40).all(axis=2)
    assert spot.any()
    for image in images:
        assert (np.abs(image[spot].astype(int) - [170, 130, 110]) < 12).mean() > 0.97
        assert np.array_equal(image[(np.abs(x - 0.5) > 0.06) | (y > 0.6)], view[(np.abs(x - 0.5) > 0.06) | (y > 0.6)])
    visibility[NOSE_BRIDGE] = 0.8  # of a face turned by 37 degrees: the spot is its own
    images = view.copy(), view.copy()
    remove_spots(images, points, visibility, size)
    assert np.array_equal(images[0], view)


def test_a_spot_on_the_chin_is_removed_and_one_between_the_lips_is_not() -> None:
    view, points = spotted_view(128)
    view[98:114, 62:66] = 235  # backlight
    view[84:88, 62:66] = 235  # teeth
    images = view.copy(), view.copy()
    remove_spots(images, points, np.full(len(points), 0.5, np.float32), 128)
    assert np.abs(images[0][98:114, 62:66].astype(int) - [170, 130, 110]).max() < 12
    assert np.array_equal(images[0][82:90], view[82:90])


def test_a_spot_between_the_nostrils_is_removed_and_they_are_not() -> None:
    view, points = spotted_view(128)
    view[65:71, 57:60] = view[65:71, 68:71] = 30  # nostrils
    view[65:71, 63:65] = 10, 20, 200  # a blue background
    images = view.copy(), view.copy()
    remove_spots(images, points, np.full(len(points), 0.5, np.float32), 128)
    assert np.abs(images[0][65:71, 63:65].astype(int) - [170, 130, 110]).max() < 12
    assert np.array_equal(images[0][65:71, :60], view[65:71, :60])
    view[65:71, 63:65] = 120, 90, 80  # a shadow
    images = view.copy(), view.copy()
    remove_spots(images, points, np.full(len(points), 0.5, np.float32), 128)
    assert np.array_equal(images[0][65:71], view[65:71])


def test_with_a_border_the_spot_is_found_in_the_middle() -> None:
    view, points = spotted_view(128)
    wide = np.asarray(cv2.copyMakeBorder(view, 64, 64, 64, 64, cv2.BORDER_REPLICATE), np.uint8)
    images = wide.copy(), wide.copy()
    remove_spots(images, points + np.array([64, 64, 0], np.float32), np.full(len(points), 0.5, np.float32), 128)
    remove_spots((view, view.copy()), points, np.full(len(points), 0.5, np.float32), 128)
    assert np.array_equal(images[0][64:-64, 64:-64], view)


@pytest.mark.parametrize("size", [16, 20, 24, 50])
def test_small_views_have_a_middle_line_too(size: int) -> None:
    view, points = spotted_view(size)
    view[:] = 90  # no spot
    images = view.copy(), view.copy()
    remove_spots(images, points, np.full(len(points), 0.5, np.float32), size)
    assert np.array_equal(images[0], view)


def spotted_view(size: int) -> tuple[Image, NDArray[np.float32]]:
    """Return skin with a dark spot between the eyes, and vertices of which those of the middle line are in place."""
    y, x = np.mgrid[:size, :size] / size
    view = np.full((size, size, 3), (170, 130, 110), np.uint8)
    view[((x - 0.5) / 0.02) ** 2 + ((y - 0.25) / 0.04) ** 2 < 1] = 20
    points = np.zeros((SKIN, 3), np.float32)
    heights = np.array([0.5, 0.5625, 0.64, 0.72, 0.94])
    points[[NOSE_TIP_FRONT, NOSE_BASE, UPPER_LIP, LOWER_LIP, CHIN], 1] = heights * size
    return view, points
