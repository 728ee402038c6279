"""The siamese generator with a discriminator, two versions. SYSTEMS.md, section 3."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from models.casia_net import IMAGE_SIZE
from models.losses import l2, should_be
from models.siamese import SiameseDiscriminator, SiameseGenerator
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import Needs, PairBatch
from pipelines.train.recipes.recipe import Clock, Recipe, TrainingSet, Workshop, given, halved, shown
from pipelines.train.recipes.siamese import told_apart, weighted
from toolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class SiameseGanConfig:
    """The published settings of the second version; the first differs in what counts as real alone."""

    real: Literal["target", "photo"] = "target"  # what the judge takes for true: frontal targets, or any photos
    gan_weight: float = 0.1
    recon_weight: float = 5.0  # of the mean squared difference
    told_apart_weight: float = 1.0  # of each contrastive loss and each cross-entropy
    learning_rate: float = 2e-4  # of the generator, halved at 20,000 and 40,000 steps
    judge_rate: float = 1e-4  # of the discriminator, halved at 10,000 and 40,000 steps
    judge_every: int = 6  # steps between two of the discriminator's, each with that step's gradient alone
    beta1: float = 0.5
    beta2: float = 0.999
    margin: float = 2.0  # of the contrastive losses
    mirror: float = 0.0  # probability
    epochs: int | None = None
    steps: int | None = 70_000
    batch_size: int = 50
    image_size: int = IMAGE_SIZE  # px; the networks fit no other
    load_size: int = 100  # px, before a random window of image_size is cut

    def __post_init__(self) -> None:
        if self.real not in ("target", "photo"):
            raise ConfigError(f"real={self.real!r}: choose target or photo")
        if self.image_size != IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: this network has one size, {IMAGE_SIZE}")
        if self.judge_every < 1:
            raise ConfigError(f"judge_every={self.judge_every}: must be 1 or more; try 6")

    @property
    def needs(self) -> Needs:
        """Triplets, as :class:`pipelines.train.recipes.siamese.SiameseConfig`."""
        return Needs(labels=True, second="neighbor", augment=Augment(load_size=self.load_size, mirror=self.mirror))


@dataclass(frozen=True, kw_only=True, slots=True)
class SiameseGanV1Config(SiameseGanConfig):
    """The first version: the judge's true images are random photos."""

    real: Literal["target", "photo"] = "photo"


class SiameseGan(Recipe):
    """As :class:`pipelines.train.recipes.siamese.Siamese`, with a judge that learns at every sixth step."""

    architecture = "siamese"

    def __init__(self, config: SiameseGanConfig, workshop: Workshop, data: TrainingSet) -> None:
        self.config = config
        self.generator = SiameseGenerator()
        betas = (config.beta1, config.beta2)
        self.trainees = {
            "generator": workshop.trainee(self.generator, config.learning_rate, betas),
            "discriminator": workshop.trainee(SiameseDiscriminator(), config.judge_rate, betas),
        }

    def step(self, batch: PairBatch, clock: Clock) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        config, maker, judge = self.config, self.trainees["generator"], self.trainees["discriminator"]
        maker.set_rate(halved(config.learning_rate, clock.step, (20_000, 40_000)))
        judge.set_rate(halved(config.judge_rate, clock.step, (10_000, 40_000)))
        made, first, second = maker.net(batch.input, batch.second)
        losses: dict[str, Tensor] = {}
        if clock.step % config.judge_every == 0:
            real = batch.target if config.real == "target" else given(batch.second)
            losses["judge"] = should_be(judge.net(real), 1) + should_be(judge.net(made.detach()), 0)
            judge.descend(losses["judge"])
        drawn = {"fool": should_be(judge.consult(made), 1), "l2": l2(made, batch.target)}
        drawn |= told_apart(first, second, batch, config.margin)
        maker.descend(weighted(drawn, (config.gan_weight, config.recon_weight, *(config.told_apart_weight,) * 5)))
        return shown(**losses, **drawn)
