"""Sets of drawn images for which the results are known."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.evaluate import Evaluation
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image
from toolkit.records.labels import write_labels

SIDE = 32


Draw = Callable[[str, Image], Image]  # an input's name and its target -> the input


def texture(seed: int) -> Image:
    """Draw a texture that is unique to its seed, without black and white."""
    coarse = np.random.default_rng(seed).integers(80, 170, (8, 8, 3)).astype(np.uint8)
    return np.asarray(coarse.repeat(SIDE // 8, 0).repeat(SIDE // 8, 1), np.uint8)


def draw_set(root: Path, subjects: Mapping[str, Mapping[str, float | None]], draw: Draw, **person: str) -> Path:
    """Subjects with the names and yaws of their inputs; each target is a texture, each input is drawn from it."""
    rows: list[dict[str, object]] = []
    for number, (subject, inputs) in enumerate(subjects.items()):
        target = texture(number)
        (root / subject).mkdir(parents=True)
        (root / f"{subject}.png").write_bytes(encode_image(target, ".png"))
        who = {"subject": subject, "person": person.get(subject)}
        rows.append({"file": f"{subject}.png", "role": "target", **who})
        for name, yaw in inputs.items():
            (root / subject / f"{name}.png").write_bytes(encode_image(draw(f"{subject}/{name}", target), ".png"))
            rows.append({"file": f"{subject}/{name}.png", "role": "input", "yaw": yaw, **who})
    write_labels(root, rows)
    return root


def brighter(levels: dict[str, int]) -> Draw:
    return lambda name, target: target + np.uint8(levels[name])


def evaluated(root: Path, *models: str, recognizer: Path | None = None, **more: Any) -> dict[str, Any]:
    evaluation = Evaluation(root, EvaluateConfig(models=models, recognizer=recognizer, workers=2, **more))
    assert sorted(evaluation.run(lambda: False)) == list(range(len(evaluation.pairs)))
    return evaluation.document()


class ByTexture:
    """Stands for a recognizer: compares textures."""

    def __init__(self, path: Path) -> None:
        assert path.is_file()

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float64]:
        middle = np.stack([crop[56:104, 32:80].astype(float) for crop in crops])
        cells = middle.reshape(len(crops), 6, 8, 6, 8, 3).mean(axis=(2, 4)).reshape(len(crops), -1)
        cells -= cells.mean(axis=1, keepdims=True)
        return np.asarray(cells / np.linalg.norm(cells, axis=1, keepdims=True))
