"""MediaPipe's mesh network with attention: 478 points of the face in a given square."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.mesh_topology import MIRROR
from toolkit.landmarks.detection import Region
from toolkit.landmarks.input_square import sample_square, square_matrix, to_photo
from toolkit.networks.runtime import built_in
from toolkit.photos.types import Image

INPUT_SIDE = 192  # pixels

# Bias of the network: all its points lie this many pixels of its input to the right. It is half the mean difference
# between the meshes of 200 photos and of their mirror images.
X_BIAS = 0.288


@dataclass(frozen=True, slots=True)
class Fit:
    """The mesh in one square."""

    landmarks: NDArray[np.float64]  # (478, 3): x, y in pixels of the photo, z on the same scale, away from the camera
    presence: float  # the network's confidence that the square shows a face, 0 to 1


class FaceMesh:
    """Fit the mesh to squares of a photo.

    Source: Grishchenko et al., Attention Mesh, CVPRW 2020.
    """

    def __init__(self) -> None:
        self._network = built_in("face_mesh")

    def fit(self, photo: Image, region: Region) -> Fit:
        """Fit the mesh to one square; see :meth:`fit_all`."""
        return self.fit_all(photo, [(region, False)])[0]

    def fit_all(self, photo: Image, squares: Sequence[tuple[Region, bool]]) -> list[Fit]:
        """Fit the mesh to several squares of a photo in one batch.

        Args:
            photo: (H, W, 3) RGB uint8.
            squares: each with whether the network gets it horizontally flipped.

        Returns:
            For each square its mesh.
        """
        matrices = [square_matrix(region, INPUT_SIDE, flip) for region, flip in squares]
        inputs = [sample_square(photo, matrix, INPUT_SIDE) for matrix in matrices]
        points, presences = self._network(np.stack(inputs))
        found = []
        for (region, flip), matrix, mesh, presence in zip(squares, matrices, points, presences, strict=True):
            mesh = mesh[MIRROR] if flip else mesh
            landmarks = np.empty(mesh.shape)
            landmarks[:, :2] = to_photo(mesh[:, :2] - np.array([X_BIAS, 0.0]), matrix)
            landmarks[:, 2] = mesh[:, 2] * (region.side / INPUT_SIDE)
            found.append(Fit(landmarks, float(presence)))
        return found
