"""One photo seen from elsewhere: a head turned to any pose, and the frontal view of a turned one, without training.

The face's own pixels are moved, none is invented: what the photo does not show comes from the
mirrored half of the face, or from what is next to it.
"""

import numpy as np
from numpy.typing import NDArray

from toolkit import frontal
from toolkit.geometry import Template
from toolkit.landmarks import Face
from toolkit.turnable import Light, TurnableHead, View

Photo = NDArray[np.uint8]


def rotate_view(photo: Photo, face: Face, yaw: float, pitch: float = 0.0, light: Light | None = None) -> View:
    """Turn the head of a near-frontal photo.

    For several poses of one photo, :class:`toolkit.turnable.TurnableHead` does the common work once.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: as the landmarker found it, yaw below about 15 degrees.
        yaw: degrees to turn by, positive to the subject's left; believable to 60, usable to 90.
        pitch: degrees, positive up.
        light: a lamp's azimuth in degrees (positive: from the subject's left) and its strength, 0 to 1; None
            leaves the light as it is.

    Returns:
        The photo with the turned head, and where its landmarks are now.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    return TurnableHead(photo, face).view(yaw, pitch, light)


def frontal_view(
    photo: Photo, face: Face, size: int = 128, template: Template = "chin", border: int = 0
) -> tuple[Photo, NDArray[np.float32]]:
    """Turn a face to the front.

    Pixels of the near half go where a frontal face has them; the far half, as far as the photo
    hides it, is the near half mirrored, its lighting brought to that of what is seen.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: as the landmarker found it, at any yaw.
        size: side of the view, pixels.
        template: what lands where: see :mod:`toolkit.geometry`.
        border: pixels to show beyond each side of that; S is then size + 2 border, else size.

    Returns:
        (S, S, 3) RGB uint8; and (S, S) float32, how well the photo itself shows each
        pixel's place: 1 facing the camera, 0 hidden, where the mirrored half or a guess stands.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    return frontal.draw(frontal.lay_out(photo, face, size, template, border), size + 2 * border)
