"""What a frontal view shows around the head: hair, ears, neck and background, from the photo.

The photo is warped as if the head had turned about its neck: next to the head's outline it moves along with the
outline, farther out less and less. What a turned head hides on its far side is the mirror image of the near side. The
throat of a turned head ends at its contour: below the chin the view continues it with the person's own colors. Beside
jaw and neck the view shows the background, because a neck is wider from the side than from the front.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.head_mesh import FACE_HALF_BREADTH, face_oval
from toolkit.faces.shape_model import PIVOT, Fit
from toolkit.geometry.affine import invert, matrix_scale
from toolkit.geometry.mesh_topology import SKIN
from toolkit.photos.resample import sample_reduced
from toolkit.photos.types import Image
from toolkit.views.backdrop import without_person
from toolkit.views.photo_warp import STILL_RADIUS, smoothstep
from toolkit.views.segmentation import PROBABLE_PERSON, Mask

Points = NDArray[np.float64]
FloatImage = NDArray[np.float32]

GRID = 64  # positions per side at which the warp is computed; it varies slowly
OWN_YAW_SINE, TURNED_YAW_SINE = 0.17, 0.42  # up to 10 degrees of yaw a view is the photo itself; from 25 all is drawn
SEAM = 0.08  # of the view's side: half the width of the transition to the mirror image, in the middle
OUT_OF_FOCUS, EDGE_FADE = 12, 0.04  # pixels of the photo out of focus; of its side: from sharp to that, beyond the edge
# Half the width of ears, jaw and neck by height, head coordinates: below the ears the median of 76 frontal photos of 38
# people of the London Set, as the person network segments them. Farther down are the shoulders.
HEIGHTS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4)
HALF_WIDTHS = (1.3, 0.8, 0.72, 0.59, 0.56, 0.54, 0.52, 0.52, 0.53, 0.55, 0.67, 0.89, 1.11)
EDGE = 0.04  # head coordinates: half the width of the transition to the background, whose place is known no better
# In OpenCV's 8-bit CIELAB: differences in lightness and colors that are one step from the face's median. The chin's
# shadow falls on the neck, so lightness may differ more; hair and clothes have other colors.
SKIN_STEP, MAX_SKIN_STEPS = np.array([40.0, 6.0, 7.0]), 2.5
MAX_SKIN_CONTRAST = 7.0  # standard deviation of lightness in a quarter of the window; that of strands is larger
HAIR_WINDOW, MIN_HAIR_SHARE = 0.1, 0.4  # head coordinates; share of the person's pixels in it that are no skin
NECK_TOP, NECK_HALF_WIDTH = (0.85, 1.0), (0.35, 0.5)  # head coordinates: where the person's colors begin, and are all


@dataclass(frozen=True, slots=True)
class Frame:
    """What a view shows: where head and photo lie in it."""

    head_to_view: NDArray[np.float64]  # (2, 3), x and y of head coordinates -> pixels of the view
    photo_to_view: NDArray[np.float64]  # (2, 3), pixels of the photo -> pixels of the view, as if the head faced it
    fit: Fit  # of the face in the photo
    size: int  # pixels


def turned_share(fit: Fit) -> float:
    """Return how much a view differs from the photo: 0 up to 10 degrees of yaw, 1 from 25."""
    sine = abs(float(fit.rotation[2, 0]))
    return min(max((sine - OWN_YAW_SINE) / (TURNED_YAW_SINE - OWN_YAW_SINE), 0.0), 1.0)


def surroundings(
    photo: Image, person_colors: Image, person: Mask | None, photo_xy: Points, view_xy: Points, frame: Frame
) -> Image:
    """Warp a photo so that what surrounds a turned head fits around its frontal view.

    Args:
        photo: (H, W, 3) RGB uint8, with the background.
        person_colors: (H, W, 3), the photo with the background replaced by the person's nearest colors.
        person: (H, W) 0 to 1, of the photo; None where it is unknown.
        photo_xy: (V, 2) pixels of the photo: where it has the vertices of the head, the last 36 of them the outline.
        view_xy: (V, 2) pixels of the view: where it has them.
        frame: of the view.

    Returns:
        (size, size, 3) RGB uint8.
    """
    size, outline = frame.size, slice(-len(face_oval()), None)
    map_xy = _source_positions(photo_xy[outline], view_xy[outline], frame)
    x, y = (cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR) for part in np.moveaxis(map_xy, 2, 0))
    warped, turn = _sample(photo, x, y), turned_share(frame.fit)
    if turn == 0:
        return warped
    top, share = _neck_share(frame)
    if len(share):
        warped[top:] = _mix(warped[top:], _sample(person_colors, x[top:], y[top:]), turn * share)
    mirrored = np.asarray(turn * _mirrored_share(frame), np.float32)
    warped = _mix(warped, warped[:, ::-1], mirrored)
    if person is None:
        return warped
    rows, beside = _beside_neck(frame, np.ptp(view_xy[face_oval(), 0]))
    columns = np.flatnonzero(beside.any(axis=0))
    still = (part[:, columns] for part in _where_nothing_moves(frame, rows))
    if not columns.size or (background := without_person(photo, person, *still)) is None:
        return warped
    own = np.asarray(cv2.remap(person, x[rows], y[rows], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
    on_person = np.asarray(own + (own[:, ::-1] - own) * mirrored, np.float32)
    hair = _not_skin(warped[rows], on_person, _median_color(photo, photo_xy[:SKIN]), frame)
    share = (turn * beside * (1 - hair))[:, columns]
    warped[rows, columns] = _mix(warped[rows, columns], background, share)
    return warped


def _beside_neck(frame: Frame, breadth: float) -> tuple[slice, FloatImage]:
    """Return the rows that show something beside ears, jaw and neck, and (rows, size): 1 beside them, 0 on them.

    Args:
        frame: of the view.
        breadth: of the face in it, pixels.
    """
    unit = matrix_scale(frame.head_to_view)
    x, y = ((np.arange(frame.size) - offset) / unit for offset in frame.head_to_view[:, 2])
    top, bottom = np.searchsorted(y, [HEIGHTS[0], HEIGHTS[-1]])
    half = np.interp(y[top:bottom], HEIGHTS, HALF_WIDTHS) * (breadth / unit / (2 * FACE_HALF_BREADTH))
    beside = np.clip((np.abs(x) - half[:, None]) / (2 * EDGE) + 0.5, 0, 1)
    first = int(beside.any(axis=1).argmax()) if len(beside) else 0
    return slice(int(top) + first, int(bottom)), np.asarray(beside[first:], np.float32)


def _not_skin(image: Image, on_person: Mask, face_color: NDArray[np.float64], frame: Frame) -> FloatImage:
    """Return (H, W), 0 to 1: where an image shows hair or clothes of the person.

    Args:
        image: (H, W, 3) RGB uint8.
        on_person: (H, W) 0 to 1.
        face_color: (3,) in OpenCV's 8-bit CIELAB.
        frame: of the view that the image is a part of.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    unit = matrix_scale(frame.head_to_view)
    window, strand = ((max(3, round(width * unit)),) * 2 for width in (HAIR_WINDOW / 4, HAIR_WINDOW))
    contrast = np.sqrt(np.maximum(cv2.blur(lab[..., 0] ** 2, window) - cv2.blur(lab[..., 0], window) ** 2, 0))
    other = (np.linalg.norm((lab - face_color) / SKIN_STEP, axis=2) > MAX_SKIN_STEPS) | (contrast > MAX_SKIN_CONTRAST)
    # Eroded, because the contour of bare skin is not skin either.
    contour = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, strand)
    inside = cv2.erode((on_person > PROBABLE_PERSON).astype(np.float32), contour)
    share = cv2.blur(inside * other, strand) / np.maximum(cv2.blur(inside, strand), 0.1)
    return np.asarray(np.clip((share - MIN_HAIR_SHARE) / MIN_HAIR_SHARE, 0, 1), np.float32)


