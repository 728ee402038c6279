"""One photo seen from elsewhere: a head turned to any pose, and the frontal view of a turned one, without training.

The face's own pixels are moved, none is invented: what the photo does not show comes from the
mirrored half of the face, or from what is next to it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.align import magnification
from toolkit.contour import within_contour
from toolkit.geometry import Template, crop_matrix
from toolkit.landmarks import Face, resized
from toolkit.layers import MAYBE, fill, head_part, person_mask, person_only
from toolkit.mesh import build_head, head_mirror, head_triangles, normals, oval
from toolkit.raster import look_up, rasterize
from toolkit.shape import HEAD_HALF, PIVOT, Fit, fit_shape
from toolkit.topology import SKIN
from toolkit.turnable import Light, TurnableHead, View

Photo = NDArray[np.uint8]
Points = NDArray[np.float64]
Map = NDArray[np.float32]

GRAZING = 0.05  # half the width of the blend where both halves show a place equally well
INSET = 0.01  # head coordinates: so near to the contour the photo mixes skin and wall
HIDDEN, HIDDEN_FULLY = 0.01, 0.03  # head coordinates: how far behind another part of the face a vertex is out of sight


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
    photo: Photo, face: Face, size: int = 128, template: Template = "chin"
) -> tuple[Photo, NDArray[np.float32]]:
    """Turn a face to the front.

    Pixels of the near half go where a frontal face has them; the far half, as far as the photo
    hides it, is the near half mirrored, its lighting brought to that of what is seen.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: as the landmarker found it, at any yaw.
        size: side of the view, pixels.
        template: what lands where: see :mod:`toolkit.geometry`.

    Returns:
        (size, size, 3) RGB uint8; and (size, size) float32, how well the photo itself shows each
        pixel's place: 1 facing the camera, 0 hidden, where the mirrored half or a guess stands.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    fit = fit_shape(face.landmarks)
    matrix = crop_matrix(fit.shape, size, template)
    head = build_head(fit.shape, back=False).vertices
    photo, shift, shown = head_part(
        photo, fit.on_photo(PIVOT[None])[0], HEAD_HALF * fit.scale, fit.scale / magnification(matrix)
    )
    face, fit = resized(face, shown, shift), fit.moved(shift, shown)
    mask = person_mask(photo, face.landmarks[:SKIN])
    mesh = face.landmarks[:SKIN, :2]
    place = _source(mesh if mask is None else within_contour(mesh, fit, mask), fit, head)
    skin = person_only(photo, mask, INSET * fit.scale)
    target = np.column_stack([head[:, :2] @ matrix[:, :2].T + matrix[:, 2], head[:, 2] * magnification(matrix)])
    triangles, mirror = head_triangles(back=False), head_mirror(back=False)
    seen = rasterize(target.astype(np.float32), triangles, (size, size))
    facing = _visibility(fit, head)
    everything = np.column_stack([place, place[mirror], facing, facing[mirror]])
    spread = seen.interpolate(triangles, everything.astype(np.float32))
    own, mirrored = (look_up(skin, spread[..., first : first + 2]) for first in (0, 2))
    visible, other = spread[..., 4], spread[..., 5]
    mirrored = _relit(mirrored, other, own, visible)
    share = np.clip(0.5 + (visible - other) / (2 * GRAZING), 0, 1)
    share = cv2.GaussianBlur(share.astype(np.float32), (0, 0), size / 80)[..., None]
    inside = (seen.triangle >= 0).astype(np.float32)
    edge = cv2.GaussianBlur(inside, (0, 0), 0.7)[..., None]
    image = (own * share + mirrored * (1 - share)) * edge + _backdrop(photo, mask, size) * (1 - edge)
    return np.clip(image, 0, 255).astype(np.uint8), visible * inside


def _source(mesh: Points, fit: Fit, head: Points) -> Points:
    """(V, 2) where each vertex's colour lies in the photo: the mesh itself, and the skull as it hangs on the mesh."""
    placed = fit.on_photo(head)[:, :2]
    off = mesh[oval()] - placed[oval()]
    rings = (len(head) - SKIN) // len(off)
    return np.concatenate([mesh, placed[SKIN:] + np.tile(off, (rings, 1))])


def _visibility(fit: Fit, head: Points) -> Points:
    """(V,) how well the photo shows each vertex: how much it faces the camera, 0 behind another part of the face."""
    triangles = head_triangles(back=False)
    turned = head @ fit.rotation.T
    pixels = 45.0  # per unit: a coarse look is enough
    low = turned[:, :2].min(axis=0)
    points = np.column_stack([(turned[:, :2] - low) * pixels, turned[:, 2]])
    width, height = np.ceil(points[:, :2].max(axis=0)).astype(int) + 1
    depth = rasterize(points.astype(np.float32), triangles, (int(width), int(height))).depth
    column, row = points[:, :2].round().astype(int).T
    front = np.where(np.isfinite(depth[row, column]), depth[row, column], points[:, 2])
    in_sight = np.clip((HIDDEN_FULLY - (points[:, 2] - front)) / (HIDDEN_FULLY - HIDDEN), 0, 1)
    return np.asarray(np.clip(-normals(turned, triangles)[:, 2], 0, 1) * in_sight)


def _relit(mirrored: Map, other: Map, own: Map, visible: Map) -> Map:
    """The mirrored half in the light of the half that it completes, as far as that half is seen."""
    size = (len(own), len(own))
    coarse = (max(8, len(own) // 4),) * 2  # light varies slowly

    def soft(image: Map) -> Map:
        blurred = cv2.GaussianBlur(cv2.resize(image, coarse, interpolation=cv2.INTER_AREA), (0, 0), 0.12 * coarse[0])
        return np.asarray(cv2.resize(blurred, size, interpolation=cv2.INTER_LINEAR), np.float32)

    weights = visible**2 + 1e-3, other**2 + 1e-3
    light, light_mirrored = (
        soft(image * weight[..., None]) / soft(weight)[..., None]
        for image, weight in zip((own, mirrored), weights, strict=True)
    )
    return np.asarray(mirrored + (light - light_mirrored) * np.clip(soft(visible), 0, 1)[..., None])


def _backdrop(photo: Photo, mask: NDArray[np.float32] | None, size: int) -> Map:
    """What stands behind a frontal view: the photo's own background, out of focus."""
    small = np.asarray(cv2.resize(photo, (16, 16), interpolation=cv2.INTER_AREA), np.uint8)
    if mask is not None:
        behind = cv2.resize(mask, (16, 16), interpolation=cv2.INTER_AREA) < MAYBE
        if behind.any():
            small = np.clip(fill(small, behind), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)
