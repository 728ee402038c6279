"""The refiner: geometric frontal views in, portraits out. Learns from `pairs synth --frontalized` alone."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.identity_loss import Recognizer, displaced, mismatched, recolored
from models.losses import l1
from models.refiner import IMAGE_SIZE, PatchDiscriminator, Refiner
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import Needs, PairBatch
from pipelines.train.recipes.recipe import Clock, Recipe, TrainingSet, Workshop, fading, given, shown
from toolkit.errors import ConfigError, DatasetError
from toolkit.records.subjects import mask_of

USUAL = (0.9, 0.999)  # Adam's own betas


@dataclass(frozen=True, kw_only=True, slots=True)
class RefinerConfig:
    """What the built-in weights were trained with."""

    l1_weight: float = 1.0
    edge_weight: float = 1.0  # of the difference of steps from pixel to pixel: blur makes them small
    feature_weight: float = 1.0  # of the difference in what the judge sees in both, layer by layer
    gan_weight: float = 0.05
    identity_weight: float = 1.0  # of 1 - cosine to the target, by a recogniser that learns on this very set
    paint_weight: float = 0.5  # of what is painted over: only what is three times as likely right as wrong is worth it
    outside: float = 0.2  # of a pixel beyond the face's oval; 1 inside
    alone: int = 500  # steps before the judge counts: until then it would teach noise
    strangers: int = 1000  # steps before the recogniser counts, for the same reason
    learning_rate: float = 4e-4  # of the generator
    fades_from: float = 0.6  # of a run that counts steps: from there the generator's rate falls to nothing
    judge_rate: float = 2e-4  # of the discriminator
    recognizer_rate: float = 1e-3
    beta1: float = 0.5
    beta2: float = 0.99
    mirror: float = 0.5  # probability
    recolor: float = 0.6  # likewise: of another light and tint, or none, for view and portrait together
    epochs: int | None = None
    steps: int | None = 20_000
    batch_size: int = 16
    image_size: int = IMAGE_SIZE  # px

    def __post_init__(self) -> None:
        if self.image_size != IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: this network looks at one size, {IMAGE_SIZE}")
        if not 0 <= self.fades_from < 1:
            raise ConfigError(f"fades_from={self.fades_from}: must be 0 or more and below 1; try 0.6")

    @property
    def needs(self) -> Needs:
        """Views with their visibility masks, and whose they are."""
        return Needs(labels=True, mask=True, augment=Augment(mirror=self.mirror))


class RefinerRecipe(Recipe):
    """Pixels, their steps, the judge's features, and the judge."""

    architecture = "refiner"

    def __init__(self, config: RefinerConfig, workshop: Workshop, data: TrainingSet) -> None:
        missing = next((pair for pair in data.pairs if not (data.root / mask_of(pair.input)).is_file()), None)
        if missing is not None:
            raise DatasetError(
                f"{data.root}: {missing.input} has no visibility mask {mask_of(missing.input)} beside it; "
                "this recipe learns from what `frontalize pairs synth --frontalized` makes"
            )
        self.config, self.generator = config, Refiner()
        betas = (config.beta1, config.beta2)
        self.trainees = {
            "generator": workshop.trainee(self.generator, config.learning_rate, betas),
            "discriminator": workshop.trainee(PatchDiscriminator(), config.judge_rate, betas),
            "recognizer": workshop.trainee(Recognizer(), config.recognizer_rate, USUAL),
        }
        self._weight = oval(config.image_size, config.outside).to(workshop.fabric.device)

    def step(self, batch: PairBatch, clock: Clock) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        config, maker, judge = self.config, self.trainees["generator"], self.trainees["discriminator"]
        batch = recolored_alike(batch, config.recolor)
        maker.set_rate(fading(config.learning_rate, clock.step, config.steps, config.fades_from))
        made, painted = maker.net(batch.input, given(batch.visibility)).split(3, dim=1)
        real, _ = judge.net(batch.target)
        forged, _ = judge.net(made.detach())
        losses = {"judge": hinge(real, 1) + hinge(forged, -1)}
        judge.descend(losses["judge"])
        losses["recognizer"] = self._teach_recognizer(batch)
        losses["l1"] = (self._weight * (made.float() - batch.target).abs()).mean()
        losses["edges"] = steps_difference(made, batch.target, self._weight)
        losses["paint"] = painted.float().abs().mean()
        total = config.l1_weight * losses["l1"] + config.edge_weight * losses["edges"]
        total = total + config.paint_weight * losses["paint"]
        if clock.step >= config.alone:
            logits, features = judge.consult(made)
            with torch.no_grad():
                _, wanted = judge.consult(batch.target)
            pairs = zip(features, wanted, strict=True)
            losses["features"] = torch.stack([l1(one, other) for one, other in pairs]).mean()
            losses["fool"] = -torch.stack([patch.float().mean() for patch in logits]).mean()
            total = total + config.feature_weight * losses["features"] + config.gan_weight * losses["fool"]
        if clock.step >= config.strangers:
            losses["identity"] = self._stranger(made, batch.target)
            total = total + config.identity_weight * losses["identity"]
        maker.descend(total)
        return shown(**losses)

    def _teach_recognizer(self, batch: PairBatch) -> Tensor:
        """A view is to find its portrait among others, in other light and place: it learns what is left of a person."""
        recognizer = self.trainees["recognizer"]
        faces = recognizer.net(displaced(recolored(torch.cat([batch.target, batch.input]))))
        portraits, views = faces.chunk(2)
        loss = mismatched(portraits, views, given(batch.identity))
        recognizer.descend(loss)
        return loss

    def _stranger(self, made: Tensor, target: Tensor) -> Tensor:
        """1 - the mean cosine between what was made and what should have been."""
        recognizer = self.trainees["recognizer"]
        with torch.no_grad():
            wanted: Tensor = recognizer.consult(target)
        off: Tensor = 1 - (recognizer.consult(made) * wanted).sum(dim=1).mean()
        return off

    def show(self, generator: nn.Module, batch: PairBatch) -> Tensor:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        made: Tensor = generator(batch.input, batch.visibility)
        return made


def recolored_alike(batch: PairBatch, chance: float) -> PairBatch:
    """Some pairs in another light and tint: studio portraits are all lit alike, archives are dark, faded and grey."""
    both = torch.cat([batch.input, batch.target], dim=3)
    other = torch.rand(len(both), 1, 1, 1, device=both.device) < chance
    view, portrait = torch.where(other, recolored(both), both).chunk(2, dim=3)
    return replace(batch, input=view, target=portrait)


def hinge(logits: list[Tensor], sign: int) -> Tensor:
    """Mean over the scales of how far patches fall short of a margin of 1. Source: Lim and Ye, 2017."""
    return torch.stack([(1 - sign * patch.float()).clamp_min(0).mean() for patch in logits]).mean()


def steps_difference(made: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean weighted difference of the steps to the next pixel, right and down; (B, 3, S, S) both."""
    off = made.float() - target.float()
    across, down = off.diff(dim=3).abs() * weight[..., 1:], off.diff(dim=2).abs() * weight[..., 1:, :]
    return across.mean() + down.mean()


def oval(size: int, outside: float) -> Tensor:
    """(1, 1, S, S): 1 where the crop shows the face, less beyond: an ellipse from the crop's top to a little below."""
    places = (torch.arange(size) + 0.5) / size
    radius = ((places - 0.5) / 0.5).square()[None, :] + ((places - 0.45) / 0.6).square()[:, None]
    return torch.where(radius < 1, 1.0, outside)[None, None]
