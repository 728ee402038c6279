"""Recipe ``scaleway``: the encoder-decoder GAN of scaleway/frontalization, as published.

Source: github.com/scaleway/frontalization, its ``main.py`` and ``network.py``, and the readme of its weights.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from models.encoder_decoder import IMAGE_SIZE, LEVEL_MEAN, LEVEL_SCALE, Discriminator, EncoderDecoder, init_dcgan
from models.losses import bce_to, l1, l2
from pipelines.runtime.config import require_choice
from pipelines.train.data.batches import BatchSpec, PairBatch
from pipelines.train.recipes.recipe import Recipe, Setup, StepInfo, TrainingSet, detached
from pipelines.train.recipes.settings import BELOW_ONE, COUNT, NON_NEGATIVE, POSITIVE, require_bounds
from pipelines.weights.normalization import Normalization
from toolkit.errors import ConfigError

Schedule = Literal["constant", "odd-epochs", "two-phase"]
Weights = tuple[float, float, float]  # of the adversarial loss, L1 and L2

# Weights and epochs: as published; as for the published weights ("v0"), without the adversarial loss on odd epochs,
# counted from 0; in two phases, the last two of five epochs without the adversarial loss.
PUBLISHED: dict[str, tuple[Weights, int]] = {
    "constant": ((5e-4, 0.0, 1.0), 30),
    "odd-epochs": ((1e-3, 1.0, 1.0), 18),
    "two-phase": ((5e-4, 0.0, 1.0), 5),
}
LAST_PHASE: tuple[Weights, int] = ((0.0, 1.0, 1.0), 2)  # weights and epochs


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalewayConfig:
    """The published settings."""

    schedule: Schedule = "constant"  # which of the published runs
    gan_weight: float | None = None  # of the generator's adversarial loss; None: the schedule's, as for the next two
    l1_weight: float | None = None  # of the mean absolute difference
    l2_weight: float | None = None  # of the mean squared difference
    learning_rate: float = 2e-4  # of both networks
    beta1: float = 0.5
    beta2: float = 0.999
    epochs: int | None = None  # None: the schedule's
    steps: int | None = None
    batch_size: int = 30  # pairs per step
    image_size: int = IMAGE_SIZE  # px per side; fixed by the networks

    def __post_init__(self) -> None:
        require_choice("schedule", self.schedule, Schedule)
        require_bounds(self, NON_NEGATIVE, "gan_weight", "l1_weight", "l2_weight")
        require_bounds(self, POSITIVE, "learning_rate")
        require_bounds(self, BELOW_ONE, "beta1", "beta2")
        require_bounds(self, COUNT, "epochs", "steps")
        if self.image_size != IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: this network has one size, {IMAGE_SIZE}")
        if self.batch_size < 2:
            raise ConfigError(f"batch_size={self.batch_size}: batch normalization needs 2 or more; try 30")
        weights, epochs = PUBLISHED[self.schedule]
        defaults = dict(zip(("gan_weight", "l1_weight", "l2_weight"), weights, strict=True)) | {"epochs": epochs}
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    @property
    def batch_spec(self) -> BatchSpec:
        """Inputs and targets only."""
        return BatchSpec()

    def weights(self, epoch: int) -> Weights:
        """Return the weights of the three losses in an epoch, counted from 0."""
        weights = (self.gan_weight or 0.0, self.l1_weight or 0.0, self.l2_weight or 0.0)
        if self.schedule == "odd-epochs" and epoch % 2 == 1:
            return (0.0, *weights[1:])
        if self.schedule == "two-phase" and epoch >= (self.epochs or 0) - LAST_PHASE[1]:
            return LAST_PHASE[0]
        return weights


class Scaleway(Recipe):
    """One discriminator step, then one generator step on the weighted sum of adversarial, L1 and L2 loss."""

    normalization = Normalization(mean=LEVEL_MEAN, scale=LEVEL_SCALE)
    architecture = "encoder_decoder"

    def __init__(self, config: ScalewayConfig, setup: Setup, data: TrainingSet) -> None:
        self.config = config
        self.generator, discriminator = EncoderDecoder().apply(init_dcgan), Discriminator().apply(init_dcgan)
        learning_rate, betas = config.learning_rate, (config.beta1, config.beta2)
        self.networks = {
            "generator": setup.network(self.generator, learning_rate, betas),
            "discriminator": setup.network(discriminator, learning_rate, betas),
        }

    def step(self, batch: PairBatch, info: StepInfo) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        fake = generator.net(batch.input)

        # discriminator: detach() stops its gradient at the generator
        real_loss, fake_loss = bce_to(discriminator.net(batch.target), 1), bce_to(discriminator.net(fake.detach()), 0)
        discriminator_loss = real_loss + fake_loss
        discriminator.backward_and_step(discriminator_loss)

        # generator: against the updated discriminator
        gan_weight, l1_weight, l2_weight = self.config.weights(info.epoch)
        adversarial = bce_to(discriminator.frozen_forward(fake), 1)
        l1_loss, l2_loss = l1(fake, batch.target), l2(fake, batch.target)
        generator.backward_and_step(gan_weight * adversarial + l1_weight * l1_loss + l2_weight * l2_loss)
        return detached(discriminator=discriminator_loss, adversarial=adversarial, l1=l1_loss, l2=l2_loss)
