"""The loop that a user writes without `align` and `batch`: one photo after the other, in one process.

`frontalize bench --against plain` compares with it. OpenCV reads and writes the files, ONNX Runtime or MediaPipe finds
the landmarks; both with the settings that they have by themselves, which use all cores. There is no second search where
the first finds nothing, no limit to what a file may take, no ledger, and a loop that was stopped begins anew.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.align.config import AlignPhotosConfig
from pipelines.batch.config import VIEW_SIZE
from pipelines.photo_jobs.device_networks import full_precision_on
from pipelines.weights.card import read_card
from pipelines.weights.generator import BUILT_IN, open_generator
from pipelines.weights.normalization import denormalize, normalize
from toolkit.faces.face import Face
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.blazeface import BlazeFace
from toolkit.landmarks.detection import region_of_detection
from toolkit.landmarks.face_mesh import FaceMesh
from toolkit.landmarks.mediapipe_tasks import TaskLandmarker
from toolkit.networks.runtime import WEIGHTS, Arrays, Network, run_elsewhere
from toolkit.photos.types import Image
from toolkit.views.frontal import FrontalView, frontal_view

MIN_SCORE = 0.5  # of a detection and of a mesh, as in MediaPipe's FaceMesh
SIZE = AlignPhotosConfig().crop.size
JPEG = [cv2.IMWRITE_JPEG_QUALITY, AlignPhotosConfig().quality]
Find = Callable[[Image], NDArray[np.float64] | None]  # a photo -> the 478 points of its largest face


def align_one_by_one(source: Path, out: Path, bundle: Path | None) -> None:
    """Cut the largest face out of every photo of a folder, as `align` does.

    Args:
        source: the photos.
        out: an empty folder for the crops.
        bundle: a ``face_landmarker.task``; None: the networks that `align` runs.
    """
    with _landmarks(bundle) as find:
        for name, photo in _read(source):
            points = find(np.asarray(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), np.uint8))
            if points is not None:
                matrix = crop_matrix(points, SIZE)
                crop = cv2.warpAffine(photo, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
                cv2.imwrite(str(out / name), crop, JPEG)


def frontalize_one_by_one(source: Path, out: Path, bundle: Path | None, device: str) -> None:
    """Write the refiner's frontal view of every photo of a folder, as `batch` does, in batches of one.

    Args:
        source: the photos.
        out: an empty folder for the views.
        bundle: see :func:`align_one_by_one`.
        device: of the refiner, ``cpu`` or ``cuda:i``; a GPU computes in float32, as it does for `batch`.
    """
    refine = _open_refiner(device)
    with _landmarks(bundle) as find, full_precision_on(device):
        for name, photo in _read(source):
            image = np.asarray(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), np.uint8)
            points = find(image)
            if points is not None:
                face = refine(frontal_view(image, Face(points, None), VIEW_SIZE))
                cv2.imwrite(str(out / name), cv2.cvtColor(face, cv2.COLOR_RGB2BGR), JPEG)


def _read(source: Path) -> Iterator[tuple[str, Image]]:
    """Yield the photos that OpenCV can read, BGR, with the name of their output."""
    for path in sorted(source.iterdir()):
        photo = cv2.imread(str(path))
        if photo is not None:
            yield f"{path.stem}.jpg", np.asarray(photo, np.uint8)


@contextmanager
def _landmarks(bundle: Path | None) -> Iterator[Find]:
    if bundle is None:
        yield _built_in_landmarks()
        return
    task = TaskLandmarker(bundle, MIN_SCORE, MIN_SCORE)

    def find(photo: Image) -> NDArray[np.float64] | None:
        faces = task.find(photo)
        return max(faces, key=lambda face: face.size).landmarks if faces else None

    with closing(task):
        yield find


def _built_in_landmarks() -> Find:
    run_elsewhere(lambda name: _default_network(WEIGHTS / f"{name}.onnx"))
    detector, mesh = BlazeFace("Short", MIN_SCORE), FaceMesh()

    def find(photo: Image) -> NDArray[np.float64] | None:
        faces = detector.find(photo)
        if not faces:
            return None
        fit = mesh.fit(photo, region_of_detection(max(faces, key=lambda face: face.side)))
        return fit.landmarks if fit.presence >= MIN_SCORE else None

    return find


def _open_refiner(device: str) -> Callable[[FrontalView], Image]:
    if device != "cpu":
        generator = open_generator("refiner", 1, device)
        return lambda view: generator([view.network_inputs])[0].image
    # Not open_generator: its passes take one core each, and one photo at a time leaves the others idle.
    network, levels = _default_network(BUILT_IN["refiner"].with_suffix(".onnx")), read_card(BUILT_IN["refiner"])

    def refine(view: FrontalView) -> Image:
        image, unmirrored = (normalize(part[None], levels.normalization) for part in (view.image, view.unmirrored))
        faces, _ = network(image, view.visibility[None, None], unmirrored)
        return denormalize(faces, levels.normalization)[0]

    return refine


def _default_network(model: Path) -> Network:
    """Open a network as the first page of ONNX Runtime's manual does: on all cores."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: NDArray[Any]) -> Arrays:
        return list(session.run(None, dict(zip(names, inputs, strict=True))))

    return run
