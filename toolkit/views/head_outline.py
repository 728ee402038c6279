"""The outline of a turned head, by its colours: the person network, made for whole figures, is vague about profiles."""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import Fit
from toolkit.views.profile_contour import near_eye, overrun, profile_line, sideways
from toolkit.views.segmentation import Mask

Photo = NDArray[np.uint8]
Points = NDArray[np.float64]
Flags = NDArray[np.uint8]
RESOLUTION = 33.0  # pixels per unit of head coordinates: the nose's tip is three pixels wide
ROUNDS = 2  # of GrabCut
HEAD = (cv2.GC_FGD, cv2.GC_PR_FGD)  # its flags: surely, probably
CHEEK = 0.12  # head coordinates: from here on outward the mesh lies on the face, whatever it makes of the nose

# Sines of the yaw, and how far ahead of the mesh's profile all is wall there, in head coordinates. To 35 degrees the
# far cheek may lie there, from 45 on it cannot; from 60 on the mesh's profile is nearly the contour.
SINES, AIR = (0.57, 0.7, 0.83, 0.87), (0.25, 0.12, 0.12, 0.06)
HAIR = -0.35  # likewise: the contour lies nowhere before that
NOTCH = 0.05  # head coordinates: narrower gaps in the outline are lips in shadow, not wall
LIKELY = 0.6  # of what the network says of the cheek: so much is a person
UNLIKELY = 0.05  # so little is none, whatever it says of the cheek
SEES = 0.8  # of the cheek: a network that says so much of it knows what is no person, too
FRAMED = 0.5  # of the profile, at least, has sure wall ahead of it in the photo; else the photo's edge cuts it off
BELIEVABLE = 0.2  # head coordinates: no mesh runs over further; where the outline says so it has lost the face


def outlined(photo: Photo, mesh: Points, fit: Fit, likely: Mask) -> Mask | None:
    """Find where a turned head ends, starting from what is surely cheek and surely wall.

    Args:
        photo: (H, W, 3) RGB uint8.
        mesh: (468, 2) pixels.
        fit: of that mesh, its head turned by 30 degrees or more.
        likely: (H, W) 0 to 1, what the person network says.

    Returns:
        (H, W) 0 to 1; None where colours do not tell head from wall.

    Source: GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004), as OpenCV has it.
    """
    height, width = photo.shape[:2]
    scale = min(RESOLUTION / fit.scale, 1.0)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    small, vague = (cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (photo, likely))
    points = (mesh + 0.5) * (np.array(size) / (width, height)) - 0.5
    unit = fit.scale * scale
    cheek = _cheek(points, fit, vague.shape)
    if not cheek.any():
        return None
    ahead = _ahead_of_profile(points, fit, vague.shape) / unit
    air = float(np.interp(abs(fit.rotation[2, 0]), SINES, AIR))
    sure = float(np.median(vague[cheek]))
    person = vague > max(LIKELY * sure, UNLIKELY)
    flags = np.where(person, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    flags[ahead > air] = cv2.GC_BGD
    if sure > SEES and _framed(points, fit, vague.shape, air * unit) < FRAMED:
        flags[vague < UNLIKELY] = cv2.GC_BGD
    flags[cheek] = cv2.GC_FGD
    if np.isin(flags, HEAD).all():
        return None
    head = _cut_out(np.asarray(small, np.uint8), flags)
    inside = _tidied(head, person & (ahead < HAIR), ahead < 0, cheek, NOTCH * unit)
    mask = cv2.resize(cv2.GaussianBlur(inside, (0, 0), 0.7), (width, height), interpolation=cv2.INTER_LINEAR)
    found = np.asarray(mask, np.float32)
    return found if np.percentile(overrun(mesh, fit, found).over, 90) < BELIEVABLE * fit.scale else None


def behind_profile(mesh: Points, fit: Fit, shape: tuple[int, ...]) -> Mask:
    """(H, W) 0 or 1: what lies behind the mesh's profile line, where neither colours nor network know the head."""
    return np.asarray(_ahead_of_profile(mesh, fit, shape) < 0, np.float32)


def _cheek(points: Points, fit: Fit, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W): what the mesh's near half covers behind the eye's outer corner."""
    ahead, _ = sideways(fit)
    surely = points[(fit.shape[:, 0] * fit.near > CHEEK) & (points @ ahead < near_eye(points, fit))]
    covered = np.zeros(shape, np.uint8)
    if len(surely) > 2:
        cv2.fillConvexPoly(covered, np.asarray(cv2.convexHull(surely.astype(np.float32)), np.int32), [1])
    return np.asarray(cv2.erode(covered, np.ones((3, 3), np.uint8)) > 0)


def _ahead_of_profile(points: Points, fit: Fit, shape: tuple[int, ...]) -> Points:
    """(H, W) pixels: how far each lies beyond the mesh's profile line."""
    ahead, down = sideways(fit)
    heights, line = profile_line(points, fit)
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(x * ahead[0] + y * ahead[1] - np.interp(x * down[0] + y * down[1], heights, line))


def _framed(points: Points, fit: Fit, shape: tuple[int, ...], reach: float) -> float:
    """How much of the profile has so many pixels ahead of it in the photo, 0 to 1."""
    ahead, down = sideways(fit)
    heights, line = profile_line(points, fit)
    x, y = (heights[:, None] * down + (line[:, None] + reach) * ahead).T
    return float(((x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])).mean())


def _cut_out(photo: Photo, flags: Flags) -> Flags:
    """(H, W): 1 for the head."""
    cv2.setRNGSeed(0)  # it clusters colours from random ones: the same photo has the same outline
    wall, head = np.zeros((1, 65)), np.zeros((1, 65))
    nowhere = (0, 0, 0, 0)  # the flags say where
    cv2.grabCut(np.ascontiguousarray(photo[..., ::-1]), flags, nowhere, wall, head, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(flags, HEAD).astype(np.uint8)


def _tidied(
    inside: Flags, hair: NDArray[np.bool_], behind: NDArray[np.bool_], cheek: NDArray[np.bool_], notch: float
) -> Mask:
    """One piece without holes or notches, with the hair: colours mistake eyes, lips and hair for a dark wall.

    Behind the mesh's profile, that is. Ahead of it a notch is wall between nose and lip.
    """
    reach = max(1, round(notch))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    wide = cv2.copyMakeBorder(inside, *(reach,) * 4, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disc)[reach:-reach, reach:-reach]
    whole = np.where(behind, closed, inside) | hair
    _, pieces = cv2.connectedComponents(np.asarray(whole, np.uint8), connectivity=4)
    piece = np.asarray(pieces == np.bincount(pieces[cheek]).argmax())
    count, gaps = cv2.connectedComponents((~piece).astype(np.uint8), connectivity=4)
    edge = np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]])
    holes = np.setdiff1d(np.arange(1, count), edge)
    return np.asarray(piece | np.isin(gaps, holes), np.float32)
