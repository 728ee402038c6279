"""How much of a person a frontal view keeps: verification of profile photos against frontal ones.

    python examples/measure_identity.py PROFILES RECOGNIZER.onnx [refiner | WEIGHTS.safetensors]

PROFILES holds `<person>/frontal/*.jpg` and `<person>/profile/*.jpg`, as the CFP set does. All pairs
of one person's frontal and profile photos, and as many of two persons', drawn with a fixed seed; ten
folds by person, the threshold chosen on nine and applied to the tenth. A face that is not found
scores cosine 0: it counts. All candidates are shown to the recogniser in its own frame; a refined face is a tighter
crop, so the geometric view stays around it.
"""

import itertools
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.weights.generator import Generator, open_generator
from toolkit.errors import PhotoRejected
from toolkit.faces.face import Face
from toolkit.faces.frontal_shape import frontal_shape
from toolkit.faces.shape_model import fit_shape
from toolkit.geometry.crop import crop_matrix
from toolkit.geometry.head_pose import head_pose
from toolkit.identity.recognizer import CROP_SIDE, Recognizer
from toolkit.identity.verification import FOLDS, area_under_curve, cross_validated_correct, mean_over_folds
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.profiles.averaging import AveragedMesh
from toolkit.photos.decode import read_photo
from toolkit.photos.resample import warp_crop
from toolkit.photos.types import Image
from toolkit.views.frontal import frontal_view

Array = NDArray[np.float64]
BINS = (0, 55, 65, 75, 91)  # degrees of yaw


def raw(photo: Image, face: Face) -> Image:
    """The photo itself, aligned by five points."""
    return warp_crop(photo, crop_matrix(face.landmarks, CROP_SIDE, "arcface"), CROP_SIDE)


def geometric(photo: Image, face: Face) -> Image:
    """The frontal view, as `batch --model geometric` makes it."""
    return frontal_view(photo, face, CROP_SIDE, "arcface").image


def refined(photo: Image, face: Face, refiner: Generator) -> Image:
    """The frontal view, refined as `batch` does it, within the geometric one."""
    [(made, _)] = refiner([frontal_view(photo, face, refiner.card.image_size).network_inputs])
    shape = frontal_shape(fit_shape(face.landmarks))
    from_chin = np.vstack([crop_matrix(shape, len(made), "chin"), [0, 0, 1]])
    to_frame = np.vstack([crop_matrix(shape, CROP_SIDE, "arcface"), [0, 0, 1]])
    place = np.asarray((to_frame @ np.linalg.inv(from_chin))[:2], np.float64)
    inside = np.pad(np.ones((len(made) - 2,) * 2, np.float32), 1)
    size = (CROP_SIDE, CROP_SIDE)
    within = cv2.warpAffine(made, place, size, flags=cv2.INTER_LINEAR)
    share = cv2.warpAffine(inside, place, size, flags=cv2.INTER_LINEAR)
    around = geometric(photo, face)
    return np.asarray(within * share[..., None] + around * (1 - share[..., None]), np.uint8)


def draw_pairs(people: list[dict[str, list[Path]]]) -> list[tuple[Path, Path, int, bool]]:
    """(frontal, profile, fold, same): all pairs of one person, as many of two."""
    random, pairs = np.random.default_rng(0), []
    for number, person in enumerate(people):
        own = [(front, side) for front in person["frontal"] for side in person["profile"]]
        pairs += [(front, side, number % FOLDS, True) for front, side in own]
        for _ in own:
            other = people[(number + int(random.integers(1, len(people)))) % len(people)]
            front, side = random.choice(len(person["frontal"])), random.choice(len(other["profile"]))
            pairs.append((person["frontal"][front], other["profile"][side], number % FOLDS, False))
    return pairs


def main(profiles: Path, model: Path, weights: str | None) -> None:
    """Find, embed, compare, tell."""
    refiner = open_generator(weights) if weights else None
    recognizer, landmarker = Recognizer(model), open_landmarker(FindConfig(refine_profiles=False))
    refine_mesh = AveragedMesh()
    people = [
        {kind: sorted((folder / kind).glob("*.jpg")) for kind in ("frontal", "profile")}
        for folder in sorted(profiles.iterdir())
        if folder.is_dir()
    ]
    vectors: dict[str, dict[Path, Array]] = {"raw": {}, "geometric": {}}
    yaws: dict[Path, float] = {}
    for path in (path for person in people for photos in person.values() for path in photos):
        photo = read_photo(path)
        faces = landmarker.find(photo)
        if not faces:
            continue
        face = max(faces, key=lambda one: one.size)
        yaws[path] = abs(head_pose(face.landmarks).yaw)
        try:
            vectors["raw"][path] = recognizer.embed([raw(photo, face)])[0]
            averaged = refine_mesh(photo, face)
            vectors["geometric"][path] = recognizer.embed([geometric(photo, averaged)])[0]
            if refiner is not None:
                vectors.setdefault("refined", {})[path] = recognizer.embed([refined(photo, averaged, refiner)])[0]
        except PhotoRejected as error:
            print(f"{path}: {error.reason}")
    pairs = draw_pairs(people)
    same, folds = np.array([pair[3] for pair in pairs]), np.array([pair[2] for pair in pairs])
    turned = np.array([yaws.get(side, 0.0) for _, side, _, _ in pairs])
    for name, seen in vectors.items():
        found = np.array([front in vectors["raw"] and side in seen for front, side, _, _ in pairs])
        cosines = np.zeros(len(pairs))
        for number, (front, side, _, _) in enumerate(pairs):
            if found[number]:
                cosines[number] = vectors["raw"][front] @ seen[side]
        accuracy = mean_over_folds(cross_validated_correct(cosines, same, folds), folds)
        by_yaw = [
            f"{low} to {high}: {cosines[same & found & (turned >= low) & (turned < high)].mean():.3f}"
            for low, high in itertools.pairwise(BINS)
        ]
        print(
            f"{name:10} accuracy {accuracy:.3f}, AUC {area_under_curve(cosines, same):.3f}, "
            f"genuine {cosines[same].mean():.3f} (found {cosines[same & found].mean():.3f}), "
            f"impostor {cosines[~same].mean():.3f}; genuine by yaw {', '.join(by_yaw)}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
