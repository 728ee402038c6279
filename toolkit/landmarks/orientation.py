"""The first search in a photo, which also finds its orientation: photos may be rotated by quarters or flipped."""

import math
from dataclasses import dataclass, replace

from toolkit.landmarks import search_views
from toolkit.landmarks.blazeface import BlazeFace
from toolkit.landmarks.detection import Detection, region_around, region_of_detection
from toolkit.landmarks.face_mesh import FaceMesh, Fit
from toolkit.landmarks.protocols import Detector
from toolkit.landmarks.search_views import SearchView
from toolkit.photos.types import Image

# Upright frontal faces score higher: 1 % of 146 scored below 0.84, and no face rotated by 90 degrees above 0.88.
MIN_UPRIGHT_SCORE = 0.86  # below, the photo may be rotated
MAX_UPRIGHT_ANGLE = 45.0  # degrees between the face and the vertical: beyond, likewise
MIN_ROTATED_SCORE = 0.65  # detections in a rotated view with a lower score are ignored
UNROTATED_BONUS = 0.07  # added to the original orientation: others must score higher by that


@dataclass(frozen=True, slots=True)
class SearchedView:
    """A view of a photo and the faces detected in it."""

    view: SearchView
    detections: list[Detection]  # pixels of the view, best score first
    fits: tuple[Fit, Fit] | None = None  # of the first detection, and of the square around that mesh, where known


class OrientationSearch:
    """Detect faces in a photo, in the orientation in which its first face scores best.

    The result for a photo rotated by 90, 180 or 270 degrees or flipped is the same view: all
    views are rotated upright and brought to one handedness before a network is applied.

    Args:
        detector: the first detector.
        second: the second detector, which has to confirm a rotation.
        mesh: the mesh network, which confirms an orientation.
        rotate: also search the photo rotated by quarters. Without it, only the handedness is found.
    """

    def __init__(self, detector: BlazeFace, second: Detector, mesh: FaceMesh, rotate: bool = True) -> None:
        self._detector, self._second, self._mesh, self._rotate = detector, second, mesh, rotate

    def find(self, photo: Image) -> SearchedView:
        """Find the best orientation of a photo, (H, W, 3) RGB uint8, and the detections in it."""
        original = self._search(search_views.original_view(photo))
        if not self._rotate or (original.detections and not _may_be_rotated(original.detections[0])):
            return original
        rotated = [one for one in map(self._search, search_views.rotated_views(photo)) if _may_be_upright(one)]
        if not rotated:
            return original
        best = self._fit(original)
        best_score = _orientation_score(best) + UNROTATED_BONUS
        for searched in rotated:
            if _highest_score(searched) <= best_score:
                continue
            fitted = self._fit(searched)
            if (score := _orientation_score(fitted)) > best_score:
                best, best_score = fitted, score
        return best if best.view.name == original.view.name or self._is_confirmed(best, original) else original

    def _is_confirmed(self, rotated: SearchedView, original: SearchedView) -> bool:
        """Return whether the second detector, too, prefers a rotated view."""
        scores = [
            max((one.score for one in self._second.find(view.view.image)), default=0) for view in (rotated, original)
        ]
        return scores[0] >= scores[1]

    def _search(self, view: SearchView) -> SearchedView:
        view = search_views.canonical_flip(view)
        return SearchedView(view, self._detector.find(view.image))

    def _fit(self, searched: SearchedView) -> SearchedView:
        """Fit the mesh to the first detection, twice."""
        if not searched.detections:
            return searched
        first = self._mesh.fit(searched.view.image, region_of_detection(searched.detections[0]))
        second = self._mesh.fit(searched.view.image, region_around(first.landmarks))
        return replace(searched, fits=(first, second))


def _orientation_score(searched: SearchedView) -> float:
    """Score an orientation by its best detection, that mesh's presence, and how upright the face is."""
    if searched.fits is None:
        return 0.0
    best, (first, second) = searched.detections[0], searched.fits
    angles = region_of_detection(best).angle, region_around(first.landmarks).angle
    angle = math.degrees(max(map(abs, angles)))
    return best.score + 0.1 * min(first.presence, second.presence) - 0.002 * angle


def _highest_score(searched: SearchedView) -> float:
    """Bound :func:`_orientation_score` from above, without fitting the mesh."""
    best = searched.detections[0]
    return best.score + 0.1 - 0.002 * math.degrees(abs(region_of_detection(best).angle))


def _may_be_upright(rotated: SearchedView) -> bool:
    return bool(rotated.detections) and rotated.detections[0].score >= MIN_ROTATED_SCORE


def _may_be_rotated(detection: Detection) -> bool:
    angle = math.degrees(abs(region_of_detection(detection).angle))
    return detection.score < MIN_UPRIGHT_SCORE or angle > MAX_UPRIGHT_ANGLE
