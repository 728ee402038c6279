"""The interface of a recipe: its config, its networks with their optimizers, and one training step."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam

from pipelines.train.data.batches import BatchSpec, LoaderSpec, PairBatch
from pipelines.train.data.class_labels import PairLabels
from pipelines.weights.checkpoint import GeneratorCard
from pipelines.weights.normalization import Normalization
from toolkit.records.subjects import Pair


class RecipeConfig(Protocol):
    """The fields that the training loop reads from every recipe's config."""

    epochs: int | None  # passes over the pairs; None: the recipe counts steps
    steps: int | None  # optimizer steps; None: the recipe counts epochs
    batch_size: int
    image_size: int

    @property
    def batch_spec(self) -> BatchSpec:
        """What the batches must hold."""
        ...


@dataclass(frozen=True, slots=True)
class StepInfo:
    """The position of a training step in the run."""

    step: int  # from 0
    epoch: int  # from 0


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The data set as a whole, for recipes whose networks or losses depend on it."""

    root: Path
    pairs: list[Pair]
    labels: PairLabels | None  # where the batch spec asks for them
    contour_weights: Tensor | None = None  # (1, 1, S, S) float32, likewise

    def require_labels(self) -> PairLabels:
        """Return the labels, of which the batch spec must ask for some."""
        if self.labels is None:
            raise ValueError("this recipe's batch_spec asks for no labels")
        return self.labels


@dataclass(frozen=True, slots=True)
class Setup:
    """How a run sets up its networks."""

    fabric: Fabric
    accumulate: int = 1  # batches whose gradients make one optimizer step
    channels_last: bool = False
    compile: bool = False

    def network(self, module: nn.Module, learning_rate: float, betas: tuple[float, float]) -> "OptimizedNetwork":
        """Place a network on the run's device and give it an Adam optimizer of its own."""
        if self.channels_last:
            module = module.to(memory_format=torch.channels_last)
        return OptimizedNetwork(module, learning_rate, betas, self)


class OptimizedNetwork:
    """A network with its optimizer.

    Args:
        module: the network.
        learning_rate: of Adam.
        betas: of Adam.
        setup: places both on the device, and sets the precision.

    Attributes:
        module: the network itself, for its ``state_dict``.
        net: the same network as Fabric and ``torch.compile`` wrap it; call this one.
        optimizer: Adam over the parameters that required gradients when this was built.
    """

    def __init__(self, module: nn.Module, learning_rate: float, betas: tuple[float, float], setup: Setup) -> None:
        self.module, self._fabric, self._accumulate = module, setup.fabric, setup.accumulate
        self._trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
        optimizer = Adam(self._trainable, learning_rate, betas, fused=True)
        compiled: Any = torch.compile(module) if setup.compile else module
        self.net, self.optimizer = setup.fabric.setup(compiled, optimizer)
        self._accumulated = 0  # batches whose gradients wait for the next optimizer step

    def frozen_forward(self, *inputs: Tensor) -> Any:
        """Run the network inside the loss of another one.

        The output carries gradients to the inputs. This network's parameters get none, since the other network's
        :meth:`backward_and_step` computes gradients of its own parameters only.
        """
        with self._fabric.autocast():
            return self.module(*inputs)

    def backward_and_step(self, loss: Tensor) -> None:
        """Compute gradients; every ``accumulate``-th call, take an optimizer step on their mean."""
        if self._accumulated == 0:
            self.optimizer.zero_grad()
        last = self._accumulated + 1 == self._accumulate
        with self._fabric.no_backward_sync(self.net, enabled=not last):
            self._fabric.backward(loss / self._accumulate, inputs=self._trainable)
        self._accumulated = 0 if last else self._accumulated + 1
        if last:
            self.optimizer.step()

    def set_learning_rate(self, learning_rate: float) -> None:
        """Change the learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate


class Recipe:
    """Networks and one training step. A subclass sets ``architecture``, ``generator``, ``networks`` and :meth:`step`.

    A subclass is called with its config, a :class:`Setup` and the :class:`TrainingSet`.

    Attributes:
        normalization: how its networks take 8-bit levels; stored with the weights.
        architecture: the name of the generator's class: a key of :data:`models.registry.GENERATORS` or, in a user's
            file, of the ``networks`` of its entry.
        attributes: names of the attributes that condition the generator.
        has_targets: whether the generator's output should equal the target, so that it can be validated.
        generator: the network that the run exports.
        networks: everything that learns, by name; the names are keys of the checkpoint.
    """

    normalization = Normalization()
    architecture: str
    attributes: tuple[str, ...] = ()
    has_targets = True
    generator: nn.Module
    networks: dict[str, OptimizedNetwork]

    def step(self, batch: PairBatch, info: StepInfo) -> dict[str, Tensor]:
        """Update the networks on one batch.

        Returns:
            Scalar losses by name, detached and still on the device: ``.item()`` would stall a GPU.
        """
        raise NotImplementedError

    def generate(self, generator: nn.Module, batch: PairBatch) -> Tensor:
        """Return the generator's output for a batch, (B, 3, S, S); sample grids and validation use it."""
        fake: Tensor = generator(batch.input)
        return fake

    def extra_grid(self, generator: nn.Module, batch: PairBatch) -> tuple[list[Tensor], str]:
        """Return rows of (B, 3, S, S) for a second sample grid, and its title; by default there is none."""
        return [], ""

    def state(self) -> dict[str, Any]:
        """Return everything with a ``state_dict`` that a resumed run needs, by its key in the checkpoint."""
        modules = {name: network.module for name, network in self.networks.items()}
        return modules | {f"{name}_optimizer": network.optimizer for name, network in self.networks.items()}

    def shape(self) -> dict[str, int]:
        """Return the keyword arguments that build the generator's class again, each 1 to 4096."""
        return {}


def require(value: Tensor | None) -> Tensor:
    """Return a part of a batch that is there only where the batch spec asks for it."""
    if value is None:
        raise ValueError("this recipe's batch_spec does not ask for this part of the batch")
    return value


def multistep_decay(learning_rate: float, step: int, milestones: Iterable[int]) -> float:
    """Return a learning rate that is halved at each milestone."""
    return learning_rate * 0.5 ** sum(step >= milestone for milestone in milestones)


def linear_decay(learning_rate: float, step: int, steps: int | None, start: float) -> float:
    """Return a learning rate that is constant at first, then decays linearly to zero.

    Args:
        learning_rate: the initial one.
        step: from 0.
        steps: of the run; None: the run counts epochs, and the rate stays constant.
        start: the fraction of ``steps`` after which the decay begins.
    """
    return learning_rate if steps is None else learning_rate * max(0.0, min(1.0, (1 - step / steps) / (1 - start)))


def detached(**losses: Tensor) -> dict[str, Tensor]:
    """Return losses without their graph, for the log."""
    return {name: loss.detach() for name, loss in losses.items()}


def make_card(recipe: Recipe, name: str, spec: LoaderSpec, step: int) -> GeneratorCard:
    """Return the card that is stored with the generator's weights."""
    return GeneratorCard(
        architecture=recipe.architecture,
        shape=recipe.shape(),
        attributes=list(recipe.attributes),
        image_size=spec.image_size,
        load_size=spec.load_size,
        template="chin",
        normalization=recipe.normalization,
        recipe=name,
        step=step,
    )
