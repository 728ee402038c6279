import numpy as np
import pytest
from skimage.metrics import structural_similarity

from toolkit.crops.align import AlignConfig, align_photo
from toolkit.faces.face import Face
from toolkit.faces.shape_model import fit_shape
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.types import Image
from toolkit.views.frontal import _find_person, _Part, frontal_view, prepare_view
from toolkit.views.rotate import rotate_view


def test_a_frontal_face_stays_itself(head_photo: Image, face: Face, landmarker: Landmarker) -> None:
    [crop] = align_photo(head_photo, landmarker, AlignConfig(size=128))
    view, visibility, _ = frontal_view(head_photo, face, 128)
    assert view.shape == (128, 128, 3)
    assert visibility.shape == (128, 128)
    assert 0 <= visibility.min() <= visibility.max() <= 1
    _, similar = structural_similarity(crop.image, view, channel_axis=2, full=True)
    assert similar.mean(axis=2)[visibility > 0.5].mean() > 0.65


def test_the_near_half_is_visible_and_the_far_half_mirrored(head_photo: Image, face: Face) -> None:
    view = rotate_view(head_photo, face, 60)  # to the subject's left: their right half is near
    frontal, visibility, unmirrored = frontal_view(view.image, Face(view.landmarks, None), 128)
    assert visibility[:, 20:56].mean() > 3 * visibility[:, 72:108].mean()
    middle = frontal[30:110, 30:98].astype(float)
    assert np.abs(middle - middle[:, ::-1]).mean() < 12
    differs = np.abs(unmirrored.astype(float) - frontal).mean(axis=2)
    assert differs[:, 30:56].mean() < 2 < 10 < differs[:, 72:98].mean()


def test_no_color_of_the_background_is_in_the_texture(head_photo: Image, face: Face) -> None:
    view = rotate_view(head_photo, face, 60)
    green = np.where(view.head[..., None] > 0.5, view.image, [0, 255, 0]).astype(np.uint8)
    inputs = prepare_view(green, Face(view.landmarks, None), 128, "chin")
    greenness = inputs.texture[..., 1].astype(int) - inputs.texture.max(axis=2, initial=0, where=[True, False, True])
    assert (greenness > 100).mean() == 0


def test_a_turned_head_that_no_method_segments_ends_at_its_mesh(
    head_photo: Image, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.views.frontal.head_outline_mask", lambda *_: None)
    monkeypatch.setattr("toolkit.views.frontal.covers_face", lambda *_: False)
    view = rotate_view(head_photo, face, 70)
    mask, in_profile = _find_person(_part(view.image, Face(view.landmarks, None)))
    assert mask is not None
    assert in_profile
    x, y = view.landmarks[425, :2].round().astype(int)  # the near cheek
    nose_x, nose_y = view.landmarks[1, :2].round().astype(int)
    assert mask[y, x] == 1
    assert mask[nose_y, nose_x + 5 :].max() == 0
    assert _find_person(_part(head_photo, face)) == (None, False)


def _part(photo: Image, face: Face) -> _Part:
    """Return the whole photo as the part that a view is drawn from."""
    return _Part(photo, np.zeros(2), 1.0, face, fit_shape(face.landmarks))
