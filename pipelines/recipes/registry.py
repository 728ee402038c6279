"""The recipes by name, and how their settings come about."""

from dataclasses import dataclass
from typing import Any

from pipelines.batches import Normalization
from pipelines.configs import TrainConfig
from pipelines.recipes.attributes import Attributes, AttributesConfig
from pipelines.recipes.multitask import Multitask, MultitaskConfig
from pipelines.recipes.recipe import Recipe, RecipeConfig, TrainingSet, Workshop
from pipelines.recipes.scaleway import Scaleway, ScalewayConfig
from pipelines.recipes.settings import with_settings
from pipelines.recipes.siamese import Siamese, SiameseConfig
from pipelines.recipes.siamese_gan import SiameseGan, SiameseGanConfig, SiameseGanV1Config
from toolkit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Entry:
    """A recipe and its settings' class."""

    recipe: type[Any]
    config: type[Any]


RECIPES: dict[str, Entry] = {
    "scaleway": Entry(Scaleway, ScalewayConfig),
    "siamese": Entry(Siamese, SiameseConfig),
    "siamese-gan-v1": Entry(SiameseGan, SiameseGanV1Config),
    "siamese-gan-v2": Entry(SiameseGan, SiameseGanConfig),
    "multitask": Entry(Multitask, MultitaskConfig),
    "attributes": Entry(Attributes, AttributesConfig),
}


def recipe_settings(config: TrainConfig) -> RecipeConfig:
    """The recipe's own config: its defaults, ``--set``, then the options that every recipe has.

    Raises:
        ConfigError: no such recipe or setting.
    """
    if config.recipe not in RECIPES:
        raise ConfigError(f"recipe={config.recipe!r}: no such recipe; choose one of {', '.join(RECIPES)}")
    given = {name: getattr(config, name) for name in ("batch_size", "epochs") if getattr(config, name) is not None}
    settings: RecipeConfig = with_settings(RECIPES[config.recipe].config, config.settings, given)
    return settings


def normalization_of(recipe: str) -> Normalization:
    """What its networks take 8-bit levels as."""
    constants: Normalization = RECIPES[recipe].recipe.normalization
    return constants


def make_recipe(name: str, settings: RecipeConfig, workshop: Workshop, data: TrainingSet) -> Recipe:
    """Its networks, with their first weights."""
    made: Recipe = RECIPES[name].recipe(settings, workshop, data)
    return made
