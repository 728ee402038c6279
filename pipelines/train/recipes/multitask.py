"""Recipe ``multitask``: the generator is conditioned on pose, light and noise; the discriminator classifies them.

The design is DR-GAN's (Tran et al., CVPR 2017) on Multi-PIE, with a light code and an L1 loss. Source of the settings:
the published training code of this variant. That code compares the discriminator's light class of the real image with
the light of the input, which is a mistake; this recipe compares it with the light of the real image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.casia_net import IMAGE_SIZE
from models.losses import bce_to, l1, masked_cross_entropy
from models.multitask import NOISE_SIZE, DiscriminatorOutput, MultitaskDiscriminator, MultitaskGenerator
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import BatchSpec, PairBatch
from pipelines.train.recipes.recipe import Recipe, Setup, StepInfo, TrainingSet, detached, require
from pipelines.train.recipes.settings import (
    BELOW_ONE,
    COUNT,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    require_bounds,
)
from toolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class MultitaskConfig:
    """The published settings."""

    l1_weight: float = 100.0
    real_weight: float = 2.0  # of the discriminator's real/fake loss; its classification losses have weight 1
    pose_terms: bool = False  # add the pose classification to both losses; the published code computes and drops it
    learning_rate: float = 2e-4  # of both networks
    beta1: float = 0.5
    beta2: float = 0.999
    discriminator_every: tuple[int, int] = (2, 4)  # steps between discriminator steps: at first, and after the switch
    discriminator_every_switch: int = 5_000  # the step from which the second number holds
    flip: float = 0.0  # probability of a horizontal flip
    epochs: int | None = None
    steps: int | None = 50_000
    batch_size: int = 64
    image_size: int = IMAGE_SIZE  # px; fixed by the networks
    load_size: int = 100  # px, before random cropping to image_size

    def __post_init__(self) -> None:
        require_bounds(self, NON_NEGATIVE, "l1_weight", "real_weight", "discriminator_every_switch")
        require_bounds(self, POSITIVE, "learning_rate")
        require_bounds(self, BELOW_ONE, "beta1", "beta2")
        require_bounds(self, FRACTION, "flip")
        require_bounds(self, COUNT, "discriminator_every", "epochs", "steps", "batch_size", "load_size")
        if self.image_size != IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: this network has one size, {IMAGE_SIZE}")

    @property
    def batch_spec(self) -> BatchSpec:
        """A second photo of the same person, which gives the generator's target, pose code and light code."""
        return BatchSpec(labels=True, second="person", augment=Augment(load_size=self.load_size, flip=self.flip))


class Multitask(Recipe):
    """The generator's target is a second photo of the same person, whose pose and light it is conditioned on."""

    architecture = "multitask"

    def __init__(self, config: MultitaskConfig, setup: Setup, data: TrainingSet) -> None:
        labels = data.require_labels()
        self.config, self.poses, self.lights = config, len(labels.yaws), labels.lights
        self.generator = MultitaskGenerator(self.poses, self.lights)
        discriminator = MultitaskDiscriminator(len(labels.people), self.poses, self.lights)
        learning_rate, betas = config.learning_rate, (config.beta1, config.beta2)
        self.networks = {
            "generator": setup.network(self.generator, learning_rate, betas),
            "discriminator": setup.network(discriminator, learning_rate, betas),
        }

    def step(self, batch: PairBatch, info: StepInfo) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        config, generator, discriminator = self.config, self.networks["generator"], self.networks["discriminator"]
        pose, light, target = require(batch.second_pose), require(batch.second_light), require(batch.second)
        noise = torch.rand(len(batch.input), NOISE_SIZE, device=batch.input.device) * 2 - 1
        fake = generator.net(batch.input, pose.clamp_min(0), light.clamp_min(0), noise)
        discriminator_losses: dict[str, Tensor] = {}
        if info.step % config.discriminator_every[info.step >= config.discriminator_every_switch] == 0:
            on_real, on_fake = discriminator.net(target), discriminator.net(fake.detach())
            classes = self._classification(on_real, batch)
            real_or_fake = bce_to(on_real.real, 1) + bce_to(on_fake.real, 0)
            discriminator_losses = {f"discriminator_{name}": loss for name, loss in classes.items()}
            discriminator_losses["discriminator"] = real_or_fake
            discriminator.backward_and_step(sum(classes.values(), config.real_weight * real_or_fake))
        on_fake = discriminator.frozen_forward(fake)
        classes = self._classification(on_fake, batch)
        adversarial, l1_loss = bce_to(on_fake.real, 1), l1(fake, target)
        generator.backward_and_step(sum(classes.values(), adversarial + config.l1_weight * l1_loss))
        return detached(adversarial=adversarial, l1=l1_loss, **classes, **discriminator_losses)

    def _classification(self, output: DiscriminatorOutput, batch: PairBatch) -> dict[str, Tensor]:
        """The cross-entropies of the discriminator's classes against those of the target."""
        losses = {
            "identity": masked_cross_entropy(output.identity, require(batch.second_identity)),
            "light": masked_cross_entropy(output.light, require(batch.second_light)),
        }
        if self.config.pose_terms:
            losses["pose"] = masked_cross_entropy(output.pose, require(batch.second_pose))
        return losses

    def shape(self) -> dict[str, int]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        return {"poses": self.poses, "lights": self.lights}

    def extra_grid(self, generator: nn.Module, batch: PairBatch) -> tuple[list[Tensor], str]:
        """Return the batch's people in every pose, one row per pose."""
        count, device = len(batch.input), batch.input.device
        return [generator(batch.input, torch.full((count,), pose, device=device)) for pose in range(self.poses)], ""
