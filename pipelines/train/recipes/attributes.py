"""Faces from a list of traits: the attribute-conditioned DCGAN. SYSTEMS.md, section 5."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.attribute_gan import CHANNELS, WIDTHS, AttributeDiscriminator, AttributeGenerator
from models.losses import should_be
from pipelines.train.data.batches import Needs, PairBatch
from pipelines.train.recipes.recipe import Clock, Recipe, TrainingSet, Workshop, given, shown
from toolkit.errors import ConfigError

GRID = 5  # faces a side
REAL, MADE = 0, 1  # as published: the judge says how likely an image was made


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributesConfig:
    """The published settings, but for ``conditional``: as published (false) nothing ties a trait to what is drawn."""

    conditional: bool = True  # the judge sees the traits too
    learning_rate: float = 2e-4  # of the generator
    judge_rate: float = 1e-4  # of the discriminator
    beta1: float = 0.5
    beta2: float = 0.999
    epochs: int | None = None
    steps: int | None = 10_000  # 100 published epochs of 100 batches each
    batch_size: int = 128
    image_size: int = 64  # px: 64 or 128
    channels: int = CHANNELS  # of the judge's first layer, all others in proportion; 16 learns a dozen times faster

    def __post_init__(self) -> None:
        if self.image_size not in WIDTHS:
            raise ConfigError(f"image_size={self.image_size}: choose one of {', '.join(map(str, WIDTHS))}")
        if not 1 <= self.channels <= 2 * CHANNELS:
            raise ConfigError(f"channels={self.channels}: 1 to {2 * CHANNELS}; published: {CHANNELS}")
        if self.batch_size < 2:
            raise ConfigError(f"batch_size={self.batch_size}: batch normalization needs 2 or more; try 128")

    @property
    def needs(self) -> Needs:
        """The targets' traits."""
        return Needs(attributes=True)


class Attributes(Recipe):
    """True and made faces in equal parts for the judge, then a step of the generator."""

    architecture = "attributes"
    has_truth = False

    def __init__(self, config: AttributesConfig, workshop: Workshop, data: TrainingSet) -> None:
        self.config, self.attributes = config, tuple(data.known_labels().attribute_names)
        self._count = len(self.attributes)
        size = config.image_size, config.channels
        self.generator = AttributeGenerator(self._count, *size)
        judge = AttributeDiscriminator(self._count if config.conditional else 0, *size)
        betas = (config.beta1, config.beta2)
        self.trainees = {
            "generator": workshop.trainee(self.generator, config.learning_rate, betas),
            "discriminator": workshop.trainee(judge, config.judge_rate, betas),
        }

    def step(self, batch: PairBatch, clock: Clock) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        maker, judge, traits = self.trainees["generator"], self.trainees["discriminator"], given(batch.attributes)
        made = maker.net(traits)
        real, forged = judge.net(batch.target, traits), judge.net(made.detach(), traits)
        judge_loss = should_be(real, REAL) + should_be(forged, MADE)
        if self.config.conditional:  # a true face with the wrong traits is wrong too
            others = traits.roll(1, dims=0)
            judge_loss = judge_loss + should_be(judge.net(batch.target, others), MADE)
        judge.descend(judge_loss)
        fool = should_be(judge.consult(made, traits), REAL)
        maker.descend(fool)
        return shown(judge=judge_loss, fool=fool)

    def show(self, generator: nn.Module, batch: PairBatch) -> Tensor:
        """Faces with the traits of the targets; the chance is the same in every grid."""
        chance = torch.linspace(0, 1, len(batch.target), device=batch.target.device)[:, None]
        made: Tensor = generator(batch.attributes, chance)
        return made

    def extra_grid(self, generator: nn.Module, batch: PairBatch) -> tuple[list[Tensor], str]:
        """Five by five faces, the traits of a target in each column, and how likely the judge thinks they were made."""
        traits = given(batch.attributes)[:GRID]
        chances = torch.linspace(0, 1, GRID, device=traits.device)
        rows = [generator(traits, chance.expand(len(traits), 1)) for chance in chances]
        judge = self.trainees["discriminator"].raw.eval()
        scores = [judge(row, traits) for row in rows]
        judge.train()
        return rows, f"made, says the judge: {float(torch.cat(scores).mean()):.3f}"

    def shape(self) -> dict[str, int]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        return {
            "attributes": self._count,
            "image_size": self.config.image_size,
            "channels": self.config.channels,
        }
