import numpy as np

from toolkit.faces.face import Face
from toolkit.landmarks.profiles.averaging import AveragedMesh
from toolkit.photos.types import Image
from toolkit.views.rotate import rotate_view


def test_only_turned_faces_are_refined_and_stay_the_same_face(head_photo: Image, face: Face) -> None:
    average = AveragedMesh()
    assert average(head_photo, face) is face
    view = rotate_view(head_photo, face, 50)
    refined = average(view.image, Face(view.landmarks, 0.9))
    assert refined.score == 0.9
    assert np.median(np.hypot(*(refined.landmarks - view.landmarks)[:, :2].T)) < 0.06 * face.size
