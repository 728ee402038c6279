"""A user's recipe file: Python code that may define networks of its own.

The code runs with the user's rights. It is loaded only where the user names the file on the command line, never
because a weights file or a run refers to it.
"""

import hashlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from torch import nn

from models.registry import GENERATORS
from toolkit.errors import ConfigError


@cache
def load_recipe_file(path: Path) -> ModuleType:
    """Run a recipe file and return its module.

    Args:
        path: absolute path of the ``.py`` file.

    Raises:
        ConfigError: no such file, or it sets no ``RECIPE``.
    """
    if path.suffix != ".py" or not path.is_file():
        raise ConfigError(f"recipe {path}: no such file; give the path of a .py file")
    name = f"recipe_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"recipe {path}: cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their module there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    if not hasattr(module, "RECIPE"):
        raise ConfigError(f"recipe {path}: must set RECIPE = Entry(its Recipe class, its config's class)")
    return module


def known_networks(recipe: Path | None) -> dict[str, type[nn.Module]]:
    """Return the generator classes by architecture: the built-in ones and those of a recipe file.

    Args:
        recipe: a user's recipe file, or None.

    Raises:
        ConfigError: as :func:`load_recipe_file`; or its networks are no classes, or have names of built-in ones.
    """
    if recipe is None:
        return GENERATORS
    networks = getattr(load_recipe_file(recipe.resolve()).RECIPE, "networks", {})
    for name, network in networks.items():
        if name in GENERATORS:
            raise ConfigError(f"recipe {recipe}: its network {name!r} has the name of a built-in one; choose another")
        if not (isinstance(network, type) and issubclass(network, nn.Module)):
            raise ConfigError(f"recipe {recipe}: its network {name!r} must be a subclass of torch.nn.Module")
    return {**GENERATORS, **networks}
