"""Recipe ``refiner``: geometric frontal views to portraits.

It is trained on sets of `pairs synth --round-trip` and `pairs views`, or both: `pairs merge`.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, interpolate

from models.losses import l1
from models.recognizers.identity_encoder import random_recolor
from models.refiner import IMAGE_SIZE, PatchDiscriminator, Refined, Refiner
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import BatchSpec, PairBatch
from pipelines.train.recipes.identity import IdentityLoss, Pretrained, TrainedAlong
from pipelines.train.recipes.recipe import (
    Recipe,
    Setup,
    StepInfo,
    TrainingSet,
    detached,
    linear_decay,
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
from toolkit.errors import ConfigError, DatasetError
from toolkit.records.subjects import missing_view_part

SPOTS = 2  # on a view that gets any
SPOT_HALF_WIDTHS, SPOT_HALF_HEIGHTS, SPOT_Y = (0.006, 0.03), (0.015, 0.1), (0.05, 0.75)  # ranges, in image sides
SPOT_TINT = 0.15  # standard deviation of each channel, levels from -1 to 1
LASHES_SHARE = 0.35  # of the spots are lashes of the far eye: dark, wide and flat, from eye to eye
LASHES_HALF_WIDTHS, LASHES_HALF_HEIGHTS, LASHES_Y = (0.03, 0.12), (0.008, 0.025), (0.1, 0.3)
LASHES_LEVELS = (-1.0, -0.3)
RESHAPE_BEND = 0.025  # standard deviation in half image sides: 1.6 pixels of 128


@dataclass(frozen=True, kw_only=True, slots=True)
class RefinerConfig:
    """The settings that the built-in weights were trained with."""

    l1_weight: float = 1.0
    edge_weight: float = 1.0  # of the difference of image gradients, which blur makes small
    feature_weight: float = 1.0  # of the feature matching loss on the discriminator's layers
    gan_weight: float = 0.05
    identity_weight: float = 2.0  # of 1 - cosine to the target, by the recognizer
    recognizer: str | None = None  # folder of dlib's network; none: a small recognizer is trained along, on this set
    paint_weight: float = 0.1  # of the mean change of color: it pays off only where it is more likely right than wrong
    background_weight: float = 0.5  # of a pixel outside the face's oval; inside it is 1
    gan_warmup: int = 500  # steps before the generator gets the losses of the still untrained discriminator
    identity_warmup: int = 1000  # steps before it gets the identity loss of a still untrained recognizer
    learning_rate: float = 4e-4  # of the generator
    lr_decay_from: float = 0.6  # the fraction of `steps` after which the generator's rate decays linearly to zero
    discriminator_learning_rate: float = 2e-4
    recognizer_learning_rate: float = 1e-3
    beta1: float = 0.5
    beta2: float = 0.99
    flip: float = 0.5  # probability of a horizontal flip
    recolor: float = 0.6  # probability of another light and tint, or gray, for view and portrait alike
    reshape: float = 0.5  # probability of another shape of the face, for view and portrait alike
    spots: float = 0.3  # probability of spots on the view's middle line, as background and lashes beside a profile make
    epochs: int | None = None
    steps: int | None = 20_000
    batch_size: int = 16
    image_size: int = IMAGE_SIZE  # px; fixed by the network

    def __post_init__(self) -> None:
        require_bounds(self, NON_NEGATIVE, "l1_weight", "edge_weight", "feature_weight", "gan_weight")
        require_bounds(self, NON_NEGATIVE, "identity_weight", "paint_weight", "background_weight")
        require_bounds(self, NON_NEGATIVE, "gan_warmup", "identity_warmup")
        require_bounds(self, POSITIVE, "learning_rate", "discriminator_learning_rate", "recognizer_learning_rate")
        require_bounds(self, BELOW_ONE, "lr_decay_from", "beta1", "beta2")
        require_bounds(self, FRACTION, "flip", "recolor", "reshape", "spots")
        require_bounds(self, COUNT, "epochs", "steps", "batch_size")
        if self.image_size != IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: this network is trained at one size, {IMAGE_SIZE}")

    @property
    def batch_spec(self) -> BatchSpec:
        """The views' parts, and the identity for the recognizer's loss."""
        return BatchSpec(labels=True, view_parts=True, augment=Augment(flip=self.flip))


class RefinerRecipe(Recipe):
    """Pixel, gradient, feature matching, adversarial and identity losses."""

    architecture = "refiner"

    def __init__(self, config: RefinerConfig, setup: Setup, data: TrainingSet) -> None:
        _require_view_parts(data)
        self.config, self.generator = config, Refiner()
        betas = (config.beta1, config.beta2)
        self.networks = {
            "generator": setup.network(self.generator, config.learning_rate, betas),
            "discriminator": setup.network(PatchDiscriminator(), config.discriminator_learning_rate, betas),
        }
        self._identity: IdentityLoss = (
            TrainedAlong(setup, config) if config.recognizer is None else Pretrained(setup, config.recognizer, data)
        )
        self.networks |= self._identity.networks
        self._pixel_weights = oval_weights(config.image_size, config.background_weight).to(setup.fabric.device)

    def step(self, batch: PairBatch, info: StepInfo) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        config, generator = self.config, self.networks["generator"]
        batch = recolor_pairs(add_spots(batch, config.spots), config.recolor)
        batch = reshape_pairs(batch, config.reshape)
        generator.set_learning_rate(linear_decay(config.learning_rate, info.step, config.steps, config.lr_decay_from))
        refined: Refined = generator.net(batch.input, require(batch.visibility), require(batch.unmirrored))
        fake = refined.image
        losses = {"discriminator": self._step_discriminator(fake, batch.target)} | self._identity.step(batch)
        losses["l1"] = (self._pixel_weights * (fake.float() - batch.target).abs()).mean()
        losses["edges"] = gradient_difference(fake, batch.target, self._pixel_weights)
        losses["paint"] = refined.correction.float().abs().mean()
        total = config.l1_weight * losses["l1"] + config.edge_weight * losses["edges"]
        total = total + config.paint_weight * losses["paint"]
        if info.step >= config.gan_warmup:
            losses |= self._discriminator_feedback(fake, batch.target)
            total = total + config.feature_weight * losses["feature_matching"]
            total = total + config.gan_weight * losses["adversarial"]
        if info.step >= self._identity.warmup:
            cosine = self._identity.cosine(fake, batch.target)
            losses["identity"] = 1 - cosine.mean()
            losses["confidence"] = (refined.confidence.float() - cosine.detach()).square().mean()
            total = total + config.identity_weight * losses["identity"] + losses["confidence"]
        generator.backward_and_step(total)
        return detached(**losses)

    def _step_discriminator(self, fake: Tensor, target: Tensor) -> Tensor:
        discriminator = self.networks["discriminator"]
        on_real, _ = discriminator.net(target)
        on_fake, _ = discriminator.net(fake.detach())
        loss = hinge(on_real, 1) + hinge(on_fake, -1)
        discriminator.backward_and_step(loss)
        return loss

    def _discriminator_feedback(self, fake: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The generator's losses by the updated discriminator: feature matching (pix2pixHD) and adversarial."""
        discriminator = self.networks["discriminator"]
        logits, fake_features = discriminator.frozen_forward(fake)
        with torch.no_grad():
            _, real_features = discriminator.frozen_forward(target)
        pairs = zip(fake_features, real_features, strict=True)
        return {
            "feature_matching": torch.stack([l1(one, other) for one, other in pairs]).mean(),
            "adversarial": -torch.stack([scale.float().mean() for scale in logits]).mean(),
        }

    def generate(self, generator: nn.Module, batch: PairBatch) -> Tensor:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        refined: Refined = generator(batch.input, batch.visibility, batch.unmirrored)
        return refined.image


