"""A head turned away and brought back by the geometric view: what the refiner learns from.

What comes back has the holes, the stretched cheeks and the wrong depths that a real profile has in use, because the
turned photo goes the same way: worn as photos are, its face found by the same networks, drawn by the same view.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.views import as_mask
from toolkit.errors import PhotoRejected
from toolkit.faces.face import Face, Landmarker
from toolkit.landmarks.averaging import SteadyMesh
from toolkit.photos.degrade import worn
from toolkit.views.frontal import frontal_view
from toolkit.views.rotate import View

Image = NDArray[np.uint8]
ASTRAY_MESH = 0.1  # mean distance of found points from the true ones, of the face's size: more is no face, but a collar
ASTRAY = 0.02  # of the face's size: how far off a face is looked at where none was found


class ReturnTrip:
    """Brings turned heads back.

    Args:
        landmarker: finds their faces.
        wear: how badly photos are worn on the way, 0 to 1.
    """

    def __init__(self, landmarker: Landmarker, wear: float) -> None:
        # With the profile network what comes back would be better than any real profile: it knows heads turned here.
        self._landmarker, self._wear, self._steady = landmarker, wear, SteadyMesh(profiles=False)

    def __call__(self, view: View, size: int, random: np.random.Generator) -> tuple[Image, Image] | None:
        """The frontal view of a turned head.

        Returns:
            (size, size, 3) RGB, and (size, size) how well each pixel was seen, 0 to 255; None where the mesh fails.
        """
        photo, true = worn(view.image, random, self._wear), Face(view.landmarks, None)
        try:
            face = self._steady(photo, self._found(photo, true, random))
            if _astray(face, true):
                return None
            image, visible = frontal_view(photo, face, size)
        except PhotoRejected:
            return None
        return image, as_mask(visible)

    def _found(self, photo: Image, true: Face, random: np.random.Generator) -> Face:
        if faces := [face for face in self._landmarker.find(photo) if not _astray(face, true)]:
            return faces[0]
        off = np.append(random.normal(0, ASTRAY * true.size, 2), 0)
        return replace(true, landmarks=true.landmarks + off)


def _astray(face: Face, true: Face) -> bool:
    off = np.linalg.norm(face.landmarks[:, :2] - true.landmarks[:, :2], axis=1).mean()
    return bool(off > ASTRAY_MESH * true.size)
