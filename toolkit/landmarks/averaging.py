"""A calmer mesh: the mean of several, fitted from squares of several sizes and their mirror images.

One mesh of a turned head is off by some percent of the face at random; the mean of eight puts the
chin of true profiles a sixth nearer to where people mark it, and what is drawn from it keeps more
of the person. A network that knows profiles alone has its say, too. It costs eight runs of the one
network and seven of the other, so it is for turned faces.
"""

from dataclasses import replace

import numpy as np

from toolkit.faces.face import Face
from toolkit.geometry.head_pose import head_pose
from toolkit.landmarks.detection import region_of_mesh
from toolkit.landmarks.fusion import agreed
from toolkit.landmarks.mediapipe_graphs import Frame, MeshModel
from toolkit.landmarks.profile_network import ProfilePoints
from toolkit.photos.types import Photo

SIZES = (0.9, 1.0, 1.1, 1.25)  # of the usual square
TURNED = 20.0  # degrees of yaw: below, one look is as good


class SteadyMesh:
    """Fits the mesh network to a face again and again, and asks the profile network.

    Args:
        profiles: ask it. On heads that `TurnableHead` turned it is far better than on photos, having learned there.
        mesh: the mesh network, where it is loaded already.
    """

    def __init__(self, profiles: bool = True, mesh: MeshModel | None = None) -> None:
        self._mesh, self._points = mesh or MeshModel(), ProfilePoints() if profiles else None

    def __call__(self, photo: Photo, face: Face) -> Face:
        """The face with the mean mesh, moved to where the profile network sees it; as it is if it is hardly turned.

        Args:
            photo: (H, W, 3) RGB uint8.
            face: in pixels of that photo.

        Raises:
            PhotoRejected: ``bad-mesh``, the points span no frame.
        """
        if abs(head_pose(face.landmarks).yaw) < TURNED:
            return face
        usual = region_of_mesh(face.landmarks)
        straight, flipped = Frame(photo), Frame(np.ascontiguousarray(photo[:, ::-1]))
        meshes = []
        for size in SIZES:
            region = replace(usual, side=usual.side * size)
            meshes.append(self._mesh.fit(straight, region)[0])
            meshes.append(self._mesh.fit_mirrored(flipped, region))
        calm = np.asarray(np.mean(meshes, axis=0))
        if self._points is not None:
            calm = agreed(calm, self._points(photo, region_of_mesh(calm)), head_pose(calm).yaw)
        return replace(face, landmarks=calm)
