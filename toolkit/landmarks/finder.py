"""The landmarker that the commands use: one look at the photo, and others where the first finds nothing."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError, PhotoRejected
from toolkit.faces.face import Face, Landmarker, overlap
from toolkit.geometry.head_pose import head_pose
from toolkit.landmarks import search_views
from toolkit.landmarks.averaging import SteadyMesh
from toolkit.landmarks.detection import MESH_MARGIN, Detection, Region, region_of_detection, region_of_mesh
from toolkit.landmarks.mediapipe_graphs import FaceDetector, Frame, MeshModel
from toolkit.landmarks.mediapipe_tasks import TaskLandmarker
from toolkit.landmarks.search_views import Look
from toolkit.landmarks.yunet import YuNet

SURE = 0.9  # a mesh with this presence needs no second look
SAME = 0.3  # boxes that overlap more are one face
UPRIGHT_SCORE = 0.86  # a detection that scores less may be of a face on its side or its head
TURNED_SCORE = 0.65  # below that, a detection is no reason to turn a photo
AS_IT_IS = 0.07  # how much more believable another orientation must be
CLOSE = 0.06  # of the face's size: how well meshes from different squares must agree for a photo that was hard
FIRM = 0.7  # a detection with this score needs a mesh that is believed in, no more

# What two detections in one place must score, and their meshes agree, to outweigh a mesh network that doubts.
VOUCHED, VOUCHED_CLOSE = 1.25, 0.09
PROFILE = 40.0  # degrees of yaw: below lie ordinary portraits, and many looks cost four times the one
_PLACED = [1, 10, 133, 152, 234, 362, 454]  # points that say where a mesh lies: nose, forehead, eyes, chin, cheeks


@dataclass(frozen=True, kw_only=True, slots=True)
class FindConfig:
    """How faces are looked for."""

    min_detection: float = 0.5  # detections that score less are dropped, 0 to 1
    min_presence: float = 0.5  # meshes that the network believes in less are dropped, 0 to 1
    retries: bool = True  # look again, in other ways, where nothing is found
    detector: Path | None = None  # a YuNet .onnx: one more detector for the retries
    landmarker: Path | None = None  # a face_landmarker.task; None: the models in MediaPipe's wheel
    steady: bool = True  # look at profiles many times more, and with a network that knows them alone

    def __post_init__(self) -> None:
        for name in ("min_detection", "min_presence"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: must be above 0, up to 1; try 0.5")
        for name in ("detector", "landmarker"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise ConfigError(f"{name} {path}: no such file; leave it out for the built-in models")
        if self.detector is not None and self.landmarker is not None:
            raise ConfigError("detector and landmarker: a .task bundle brings its own detector; give one of the two")


def open_landmarker(config: FindConfig | None = None) -> Landmarker:
    """Load the models of MediaPipe's wheel, or those given by path.

    Raises:
        ConfigError: a given file is missing or is no such model.
    """
    config = config or FindConfig()
    return Cascade(config) if config.landmarker is None else TaskCascade(config)


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A look and what the detector saw in it."""

    look: Look
    frame: Frame
    detections: list[Detection]


