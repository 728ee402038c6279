"""The models that an evaluation compares: how each generates faces, and its results so far."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.pair_worker import LoadedPair
from pipelines.photo_jobs.crops import resize_square
from pipelines.weights.generator import BUILT_IN, Generator, open_generator, weights_path
from toolkit.errors import CheckpointError
from toolkit.photos.types import Image

GenerateFaces = Callable[[Sequence[LoadedPair]], list[Image | None]]  # up to a batch of pairs -> a face each, or None
WITHOUT_NETWORK = ("raw", "geometric")
MAX_EXAMPLES = 6  # best pairs on the page, and worst pairs


@dataclass(frozen=True, slots=True)
class RankedPair:
    """A pair with its score, for the examples on the page."""

    score: float
    number: int
    pictures: list[Image | str]  # the input, for each model its face or why there is none, the target


@dataclass(slots=True)
class CandidateModel:
    """One model and its results. Pairs without a face are in ``reasons`` only."""

    name: str  # as given by the user
    generate: GenerateFaces
    needs_frontal_view: bool = False  # of the inputs, by geometry
    measures: dict[int, list[float]] = field(default_factory=dict)  # pair -> pipelines.metrics.image_metrics.MEASURES
    embeddings: dict[int, NDArray[np.float64]] = field(default_factory=dict)  # pair -> (D,) of its face
    distances: dict[int, float] = field(default_factory=dict)  # pair -> of its landmarks; none where no face is found
    reasons: Counter[str] = field(default_factory=Counter)  # codes: why there is no face
    extremes: list[RankedPair] = field(default_factory=list)  # those with the lowest and the highest scores, ascending

    def add_example(self, pair: RankedPair) -> None:
        """Keep a pair if it is among the best or the worst."""
        self.extremes.append(pair)
        self.extremes.sort(key=lambda one: (one.score, one.number))
        del self.extremes[MAX_EXAMPLES:-MAX_EXAMPLES]

    def best_and_worst(self) -> tuple[list[RankedPair], list[RankedPair]]:
        """Return the pairs with the highest scores, best first, and those with the lowest, worst first."""
        count = min(MAX_EXAMPLES, (len(self.extremes) + 1) // 2)
        return self.extremes[::-1][:count], self.extremes[:count]


def short_names(names: Sequence[str]) -> list[str]:
    """Return the names of models for tables: a generator is named by its run, unless that is ambiguous."""
    weights = {name: Path(name) for name in names if Path(name).name == "generator.safetensors"}
    short = [weights[name].parent.name if name in weights else name for name in names]
    return short if len(set(filter(None, short))) == len(names) else list(names)


def load_candidate_model(
    name: str, size: int, batch_size: int, device: str, recipe: Path | None = None
) -> CandidateModel:
    """Load a model by its name.

    Args:
        name: ``raw`` (the input itself), ``geometric``, ``refiner``, or the path of a generator's weights. Generators
            get the same inputs as in `batch --aligned`.
        size: side of the faces to generate, pixels.
        batch_size: faces per pass of a network.
        device: of a network.
        recipe: the user's recipe file that defines the network, where that is not built in.

    Raises:
        ConfigError: the recipe file cannot be used.
        CheckpointError: no such model, or a generator that does not take chin crops.
    """
    if name == "raw":
        return CandidateModel(name, lambda pairs: [resize_square(pair.input, size) for pair in pairs])
    if name == "geometric":
        return CandidateModel(
            name, lambda pairs: [pair.view and pair.view.image for pair in pairs], needs_frontal_view=True
        )
    if not weights_path(name).is_file():
        known = ", ".join((*WITHOUT_NETWORK, *BUILT_IN))
        raise CheckpointError(f"model {name}: no such file, and none of {known}; give a run's generator.safetensors")
    generator = open_generator(name, batch_size, device, recipe=recipe)
    if generator.card.template != "chin":
        raise CheckpointError(f"model {name}: takes {generator.card.template} crops; paired sets contain chin crops")
    if generator.takes_frontal_view:
        return CandidateModel(name, partial(_refine_views, generator), needs_frontal_view=True)

    def generate(pairs: Sequence[LoadedPair]) -> list[Image | None]:
        faces = generator([[resize_square(pair.input, generator.side)] for pair in pairs])
        return [resize_square(_pad_to_crop(face.image, generator.side), size) for face in faces]

    return CandidateModel(name, generate)


def _refine_views(generator: Generator, pairs: Sequence[LoadedPair]) -> list[Image | None]:
    views = {pair.number: pair.view.network_inputs for pair in pairs if pair.view is not None}
    faces = generator(list(views.values())) if views else []
    images = {number: face.image for number, face in zip(views, faces, strict=True)}
    return [images.get(pair.number) for pair in pairs]


def _pad_to_crop(face: Image, side: int) -> Image:
    """Pad a face that shows the middle window of a crop to the crop's side by replicating its border."""
    before = (side - len(face)) // 2
    after = side - len(face) - before
    return np.asarray(cv2.copyMakeBorder(face, before, after, before, after, cv2.BORDER_REPLICATE), np.uint8)
