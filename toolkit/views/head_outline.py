"""Tell profiles from half-turned faces, and segment them by their colors.

The person network is inaccurate along profiles.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import Fit
from toolkit.geometry.mesh_topology import MIRROR
from toolkit.photos.types import Image
from toolkit.views.profile_contour import is_turned, measure_overrun, near_eye_position, profile_axes, profile_line
from toolkit.views.segmentation import Mask

Points = NDArray[np.float64]
Labels = NDArray[np.uint8]  # (H, W), GrabCut's: GC_BGD, GC_FGD, GC_PR_BGD, GC_PR_FGD
Region = NDArray[np.bool_]

PIXELS_PER_UNIT = 33.0  # working resolution in pixels per unit of head coordinates: a nose tip is three pixels wide
GRABCUT_ITERATIONS = 2
FOREGROUND = (cv2.GC_FGD, cv2.GC_PR_FGD)  # GrabCut's labels of certain and of probable foreground
CLEARANCE = 0.06  # head coordinates: this far ahead of the mesh's profile every pixel is background
MIN_CHEEK_X = 0.12  # head coordinates: vertices this far from the midline lie on the face, however wrong the nose is

HAIR_MAX_AHEAD = -0.35  # head coordinates, relative to the profile: only farther back is the network trusted for hair
MAX_NOTCH = 0.05  # head coordinates: narrower gaps in the outline are shadows between the lips, not background
MIN_RELATIVE_PROBABILITY = 0.6  # of the person network, relative to its median on the cheek: above is a person
BACKGROUND_PROBABILITY = 0.05  # of the person network: below is never a person
RELIABLE_PROBABILITY = 0.8  # of the person network, its median on the cheek: above, its background is reliable too
MIN_PROFILE_IN_PHOTO = 0.5  # share of the profile with background ahead of it inside the photo; below, the edge cuts it
MAX_OVERRUN = 0.2  # head coordinates: if the mesh overruns the outline by more, the outline is wrong

# In photos from the wild many meshes of profiles say 44 to 58 degrees of yaw. Two or more of these points of the far
# eye and brow lie beside the face in 96 of 205 such photos that the person network is sure of, and in 2 of 204 real
# photos at 45 degrees. Where the mesh says less, the far eye is in sight: in tight crops the network would be wrong.
RIGHT_EYE_AND_BROW = [33, 133, 159, 145, 246, 173, 70, 63, 105, 66, 107]
MAX_POINTS_OUTSIDE = 1  # at 45 degrees the brow's outer end lies on the contour
MIN_TURNED_SINE = 0.7  # of the yaw


def head_outline_mask(photo: Image, mesh: Points, fit: Fit, probability: Mask) -> Mask | None:
    """Segment a turned head with GrabCut, which starts from the cheek and from what is certainly background.

    Args:
        photo: (H, W, 3) RGB uint8.
        mesh: (468, 2) pixels.
        fit: of that mesh, the head in profile: :func:`is_profile`.
        probability: (H, W) 0 to 1, from :func:`toolkit.views.segmentation.person_probability`.

    Returns:
        (H, W) 0 to 1; None where the colors do not separate head and background.

    Source: GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004), OpenCV's implementation.
    """
    height, width = photo.shape[:2]
    scale = min(PIXELS_PER_UNIT / fit.scale, 1.0)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    person = np.asarray(cv2.resize(probability, size, interpolation=cv2.INTER_AREA), np.float32)
    points = (mesh + 0.5) * (np.array(size) / (width, height)) - 0.5
    unit = fit.scale * scale
    cheek = _cheek_region(points, fit, person.shape)
    if not cheek.any():
        return None
    ahead = _distance_ahead(points, fit, person.shape) / unit
    labels = _initial_labels(points, fit, person, cheek, ahead, unit)
    if np.isin(labels, FOREGROUND).all():
        return None
    hair = _is_person(person, cheek) & (ahead < HAIR_MAX_AHEAD)
    head = _grab_cut(small, labels)
    inside = _clean_mask(head, hair, ahead < 0, cheek, MAX_NOTCH * unit)
    resized = cv2.resize(cv2.GaussianBlur(inside, (0, 0), 0.7), (width, height), interpolation=cv2.INTER_LINEAR)
    mask = np.asarray(resized, np.float32)
    return mask if np.percentile(measure_overrun(mesh, fit, mask).excess, 90) < MAX_OVERRUN * fit.scale else None


def is_profile(mesh: Points, fit: Fit, probability: Mask) -> bool:
    """Return whether the face's profile is its contour in the photo.

    The mesh's yaw says so, or its far eye lies beside the person: then the head is turned farther than the mesh says.

    Args:
        mesh: (468, 2) pixels.
        fit: of that mesh.
        probability: (H, W) 0 to 1, from :func:`toolkit.views.segmentation.person_probability`.
    """
    if is_turned(fit):
        return True
    cheek = _cheek_region(mesh, fit, probability.shape)
    if abs(fit.rotation[2, 0]) < MIN_TURNED_SINE or not cheek.any():
        return False
    if not _is_reliable(probability, cheek):
        return False
    height, width = probability.shape
    far_eye = MIRROR[RIGHT_EYE_AND_BROW] if fit.near_side < 0 else RIGHT_EYE_AND_BROW
    x, y = np.clip(mesh[far_eye].round().astype(int).T, 0, [[width - 1], [height - 1]])
    return int((~_is_person(probability, cheek)[y, x]).sum()) > MAX_POINTS_OUTSIDE


def mesh_profile_mask(mesh: Points, fit: Fit, shape: tuple[int, ...]) -> Mask:
    """Return (H, W), 1 behind the mesh's profile line and 0 ahead of it: the fallback where segmentation fails."""
    return np.asarray(_distance_ahead(mesh, fit, shape) < 0, np.float32)