def _median_color(photo: Image, xy: Points) -> NDArray[np.float64]:
    """Return the median color of a photo at (N, 2) pixels, (3,) in OpenCV's 8-bit CIELAB."""
    height, width = photo.shape[:2]
    x, y = np.clip(xy.round().astype(int).T, 0, [[width - 1], [height - 1]])
    return np.asarray(np.median(cv2.cvtColor(photo[y, x][None], cv2.COLOR_RGB2LAB)[0], axis=0))


def _where_nothing_moves(frame: Frame, rows: slice) -> tuple[FloatImage, FloatImage]:
    """Return x and y of the photo for some rows of a view, (rows, size) each, as if nothing moved."""
    columns = np.arange(frame.size)
    origin, right, below = _still(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), frame)  # an affine map
    across, down = columns[None], columns[rows, None]
    x, y = (o + across * (r - o) + down * (b - o) for o, r, b in zip(origin, right, below, strict=True))
    return x.astype(np.float32), y.astype(np.float32)


def _sample(photo: Image, x: FloatImage, y: FloatImage) -> Image:
    """Sample a photo; beyond its edges it fades to its colors out of focus, because repeated pixels are streaks."""
    sampled = np.asarray(cv2.remap(photo, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    height, width = photo.shape[:2]
    beyond = np.maximum(np.maximum(-x, x - width + 1), np.maximum(-y, y - height + 1))
    if beyond.max() <= 0:
        return sampled
    coarse = cv2.resize(photo, (OUT_OF_FOCUS, OUT_OF_FOCUS), interpolation=cv2.INTER_AREA)
    blurred = sample_reduced(coarse, x, y, photo.shape)
    share = np.clip(beyond / (EDGE_FADE * max(height, width)), 0, 1)
    return _mix(sampled, np.asarray(blurred, np.uint8), share)


def _source_positions(photo_xy: Points, view_xy: Points, frame: Frame) -> FloatImage:
    """Return (GRID, GRID, 2) x, y: where the photo has what the view shows there.

    Args:
        photo_xy: (36, 2) pixels of the photo: the head's outline.
        view_xy: (36, 2) pixels of the view: where it has the outline.
        frame: of the view.
    """
    steps = (np.arange(GRID) + 0.5) * (frame.size / GRID) - 0.5
    points = np.stack(np.meshgrid(steps, steps), axis=2)
    center = view_xy.mean(axis=0)
    offsets = photo_xy - _still(view_xy, frame)
    order = np.argsort(angles := np.arctan2(*(view_xy - center).T[::-1]))
    ray = points - center
    angle = np.arctan2(ray[..., 1], ray[..., 0])

    def around(values: Points) -> Points:
        return np.asarray(np.interp(angle, angles[order], values[order], period=2 * math.pi))

    radius = np.linalg.norm(ray, axis=2) / around(np.linalg.norm(view_xy - center, axis=1))
    fade = smoothstep(np.clip((STILL_RADIUS - radius) / (STILL_RADIUS - 1), 0, 1))
    moved = np.stack([around(offsets[:, 0]), around(offsets[:, 1])], axis=2)
    return np.asarray(_still(points, frame) + fade[..., None] * moved, np.float32)


def _still(view_xy: Points, frame: Frame) -> Points:
    """Map (..., 2) pixels of the view to the photo, where nothing moves: the head has turned about its neck."""
    fit, turn = frame.fit, turned_share(frame.fit)
    head = (view_xy - frame.head_to_view[:, 2]) / matrix_scale(frame.head_to_view)
    neck = fit.project(PIVOT[None])[0, :2]
    turned = (head - PIVOT[:2]) @ (fit.scale * fit.roll_rotation[:2, :2]).T + neck
    back = invert(frame.photo_to_view)
    return np.asarray(turn * turned + (1 - turn) * (view_xy @ back[:, :2].T + back[:, 2]))


def _mirrored_share(frame: Frame) -> FloatImage:
    """Return (1, size) by column: how much of the surroundings of a turned head is the mirror image."""
    from_middle = (np.arange(frame.size) - frame.head_to_view[0, 2]) * -frame.fit.near_side  # to the far side
    return np.asarray(np.clip(0.5 + from_middle / (2 * SEAM * frame.size), 0, 1), np.float32)[None]


def _neck_share(frame: Frame) -> tuple[int, FloatImage]:
    """Return the first row of the neck, and how much of each pixel from there on is the person's colors: (h, size)."""
    matrix = frame.head_to_view
    x, y = ((np.arange(frame.size) - offset) / matrix_scale(matrix) for offset in matrix[:, 2])
    top = int(np.searchsorted(y, NECK_TOP[0]))
    share = np.interp(y[top:], NECK_TOP, (0, 1))[:, None] * np.interp(np.abs(x), NECK_HALF_WIDTH, (1, 0))
    return top, np.asarray(share, np.float32)


def _mix(one: Image, other: Image, share: FloatImage) -> Image:
    mixed = one + (other.astype(np.float32) - one) * share[..., None]
    return np.asarray(np.round(mixed), np.uint8)
