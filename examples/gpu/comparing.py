"""The results of each verb on the CPU and on the GPU, compared."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from examples.gpu.claims import Claim, StepFailed, at_most, measured
from examples.gpu.work import Work
from toolkit.photos.decode import read_photo
from toolkit.records.ledger import Outcome, read_ledger

SUBJECTS = r"^(\d+)_"
SIDE = 256  # px, of crops
FRONTAL = 20  # degrees: up to this yaw the search is stable
UNIT = "levels of 256"
IMAGES = (".png", ".jpg", ".webp")
# Bounds. Rounding differs between devices, and the face search enlarges it, of turned faces most: see
# docs/gpus-and-clusters.md for what it is with the GPU's code on a CPU.
CORNERS_FRONTAL, CORNERS_TURNED, CORNERS_TURNED_MEDIAN = 0.0005, 0.015, 0.0005  # of the crop's side
LEVELS, WORST_LEVELS = 0.1, 2.0  # of 256, the mean over an image: of the median image, and of the worst
LEVELS_REFINED = 1.0  # of the median image, where GPUs draw the views themselves
MEASURES = 0.02  # of what `evaluate` measures
MISSING = 0.01  # share of photos with an output on one device only


def align(work: Work) -> list[Claim]:
    """Crops: corners by the ledger, and pixels."""
    one, other = _both(work, "align", "align", work.few, "--size", SIDE, "--format", "png")
    ours, theirs = ({row.input: row for row in read_ledger(folder)} for folder in (one, other))
    shifts: dict[bool, list[float]] = {True: [], False: []}
    for name, row in ours.items():
        for is_turned, shift in _corner_shifts(row, theirs[name]):
            shifts[is_turned].append(shift)
    frontal, turned = (np.array(shifts[key] or [0.0]) for key in (False, True))
    return [
        *_same_images("align", one, other),
        at_most(f"align: corners of frontal crops (yaw up to {FRONTAL})", float(frontal.max()), CORNERS_FRONTAL, "%"),
        at_most("align: corners of turned crops, median", float(np.median(turned)), CORNERS_TURNED_MEDIAN, "%"),
        at_most("align: corners of turned crops, at most", float(turned.max()), CORNERS_TURNED, "%"),
    ]


def pairs_build(work: Work) -> list[Claim]:
    """A paired set from photos."""
    one, other = _both(work, "build", "pairs", "build", work.few, "--subjects", SUBJECTS)
    return _same_images("pairs build", one, other)


def pairs_synth(work: Work) -> list[Claim]:
    """A paired set of rotated heads."""
    words = ("pairs", "synth", work.few, "--yaws=-40,40", "--format", "png")
    return _same_images("pairs synth", *_both(work, "synth", *words))


def batch_geometric(work: Work) -> list[Claim]:
    """Frontal views without a network."""
    words = ("batch", work.few, "--model", "geometric", "--format", "png")
    return _same_images("batch geometric", *_both(work, "geometric", *words))


def batch_refiner(work: Work) -> list[Claim]:
    """Frontal views through the refiner: ONNX Runtime on the CPU, torch on the GPU."""
    words = ("batch", work.few, "--model", "refiner", "--format", "png")
    return _same_images("batch refiner", *_both(work, "refiner", *words), LEVELS_REFINED)


def evaluate(work: Work) -> list[Claim]:
    """What is measured on a paired set, all numbers of the document."""
    documents: list[Any] = []
    for device in ("cpu", work.device):
        page = work.folder("evaluate", device).with_suffix(".html")
        words = ("--model", "raw", "--model", "refiner", *work.place(device))
        documents.append(work.frontalize("evaluate", work.training_set, page, *words)["models"])
    one, other = (dict(_numbers(document)) for document in documents)
    if one.keys() != other.keys():
        raise StepFailed(f"evaluate: measured on one device only: {sorted(one.keys() ^ other.keys())[:3]}")
    worst = max(abs(one[key] - other[key]) / max(abs(one[key]), 1e-3) for key in one)
    return [at_most(f"evaluate: largest difference of {len(one)} numbers", worst, MEASURES, "%")]


def _both(work: Work, name: str, *words: object) -> tuple[Path, Path]:
    """Run a command on the CPU and on the device; return the folders."""
    verb = 2 if words[0] == "pairs" else 1
    for device in ("cpu", work.device):
        out = work.folder(name, device)
        work.frontalize(*words[: verb + 1], out, *words[verb + 1 :], *work.place(device))
    return work.folder(name, "cpu"), work.folder(name, work.device)


def _same_images(name: str, one: Path, other: Path, most: float = LEVELS) -> list[Claim]:
    ours, theirs = ({str(path.relative_to(folder)): path for path in _images(folder)} for folder in (one, other))
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        raise StepFailed(f"{name}: no image is in both {one} and {other}")
    images = [(read_photo(ours[file]).astype(int), read_photo(theirs[file]).astype(int)) for file in both]
    apart = [np.abs(first - second) for first, second in images]
    means = [float(difference.mean()) for difference in apart]
    missing = len(ours.keys() ^ theirs.keys()) / len(ours.keys() | theirs.keys())
    return [
        at_most(f"{name}: images on one device only, of {len(ours)}", missing, MISSING, "%"),
        at_most(f"{name}: median over images of the mean difference", float(np.median(means)), most, UNIT),
        at_most(f"{name}: the image that differs most, mean difference", max(means), WORST_LEVELS, UNIT),
        measured(f"{name}: largest difference of a pixel", f"{max(int(part.max()) for part in apart)} levels"),
    ]


def _images(folder: Path) -> Iterator[Path]:
    """The images of an output folder, without hidden working copies."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in IMAGES and not hidden:
            yield path


def _corner_shifts(one: Outcome, other: Outcome) -> Iterator[tuple[bool, float]]:
    """For each face whether it is turned, and by how much of the side a corner of its crop moved at most."""
    corners = np.array([(0, 0, 1), (SIDE, 0, 1), (0, SIDE, 1), (SIDE, SIDE, 1)], np.float64)
    for ours, theirs in zip(one.faces, other.faces, strict=False):
        back: NDArray[Any] = cv2.invertAffineTransform(np.array(theirs["matrix"]))
        moved = np.column_stack([corners @ back.T, np.ones(4)]) @ np.array(ours["matrix"]).T - corners[:, :2]
        yield abs(ours["yaw"]) > FRONTAL, float(np.abs(moved).max()) / SIDE


def _numbers(document: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """All numbers of a document with their places, without the ranked pairs."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key not in ("best", "worst"):
                yield from _numbers(value, f"{path}/{key}")
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from _numbers(value, f"{path}/{place}")
    elif isinstance(document, int | float):
        yield path, float(document)
