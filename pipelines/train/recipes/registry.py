"""Recipes by name or by the path of a user's file, and their settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from models.registry import GENERATORS
from pipelines.train.config import TrainConfig
from pipelines.train.recipes.attributes import Attributes, AttributesConfig
from pipelines.train.recipes.multitask import Multitask, MultitaskConfig
from pipelines.train.recipes.recipe import Recipe, RecipeConfig, Setup, TrainingSet
from pipelines.train.recipes.refiner import RefinerConfig, RefinerRecipe
from pipelines.train.recipes.scaleway import Scaleway, ScalewayConfig
from pipelines.train.recipes.settings import with_settings
from pipelines.train.recipes.siamese import Siamese, SiameseConfig
from pipelines.train.recipes.siamese_gan import SiameseGan, SiameseGanConfig, SiameseGanV1Config
from pipelines.weights.normalization import Normalization
from pipelines.weights.recipe_file import known_networks, load_recipe_file
from toolkit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Entry:
    """A recipe, its config and its generators; a user's file sets ``RECIPE`` to one.

    Args:
        recipe: a subclass of :class:`pipelines.train.recipes.recipe.Recipe`.
        config: a dataclass with the fields of :class:`pipelines.train.recipes.recipe.RecipeConfig`.
        networks: generator classes that are not built in, by the name that ``Recipe.architecture`` gives. A class must
            build on torch's meta device from the keyword arguments of ``Recipe.shape()``. It takes crops; with a class
            attribute ``takes_frontal_view = True`` it takes frontal views and their visibility, as the refiner does.
    """

    recipe: type[Any]
    config: type[Any]
    networks: Mapping[str, type[nn.Module]] = field(default_factory=dict)


RECIPES: dict[str, Entry] = {
    "scaleway": Entry(Scaleway, ScalewayConfig),
    "siamese": Entry(Siamese, SiameseConfig),
    "siamese-gan-v1": Entry(SiameseGan, SiameseGanV1Config),
    "siamese-gan-v2": Entry(SiameseGan, SiameseGanConfig),
    "multitask": Entry(Multitask, MultitaskConfig),
    "refiner": Entry(RefinerRecipe, RefinerConfig),
    "attributes": Entry(Attributes, AttributesConfig),
}


def recipe_settings(config: TrainConfig) -> RecipeConfig:
    """Return the recipe's config: its defaults, then ``--set``, then ``--batch-size`` and ``--epochs``.

    Raises:
        ConfigError: no such recipe, no such setting, or a value out of bounds.
    """
    options = {name: getattr(config, name) for name in ("batch_size", "epochs") if getattr(config, name) is not None}
    settings: RecipeConfig = with_settings(_entry(config.recipe).config, config.settings, options)
    return settings


def normalization_of(recipe: str) -> Normalization:
    """Return how the recipe's networks take 8-bit levels."""
    normalization: Normalization = _entry(recipe).recipe.normalization
    return normalization


def networks_of(recipe: str) -> Mapping[str, type[nn.Module]]:
    """Return the generator classes that the recipe may use, by architecture.

    Raises:
        ConfigError: a user's file whose networks cannot be used.
    """
    return GENERATORS if recipe in RECIPES else known_networks(Path(recipe))


def make_recipe(name: str, settings: RecipeConfig, setup: Setup, data: TrainingSet) -> Recipe:
    """Build a recipe with newly initialized networks."""
    recipe: Recipe = _entry(name).recipe(settings, setup, data)
    return recipe


def _entry(name: str) -> Entry:
    if name in RECIPES:
        return RECIPES[name]
    path = Path(name)
    if path.suffix != ".py" or not path.is_file():
        raise ConfigError(
            f"recipe={name!r}: no such recipe; choose one of {', '.join(RECIPES)}, or the path of a .py file"
        )
    entry = load_recipe_file(path.resolve()).RECIPE
    if not isinstance(entry, Entry):
        raise ConfigError(f"recipe {path}: must set RECIPE = Entry(its Recipe class, its config's class)")
    return entry
