"""A head rotated away, by us or in a real photo, and brought back by the geometric view: what the refiner learns from.

The result has the holes, the stretched cheeks and the wrong depths of real profiles, because the rotated photo is
processed like one: degraded, its face found by the same networks, the view rendered by the same code.
"""

from dataclasses import replace

import numpy as np

from pipelines.photo_jobs.landmarkers import worker_landmarker
from toolkit.errors import PhotoRejected
from toolkit.faces.face import Face
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.profiles.averaging import AveragedMesh
from toolkit.photos.degrade import degrade
from toolkit.photos.types import Image
from toolkit.views.frontal import FrontalView, frontal_view

MAX_MESH_ERROR = 0.1  # mean distance to the true points, relative to the face: beyond, the mesh is on a collar
FALLBACK_NOISE = 0.02  # standard deviation of the true mesh's shift where no face is found, relative to the face


class RoundTrip:
    """Bring rotated heads back to the front.

    Args:
        degrade: strength of the degradation on the way, 0 to 1; see :mod:`toolkit.photos.degrade`.
        real: the heads are those of real photos. In heads that were rotated by this code the profile network is not
            used: it was trained on such heads, and would be better than on photos.
    """

    def __init__(self, degrade: float, real: bool = False) -> None:
        self._degrade = degrade
        # Unrefined: the meshes are refined here.
        self._landmarker = worker_landmarker(FindConfig(retries=False, refine_profiles=False))
        self._refine = AveragedMesh(profiles=real)

    def __call__(self, head: Image, true: Face, size: int, random: np.random.Generator) -> FrontalView | None:
        """Make the frontal view of a turned head.

        Args:
            head: (H, W, 3) RGB uint8, with room around it.
            true: the face in it, found before the degradation, or known from the rotation.
            size: side of the view, pixels.
            random: for the degradation.

        Returns:
            The view; None where the mesh is wrong.
        """
        photo = degrade(head, random, self._degrade)
        try:
            face = self._refine(photo, self._found(photo, true, random))
            if _is_wrong(face, true):
                return None
            return frontal_view(photo, face, size)
        except PhotoRejected:
            return None

    def _found(self, photo: Image, true: Face, random: np.random.Generator) -> Face:
        if faces := [face for face in self._landmarker.find(photo) if not _is_wrong(face, true)]:
            return faces[0]
        off = np.append(random.normal(0, FALLBACK_NOISE * true.size, 2), 0)
        return replace(true, landmarks=true.landmarks + off)


def _is_wrong(face: Face, true: Face) -> bool:
    off = np.linalg.norm(face.landmarks[:, :2] - true.landmarks[:, :2], axis=1).mean()
    return bool(off > MAX_MESH_ERROR * true.size)
