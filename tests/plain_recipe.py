"""A recipe that takes little time: a network of two layers, to be given as `--recipe tests/plain_recipe.py`."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from examples.sharp_recipe import Sharp, SharpConfig
from pipelines.train.recipes.recipe import Setup, TrainingSet
from pipelines.train.recipes.registry import Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class PlainConfig(SharpConfig):
    """The settings of the example, for smaller batches."""

    batch_size: int = 4


class PlainNet(nn.Sequential):
    """Two layers without batch norm, so that two halves of a batch give the gradients of the whole."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 8, 5, 2, 2), nn.ELU(), nn.ConvTranspose2d(8, 3, 4, 2, 1))


class Plain(Sharp):
    """The losses of the example with the small network."""

    architecture = "plain"

    def __init__(self, config: PlainConfig, setup: Setup, data: TrainingSet) -> None:
        self.config, self.generator = config, PlainNet()
        self.networks = {"generator": setup.network(self.generator, 1e-3, (0.9, 0.999))}

    def shape(self) -> dict[str, Any]:
        """Return no arguments: the network has none."""
        return {}


RECIPE = Entry(Plain, PlainConfig, networks={"plain": PlainNet})