def _require_view_parts(data: TrainingSet) -> None:
    for pair in data.pairs:
        if (missing := missing_view_part(data.root, pair.input)) is not None:
            raise DatasetError(
                f"{data.root}: {pair.input} has no {missing} beside it; this recipe trains on sets of "
                "`frontalize pairs synth --round-trip` or `frontalize pairs views`, version 0.2 or newer"
            )


def recolor_pairs(batch: PairBatch, probability: float) -> PairBatch:
    """Change light and tint of some pairs, view and portrait alike.

    Studio portraits all have the same light; archive photos are dark, faded or gray.
    """
    both = torch.cat([batch.input, batch.target, require(batch.unmirrored)], dim=3)
    chosen = torch.rand(len(both), 1, 1, 1, device=both.device) < probability
    view, portrait, unmirrored = torch.where(chosen, random_recolor(both), both).chunk(3, dim=3)
    return replace(batch, input=view, target=portrait, unmirrored=unmirrored)


def add_spots(batch: PairBatch, probability: float) -> PairBatch:
    """Draw dark and bright spots on the middle line of some views; their portraits stay clean.

    The middle of a view shows the contour of a profile, where a photo's background, lashes and backlight get in.
    """
    view, unmirrored = batch.input, require(batch.unmirrored)
    images, size, device = len(view), view.shape[-1], view.device

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(SPOTS, images, 1, 1, 1, device=device)

    places = (torch.arange(size, device=device) + 0.5) / size
    lashes = torch.rand(SPOTS, images, 1, 1, 1, device=device) < LASHES_SHARE

    def drawn(spot: tuple[float, float], lash: tuple[float, float]) -> Tensor:
        return torch.where(lashes, uniform(*lash), uniform(*spot))

    x = (places - 0.5) / drawn(SPOT_HALF_WIDTHS, LASHES_HALF_WIDTHS)
    y = (places[:, None] - drawn(SPOT_Y, LASHES_Y)) / drawn(SPOT_HALF_HEIGHTS, LASHES_HALF_HEIGHTS)
    shares = uniform(0.3, 1) * (2 * (1 - x.square() - y.square())).clamp(0, 1)
    shares = shares * (torch.rand(images, 1, 1, 1, device=device) < probability)
    tints = SPOT_TINT * torch.randn(SPOTS, images, 3, 1, 1, device=device)
    colors = (drawn((-1, 1), LASHES_LEVELS) + tints).clamp(-1, 1)
    for share, color in zip(shares, colors, strict=True):
        view, unmirrored = (image + share * (color - image) for image in (view, unmirrored))
    return replace(batch, input=view, unmirrored=unmirrored)