class Cascade:
    """Detector, then mesh; where they find nothing, the same in other looks at the photo.

    The first look takes what detector and mesh network both believe in. A retry must not find
    faces in collars and curtains, so it asks for more: meshes fitted from four different squares,
    one of them mirrored, must agree on where the face is. Where the mesh network doubts (hard
    profiles), detections in two different looks must vouch for the place.

    The result for a photo turned by quarters or mirrored is that of the photo itself, carried
    over: all looks are brought upright and to one handedness before a network sees them.

    Args:
        config: thresholds and models.
    """

    def __init__(self, config: FindConfig) -> None:
        self._config = config
        self._detector = FaceDetector("Short", config.min_detection)
        self._mesh = MeshModel()
        self._yunet = None if config.detector is None else YuNet(config.detector)

    @cached_property
    def _steady(self) -> SteadyMesh:
        return SteadyMesh(mesh=self._mesh)

    @cached_property
    def _full_range(self) -> FaceDetector:
        return FaceDetector("Full", self._config.min_detection)

    def find(self, photo: NDArray[np.uint8], every: bool = False) -> list[Face]:
        """See :class:`toolkit.faces.face.Landmarker`."""
        seen = self._first_sight(photo)
        faces = _distinct([face for face in self._fits(seen) if self._is_plausible(face)])
        if self._config.retries and (every or not faces):
            faces = self._find_again(seen, faces, every)
        if self._config.steady:
            faces = [self._steadied(seen.frame, face) for face in faces]
        return [search_views.carried(face, seen.look) for face in faces]

    def upright(self, photo: NDArray[np.uint8]) -> Look:
        """The photo upright and of the handedness in which everything else looks at it."""
        return self._first_sight(photo).look

    def _steadied(self, frame: Frame, face: Face) -> Face:
        try:
            return self._steady(frame.photo, face) if abs(head_pose(face.landmarks).yaw) >= PROFILE else face
        except PhotoRejected:  # whoever cuts it will say so
            return face

    def _first_sight(self, photo: NDArray[np.uint8]) -> _Sighting:
        seen = self._sight(search_views.plain(photo))
        if self._config.retries and (not seen.detections or _may_lie_on_its_side(seen.detections[0])):
            return self._brought_upright(seen, photo)
        return seen

    def _sight(self, look: Look) -> _Sighting:
        look = search_views.handed(look)
        frame = Frame(look.picture)
        return _Sighting(look, frame, self._detector.find(frame))

    def _fits(self, seen: _Sighting) -> list[Face]:
        return [self._fit(seen, detection) for detection in seen.detections]

    def _fit(self, seen: _Sighting, detection: Detection) -> Face:
        """The mesh in the detection's square; in a better one where the network is not sure."""
        landmarks, presence = self._mesh.fit(seen.frame, region_of_detection(detection))
        if presence < SURE:
            again, presence_again = self._mesh.fit(seen.frame, _region(landmarks))
            if presence_again > presence:
                landmarks, presence = again, presence_again
        return Face(landmarks, detection.score, presence, seen.look.name)

    def _is_plausible(self, face: Face) -> bool:
        """Detector and mesh network both believe in it, one of them firmly."""
        score, presence = face.score or 0, face.presence or 0
        return presence >= self._config.min_presence and (presence >= SURE or score >= FIRM)

    def _brought_upright(self, plain: _Sighting, photo: NDArray[np.uint8]) -> _Sighting:
        """Of the photo's four orientations, the one in which its first face is most believable."""
        turned = map(self._sight, search_views.turned(photo))
        seen = [plain, *(one for one in turned if one.detections and one.detections[0].score >= TURNED_SCORE)]
        return max(seen, key=lambda one: self._uprightness(one) + AS_IT_IS * (one is plain))

    def _uprightness(self, seen: _Sighting) -> float:
        if not seen.detections:
            return 0.0
        best = seen.detections[0]
        region = region_of_detection(best)
        landmarks, presence = self._mesh.fit(seen.frame, region)
        again = _region(landmarks)
        _, presence_again = self._mesh.fit(seen.frame, again)
        askew = math.degrees(max(abs(region.angle), abs(again.angle)))
        return best.score + 0.1 * min(presence, presence_again) - 0.002 * askew

    def _find_again(self, seen: _Sighting, faces: list[Face], every: bool) -> list[Face]:
        """Fit every detection of every other look; all in pixels of the picture that was seen first."""
        doubted: list[Face] = []
        for name, detection in self._retries(seen):
            if any(_covers(known, detection) for known in faces):
                continue
            face, agreement = self._fit_carefully(seen.frame, detection, name)
            if (face.presence or 0) >= self._config.min_presence and agreement < CLOSE:
                faces = _distinct([*faces, face])
                if not every:
                    return faces
            elif agreement < VOUCHED_CLOSE:
                doubted.append(face)
        return faces or _vouched(doubted)

    def _retries(self, seen: _Sighting) -> Iterator[tuple[str, Detection]]:
        """Detections by the name of their look, the cheapest and likeliest looks first."""
        picture = seen.look.picture
        plain, padded = search_views.plain(picture), search_views.padded(picture)
        yield from ((plain.name, detection) for detection in seen.detections)
        if self._yunet is not None:
            for look in (plain, padded):
                yield from (("yunet", found.mapped(look.to_photo)) for found in self._yunet.find(look.picture))
        for look, detector in (
            (padded, self._detector),
            (replace(padded, name="full-range"), self._full_range),
            (search_views.mirrored(plain, "mirrored"), self._detector),
            (replace(plain, name="full-range"), self._full_range),
        ):
            yield from _detections(look, detector)
        for look in search_views.turned(picture):
            yield from (
                (name, found) for name, found in _detections(look, self._detector) if found.score >= TURNED_SCORE
            )
        for look in search_views.profile_hints(picture):
            yield from _detections(look, self._detector)
        for look in search_views.tiles(picture):
            yield from _detections(look, self._full_range)

    def _fit_carefully(self, frame: Frame, detection: Detection, name: str) -> tuple[Face, float]:
        """The mesh, and how far apart meshes from four squares put it, as a share of the face's size."""
        first, presence = self._mesh.fit(frame, region_of_detection(detection))
        region = _region(first)
        second, presence_again = self._mesh.fit(frame, region)
        wider, _ = self._mesh.fit(frame, replace(region, side=region.side * 1.15))
        mirror = Frame(np.asarray(cv2.flip(frame.photo, 1), np.uint8))
        flipped = self._mesh.fit_mirrored(mirror, region)
        apart = max(
            float(np.hypot(*(second[_PLACED, :2] - other[_PLACED, :2]).T).mean()) for other in (first, wider, flipped)
        )
        return Face(second, detection.score, min(presence, presence_again), name), apart / region.side * MESH_MARGIN


