"""The encoder-decoder GAN of `scaleway/frontalization`, as published: SYSTEMS.md, section 1."""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from models.encoder_decoder import IMAGE_SIZE, LEVEL_MEAN, LEVEL_SCALE, Discriminator, EncoderDecoder, init_dcgan
from models.losses import l1, l2, should_be
from pipelines.train.data.batches import Needs, PairBatch
from pipelines.train.recipes.recipe import Clock, Recipe, TrainingSet, Workshop, shown
from pipelines.weights.normalization import Normalization
from toolkit.errors import ConfigError

Schedule = Literal["constant", "odd-epochs", "two-phase"]
Weights = tuple[float, float, float]  # of the adversarial loss, L1 and L2

# As published; as the published weights ("v0") were made, without the adversary on odd epochs; in two phases, the last
# two of five epochs without the adversary.
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
    learning_rate: float = 2e-4  # of both Adams
    beta1: float = 0.5
    beta2: float = 0.999
    epochs: int | None = None  # None: the schedule's
    steps: int | None = None
    batch_size: int = 30  # pairs per step
    image_size: int = IMAGE_SIZE  # px per side; the networks fit no other

    def __post_init__(self) -> None:
        if self.schedule not in get_args(Schedule):
            raise ConfigError(f"schedule={self.schedule!r}: choose one of {', '.join(get_args(Schedule))}")
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
    def needs(self) -> Needs:
        """Pairs alone."""
        return Needs()

    def weights(self, epoch: int) -> Weights:
        """Of the three losses in an epoch, counted from 0."""
        weights = (self.gan_weight or 0.0, self.l1_weight or 0.0, self.l2_weight or 0.0)
        if self.schedule == "odd-epochs" and epoch % 2 == 1:
            return (0.0, *weights[1:])
        if self.schedule == "two-phase" and epoch >= (self.epochs or 0) - LAST_PHASE[1]:
            return LAST_PHASE[0]
        return weights


class Scaleway(Recipe):
    """Discriminator up on true and made faces, then the generator down on all three of its terms."""

    normalization = Normalization(mean=LEVEL_MEAN, scale=LEVEL_SCALE)
    architecture = "encoder_decoder"

    def __init__(self, config: ScalewayConfig, workshop: Workshop, data: TrainingSet) -> None:
        self.config = config
        self.generator, judge = EncoderDecoder().apply(init_dcgan), Discriminator().apply(init_dcgan)
        rate, betas = config.learning_rate, (config.beta1, config.beta2)
        self.trainees = {
            "generator": workshop.trainee(self.generator, rate, betas),
            "discriminator": workshop.trainee(judge, rate, betas),
        }

    def step(self, batch: PairBatch, clock: Clock) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        maker, judge = self.trainees["generator"], self.trainees["discriminator"]
        made = maker.net(batch.input)

        # judge: detach keeps its gradient out of the maker
        judge_loss = should_be(judge.net(batch.target), 1) + should_be(judge.net(made.detach()), 0)
        judge.descend(judge_loss)

        # maker: fool the judge of after its step, and stay near the true frontal view
        gan, absolute, squared = self.config.weights(clock.epoch)
        fool, near_l1, near_l2 = should_be(judge.consult(made), 1), l1(made, batch.target), l2(made, batch.target)
        maker.descend(gan * fool + absolute * near_l1 + squared * near_l2)
        return shown(judge=judge_loss, fool=fool, l1=near_l1, l2=near_l2)
