"""Learn the correction of turned faces' shapes, `toolkit/faces/frontal_shape.npz`.

    python examples/learn/frontal_shape.py DATASET PHOTOS PORTRAITS OUT.npz

DATASET is a paired set of turned photos and their frontal ones (`frontalize pairs import london`); its `labels.csv`
names them in PHOTOS. Only the people of that set are used: to hold people out, do not import them. PORTRAITS are
near-frontal photos whose heads are rotated. Both give pairs of shapes, that of a turned face and that of its frontal
photo. A ridge regression of their difference is written to OUT.npz: 16-bit weights, and no pixels of any photo.

The mean landmark error before and after the correction is printed, for people that it was not learned from.
"""

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.pairs.synthesize import cut_head
from pipelines.photo_jobs.views import ViewLandmarker
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoError
from toolkit.faces.frontal_shape import shape_features
from toolkit.faces.shape_model import Fit, fit_shape
from toolkit.geometry.affine import matrix_scale
from toolkit.geometry.crop import CHIN_Y, MIDPOINT_Y
from toolkit.geometry.mesh_topology import MIRROR, SKIN
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.files import list_photos
from toolkit.records.labels import read_labels
from toolkit.records.subject_rules import subject_rule
from toolkit.records.subjects import read_pairs
from toolkit.views.rotate import RotatableHead

Values = NDArray[np.float64]

REAL_WEIGHT, SYNTHETIC_WEIGHT = 3.0, 1.0
RIDGE, RIDGE_OF_MEAN = 100.0, 0.1  # the second for the first three features, the correction of the mean face
YAWS = ((15, 40), (40, 65), (65, 90))  # degrees: each portrait is rotated once within each
MAX_MESH_ERROR = 0.06  # mean distance of a rotated face's mesh from the true one, relative to the face
MAX_TURN_SINE, MAX_ENLARGED = 0.12, 1.25  # portraits turned further, or smaller than the crop, are left out
PROFILE_SINE, STEEP_SINES = 0.82, (0.64, 0.85)  # of the yaw: where the groups of the printed table end
FOLDS = 8
PX_OF_128 = 128 * (CHIN_Y - MIDPOINT_Y)  # pixels of a chin crop of 128 px per unit of head coordinates


@dataclass(frozen=True, slots=True)
class Example:
    """The shapes of one face, turned and frontal."""

    person: str
    group: str  # of the printed table
    weight: float
    features: Values  # (F,)
    difference: Values  # (468, 3) head coordinates: frontal less turned


def real_examples(dataset: Path, photos: Path) -> Iterator[Example]:
    """Yield the pairs of a set whose two faces are found."""
    labels, landmarker, frontal = read_labels(dataset), ViewLandmarker(), dict[str, Fit | None]()

    def fit(file: str) -> Fit | None:
        try:
            photo = Photo(read_bytes(photos / labels.text("source", file)))
            [crop] = align_photo(photo, landmarker.landmarker, AlignConfig())
            return fit_shape(landmarker.pixels_and_face(photo, crop)[1].landmarks)
        except PhotoError:
            return None

    for pair in read_pairs(dataset):
        if pair.target not in frontal:
            frontal[pair.target] = fit(pair.target)
        turned, wanted = fit(pair.input), frontal[pair.target]
        if turned is not None and wanted is not None:
            group = "real profiles" if abs(turned.rotation[2, 0]) > PROFILE_SINE else "real, 45 degrees"
            person = labels.person(pair.input, pair.subject)
            difference = wanted.shape - turned.shape
            yield Example(person, group, REAL_WEIGHT, shape_features(turned), difference)


def synthetic_examples(folder: Path, names: list[str], subjects: str | None) -> Iterator[Example]:
    """Yield the rotated heads of portraits whose faces are found again."""
    landmarker, person_of = ViewLandmarker(), subject_rule(subjects) if subjects else str
    for name in names:
        try:
            photo = Photo(read_bytes(folder / name))
            [crop] = align_photo(photo, landmarker.landmarker, AlignConfig(size=128))
            pixels, face = cut_head(photo, crop)
            frontal, head = fit_shape(face.landmarks), RotatableHead(pixels, face)
            person = person_of(name)
        except PhotoError:
            continue
        if abs(frontal.rotation[2, 0]) > MAX_TURN_SINE or matrix_scale(crop.matrix) > MAX_ENLARGED:
            continue
        random = np.random.default_rng(number_of(name))
        for low, high in YAWS:
            yaw = random.choice([-1, 1]) * random.uniform(low, high)
            if (turned := rotated_fit(landmarker, head, yaw)) is not None:
                group = f"synthetic, {('up to 40', '40 to 58', 'from 58')[step_of(turned)]} degrees"
                difference = frontal.shape - turned.shape
                yield Example(f"portrait {person}", group, SYNTHETIC_WEIGHT, shape_features(turned), difference)


