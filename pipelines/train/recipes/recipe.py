"""What the training loop asks of a recipe: networks with their optimizers, and one step."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam

from pipelines.train.data.batches import Feed, Needs, PairBatch
from pipelines.train.data.class_labels import PairLabels
from pipelines.weights.checkpoint import GeneratorCard
from pipelines.weights.normalization import Normalization
from toolkit.records.subjects import Pair


class RecipeConfig(Protocol):
    """What every recipe's config has, besides its own fields."""

    epochs: int | None  # passes over the pairs, where the recipe counts so
    steps: int | None  # optimizer steps, where it counts so
    batch_size: int
    image_size: int

    @property
    def needs(self) -> Needs:
        """What the batches must hold."""
        ...


@dataclass(frozen=True, slots=True)
class Clock:
    """When a step is taken."""

    step: int  # from 0
    epoch: int  # from 0


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a recipe may have to know of the set as a whole."""

    root: Path
    pairs: list[Pair]
    labels: PairLabels | None  # where the recipe's needs ask for them

    def known_labels(self) -> PairLabels:
        """For recipes whose needs ask for them."""
        if self.labels is None:
            raise ValueError("this recipe's needs do not ask for labels")
        return self.labels


@dataclass(frozen=True, slots=True)
class Workshop:
    """How networks are set up, the same for all of a run."""

    fabric: Fabric
    accumulate: int = 1  # batches whose gradients make one step of an optimizer
    channels_last: bool = False
    compile: bool = False

    def trainee(self, net: nn.Module, rate: float, betas: tuple[float, float]) -> "Trainee":
        """A network with an Adam of its own."""
        if self.channels_last:
            net = net.to(memory_format=torch.channels_last)
        return Trainee(net, rate, betas, self)


class Trainee:
    """A network and its optimizer.

    Args:
        net: the network.
        rate: learning rate.
        betas: of Adam.
        workshop: places both, and runs backward in its precision.
    """

    def __init__(self, net: nn.Module, rate: float, betas: tuple[float, float], workshop: Workshop) -> None:
        self.raw, self._fabric, self._accumulate = net, workshop.fabric, workshop.accumulate
        self._learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
        optimizer = Adam(self._learning, rate, betas, fused=True)
        ready: Any = torch.compile(net) if workshop.compile else net
        self.net, self.optimizer = workshop.fabric.setup(ready, optimizer)
        self.held = 0  # batches whose gradients wait for the next step of the optimizer

    def consult(self, *inputs: Tensor) -> Any:
        """What it says, for another network to learn from: its own gradients are nobody's business."""
        with self._fabric.autocast():
            return self.raw(*inputs)

    def descend(self, loss: Tensor) -> None:
        """Go down this loss: one step of the optimizer, or a share of one."""
        if self.held == 0:
            self.optimizer.zero_grad()
        last = self.held + 1 == self._accumulate
        with self._fabric.no_backward_sync(self.net, enabled=not last):
            self._fabric.backward(loss / self._accumulate, inputs=self._learning)
        self.held = 0 if last else self.held + 1
        if last:
            self.optimizer.step()

    def set_rate(self, rate: float) -> None:
        """Change the learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate


class Recipe:
    """Networks and one step; a recipe fills in ``generator``, ``trainees`` and :meth:`step`.

    Attributes:
        normalization: what its networks take 8-bit levels as; stored with the weights.
        architecture: its generator's name in :mod:`models.registry`.
        attributes: names of the traits that the generator is told.
        has_truth: whether a target is what the generator should make of its input.
        generator: what a run is for.
        trainees: everything that learns, by name.
    """

    normalization = Normalization()
    architecture: str
    attributes: tuple[str, ...] = ()
    has_truth = True  # targets are what the generator should make of the inputs: it can be validated
    generator: nn.Module
    trainees: dict[str, Trainee]

    def step(self, batch: PairBatch, clock: Clock) -> dict[str, Tensor]:
        """Update the networks on one batch; scalar losses, still on the device: ``.item()`` would stall a GPU."""
        raise NotImplementedError

    def show(self, generator: nn.Module, batch: PairBatch) -> Tensor:
        """What a generator makes of a batch, (B, 3, S, S): for sample grids and validation."""
        made: Tensor = generator(batch.input)
        return made

    def extra_grid(self, generator: nn.Module, batch: PairBatch) -> tuple[list[Tensor], str]:
        """One more grid where a recipe has more to show: rows of (B, 3, S, S), and a title."""
        return [], ""

    def state(self) -> dict[str, Any]:
        """Everything with a ``state_dict`` that a resumed run needs."""
        nets = {name: trainee.raw for name, trainee in self.trainees.items()}
        return nets | {f"{name}_optimizer": trainee.optimizer for name, trainee in self.trainees.items()}

    def shape(self) -> dict[str, int]:
        """What the generator's class is called with, where that is not fixed."""
        return {}


def given(value: Tensor | None) -> Tensor:
    """A part of a batch that the recipe's needs ask for."""
    if value is None:
        raise ValueError("the recipe's needs do not ask for this part of the batch")
    return value


def halved(rate: float, step: int, at: Iterable[int]) -> float:
    """A learning rate that is halved at certain steps."""
    return rate * 0.5 ** sum(step >= mark for mark in at)


def fading(rate: float, step: int, steps: int | None, since: float) -> float:
    """A learning rate that falls to nothing over the last part of a run, from a share of its steps on.

    A run that counts epochs has the same rate throughout.
    """
    return rate if steps is None else rate * min(1.0, (1 - step / steps) / (1 - since))


def shown(**losses: Tensor) -> dict[str, Tensor]:
    """Losses for the record: cut off from the graph."""
    return {name: loss.detach() for name, loss in losses.items()}


def card_of(recipe: Recipe, name: str, feed: Feed, step: int) -> GeneratorCard:
    """What goes with the generator's weights."""
    return GeneratorCard(
        architecture=recipe.architecture,
        shape=recipe.shape(),
        attributes=list(recipe.attributes),
        image_size=feed.image_size,
        load_size=feed.load_size,
        template="chin",
        normalization=recipe.normalization,
        recipe=name,
        step=step,
    )
