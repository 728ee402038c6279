"""A frontal view in two steps: what of the photo goes where, and the drawing of it.

The first needs one photo's landmarks, person mask and fit. The second is arithmetic on pixels; for a
batch of photos on a GPU, :mod:`models.frontal_view` does it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face, resized
from toolkit.faces.head_mesh import build_head, head_mirror, head_triangles, normals, oval
from toolkit.faces.shape_model import HEAD_HALF, PIVOT, Fit, fit_shape
from toolkit.geometry.affine import magnification
from toolkit.geometry.crop import Template, crop_matrix
from toolkit.geometry.mesh_topology import SKIN
from toolkit.geometry.rasterizer import look_up, rasterize
from toolkit.views import frontal
from toolkit.views.backlight import without_rim
from toolkit.views.head_outline import behind_profile, outlined
from toolkit.views.inpaint import fill, person_only
from toolkit.views.profile_contour import is_turned, within_contour
from toolkit.views.segmentation import MAYBE, head_part, person_likelihood, shows_face

Photo = NDArray[np.uint8]
Points = NDArray[np.float64]
Map = NDArray[np.float32]
GRAZING = 0.05  # half the width of the blend where both halves show a place equally well
INSET = 0.01  # head coordinates: so near to the contour the photo mixes skin and wall
INSET_TURNED = 0.02  # of a turned head, whose middle lies on the contour: what is wrong there is seen by everybody
HIDDEN, HIDDEN_FULLY = 0.01, 0.03  # head coordinates: how far behind another part of the face a vertex is out of sight
BACKDROP = 16  # pixels, the side of what stands behind


@dataclass(frozen=True, slots=True)
class Layout:
    """What it takes to draw one frontal view."""

    skin: Photo  # (H, W, 3) RGB: the part of the photo with the head, the person's colours continued beyond the contour
    places: Map  # (V, 2) where each vertex of the head has its colour, pixels of skin
    target: Map  # (V, 3) where the view shows it, pixels, z away from the camera
    facing: Map  # (V,) how well the photo shows it: 1 facing the camera, 0 hidden
    backdrop: Photo  # (BACKDROP, BACKDROP, 3) RGB: the photo's own background, out of focus


def lay_out(photo: Photo, face: Face, size: int, template: Template, border: int = 0) -> Layout:
    """Find what of the photo goes where; see :func:`toolkit.views.frontal.frontal_view`."""
    fit = fit_shape(face.landmarks)
    matrix = crop_matrix(fit.shape, size, template)
    matrix[:, 2] += border
    head = build_head(fit.shape, back=False).vertices
    photo, shift, shown = head_part(
        photo, fit.on_photo(PIVOT[None])[0], HEAD_HALF * fit.scale, fit.scale / magnification(matrix)
    )
    face, fit = resized(face, shown, shift), fit.moved(shift, shown)
    mask = _person(photo, face.landmarks[:SKIN], fit)
    mesh = face.landmarks[:SKIN, :2]
    target = np.column_stack([head[:, :2] @ matrix[:, :2].T + matrix[:, 2], head[:, 2] * magnification(matrix)])
    return Layout(
        skin=_colours(photo, mask, mesh, fit),
        places=places_of(mesh if mask is None else within_contour(mesh, fit, mask), fit, head).astype(np.float32),
        target=target.astype(np.float32),
        facing=_visibility(fit, head).astype(np.float32),
        backdrop=_backdrop(photo, mask),
    )


def _person(photo: Photo, mesh: Points, fit: Fit) -> Map | None:
    likely = person_likelihood(photo, mesh)
    if is_turned(fit) and (mask := outlined(photo, mesh[:, :2], fit, likely)) is not None:
        return mask
    if shows_face(likely, mesh):
        return likely
    return behind_profile(mesh[:, :2], fit, photo.shape[:2]) if is_turned(fit) else None


def _colours(photo: Photo, mask: Map | None, mesh: Points, fit: Fit) -> Photo:
    if mask is None or not is_turned(fit):
        return person_only(photo, mask, INSET * fit.scale)
    return person_only(photo, without_rim(photo, mask, mesh, fit), INSET_TURNED * fit.scale)


def draw(layout: Layout, size: int) -> tuple[Photo, Map]:
    """Draw a frontal view.

    Returns:
        (size, size, 3) RGB uint8, and (size, size) float32 visibility.
    """
    triangles, mirror = head_triangles(back=False), head_mirror(back=False)
    seen = rasterize(layout.target, triangles, (size, size))
    places, facing = layout.places, layout.facing
    spread = seen.interpolate(triangles, np.column_stack([places, places[mirror], facing, facing[mirror]]))
    own, mirrored = (look_up(layout.skin, spread[..., first : first + 2]) for first in (0, 2))
    visible, other = spread[..., 4], spread[..., 5]
    mirrored = _relit(mirrored, other, own, visible)
    share = np.clip(0.5 + (visible - other) / (2 * GRAZING), 0, 1)
    share = cv2.GaussianBlur(share.astype(np.float32), (0, 0), size / 80)[..., None]
    inside = (seen.triangle >= 0).astype(np.float32)
    edge = cv2.GaussianBlur(inside, (0, 0), 0.7)[..., None]
    behind = np.asarray(cv2.resize(layout.backdrop, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)
    image = (own * share + mirrored * (1 - share)) * edge + behind * (1 - edge)
    return np.clip(image, 0, 255).astype(np.uint8), visible * inside


def places_of(mesh: Points, fit: Fit, head: Points) -> Points:
    """(V, 2) where each vertex's colour lies in the photo: the mesh itself, and the skull as it hangs on the mesh.

    Args:
        mesh: (468, 2) pixels.
        fit: of that mesh.
        head: (V, 3) head coordinates, from :func:`toolkit.faces.head_mesh.build_head` without the back.
    """
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


def _backdrop(photo: Photo, mask: Map | None) -> Photo:
    small = np.asarray(cv2.resize(photo, (BACKDROP, BACKDROP), interpolation=cv2.INTER_AREA), np.uint8)
    if mask is None:
        return small
    behind = cv2.resize(mask, (BACKDROP, BACKDROP), interpolation=cv2.INTER_AREA) < MAYBE
    return np.clip(fill(small, behind), 0, 255).astype(np.uint8) if behind.any() else small


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
        template: what lands where: see :mod:`toolkit.geometry.crop`.
        border: pixels to show beyond each side of that; S is then size + 2 border, else size.

    Returns:
        (S, S, 3) RGB uint8; and (S, S) float32, how well the photo itself shows each
        pixel's place: 1 facing the camera, 0 hidden, where the mirrored half or a guess stands.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    return frontal.draw(frontal.lay_out(photo, face, size, template, border), size + 2 * border)
