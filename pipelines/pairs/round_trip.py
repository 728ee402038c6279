"""A head rotated away and brought back by the geometric view: what the refiner learns from.

The result has the holes, the stretched cheeks and the wrong depths of real profiles, because the rotated photo is
processed like one: degraded, its face found by the same networks, the view rendered by the same code.
"""

from dataclasses import replace

import numpy as np

from pipelines.photo_jobs.views import as_mask
from toolkit.errors import PhotoRejected
from toolkit.faces.face import Face
from toolkit.landmarks.profiles.averaging import AveragedMesh
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.degrade import degrade
from toolkit.photos.types import Image
from toolkit.views.frontal import frontal_view
from toolkit.views.rotate import RotatedView

MAX_MESH_ERROR = 0.1  # mean distance to the true points, relative to the face: beyond, the mesh is on a collar
FALLBACK_NOISE = 0.02  # standard deviation of the true mesh's shift where no face is found, relative to the face


class RoundTrip:
    """Bring rotated heads back to the front.

    Args:
        landmarker: finds their faces.
        degrade: strength of the degradation on the way, 0 to 1; see :mod:`toolkit.photos.degrade`.
    """

    def __init__(self, landmarker: Landmarker, degrade: float) -> None:
        self._landmarker, self._degrade = landmarker, degrade
        # Without the profile network: it was trained on heads rotated by this code, and would be better than on photos.
        self._refine = AveragedMesh(profiles=False)

    def __call__(self, view: RotatedView, size: int, random: np.random.Generator) -> tuple[Image, Image] | None:
        """Make the frontal view of a rotated head.

        Returns:
            (size, size, 3) RGB, and (size, size) visibility, 0 to 255; None where the mesh is wrong.
        """
        photo, true = degrade(view.image, random, self._degrade), Face(view.landmarks, None)
        try:
            face = self._refine(photo, self._found(photo, true, random))
            if _is_wrong(face, true):
                return None
            image, visible = frontal_view(photo, face, size)
        except PhotoRejected:
            return None
        return image, as_mask(visible)

    def _found(self, photo: Image, true: Face, random: np.random.Generator) -> Face:
        if faces := [face for face in self._landmarker.find(photo) if not _is_wrong(face, true)]:
            return faces[0]
        off = np.append(random.normal(0, FALLBACK_NOISE * true.size, 2), 0)
        return replace(true, landmarks=true.landmarks + off)


def _is_wrong(face: Face, true: Face) -> bool:
    off = np.linalg.norm(face.landmarks[:, :2] - true.landmarks[:, :2], axis=1).mean()
    return bool(off > MAX_MESH_ERROR * true.size)
