import numpy as np

from toolkit.faces.face import Face
from toolkit.faces.shape_model import fit_shape
from toolkit.geometry.mesh_topology import SKIN
from toolkit.photos.types import Image
from toolkit.views.profile_contour import fit_mesh_to_contour
from toolkit.views.rotate import rotate_view
from toolkit.views.segmentation import person_mask


def test_a_mesh_beyond_the_contour_is_moved_inside(head_photo: Image, face: Face) -> None:
    view = rotate_view(head_photo, face, 66)
    wide = view.landmarks.copy()
    wide[:, 0] += 0.08 * face.size  # where it faces: beyond the contour
    fit = fit_shape(wide)
    mask = person_mask(view.image, view.landmarks[:SKIN])
    assert mask is not None
    mesh = wide[:SKIN, :2]
    fitted = fit_mesh_to_contour(mesh, fit, mask)
    nose = slice(1, 7)
    assert (fitted[nose, 0] < mesh[nose, 0] - 2).all()
    np.testing.assert_allclose(fitted[234], mesh[234], atol=1e-6)  # the side of the ear does not move
