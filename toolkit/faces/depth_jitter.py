"""How faces differ in depth, which a frontal photo does not show.

A head turned with the mesh network's own depths comes back by them without a flaw: too easy a lesson, for on photos of
real profiles that network's noses and jaws are wrong. Heads of other depths put it as wrong.
"""

import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import DEPTH, known_shapes
from toolkit.geometry.mesh_topology import CHIN, NOSE_ROOT

Depths = NDArray[np.float64]
STRETCH = 0.12  # standard deviation of the whole face's depth, relative
PARTS = ((4, 0.07, 0.2), (NOSE_ROOT, 0.03, 0.15), (0, 0.03, 0.2), (CHIN, 0.06, 0.25))
"""Of the nose's tip, its root, the upper lip and the chin: landmark, standard deviation, reach; head coordinates."""


def draw_depths(random: np.random.Generator, strength: float = 1.0) -> Depths:
    """Depths of somebody else's face.

    Args:
        random: decides whose.
        strength: 0, no change, to 1: as much as people differ, and as the mesh network errs.

    Returns:
        (468,) to add to the third head coordinate of a mesh, before :data:`toolkit.faces.shape_model.DEPTH`.
    """
    mean, modes = known_shapes()
    depths = mean[:, 2] * random.normal(0, STRETCH) + random.normal(0, 1, len(modes)) @ modes[:, :, 2]
    for landmark, deviation, reach in PARTS:
        away = np.linalg.norm(mean[:, :2] - mean[landmark, :2], axis=1)
        depths += random.normal(0, deviation) * np.exp(-((away / reach) ** 2) / 2)
    return np.asarray(strength * depths / DEPTH)
