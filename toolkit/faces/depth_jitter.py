"""Random changes of a face's depth, which a frontal photo does not determine.

Synthetic profiles rendered with the mesh network's own depths are restored perfectly by the same depths. This is too
easy as training data: on photos of real profiles the network's depths of nose and jaw are wrong. Random depths of the
same size as these errors make the synthetic profiles as hard.
"""

import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import DEPTH_SCALE, load_face_shapes
from toolkit.geometry.mesh_topology import CHIN, NOSE_ROOT, NOSE_TIP_FRONT, UPPER_LIP

Depths = NDArray[np.float64]
DEPTH_STD = 0.12  # of the whole face's depth, relative

# Of local bumps: landmark, standard deviation of the depth, standard deviation of the Gaussian; head coordinates.
BUMPS = ((NOSE_TIP_FRONT, 0.07, 0.2), (NOSE_ROOT, 0.03, 0.15), (UPPER_LIP, 0.03, 0.2), (CHIN, 0.06, 0.25))


def draw_depth_offsets(random: np.random.Generator, strength: float = 1.0) -> Depths:
    """Draw random changes of a face's depth.

    Args:
        random: the generator to draw from.
        strength: 0, no change, to 1: as much as people differ and the mesh network errs.

    Returns:
        (468,) to add to the z of a mesh in head coordinates, before
        :data:`toolkit.faces.shape_model.DEPTH_SCALE` is applied.
    """
    mean, modes = load_face_shapes()
    depths = mean[:, 2] * random.normal(0, DEPTH_STD) + random.normal(0, 1, len(modes)) @ modes[:, :, 2]
    for landmark, deviation, width in BUMPS:
        distance = np.linalg.norm(mean[:, :2] - mean[landmark, :2], axis=1)
        depths += random.normal(0, deviation) * np.exp(-((distance / width) ** 2) / 2)
    return np.asarray(strength * depths / DEPTH_SCALE)