def rotated_fit(landmarker: ViewLandmarker, head: RotatableHead, yaw: float) -> Fit | None:
    """Return the fit to the mesh that is found in a rotated head; None if the mesh is wrong."""
    view = head.view(yaw)
    try:
        faces = landmarker.landmarker.find(view.image)
        if not faces:
            return None
        face = landmarker.refined(view.image, faces[0])
        fit = fit_shape(face.landmarks)
    except PhotoError:
        return None
    error = np.linalg.norm(face.landmarks[:, :2] - view.landmarks[:, :2], axis=1).mean()
    return fit if error < MAX_MESH_ERROR * face.size else None


def step_of(fit: Fit) -> int:
    """Return which part of the table a rotated head belongs to."""
    return int(np.searchsorted(STEEP_SINES, abs(fit.rotation[2, 0])))


def learn(examples: list[Example]) -> Values:
    """Solve the weighted ridge regression; its correction is symmetric. Return the weights, (F, 1404)."""
    features = np.array([example.features for example in examples])
    weights = np.array([example.weight for example in examples])[:, None]
    differences = np.array([example.difference for example in examples])
    symmetric = (differences + differences[:, MIRROR[:SKIN]] * [-1, 1, 1]) / 2
    ridge = np.full(features.shape[1], RIDGE)
    ridge[: len(YAWS)] = RIDGE_OF_MEAN
    normal = (features * weights).T @ features + np.diag(ridge)
    return np.asarray(np.linalg.solve(normal, (features * weights).T @ symmetric.reshape(len(examples), -1)))


def print_errors(examples: list[Example]) -> None:
    """Print the mean landmark error of each group before and after, by cross-validation that leaves people out."""
    people = sorted({example.person for example in examples}, key=number_of)
    fold_of = {person: number % FOLDS for number, person in enumerate(people)}
    errors = dict[str, list[tuple[float, float]]]()
    for fold in range(FOLDS if len(people) > 1 else 0):
        weights = learn([example for example in examples if fold_of[example.person] != fold])
        for example in (example for example in examples if fold_of[example.person] == fold):
            left = example.difference - (example.features @ weights).reshape(SKIN, 3)
            before, after = (float(np.linalg.norm(off[:, :2], axis=1).mean()) for off in (example.difference, left))
            errors.setdefault(example.group, []).append((before, after))
    for group, pairs in sorted(errors.items()):
        before, after = PX_OF_128 * np.mean(pairs, axis=0)
        print(f"{group}: {len(pairs)} faces, {before:.2f} -> {after:.2f} px of 128")


def number_of(name: str) -> int:
    """Return a number that depends on a name alone, the same in every run."""
    return int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8], "big")


def main() -> None:
    """Find the faces, print the errors, learn from all, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for name in ("dataset", "photos", "portraits", "out"):
        parser.add_argument(name, type=Path, metavar=name.upper())
    parser.add_argument("--limit", type=int, help="use that many of the portraits, drawn by their names")
    parser.add_argument("--subjects", help="who is on a portrait, as for `pairs build`; else each is another person")
    given = parser.parse_args()
    names = sorted(list_photos(given.portraits)[0], key=number_of)[: given.limit]
    examples = [
        *real_examples(given.dataset, given.photos),
        *synthetic_examples(given.portraits, names, given.subjects),
    ]
    if not examples:
        raise SystemExit(
            f"no turned face was found, neither in {given.photos} nor in rotated heads of {given.portraits}"
        )
    print_errors(examples)
    np.savez_compressed(given.out, weights=learn(examples).astype(np.float16))
    print(f"{given.out}: learned from {len(examples)} faces of {len({one.person for one in examples})} people")


if __name__ == "__main__":
    main()
