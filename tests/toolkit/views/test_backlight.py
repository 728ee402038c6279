import numpy as np
import pytest

from toolkit.faces.face import Face
from toolkit.faces.shape_model import fit_shape
from toolkit.geometry.mesh_topology import SKIN
from toolkit.photos.types import Image
from toolkit.views.backlight import remove_backlight
from toolkit.views.frontal import frontal_view
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
