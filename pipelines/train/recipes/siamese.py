"""Recipe ``siamese``: one encoder for two photos, trained to keep pose and light out of the identity features.

The encoder is CASIA-Net as DR-GAN uses it (Tran et al., CVPR 2017), the data Multi-PIE, the contrastive loss that of
Hadsell et al. (CVPR 2006). Source of the settings: the published training code and run records of this network.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from models.casia_net import IMAGE_SIZE
from models.losses import contrastive, l1, masked_cross_entropy
from models.siamese import EncoderOutput, SiameseGenerator
from pipelines.runtime.config import require_choice
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import BatchSpec, PairBatch
from pipelines.train.recipes.recipe import Recipe, Setup, StepInfo, TrainingSet, detached, require
from pipelines.train.recipes.settings import (
    BELOW_ONE,
    COUNT,
    FRACTION,
    POSITIVE,
    require_bounds,
)
from toolkit.errors import ConfigError

Weighting = Literal["same", "large"]
Phase = Literal["all", "l1", "contour"]
ContourLoss = Literal["l1", "l2"]

# Reconstruction; contrastive light, pose, identity; cross-entropy of pose, of light: the order of the run record.
WEIGHTINGS: dict[str, tuple[float, ...]] = {"same": (1, 1, 1, 1, 1, 1), "large": (1, 20, 50, 10, 70, 50)}
PHASES: dict[str, dict[str, float]] = {  # learning rate, batch size and steps of the three published runs
    "all": {"learning_rate": 1e-4, "batch_size": 48, "steps": 70_000},
    "l1": {"learning_rate": 5e-4, "batch_size": 64, "steps": 50_000},
    "contour": {"learning_rate": 1e-4, "batch_size": 64, "steps": 50_000},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SiameseConfig:
    """The published settings. The second and third phase start from a run of the first: ``--start-from``."""

    phase: Phase = "all"  # all losses; L1 with step decay; the decoder only, with a loss weighted on the contour
    weighting: Weighting = "same"  # of the six losses of the first phase: all 1, or "large P&L"
    contour_loss: ContourLoss = "l1"  # of the third phase
    learning_rate: float | None = None  # None: the phase's
    lr_halve_every: int = 10_000  # steps, in the second phase
    beta1: float = 0.7
    beta2: float = 0.999
    margin: float = 2.0  # of the contrastive losses
    flip: float = 0.0  # probability of a horizontal flip
    epochs: int | None = None
    steps: int | None = None  # None: the phase's
    batch_size: int | None = None  # None: the phase's
    image_size: int = IMAGE_SIZE  # px; fixed by the networks
    load_size: int = 100  # px, before random cropping to image_size

    def __post_init__(self) -> None:
        require_choice("phase", self.phase, Phase)
        require_choice("weighting", self.weighting, Weighting)
        require_choice("contour_loss", self.contour_loss, ContourLoss)
        require_bounds(self, POSITIVE, "learning_rate", "margin")
        require_bounds(self, BELOW_ONE, "beta1", "beta2")
        require_bounds(self, FRACTION, "flip")
        require_bounds(self, COUNT, "lr_halve_every", "epochs", "steps", "batch_size", "load_size")
        if self.image_size != IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: this network has one size, {IMAGE_SIZE}")
        for name, value in PHASES[self.phase].items():
            if getattr(self, name) is None and not (name == "steps" and self.epochs is not None):
                object.__setattr__(self, name, type(value)(value))

    @property
    def batch_spec(self) -> BatchSpec:
        """In the first phase labels and a second photo of a neighboring pose or any; in the third the contour map."""
        augment = Augment(load_size=self.load_size, flip=self.flip)
        if self.phase == "all":
            return BatchSpec(labels=True, second="neighbor", augment=augment)
        return BatchSpec(contour_weights=self.phase == "contour", augment=augment)


class Siamese(Recipe):
    """Reconstruction of the target from identity features; two photos per sample for the disentangling losses."""

    architecture = "siamese"

    def __init__(self, config: SiameseConfig, setup: Setup, data: TrainingSet) -> None:
        self.config = config
        self.generator = self._module = module = SiameseGenerator()
        self._contour_weights: Tensor | None = None
        if config.phase == "contour":
            module.encoder.requires_grad_(False)
            module.conditions.requires_grad_(False)
            self._contour_weights = require(data.contour_weights).to(setup.fabric.device)
        betas = (config.beta1, config.beta2)
        self.networks = {"generator": setup.network(module, config.learning_rate or 0.0, betas)}

    def step(self, batch: PairBatch, info: StepInfo) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        generator, config = self.networks["generator"], self.config
        if config.phase == "all":
            fake, first, second = generator.net(batch.input, batch.second)
            losses = {"l1": l1(fake, batch.target), **disentangling_losses(first, second, batch, config.margin)}
            generator.backward_and_step(weighted_sum(losses, WEIGHTINGS[config.weighting]))
        elif config.phase == "l1":
            generator.set_learning_rate((config.learning_rate or 0.0) * 0.5 ** (info.step // config.lr_halve_every))
            losses = {"l1": l1(generator.net(batch.input), batch.target)}
            generator.backward_and_step(losses["l1"])
        else:
            self._module.encoder.eval()  # frozen, and so are the running statistics of its batch norms
            difference = generator.net(batch.input).float() - batch.target
            distance = difference.abs() if config.contour_loss == "l1" else difference.square()
            losses = {"contour": (require(self._contour_weights) * distance).mean()}
            generator.backward_and_step(losses["contour"])
        return detached(**losses)


def disentangling_losses(
    first: EncoderOutput, second: EncoderOutput, batch: PairBatch, margin: float
) -> dict[str, Tensor]:
    """Return the five losses that remove pose and light from the identity features, in the order of WEIGHTINGS."""
    light, pose, identity = require(batch.light), require(batch.pose), require(batch.identity)
    same_light, same_pose = light == require(batch.second_light), pose == require(batch.second_pose)
    same_identity = identity == require(batch.second_identity)
    return {
        "light_contrastive": contrastive(first.light, second.light, same_light, margin),
        "pose_contrastive": contrastive(first.pose, second.pose, same_pose, margin),
        "identity_contrastive": contrastive(first.identity, second.identity, same_identity, margin),
        "pose": masked_cross_entropy(first.pose, pose),
        "light": masked_cross_entropy(first.light, light),
    }


def weighted_sum(losses: dict[str, Tensor], weights: tuple[float, ...]) -> Tensor:
    """Return the weighted sum of losses; the weights are in the losses' order."""
    return sum((weight * loss for weight, loss in zip(weights, losses.values(), strict=True)), start=0)  # type: ignore[return-value]
