"""The recipes by name, or by the path of a file of one's own, and how their settings come about."""

import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.train.config import TrainConfig
from pipelines.train.recipes.attributes import Attributes, AttributesConfig
from pipelines.train.recipes.multitask import Multitask, MultitaskConfig
from pipelines.train.recipes.recipe import Recipe, RecipeConfig, TrainingSet, Workshop
from pipelines.train.recipes.refiner import RefinerConfig, RefinerRecipe
from pipelines.train.recipes.scaleway import Scaleway, ScalewayConfig
from pipelines.train.recipes.settings import with_settings
from pipelines.train.recipes.siamese import Siamese, SiameseConfig
from pipelines.train.recipes.siamese_gan import SiameseGan, SiameseGanConfig, SiameseGanV1Config
from pipelines.weights.normalization import Normalization
from toolkit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Entry:
    """A recipe and its settings' class; a file of one's own sets ``RECIPE`` to one."""

    recipe: type[Any]
    config: type[Any]


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
    """The recipe's own config: its defaults, ``--set``, then the options that every recipe has.

    Raises:
        ConfigError: no such recipe or setting.
    """
    given = {name: getattr(config, name) for name in ("batch_size", "epochs") if getattr(config, name) is not None}
    settings: RecipeConfig = with_settings(_entry(config.recipe).config, config.settings, given)
    return settings


def normalization_of(recipe: str) -> Normalization:
    """What its networks take 8-bit levels as."""
    constants: Normalization = _entry(recipe).recipe.normalization
    return constants


def make_recipe(name: str, settings: RecipeConfig, workshop: Workshop, data: TrainingSet) -> Recipe:
    """Its networks, with their first weights."""
    made: Recipe = _entry(name).recipe(settings, workshop, data)
    return made


def _entry(name: str) -> Entry:
    if name in RECIPES:
        return RECIPES[name]
    path = Path(name)
    if path.suffix != ".py" or not path.is_file():
        raise ConfigError(
            f"recipe={name!r}: no such recipe; choose one of {', '.join(RECIPES)}, or the path of a .py file"
        )
    return _from_file(path.resolve())


@cache
def _from_file(path: Path) -> Entry:
    """The ``RECIPE`` of a file: a recipe is code, and runs as the user who names it."""
    name = f"recipe_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"recipe {path}: cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for the file that defines them
    spec.loader.exec_module(module)
    entry = getattr(module, "RECIPE", None)
    if not isinstance(entry, Entry):
        raise ConfigError(f"recipe {path}: must set RECIPE = Entry(its Recipe, its config's class)")
    return entry
