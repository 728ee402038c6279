import numpy as np

from toolkit.faces.face import Face
from toolkit.geometry.mesh_topology import SKIN
from toolkit.photos.types import Image
from toolkit.views.segmentation import person_mask


def test_the_mask_covers_the_face_and_noise_has_none(head_photo: Image, face: Face) -> None:
    mask = person_mask(head_photo, face.landmarks[:SKIN])
    assert mask is not None
    x, y = face.landmarks[[1, 9, 152, 50, 280], :2].round().astype(int).T
    assert (mask[y, x] > 0.9).all()
    noise = np.random.default_rng(0).integers(0, 255, head_photo.shape, np.uint8)
    assert person_mask(noise, face.landmarks[:SKIN]) is None
