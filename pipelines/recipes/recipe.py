"""What the training loop asks of a recipe, and how ``--set key=value`` reaches its config."""

import dataclasses
from typing import Any, Protocol, get_type_hints

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from pipelines.batches import Normalization, PairBatch
from pipelines.checkpoint import GeneratorCard
from toolkit.errors import ConfigError


class RecipeConfig(Protocol):
    """Fields that every recipe's config has, besides its own."""

    epochs: int
    batch_size: int
    image_size: int


class Recipe(Protocol):
    """Networks, optimizers and one step."""

    generator: nn.Module
    normalization: Normalization

    def step(self, batch: PairBatch, epoch: int) -> dict[str, Tensor]:
        """Update all networks on one batch; scalar losses, still on the device: ``.item()`` would stall a GPU."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything with a ``state_dict`` that a resumed run needs."""
        ...

    def card(self, step: int) -> GeneratorCard:
        """What goes with the generator's weights."""
        ...


class Trainee:
    """A network and its optimizer.

    Args:
        net: the network.
        optimizer: over all its parameters.
        fabric: places both, and runs backward in its precision.
    """

    def __init__(self, net: nn.Module, optimizer: torch.optim.Optimizer, fabric: Fabric) -> None:
        self.raw, self._fabric = net, fabric
        self.net, self.optimizer = fabric.setup(net, optimizer)

    def descend(self, loss: Tensor) -> None:
        """One optimizer step down this loss."""
        self.optimizer.zero_grad()
        self._fabric.backward(loss)
        self.optimizer.step()


def with_settings(config: Any, settings: dict[str, str]) -> Any:
    """A copy of a config dataclass with fields set from text.

    Raises:
        ConfigError: no such field, or a text that does not fit its type.
    """
    kinds = get_type_hints(type(config))
    fields = [field.name for field in dataclasses.fields(config)]
    values = {}
    for key, text in settings.items():
        if key not in fields:
            raise ConfigError(f"--set {key}={text}: no such setting; this recipe has {', '.join(fields)}")
        values[key] = _parse(key, text, kinds[key])
    return dataclasses.replace(config, **values)


def _parse(key: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"--set {key}={text}: must be true or false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError as error:
        raise ConfigError(f"--set {key}={text}: must be of type {kind.__name__}") from error
