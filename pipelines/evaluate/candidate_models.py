"""A model under judgement: how it makes faces of a set's inputs, and what was found of them so far."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.evaluate.pair_worker import Sight
from pipelines.photo_jobs.crops import resize_square
from pipelines.weights.generator import Generator, weights_path
from toolkit.errors import CheckpointError

Image = NDArray[np.uint8]
Make = Callable[[Sequence[Sight]], list[Image | None]]  # up to a batch of pairs -> a face for each input, or none
EXTREMES = 6  # pairs that are shown at either end


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair to look at."""

    score: float
    number: int
    pictures: list[Image | str]  # the input, what each model makes of it or why nothing, the target


@dataclass(slots=True)
class Candidate:
    """One model. Pairs go by their numbers; one for which it makes no face is in none of the tables."""

    name: str  # as the user gave it
    make: Make
    draws: bool = False  # it needs the inputs' frontal views
    measures: dict[int, list[float]] = field(default_factory=dict)  # as pipelines.metrics.image_metrics.MEASURES
    faces: dict[int, NDArray[np.float64]] = field(default_factory=dict)  # (D,) descriptions by the recogniser
    reasons: Counter[str] = field(default_factory=Counter)  # codes: why it makes no face
    extremes: list[Shown] = field(default_factory=list)  # the lowest and the highest scores, ascending

    def offer(self, shown: Shown) -> None:
        """Keep a pair for showing, if it is one of the best or the worst."""
        self.extremes.append(shown)
        self.extremes.sort(key=lambda one: (one.score, one.number))
        del self.extremes[EXTREMES:-EXTREMES]

    def best_and_worst(self) -> tuple[list[Shown], list[Shown]]:
        """The pairs with the highest scores, best first, and those with the lowest, worst first."""
        most = min(EXTREMES, (len(self.extremes) + 1) // 2)
        return self.extremes[::-1][:most], self.extremes[:most]


def short_names(names: Sequence[str]) -> list[str]:
    """What tables call models: a generator by its run where that is clear, else as the user named it."""
    weights = {name: Path(name) for name in names if Path(name).name == "generator.safetensors"}
    short = [weights[name].parent.name if name in weights else name for name in names]
    return short if len(set(filter(None, short))) == len(names) else list(names)


def open_candidate(name: str, size: int, batch_size: int, device: torch.device) -> Candidate:
    """Open a model by its name.

    Args:
        name: ``raw`` (the input itself), ``geometric``, or the path of a generator's weights, which is fed as
            `batch --aligned` feeds it.
        size: side of the faces it shall make, px.
        batch_size: faces per pass of a network.
        device: of a network.

    Raises:
        CheckpointError: no such weights, or they do not take chin crops.
    """
    if name == "raw":
        return Candidate(name, lambda sights: [resize_square(sight.input, size) for sight in sights])
    if name == "geometric":
        return Candidate(name, lambda sights: [sight.view for sight in sights], draws=True)
    generator = Generator(weights_path(name), batch_size, device)
    if generator.card.template != "chin":
        raise CheckpointError(f"model {name}: takes {generator.card.template} crops, and paired sets hold chin crops")

    if generator.refines:
        return Candidate(name, partial(_refined, generator), draws=True)

    def make(sights: Sequence[Sight]) -> list[Image | None]:
        faces = generator([[resize_square(sight.input, generator.side)] for sight in sights])
        return [resize_square(_in_place(face, generator.side), size) for face in faces]

    return Candidate(name, make)


def _refined(generator: Generator, sights: Sequence[Sight]) -> list[Image | None]:
    drawn = {
        sight.number: [sight.view, sight.mask] for sight in sights if sight.view is not None and sight.mask is not None
    }
    faces = dict(zip(drawn, generator(list(drawn.values())), strict=True)) if drawn else {}
    return [faces.get(sight.number) for sight in sights]


def _in_place(face: Image, side: int) -> Image:
    """A face that shows the middle of a crop, as large as the crop: what it does not show repeats its edge."""
    before = (side - len(face)) // 2
    after = side - len(face) - before
    return np.asarray(cv2.copyMakeBorder(face, before, after, before, after, cv2.BORDER_REPLICATE), np.uint8)
