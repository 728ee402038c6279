"""A recipe of one's own, in one file: the published generator without its judge, taught not to blur.

    frontalize train SET RUN --recipe examples/sharp_recipe.py --steps 300 --set edge_weight=2

A recipe is a config (``--set`` reaches its fields), networks, and one step; the loop does all else: devices,
precision, averages, validation, sample grids, checkpoints, exact resuming. Here the loss adds to the mean difference
of pixels that of their steps from each pixel to the next, which blur makes small and edges make large.
"""

from dataclasses import dataclass

from torch import Tensor

from models.encoder_decoder import EncoderDecoder
from models.losses import l1
from pipelines.train.data.batches import Needs, PairBatch
from pipelines.train.recipes.recipe import Clock, Recipe, TrainingSet, Workshop, shown
from pipelines.train.recipes.registry import Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class SharpConfig:
    """Every field is an option with a type: ``--set edge_weight=2``."""

    edge_weight: float = 1.0
    learning_rate: float = 2e-4
    epochs: int | None = 30
    steps: int | None = None
    batch_size: int = 30
    image_size: int = 128  # px; the generator fits no other

    @property
    def needs(self) -> Needs:
        """Inputs and targets, no labels."""
        return Needs()


class Sharp(Recipe):
    """One network, one loss."""

    architecture = "encoder_decoder"  # how `batch` will find the class again

    def __init__(self, config: SharpConfig, workshop: Workshop, data: TrainingSet) -> None:
        self.config, self.generator = config, EncoderDecoder()
        self.trainees = {"generator": workshop.trainee(self.generator, config.learning_rate, (0.9, 0.999))}

    def step(self, batch: PairBatch, clock: Clock) -> dict[str, Tensor]:
        """Make faces, see how far off they are, learn."""
        maker = self.trainees["generator"]
        made = maker.net(batch.input)
        losses = {"l1": l1(made, batch.target), "edges": edge_difference(made, batch.target)}
        maker.descend(losses["l1"] + self.config.edge_weight * losses["edges"])
        return shown(**losses)


def edge_difference(made: Tensor, target: Tensor) -> Tensor:
    """Mean difference of the steps to the next pixel, right and down; (B, 3, S, S) both."""
    return l1(made.diff(dim=3), target.diff(dim=3)) + l1(made.diff(dim=2), target.diff(dim=2))


RECIPE = Entry(Sharp, SharpConfig)