def _is_person(person: Mask, cheek: Region) -> Region:
    """Return (H, W): where the network's probability is high, compared with that of the cheek."""
    on_cheek = float(np.median(person[cheek]))
    return np.asarray(person > max(MIN_RELATIVE_PROBABILITY * on_cheek, BACKGROUND_PROBABILITY))


def _is_reliable(person: Mask, cheek: Region) -> bool:
    """Return whether the network is sure of the cheek: then what it takes for background is background."""
    return float(np.median(person[cheek])) > RELIABLE_PROBABILITY


def _initial_labels(
    points: Points, fit: Fit, person: Mask, cheek: Region, ahead: NDArray[np.float64], unit: float
) -> Labels:
    """Return (H, W) labels for GrabCut: certain and probable foreground and background.

    Args:
        points: (468, 2) pixels.
        fit: of the mesh.
        person: (H, W) 0 to 1, from the person network.
        cheek: (H, W), certain foreground.
        ahead: (H, W) distance ahead of the profile line, head coordinates.
        unit: pixels per unit of head coordinates.
    """
    labels = np.where(_is_person(person, cheek), cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[ahead > CLEARANCE] = cv2.GC_BGD
    if (
        _is_reliable(person, cheek)
        and _share_in_photo(points, fit, person.shape, CLEARANCE * unit) < MIN_PROFILE_IN_PHOTO
    ):
        labels[person < BACKGROUND_PROBABILITY] = cv2.GC_BGD
    labels[cheek] = cv2.GC_FGD
    return labels


def _cheek_region(points: Points, fit: Fit, shape: tuple[int, ...]) -> Region:
    """Return (H, W): what the mesh's near half covers behind the outer corner of the eye."""
    ahead, _ = profile_axes(fit)
    cheek = points[(fit.shape[:, 0] * fit.near_side > MIN_CHEEK_X) & (points @ ahead < near_eye_position(points, fit))]
    covered = np.zeros(shape, np.uint8)
    if len(cheek) > 2:
        cv2.fillConvexPoly(covered, np.asarray(cv2.convexHull(cheek.astype(np.float32)), np.int32), [1])
    return np.asarray(cv2.erode(covered, np.ones((3, 3), np.uint8)) > 0)


def _distance_ahead(points: Points, fit: Fit, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return (H, W) pixels: how far each pixel lies ahead of the mesh's profile line; negative behind it."""
    ahead, down = profile_axes(fit)
    heights, line = profile_line(points, fit)
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(x * ahead[0] + y * ahead[1] - np.interp(x * down[0] + y * down[1], heights, line))


def _share_in_photo(points: Points, fit: Fit, shape: tuple[int, ...], distance: float) -> float:
    """Return the share of the profile line, 0 to 1, that is still inside the photo when moved ahead by ``distance``."""
    ahead, down = profile_axes(fit)
    heights, line = profile_line(points, fit)
    x, y = (heights[:, None] * down + (line[:, None] + distance) * ahead).T
    return float(((x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])).mean())


def _grab_cut(photo: Image, labels: Labels) -> NDArray[np.uint8]:
    """Return (H, W): 1 for the head, 0 for the background. Changes ``labels``."""
    cv2.setRNGSeed(0)  # GrabCut starts its clusters at random; with a seed the same photo gives the same mask
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    no_rectangle = (0, 0, 0, 0)  # the labels replace it
    bgr = np.ascontiguousarray(photo[..., ::-1])
    cv2.grabCut(bgr, labels, no_rectangle, background, foreground, GRABCUT_ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, FOREGROUND).astype(np.uint8)


def _clean_mask(inside: NDArray[np.uint8], hair: Region, behind: Region, cheek: Region, notch: float) -> Mask:
    """Return one connected region without holes and notches.

    GrabCut takes dark eyes, lips and hair for a dark background. Behind the mesh's profile line such notches are
    closed; ahead of it a notch is the background between nose and lip, and stays.

    Args:
        inside: (H, W) 0 or 1, from GrabCut.
        hair: (H, W), added to it.
        behind: (H, W), what lies behind the profile line.
        cheek: (H, W), marks the region that is kept.
        notch: width of the notches that are closed, pixels.
    """
    radius = max(1, round(notch))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    padded = cv2.copyMakeBorder(inside, *(radius,) * 4, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)[radius:-radius, radius:-radius]
    candidates = np.where(behind, closed, inside) | hair
    _, regions = cv2.connectedComponents(np.asarray(candidates, np.uint8), connectivity=4)
    region = np.asarray(regions == np.bincount(np.asarray(regions[cheek], np.intp)).argmax())
    count, gaps = cv2.connectedComponents((~region).astype(np.uint8), connectivity=4)
    at_edge = np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]])
    holes = np.setdiff1d(np.arange(1, count), at_edge)
    return np.asarray(region | np.isin(gaps, holes), np.float32)