def reshape_pairs(batch: PairBatch, probability: float) -> PairBatch:
    """Bend some faces, view and portrait alike and both halves alike: the shapes of people who are not in the set."""
    parts = [batch.input, batch.target, require(batch.unmirrored), require(batch.visibility)]
    images = torch.cat(parts, dim=1)
    bend = RESHAPE_BEND * torch.randn(len(images), 2, 5, 5, device=images.device)
    across, along = bend.unbind(1)
    bend = torch.stack([across - across.flip(-1), along + along.flip(-1)], dim=1) / 2**0.5
    bend = bend * (torch.rand(len(images), 1, 1, 1, device=images.device) < probability)
    grid = affine_grid(torch.eye(2, 3, device=images.device).expand(len(images), 2, 3), list(images.shape), False)
    grid = grid + interpolate(bend, images.shape[-2:], mode="bicubic").permute(0, 2, 3, 1)
    warped = grid_sample(images.float(), grid, mode="bicubic", padding_mode="border", align_corners=False)
    view, portrait, unmirrored, visibility = warped.clamp(-1, 1).split([part.shape[1] for part in parts], dim=1)
    return replace(batch, input=view, target=portrait, unmirrored=unmirrored, visibility=visibility.clamp(min=0))


def hinge(logits: list[Tensor], sign: int) -> Tensor:
    """Return the hinge loss of patch logits, averaged over the scales. Source: Lim and Ye, Geometric GAN, 2017.

    Args:
        logits: of each scale.
        sign: 1 for real images, -1 for fake ones.
    """
    return torch.stack([(1 - sign * scale.float()).clamp_min(0).mean() for scale in logits]).mean()


def gradient_difference(fake: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Return the mean weighted absolute difference of horizontal and vertical image gradients, (B, 3, S, S) both."""
    difference = fake.float() - target.float()
    horizontal = difference.diff(dim=3).abs() * weights[..., 1:]
    vertical = difference.diff(dim=2).abs() * weights[..., 1:, :]
    return horizontal.mean() + vertical.mean()


def oval_weights(size: int, background: float) -> Tensor:
    """Return pixel weights, (1, 1, S, S): 1 inside an ellipse that covers the face in a chin crop, less outside."""
    places = (torch.arange(size) + 0.5) / size
    radius = ((places - 0.5) / 0.5).square()[None, :] + ((places - 0.45) / 0.6).square()[:, None]
    return torch.where(radius < 1, 1.0, background)[None, None]
