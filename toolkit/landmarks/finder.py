"""The face finder: one search in the photo, and further searches in other views where the first finds nothing."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError, PhotoRejected
from toolkit.faces.face import Face, overlap, remove_duplicates
from toolkit.geometry.head_pose import head_pose
from toolkit.landmarks import search_views, yunet
from toolkit.landmarks.blazeface import BlazeFace
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.detection import MESH_MARGIN, Detection, region_around, region_of_detection
from toolkit.landmarks.face_mesh import FaceMesh
from toolkit.landmarks.mediapipe_tasks import TaskFaceFinder
from toolkit.landmarks.orientation import MIN_ROTATED_SCORE, OrientationSearch, SearchedView
from toolkit.landmarks.profiles.averaging import AveragedMesh
from toolkit.landmarks.profiles.faces import face_of_profile
from toolkit.landmarks.profiles.network import ProfilePoints
from toolkit.landmarks.protocols import DETECTORS, LANDMARKERS, Detector, Landmarker, find_class
from toolkit.landmarks.search_views import SearchView
from toolkit.landmarks.yunet import YuNet
from toolkit.photos.types import Image

SURE_PRESENCE = 0.9  # a mesh with this presence is accepted, and not fitted a second time
SURE_SCORE = 0.7  # a detection with this score is accepted if its mesh has min_presence
PROFILE_PASS = "profile-points"  # the pass of faces whose mesh comes from the profile network alone
PROFILE_YAW = 40.0  # degrees: meshes at a larger yaw are refined, which takes several times as long as one fit

# How far apart the meshes fitted to four squares may be in a retry, as a share of the face's size.
MAX_MESH_DISTANCE = 0.06
# The same where the presence is too low, but two views confirm the detection; and the least sum of their scores.
CONFIRMED_MESH_DISTANCE, CONFIRMED_SCORE_SUM = 0.09, 1.25
_COMPARED_POINTS = [1, 10, 133, 152, 234, 362, 454]  # nose, forehead, eyes, chin, cheeks


def open_landmarker(config: FindConfig | None = None) -> Landmarker:
    """Load the landmarker that a config asks for: the built-in one, a MediaPipe bundle, or a class of yours.

    Args:
        config: None means the defaults.

    Raises:
        ConfigError: a model file is missing or invalid.
    """
    config = config or FindConfig()
    if config.landmarker is None:
        return FaceFinder(config)
    given = _class_of(LANDMARKERS, "landmarker", config.landmarker)
    return TaskFaceFinder(config) if given is None else cast(Landmarker, given(config))


def open_detector(config: FindConfig) -> Detector:
    """Load the second detector: the built-in YuNet, or the one that a config asks for.

    Raises:
        ConfigError: a model file is missing or invalid.
    """
    min_score = max(yunet.MIN_SCORE, config.min_detection)
    if config.detector is None:
        return YuNet(None, min_score)
    given = _class_of(DETECTORS, "detector", config.detector)
    return YuNet(Path(config.detector), min_score) if given is None else cast(Detector, given(config))


def _class_of(registered: dict[str, type], option: str, name: str | Path) -> type | None:
    """Find the class of a name; None for the path of a model file."""
    found = find_class(registered, str(name))
    if found is None and not Path(name).is_file():  # registered in the parent of a worker process
        raise ConfigError(f"{option} {name}: not registered in this process; give module:Class")
    return found


class FaceFinder:
    """The built-in landmarker: a detector, then the mesh network; where they find nothing, the same in other views.

    The first search accepts faces of which both networks are confident. Retries are stricter, so that no
    face is found in collars or curtains: the meshes fitted to four different squares, one of them flipped,
    must agree. Where the mesh network's presence is low (difficult profiles), the profile network must agree
    with the second detector and gives the mesh, or detections in two different views must confirm the place.

    The result for a photo rotated by quarters or flipped is that of the photo itself, mapped accordingly;
    see :class:`toolkit.landmarks.orientation.OrientationSearch`.

    Args:
        config: thresholds and models; ``config.landmarker`` is ignored.
    """

    def __init__(self, config: FindConfig) -> None:
        self._config = config
        self._detector = BlazeFace("Short", config.min_detection)
        self._mesh = FaceMesh()
        self._second_detector = open_detector(config)
        self._orientation = OrientationSearch(self._detector, self._second_detector, self._mesh, rotate=config.retries)
        self._second_name = type(self._second_detector).__name__.lower()  # of its pass in the ledger

    @cached_property
    def _profile_points(self) -> ProfilePoints:
        return ProfilePoints()

    @cached_property
    def _refine_mesh(self) -> AveragedMesh:
        return AveragedMesh()

    @cached_property
    def _full_range(self) -> BlazeFace:
        return BlazeFace("Full", self._config.min_detection)

    def find(self, photo: Image, every: bool = False) -> list[Face]:
        """See :class:`toolkit.landmarks.protocols.Landmarker`."""
        first = self._orientation.find(photo)
        faces = [self._fit(first, detection) for detection in first.detections]
        faces = remove_duplicates([face for face in faces if self._is_accepted(face)])
        if self._config.retries and (every or not faces):
            faces = self._retry(first, faces, every)
        if self._config.refine_profiles:
            faces = [self._refine(first.view.image, face) for face in faces]
        return [search_views.face_to_photo(face, first.view) for face in faces]

    def _refine(self, image: Image, face: Face) -> Face:
        try:
            is_profile = face.found_by != PROFILE_PASS and abs(head_pose(face.landmarks).yaw) >= PROFILE_YAW
            return self._refine_mesh(image, face) if is_profile else face
        except PhotoRejected:  # a degenerate mesh: the crop is rejected with the same reason
            return face

    def _fit(self, searched: SearchedView, detection: Detection) -> Face:
        """Fit the mesh to a detection; a second time, to the square around the first mesh, if the presence is low."""
        image, known = searched.view.image, searched.fits if detection is searched.detections[0] else None
        fit = known[0] if known else self._mesh.fit(image, region_of_detection(detection))
        if fit.presence < SURE_PRESENCE:
            second = known[1] if known else self._mesh.fit(image, region_around(fit.landmarks))
            fit = max(fit, second, key=lambda one: one.presence)
        return Face(fit.landmarks, detection.score, fit.presence, searched.view.name)

    def _is_accepted(self, face: Face) -> bool:
        score, presence = face.score or 0, face.presence or 0
        return presence >= self._config.min_presence and (presence >= SURE_PRESENCE or score >= SURE_SCORE)

    def _retry(self, first: SearchedView, faces: list[Face], every: bool) -> list[Face]:
        """Fit the detections of all other views; faces are in pixels of the first view."""
        unconfirmed: list[Face] = []
        for name, detection in self._retry_detections(first):
            if any(_covers(known, detection) for known in faces):
                continue
            face, distance = self._fit_four_squares(first.view.image, detection, name)
            if (face.presence or 0) >= self._needed_presence(name) and distance < MAX_MESH_DISTANCE:
                accepted: Face | None = face
            else:
                accepted = self._face_of_profile(first.view.image, detection, name)
            if accepted is not None:
                faces = remove_duplicates([*faces, accepted])
                if not every:
                    return faces
            elif distance < CONFIRMED_MESH_DISTANCE:
                unconfirmed.append(face)
        return faces or _confirmed(unconfirmed, self._second_name)

    def _needed_presence(self, name: str) -> float:
        """Return the least presence for a pass: where the second detector finds nothing, the mesh has to be sure."""
        usual = name in ("plain", self._second_name)
        return self._config.min_presence if usual else max(self._config.min_presence, SURE_PRESENCE)

    def _face_of_profile(self, image: Image, detection: Detection, name: str) -> Face | None:
        """Ask the profile network, where the mesh network rejects what the second detector finds."""
        if name != self._second_name:
            return None
        face = face_of_profile(image, detection, self._profile_points, PROFILE_PASS)
        return face if face is not None and abs(head_pose(face.landmarks).yaw) >= PROFILE_YAW else None

    def _retry_detections(self, first: SearchedView) -> Iterator[tuple[str, Detection]]:
        """Yield detections with the name of their pass, the cheapest and most successful passes first."""
        image = first.view.image
        original, padded = search_views.original_view(image), search_views.padded_view(image)
        yield from ((original.name, detection) for detection in first.detections)
        for view in (original, padded):
            for detection in self._second_detector.find(view.image):
                yield self._second_name, detection.transformed(view.to_photo)
        for view, detector in (
            (padded, self._detector),
            (replace(padded, name="full-range"), self._full_range),
            (search_views.flipped(original, "mirrored"), self._detector),
            (replace(original, name="full-range"), self._full_range),
        ):
            yield from _detections(view, detector)
        for view in search_views.rotated_views(image):
            for name, detection in _detections(view, self._detector):
                if detection.score >= MIN_ROTATED_SCORE:
                    yield name, detection
        for view in search_views.tile_views(image):
            yield from _detections(view, self._full_range)

    def _fit_four_squares(self, image: Image, detection: Detection, name: str) -> tuple[Face, float]:
        """Fit the mesh to four squares; return the face and how far apart the meshes are, as a share of its size."""
        first = self._mesh.fit(image, region_of_detection(detection))
        region = region_around(first.landmarks)
        second, *others = self._mesh.fit_all(
            image, [(region, False), (replace(region, side=region.side * 1.15), False), (region, True)]
        )
        distance = max(_mean_distance(second.landmarks, other.landmarks) for other in (first, *others))
        face = Face(second.landmarks, detection.score, min(first.presence, second.presence), name)
        return face, distance / region.side * MESH_MARGIN


def _mean_distance(mesh: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.hypot(*(mesh[_COMPARED_POINTS, :2] - other[_COMPARED_POINTS, :2]).T).mean())


def _detections(view: SearchView, detector: BlazeFace) -> Iterator[tuple[str, Detection]]:
    for detection in detector.find(view.image):
        yield view.name, detection.transformed(view.to_photo)


def _covers(face: Face, detection: Detection) -> bool:
    left, top, right, bottom = face.box
    return left < detection.x < right and top < detection.y < bottom


def _confirmed(faces: list[Face], second_name: str) -> list[Face]:
    """Return the best face of low presence that is detected in one place both with and without padding, if any."""
    confirmed = [
        max(padded, other, key=lambda face: face.score or 0)
        for padded in faces
        for other in faces
        if padded.found_by == "padded"
        and other.found_by in ("plain", "mirrored", "full-range", second_name)
        and (padded.score or 0) + (other.score or 0) >= CONFIRMED_SCORE_SUM
        and overlap(padded, other) > 0.5
    ]
    return [max(confirmed, key=lambda face: face.score or 0)] if confirmed else []
