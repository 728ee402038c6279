"""Noise, pose and light codes in the generator, names of all three in the discriminator. SYSTEMS.md, section 4."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.casia_net import IMAGE_SIZE
from models.losses import l1, names, should_be
from models.multitask import NOISE, MultitaskDiscriminator, MultitaskGenerator, Verdict
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import Needs, PairBatch
from pipelines.train.recipes.recipe import Clock, Recipe, TrainingSet, Workshop, given, shown
from toolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class MultitaskConfig:
    """The published settings."""

    l1_weight: float = 100.0
    real_weight: float = 2.0  # of each of the judge's two terms on true and made
    pose_terms: bool = False  # pose in both sums; published code computes and drops it
    learning_rate: float = 2e-4  # of both
    beta1: float = 0.5
    beta2: float = 0.999
    judge_every: tuple[int, int] = (2, 4)  # steps between two of the discriminator's: before `calm`, and after
    calm: int = 5_000  # step
    mirror: float = 0.0  # probability
    epochs: int | None = None
    steps: int | None = 50_000
    batch_size: int = 64
    image_size: int = IMAGE_SIZE  # px; the networks fit no other
    load_size: int = 100  # px, before a random window of image_size is cut

    def __post_init__(self) -> None:
        if self.image_size != IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: this network has one size, {IMAGE_SIZE}")
        if min(self.judge_every) < 1:
            raise ConfigError(f"judge_every={self.judge_every}: must be 1 or more; try 2,4")

    @property
    def needs(self) -> Needs:
        """Besides the photo another one of the same person: the pose and light that the generator is asked for."""
        return Needs(labels=True, second="person", augment=Augment(load_size=self.load_size, mirror=self.mirror))


class Multitask(Recipe):
    """The generator is asked for the pose and light of another photo of the same person: that photo is its target."""

    architecture = "multitask"

    def __init__(self, config: MultitaskConfig, workshop: Workshop, data: TrainingSet) -> None:
        labels = data.known_labels()
        self.config, self.poses, self.lights = config, len(labels.yaws), labels.lights
        self.generator = MultitaskGenerator(self.poses, self.lights)
        judge = MultitaskDiscriminator(len(labels.people), self.poses, self.lights)
        rate, betas = config.learning_rate, (config.beta1, config.beta2)
        self.trainees = {
            "generator": workshop.trainee(self.generator, rate, betas),
            "discriminator": workshop.trainee(judge, rate, betas),
        }

    def step(self, batch: PairBatch, clock: Clock) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        config, maker, judge = self.config, self.trainees["generator"], self.trainees["discriminator"]
        pose, light, wanted = given(batch.second_pose), given(batch.second_light), given(batch.second)
        noise = torch.rand(len(batch.input), NOISE, device=batch.input.device) * 2 - 1
        made = maker.net(batch.input, pose.clamp_min(0), light.clamp_min(0), noise)
        losses: dict[str, Tensor] = {}
        if clock.step % config.judge_every[clock.step >= config.calm] == 0:
            seen, forged = judge.net(wanted), judge.net(made.detach())
            told = self._named(seen, batch)
            truth = should_be(seen.real, 1) + should_be(forged.real, 0)
            losses = {f"judge_{name}": loss for name, loss in told.items()} | {"judge": truth}
            judge.descend(sum(told.values(), config.real_weight * truth))
        verdict = judge.consult(made)
        told = self._named(verdict, batch)
        fool, near = should_be(verdict.real, 1), l1(made, wanted)
        maker.descend(sum(told.values(), fool + config.l1_weight * near))
        return shown(fool=fool, l1=near, **told, **losses)

    def _named(self, verdict: Verdict, batch: PairBatch) -> dict[str, Tensor]:
        """How wrong person and light are named, and the pose if asked for: of the photo that was asked for."""
        told = {
            "identity": names(verdict.identity, given(batch.second_identity)),
            "light": names(verdict.light, given(batch.second_light)),
        }
        return told | ({"pose": names(verdict.pose, given(batch.second_pose))} if self.config.pose_terms else {})

    def shape(self) -> dict[str, int]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        return {"poses": self.poses, "lights": self.lights}

    def extra_grid(self, generator: nn.Module, batch: PairBatch) -> tuple[list[Tensor], str]:
        """The persons of a batch in every pose, one row a pose."""
        count, device = len(batch.input), batch.input.device
        return [generator(batch.input, torch.full((count,), pose, device=device)) for pose in range(self.poses)], ""
