"""Recipe ``attributes``: a DCGAN that generates faces from a list of binary attributes.

Source: DCGAN (Radford et al., ICLR 2016) on CelebA's attributes (Liu et al., ICCV 2015), in Keras; the discriminator's
conditioning is a projection (Miyato and Koyama, ICLR 2018).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.attribute_gan import CHANNELS, WIDTHS, AttributeDiscriminator, AttributeGenerator
from models.losses import bce_to
from pipelines.train.data.batches import BatchSpec, PairBatch
from pipelines.train.recipes.recipe import Recipe, Setup, StepInfo, TrainingSet, detached, require
from pipelines.train.recipes.settings import BELOW_ONE, COUNT, POSITIVE, require_bounds
from toolkit.errors import ConfigError

GRID_SIDE = 5  # faces per row and column of the extra grid
REAL, FAKE = 0, 1  # as published: the discriminator's output is the probability of a fake


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributesConfig:
    """The published settings except ``conditional``: as published (false), attributes have no effect on the face."""

    conditional: bool = True  # the discriminator gets the attributes too
    learning_rate: float = 2e-4  # of the generator
    discriminator_learning_rate: float = 1e-4
    beta1: float = 0.5
    beta2: float = 0.999
    epochs: int | None = None
    steps: int | None = 10_000  # 100 published epochs of 100 batches each
    batch_size: int = 128
    image_size: int = 64  # px: 64 or 128
    channels: int = CHANNELS  # of the discriminator's first layer, all others in proportion; 16 trains 12 times faster

    def __post_init__(self) -> None:
        require_bounds(self, POSITIVE, "learning_rate", "discriminator_learning_rate")
        require_bounds(self, BELOW_ONE, "beta1", "beta2")
        require_bounds(self, COUNT, "epochs", "steps")
        if self.image_size not in WIDTHS:
            raise ConfigError(f"image_size={self.image_size}: choose one of {', '.join(map(str, WIDTHS))}")
        if not 1 <= self.channels <= 2 * CHANNELS:
            raise ConfigError(f"channels={self.channels}: must be 1 to {2 * CHANNELS}; published: {CHANNELS}")
        if self.batch_size < 2:
            raise ConfigError(f"batch_size={self.batch_size}: batch normalization needs 2 or more; try 128")

    @property
    def batch_spec(self) -> BatchSpec:
        """The targets' attributes."""
        return BatchSpec(attributes=True)


class Attributes(Recipe):
    """One discriminator step on as many real as fake faces, then one generator step."""

    architecture = "attributes"
    has_targets = False

    def __init__(self, config: AttributesConfig, setup: Setup, data: TrainingSet) -> None:
        self.config, self.attributes = config, tuple(data.require_labels().attribute_names)
        self._count = len(self.attributes)
        size = config.image_size, config.channels
        self.generator = AttributeGenerator(self._count, *size)
        discriminator = AttributeDiscriminator(self._count if config.conditional else 0, *size)
        betas = (config.beta1, config.beta2)
        self.networks = {
            "generator": setup.network(self.generator, config.learning_rate, betas),
            "discriminator": setup.network(discriminator, config.discriminator_learning_rate, betas),
        }

    def step(self, batch: PairBatch, info: StepInfo) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        attributes = require(batch.attributes)
        fake = generator.net(attributes)
        on_real, on_fake = discriminator.net(batch.target, attributes), discriminator.net(fake.detach(), attributes)
        discriminator_loss = bce_to(on_real, REAL) + bce_to(on_fake, FAKE)
        if self.config.conditional:  # a real face with another face's attributes counts as fake
            mismatched = discriminator.net(batch.target, attributes.roll(1, dims=0))
            discriminator_loss = discriminator_loss + bce_to(mismatched, FAKE)
        discriminator.backward_and_step(discriminator_loss)
        adversarial = bce_to(discriminator.frozen_forward(fake, attributes), REAL)
        generator.backward_and_step(adversarial)
        return detached(discriminator=discriminator_loss, adversarial=adversarial)

    def generate(self, generator: nn.Module, batch: PairBatch) -> Tensor:
        """Return faces with the targets' attributes; the noise is the same in every grid."""
        noise = torch.linspace(0, 1, len(batch.target), device=batch.target.device)[:, None]
        fake: Tensor = generator(batch.attributes, noise)
        return fake

    def extra_grid(self, generator: nn.Module, batch: PairBatch) -> tuple[list[Tensor], str]:
        """Return 5 x 5 faces, one target's attributes per column, and the discriminator's mean output as the title."""
        attributes = require(batch.attributes)[:GRID_SIDE]
        noises = torch.linspace(0, 1, GRID_SIDE, device=attributes.device)
        rows = [generator(attributes, noise.expand(len(attributes), 1)) for noise in noises]
        discriminator = self.networks["discriminator"].module.eval()
        scores = [discriminator(row, attributes) for row in rows]
        discriminator.train()
        return rows, f"discriminator, P(fake): {float(torch.cat(scores).mean()):.3f}"

    def shape(self) -> dict[str, int]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        return {
            "attributes": self._count,
            "image_size": self.config.image_size,
            "channels": self.config.channels,
        }
