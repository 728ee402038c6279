"""A recipe in a file of your own, with a network of its own: a U-Net trained without a discriminator, against blur.

    frontalize train SET RUN --recipe examples/sharp_recipe.py --steps 300 --set edge_weight=2
    frontalize batch PHOTOS OUT --model RUN/generator.safetensors --recipe examples/sharp_recipe.py

A recipe is a config, whose fields ``--set`` reaches, networks, and one training step. The training loop does the rest:
devices, precision, averages, validation, sample grids, checkpoints, exact resuming. The loss here is L1 plus the
difference of image gradients, which blur makes small and edges make large.

The weights file names the network and its keyword arguments, not its code. So the other commands that load it
(batch, evaluate, export, convert) need this file too.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from models.losses import l1
from pipelines.train.data.batches import BatchSpec, PairBatch
from pipelines.train.recipes.recipe import Recipe, Setup, StepInfo, TrainingSet, detached
from pipelines.train.recipes.registry import Entry
from pipelines.train.recipes.settings import COUNT, NON_NEGATIVE, POSITIVE, require_bounds
from toolkit.errors import ConfigError


class SkipGenerator(nn.Module):
    """A U-Net: each decoder layer also gets the encoder's features of its resolution, the last one the image itself.

    Args:
        width: channels at half the resolution; each further halving doubles them.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        down = [3, width, 2 * width, 4 * width, 8 * width]
        up = [(8 * width, 4 * width), (8 * width, 2 * width), (4 * width, width), (2 * width, width)]
        self.down = nn.ModuleList(_layer(nn.Conv2d(inner, outer, 4, 2, 1)) for inner, outer in pairwise(down))
        self.up = nn.ModuleList(_layer(nn.ConvTranspose2d(inner, outer, 4, 2, 1)) for inner, outer in up)
        self.out = nn.Conv2d(width + 3, 3, 3, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, S, S) in [-1, 1], S a multiple of 16, to the same shape and range."""
        skips = [image]
        for layer in self.down:
            skips.append(layer(skips[-1]))
        features = skips.pop()
        for layer in self.up:
            features = torch.cat([layer(features), skips.pop()], dim=1)
        frontal: Tensor = self.out(features).tanh()
        return frontal


def _layer(conv: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU())


@dataclass(frozen=True, kw_only=True, slots=True)
class SharpConfig:
    """Each field is a setting with a type: ``--set edge_weight=2``."""

    edge_weight: float = 1.0
    learning_rate: float = 2e-4
    width: int = 32
    epochs: int | None = 30
    steps: int | None = None
    batch_size: int = 30
    image_size: int = 128  # px

    def __post_init__(self) -> None:
        require_bounds(self, NON_NEGATIVE, "edge_weight")
        require_bounds(self, POSITIVE, "learning_rate")
        require_bounds(self, COUNT, "width", "epochs", "steps", "batch_size")
        if self.image_size < 16 or self.image_size % 16:
            raise ConfigError(f"image_size={self.image_size}: must be a multiple of 16; try 128")

    @property
    def batch_spec(self) -> BatchSpec:
        """Inputs and targets, no labels."""
        return BatchSpec()


class Sharp(Recipe):
    """One network, one loss."""

    architecture = "skip_generator"  # a key of RECIPE's networks

    def __init__(self, config: SharpConfig, setup: Setup, data: TrainingSet) -> None:
        self.config, self.generator = config, SkipGenerator(config.width)
        self.networks = {"generator": setup.network(self.generator, config.learning_rate, (0.9, 0.999))}

    def step(self, batch: PairBatch, info: StepInfo) -> dict[str, Tensor]:
        """Update the generator on one batch."""
        generator = self.networks["generator"]
        fake = generator.net(batch.input)
        losses = {"l1": l1(fake, batch.target), "edges": gradient_difference(fake, batch.target)}
        generator.backward_and_step(losses["l1"] + self.config.edge_weight * losses["edges"])
        return detached(**losses)

    def shape(self) -> dict[str, int]:
        """Return the arguments that build the network again."""
        return {"width": self.config.width}


def gradient_difference(fake: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference of horizontal and vertical image gradients, (B, 3, S, S) both."""
    return l1(fake.diff(dim=3), target.diff(dim=3)) + l1(fake.diff(dim=2), target.diff(dim=2))


RECIPE = Entry(Sharp, SharpConfig, networks={"skip_generator": SkipGenerator})
