"""One encoder, two photos, no discriminator: pose and light told apart from who it is. SYSTEMS.md, section 2."""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from models.casia_net import IMAGE_SIZE
from models.losses import contrastive, l1, names
from models.siamese import Seen, SiameseGenerator
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import Needs, PairBatch
from pipelines.train.recipes.contour import contour_weights
from pipelines.train.recipes.recipe import Clock, Recipe, TrainingSet, Workshop, given, shown
from toolkit.errors import ConfigError

Weighting = Literal["same", "large"]
Phase = Literal["all", "l1", "contour"]

# Reconstruction; contrastive light, pose, identity; cross-entropy of pose, of light: in the run record's order.
WEIGHTINGS: dict[str, tuple[float, ...]] = {"same": (1, 1, 1, 1, 1, 1), "large": (1, 20, 50, 10, 70, 50)}
PHASES: dict[str, dict[str, float]] = {  # learning rate, batch size and steps of the three published runs
    "all": {"learning_rate": 1e-4, "batch_size": 48, "steps": 70_000},
    "l1": {"learning_rate": 5e-4, "batch_size": 64, "steps": 50_000},
    "contour": {"learning_rate": 1e-4, "batch_size": 64, "steps": 50_000},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SiameseConfig:
    """The published settings. The second and third phase go on from a run of the first: ``--start-from``."""

    phase: Phase = "all"  # all losses; l1 alone, with step decay; the decoder alone, with weight on the contour
    weighting: Weighting = "same"  # of the six losses of the first phase: all 1, or "large P&L"
    contour_loss: Literal["l1", "l2"] = "l1"  # of the third phase
    learning_rate: float | None = None  # None: the phase's
    halve_every: int = 10_000  # steps, in the second phase
    beta1: float = 0.7
    beta2: float = 0.999
    margin: float = 2.0  # of the contrastive losses
    mirror: float = 0.0  # probability
    epochs: int | None = None
    steps: int | None = None  # None: the phase's
    batch_size: int | None = None  # None: the phase's
    image_size: int = IMAGE_SIZE  # px; the networks fit no other
    load_size: int = 100  # px, before a random window of image_size is cut

    def __post_init__(self) -> None:
        for name, choices in (("phase", Phase), ("weighting", Weighting)):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(get_args(choices))}")
        if self.contour_loss not in ("l1", "l2"):
            raise ConfigError(f"contour_loss={self.contour_loss!r}: choose l1 or l2")
        if self.image_size != IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: this network has one size, {IMAGE_SIZE}")
        for name, value in PHASES[self.phase].items():
            if getattr(self, name) is None and not (name == "steps" and self.epochs is not None):
                object.__setattr__(self, name, type(value)(value))

    @property
    def needs(self) -> Needs:
        """Triplets: a photo, its target, and a partner of the neighbouring pose or any."""
        augment = Augment(load_size=self.load_size, mirror=self.mirror)
        return Needs(labels=True, second="neighbor", augment=augment) if self.phase == "all" else Needs(augment=augment)


class Siamese(Recipe):
    """Reconstruction from identity features alone; two photos at a time say what those must not depend on."""

    architecture = "siamese"

    def __init__(self, config: SiameseConfig, workshop: Workshop, data: TrainingSet) -> None:
        self.config = config
        self.generator = self._net = net = SiameseGenerator()
        self._weights: Tensor | None = None
        if config.phase == "contour":
            net.encoder.requires_grad_(False)
            net.conditions.requires_grad_(False)
            self._weights = contour_weights(data, config.image_size).to(workshop.fabric.device)
        rate = config.learning_rate or 0.0
        self.trainees = {"generator": workshop.trainee(net, rate, (config.beta1, config.beta2))}

    def step(self, batch: PairBatch, clock: Clock) -> dict[str, Tensor]:
        """See :class:`pipelines.train.recipes.recipe.Recipe`."""
        maker, config = self.trainees["generator"], self.config
        if config.phase == "all":
            made, first, second = maker.net(batch.input, batch.second)
            losses = {"l1": l1(made, batch.target), **told_apart(first, second, batch, config.margin)}
            maker.descend(weighted(losses, WEIGHTINGS[config.weighting]))
        elif config.phase == "l1":
            maker.set_rate((config.learning_rate or 0.0) * 0.5 ** (clock.step // config.halve_every))
            losses = {"l1": l1(maker.net(batch.input), batch.target)}
            maker.descend(losses["l1"])
        else:
            self._net.encoder.eval()  # frozen: the means and variances of its batch norms too
            off = maker.net(batch.input).float() - batch.target
            difference = off.abs() if config.contour_loss == "l1" else off.square()
            losses = {"contour": (given(self._weights) * difference).mean()}
            maker.descend(losses["contour"])
        return shown(**losses)


def told_apart(first: Seen, second: Seen, batch: PairBatch, margin: float) -> dict[str, Tensor]:
    """The five losses that drive pose and light out of the identity features, in the order of WEIGHTINGS."""
    light, pose, identity = given(batch.light), given(batch.pose), given(batch.identity)
    same_person = identity == given(batch.second_identity)
    return {
        "light_contrast": contrastive(first.light, second.light, light == given(batch.second_light), margin),
        "pose_contrast": contrastive(first.pose, second.pose, pose == given(batch.second_pose), margin),
        "identity_contrast": contrastive(first.identity, second.identity, same_person, margin),
        "pose": names(first.pose, pose),
        "light": names(first.light, light),
    }


def weighted(losses: dict[str, Tensor], weights: tuple[float, ...]) -> Tensor:
    """The sum of losses, each times its weight."""
    return sum((weight * loss for weight, loss in zip(weights, losses.values(), strict=True)), start=0)  # type: ignore[return-value]