def _may_lie_on_its_side(found: Detection) -> bool:
    """Upright frontal faces score more: 1 % of 146 scored below 0.84; on their sides none scored above 0.88."""
    return found.score < UPRIGHT_SCORE or abs(region_of_detection(found).angle) > math.radians(45)


def _detections(look: Look, detector: FaceDetector) -> Iterator[tuple[str, Detection]]:
    for found in detector.find(Frame(look.picture)):
        yield look.name, found.mapped(look.to_photo)


def _region(landmarks: NDArray[np.float64]) -> Region:
    try:
        return region_of_mesh(landmarks)
    except PhotoRejected:  # a mesh shrunk to a point, where there is no face at all
        x, y = landmarks[:, :2].mean(axis=0)
        return Region(float(x), float(y), 1.0, 0.0)


def _covers(face: Face, detection: Detection) -> bool:
    left, top, right, bottom = face.box
    return left < detection.x < right and top < detection.y < bottom


def _vouched(doubted: list[Face]) -> list[Face]:
    """Of faces that the mesh network doubts, the best that the detector sees in one place with and without a border."""
    known = [
        max(bordered, other, key=lambda face: face.score or 0)
        for bordered in doubted
        for other in doubted
        if bordered.found_by == "padded"
        and other.found_by in ("plain", "mirrored", "full-range", "yunet")
        and (bordered.score or 0) + (other.score or 0) >= VOUCHED
        and overlap(bordered, other) > 0.5
    ]
    return [max(known, key=lambda face: face.score or 0)] if known else []


def _distinct(faces: list[Face]) -> list[Face]:
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -(face.score or 0)):
        if all(overlap(face, other) <= SAME for other in kept):
            kept.append(face)
    return kept


class TaskCascade:
    """A Face Landmarker bundle, shown the photo upright, and in other ways where it finds nothing.

    Args:
        config: thresholds, and the bundle's path.

    Raises:
        ConfigError: the bundle is missing or is none.
    """

    def __init__(self, config: FindConfig) -> None:
        if config.landmarker is None:
            raise ConfigError("landmarker: none given; this cascade runs a face_landmarker.task")
        self._retries = config.retries
        self._built_in = Cascade(replace(config, landmarker=None))
        self._task = TaskLandmarker(config.landmarker, config.min_detection, config.min_presence)

    def find(self, photo: NDArray[np.uint8], every: bool = False) -> list[Face]:
        """See :class:`toolkit.faces.face.Landmarker`."""
        first = self._built_in.upright(photo)
        picture = np.ascontiguousarray(first.picture)
        faces = self._task.find(picture)
        if self._retries and (every or not faces):
            for look in (
                search_views.padded(picture),
                *search_views.profile_hints(picture),
                *search_views.tiles(picture),
            ):
                faces = _distinct(
                    [*faces, *(search_views.carried(face, look) for face in self._task.find(look.picture))]
                )
                if faces and not every:
                    break
        return [search_views.carried(face, first) for face in faces]
