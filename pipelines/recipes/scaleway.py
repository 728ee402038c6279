"""The encoder-decoder GAN of `scaleway/frontalization`, as published: SYSTEMS.md, section 1."""

from dataclasses import dataclass
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Adam

from models.encoder_decoder import IMAGE_SIZE, Discriminator, EncoderDecoder, init_dcgan
from models.losses import l1, l2, should_be
from pipelines.batches import Normalization, PairBatch
from pipelines.checkpoint import GeneratorCard
from pipelines.recipes.recipe import Trainee
from toolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalewayConfig:
    """The published settings."""

    gan_weight: float = 5e-4  # of the generator's adversarial loss
    l1_weight: float = 0.0  # of the mean absolute difference
    l2_weight: float = 1.0  # of the mean squared difference
    learning_rate: float = 2e-4  # of both Adams
    beta1: float = 0.5
    beta2: float = 0.999
    epochs: int = 30
    batch_size: int = 30  # pairs per step
    image_size: int = IMAGE_SIZE  # px per side; the networks fit no other

    def __post_init__(self) -> None:
        if self.image_size != IMAGE_SIZE:
            raise ConfigError(f"image_size={self.image_size}: this network has one size, {IMAGE_SIZE}")
        if self.batch_size < 2:
            raise ConfigError(f"batch_size={self.batch_size}: batch normalization needs 2 or more; try 30")


class Scaleway:
    """Discriminator up on true and made faces, then the generator down on all three of its terms."""

    normalization = Normalization(mean=128.0, scale=128.0)

    def __init__(self, config: ScalewayConfig, fabric: Fabric) -> None:
        self.config = config
        self._maker = self._trainee(EncoderDecoder(), fabric)
        self._judge = self._trainee(Discriminator(), fabric)
        self.generator = self._maker.raw

    def _trainee(self, net: EncoderDecoder | Discriminator, fabric: Fabric) -> Trainee:
        net.apply(init_dcgan)
        config = self.config
        adam = Adam(net.parameters(), config.learning_rate, (config.beta1, config.beta2), fused=True)
        return Trainee(net, adam, fabric)

    def step(self, batch: PairBatch, epoch: int) -> dict[str, Tensor]:
        """See :class:`pipelines.recipes.recipe.Recipe`."""
        made = self._maker.net(batch.input)

        # judge: detach keeps its gradient out of the maker
        judge_loss = should_be(self._judge.net(batch.target), 1) + should_be(self._judge.net(made.detach()), 0)
        self._judge.descend(judge_loss)

        # maker: fool the judge of after its step, and stay near the true frontal view
        config = self.config
        fool, near_l1, near_l2 = should_be(self._judge.net(made), 1), l1(made, batch.target), l2(made, batch.target)
        self._maker.descend(config.gan_weight * fool + config.l1_weight * near_l1 + config.l2_weight * near_l2)
        losses = {"judge": judge_loss, "fool": fool, "l1": near_l1, "l2": near_l2}
        return {name: loss.detach() for name, loss in losses.items()}

    def state(self) -> dict[str, Any]:
        """See :class:`pipelines.recipes.recipe.Recipe`."""
        return {
            "generator": self._maker.raw,
            "discriminator": self._judge.raw,
            "generator_optimizer": self._maker.optimizer,
            "discriminator_optimizer": self._judge.optimizer,
        }

    def card(self, step: int) -> GeneratorCard:
        """See :class:`pipelines.recipes.recipe.Recipe`."""
        return GeneratorCard(
            architecture="encoder_decoder",
            image_size=self.config.image_size,
            template="chin",
            normalization=self.normalization,
            recipe="scaleway",
            step=step,
        )
