import numpy as np

from toolkit.faces.face import Face
from toolkit.faces.shape_model import fit_shape
from toolkit.geometry.mesh_topology import NOSE_ROOT, SKIN
from toolkit.photos.types import Image
from toolkit.views.head_outline import _clean_mask, head_outline_mask, is_profile
from toolkit.views.profile_contour import fit_mesh_to_contour, is_turned
from toolkit.views.rotate import rotate_view
from toolkit.views.segmentation import person_probability


def test_a_profile_is_segmented_by_its_colors_where_the_network_is_undecided(head_photo: Image, face: Face) -> None:
    view = rotate_view(head_photo, face, 62)
    wide, nose = view.landmarks.copy(), slice(1, 7)
    wide[:, 0] += 0.08 * face.size  # beyond the contour
    fit, mesh = fit_shape(wide), wide[:SKIN, :2]
    error = np.abs(mesh - view.landmarks[:SKIN, :2])[nose, 0]
    undecided = np.full(head_photo.shape[:2], 0.3, np.float32)
    mask = head_outline_mask(view.image, mesh, fit, undecided)
    again = head_outline_mask(view.image, mesh, fit, undecided)
    assert mask is not None and again is not None
    assert np.array_equal(mask, again)
    fitted = fit_mesh_to_contour(mesh, fit, mask)
    assert (np.abs(fitted - view.landmarks[:SKIN, :2])[nose, 0] < 0.65 * error).all()
    faceless = view.image.copy()
    eye = int(view.landmarks[263, 0])  # the near one's outer corner
    faceless[:, eye:] = view.image[:, -1:]  # background from there on: no mesh is wrong by that much
    assert head_outline_mask(faceless, mesh, fit, undecided) is None


def test_a_notch_ahead_of_the_mesh_is_background_and_one_behind_it_is_face() -> None:
    """Rows 8 and 24 of a head that ends at column 30: background between nose and lip, and a mouth in shadow."""
    inside, behind = np.zeros((40, 40), np.uint8), np.zeros((40, 40), bool)
    inside[:, :30], behind[:, :30] = 1, True
    inside[8, 26:30], behind[8, 26:30] = 0, False  # the mesh has this notch
    inside[24, 26:30] = 0
    no_hair, cheek = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    cheek[15:25, 5:10] = True
    cleaned = _clean_mask(inside, no_hair, behind, cheek, 2.0)
    assert not cleaned[8, 26:].any()
    assert cleaned[24, :30].all()
    assert not cleaned[:, 30:].any()


def test_a_profile_cut_off_by_the_photos_edge_is_segmented_by_the_network(head_photo: Image, face: Face) -> None:
    """No pixel ahead of it is certain background, and the background has the color of skin."""
    view = rotate_view(head_photo, face, 60)
    mesh, fit = view.landmarks[:SKIN, :2], fit_shape(view.landmarks)
    cheek = view.image[tuple(mesh[425, ::-1].astype(int))]
    probability = person_probability(view.image, view.landmarks[:SKIN])
    photo = np.where((probability < 0.5)[..., None], cheek, view.image).astype(np.uint8)
    edge = int(mesh[1, 0]) + 2
    cut, probability = np.ascontiguousarray(photo[:, :edge]), np.ascontiguousarray(probability[:, :edge])
    mask = head_outline_mask(cut, mesh, fit, probability)
    assert mask is not None
    y, x = int(mesh[164, 1]), edge - 2  # beyond the lip
    assert probability[y, x] < 0.05
    assert mask[y, x] < 0.3


def test_a_mesh_whose_far_eye_lies_on_the_background_is_that_of_a_profile(head_photo: Image, face: Face) -> None:
    """In photos from the wild many meshes of profiles say 50 degrees of yaw."""
    view, slightly = rotate_view(head_photo, face, 50), rotate_view(head_photo, face, 35)
    mesh, fit = view.landmarks[:SKIN, :2], fit_shape(view.landmarks)
    everywhere = np.ones(head_photo.shape[:2], np.float32)
    assert not is_turned(fit)
    assert not is_profile(mesh, fit, everywhere)
    up_to_the_nose = everywhere.copy()
    up_to_the_nose[:, round(mesh[NOSE_ROOT, 0]) :] = 0
    assert is_profile(mesh, fit, up_to_the_nose)
    assert not is_profile(mesh, fit, 0.5 * up_to_the_nose)  # the person network does not know where the person is
    up_to_the_nose = everywhere.copy()
    up_to_the_nose[:, round(slightly.landmarks[NOSE_ROOT, 0]) :] = 0
    assert not is_profile(slightly.landmarks[:SKIN, :2], fit_shape(slightly.landmarks), up_to_the_nose)
