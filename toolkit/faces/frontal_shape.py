"""The shape of a face as a frontal photo shows it, estimated from the fit to a turned one.

The mesh of a turned face has systematic errors: at 45 degrees of yaw faces come out 7 % too wide and noses too short.
The correction is a ridge regression, learned by ``examples/learn/frontal_shape.py`` on pairs of turned and frontal
photos of the same people: its features are a few functions of the yaw, and their products with the coefficients of the
shape model. It vanishes for a face that looks at the camera.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import Fit, load_face_shapes
from toolkit.geometry.mesh_topology import MIRROR, SKIN

Points = NDArray[np.float64]

YAW_SINES = (0.0, 0.35, 0.7, 0.97)  # of the knots: the features are linear between 0, 20, 44 and 76 degrees


def frontal_shape(fit: Fit) -> Points:
    """Return the shape of a fit without the systematic errors of turned faces: (468, 3) head coordinates."""
    correction = shape_features(fit) @ _load()
    return np.asarray(fit.shape + correction.reshape(SKIN, 3))


def shape_features(fit: Fit) -> NDArray[np.float64]:
    """Return the features of the regression, (F,): all of them 0 at a yaw of 0."""
    turn = abs(float(fit.rotation[2, 0]))
    near = np.array([np.interp(turn, YAW_SINES, knot) for knot in np.eye(len(YAW_SINES))[1:]])
    symmetric = (fit.shape + fit.shape[MIRROR[:SKIN]] * [-1, 1, 1]) / 2
    mean, _ = load_face_shapes()
    coefficients = _inverse_modes() @ (symmetric - mean).reshape(-1)
    return np.concatenate([near, np.outer(near, coefficients).reshape(-1)])


@cache
def _inverse_modes() -> Points:
    """Return (30, 1404); its product with a shape less the mean gives the coefficients, by least squares."""
    _, modes = load_face_shapes()
    return np.asarray(np.linalg.pinv(modes.reshape(len(modes), -1).T))


@cache
def _load() -> Points:
    """Return the weights, (F, 1404)."""
    with np.load(Path(__file__).with_name("frontal_shape.npz")) as stored:
        return np.asarray(stored["weights"], np.float64)
