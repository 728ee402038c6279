"""Recipes ``siamese-gan-v1`` and ``-v2``: the siamese generator with a discriminator.

Source: as :mod:`pipelines.train.recipes.siamese`; the adversarial loss is DCGAN's (Radford et al., ICLR 2016).
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from models.casia_net import IMAGE_SIZE
from models.losses import bce_to, l2
from models.siamese import SiameseDiscriminator, SiameseGenerator
from pipelines.runtime.config import require_choice
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import BatchSpec, PairBatch
from pipelines.train.recipes.recipe import (
    Recipe,
    Setup,
    StepInfo,
    TrainingSet,
    detached,
    multistep_decay,
    require,
)
from pipelines.train.recipes.settings import (
    BELOW_ONE,
    COUNT,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    require_bounds,
)
from pipelines.train.recipes.siamese import disentangling_losses, weighted_sum
from toolkit.errors import ConfigError

Real = Literal["target", "photo"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SiameseGanConfig:
    """The published settings of the second version; the first differs only in ``real``."""

    real: Real = "target"  # the discriminator's real images: frontal targets, or photos of the set
    gan_weight: float = 0.1
    reconstruction_weight: float = 5.0  # of the mean squared difference
    disentangling_weight: float = 1.0  # of each contrastive loss and each cross-entropy
    learning_rate: float = 2e-4  # of the generator, halved at 20,000 and 40,000 steps
    discriminator_learning_rate: float = 1e-4  # halved at 10,000 and 40,000 steps
    discriminator_every: int = 6  # steps between discriminator steps, each with that step's gradient only
    beta1: float = 0.5
    beta2: float = 0.999
    margin: float = 2.0  # of the contrastive losses
    flip: float = 0.0  # probability of a horizontal flip
    epochs: int | None = None
    steps: int | None = 70_000
    batch_size: int = 50
    image_size: int = IMAGE_SIZE  # px; fixed by the networks
    load_size: int = 100  # px, before random cropping to image_size

    def __post_init__(self) -> None:
        require_choice("real", self.real, Real)
        require_bounds(self, NON_NEGATIVE, "gan_weight", "reconstruction_weight", "disentangling_weight")
        require_bounds(self, POSITIVE, "learning_rate", "discriminator_learning_rate", "margin")
        require_bounds(self, BELOW_ONE, "beta1", "beta2")
        require_bounds(self, FRACTION, "flip")
        require_bounds(self, COUNT, "discriminator_every", "epochs", "steps", "batch_size", "load_size")
        if self.image_size != IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: this network has one size, {IMAGE_SIZE}")

    @property
    def batch_spec(self) -> BatchSpec:
        """Labels and a second photo, as in the first phase of the siamese recipe."""
        return BatchSpec(labels=True, second="neighbor", augment=Augment(load_size=self.load_size, flip=self.flip))


@dataclass(frozen=True, kw_only=True, slots=True)
class SiameseGanV1Config(SiameseGanConfig):
    """The first version: the discriminator's real images are photos."""

    real: Real = "photo"


class SiameseGan(Recipe):
    """The siamese recipe with an adversarial loss; the discriminator steps at every sixth step."""

    architecture = "siamese"

    def __init__(self, config: SiameseGanConfig, setup: Setup, data: TrainingSet) -> None:
        self.config = config
        self.generator = SiameseGenerator()
        betas = (config.beta1, config.beta2)
        self.networks = {
            "generator": setup.network(self.generator, config.learning_rate, betas),
            "discriminator": setup.network(SiameseDiscriminator(), config.discriminator_learning_rate, betas),
        }

    def step(self, batch: PairBatch, info: StepInfo) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        config, generator, discriminator = self.config, self.networks["generator"], self.networks["discriminator"]
        generator.set_learning_rate(multistep_decay(config.learning_rate, info.step, (20_000, 40_000)))
        discriminator.set_learning_rate(
            multistep_decay(config.discriminator_learning_rate, info.step, (10_000, 40_000))
        )
        fake, first, second = generator.net(batch.input, batch.second)
        discriminator_losses: dict[str, Tensor] = {}
        if info.step % config.discriminator_every == 0:
            real = batch.target if config.real == "target" else require(batch.second)
            loss = bce_to(discriminator.net(real), 1) + bce_to(discriminator.net(fake.detach()), 0)
            discriminator.backward_and_step(loss)
            discriminator_losses["discriminator"] = loss
        losses = {"adversarial": bce_to(discriminator.frozen_forward(fake), 1), "l2": l2(fake, batch.target)}
        losses |= disentangling_losses(first, second, batch, config.margin)
        weights = (config.gan_weight, config.reconstruction_weight, *(config.disentangling_weight,) * 5)
        generator.backward_and_step(weighted_sum(losses, weights))
        return detached(**discriminator_losses, **losses)
