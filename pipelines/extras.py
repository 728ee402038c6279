"""Packages beyond the light install: whether they are there, and the extra of frontalize that brings what is missing.

`pip install frontalize` brings what align, pairs, report, doctor and batch need on a CPU. What needs more asks here
before it starts work.
"""

import importlib
import importlib.util
from typing import Literal

from toolkit.errors import ConfigError

Extra = Literal["train", "mediapipe", "demo", "ray", "onnx"]  # of pyproject.toml; `dev` is for work on frontalize
NETWORKS = ("torch", "safetensors")  # of the extra `train`: what loads the weights of a run
TRAINING = (*NETWORKS, "lightning_fabric", "torchmetrics", "tensorboard")
# Names of packages that differ from those of their modules.
PACKAGES = {"lightning_fabric": "lightning-fabric", "nvidia.dali": "nvidia-dali-cuda120", "skimage": "scikit-image"}


def is_installed(module: str) -> bool:
    """Return whether a module can be found; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # of its parent package; or of a module that is no real one
        return False


def require_extra(extra: Extra, what: str, *modules: str, instead: str = "") -> None:
    """Import modules that an extra brings.

    Args:
        extra: its name.
        what: what needs the modules: the first words of the error message, as ``"train"``.
        modules: their full names.
        instead: another way out than to install the extra, as ``"--loader torch"``.

    Raises:
        ConfigError: one of them is not installed, or cannot be imported.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:  # OSError: a shared library that a package loads is missing
            way_out = f"pip install 'frontalize[{extra}]'" + (f", or {instead}" if instead else "")
            package = PACKAGES.get(module, module.partition(".")[0])
            raise ConfigError(f"{what} needs {package}, which cannot be imported ({error}); {way_out}") from error
