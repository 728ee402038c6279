"""The interfaces of landmarkers and detectors, and the names under which other ones are used.

A landmarker replaces the built-in face finder; a detector is one more detector for the retries where
the built-in ones find nothing. Both are classes whose constructor takes one argument, the
:class:`toolkit.landmarks.config.FindConfig`. They apply its thresholds themselves::

    class MyDetector:
        def __init__(self, config: FindConfig) -> None:
            self._network = load_network()

        def find(self, photo: Image) -> list[Detection]:
            return [Detection(*row) for row in self._network(photo)]

``FindConfig(detector="my_module:MyDetector")`` and ``frontalize align --detector my_module:MyDetector``
import the class, also in worker processes; the module must be installed or on PYTHONPATH. A registered
name is known only in processes that have imported the module::

    @register_detector("mine")
    class MyDetector: ...
"""

import importlib
import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from toolkit.errors import ConfigError
from toolkit.faces.face import Face
from toolkit.landmarks.detection import Detection
from toolkit.photos.types import Image

ClassT = TypeVar("ClassT", bound=type)
LANDMARKERS: dict[str, type] = {}  # classes of landmarkers by name
DETECTORS: dict[str, type] = {}  # classes of detectors by name


class Landmarker(Protocol):
    """Find faces with the 478 points of MediaPipe's face mesh. One instance serves one thread."""

    def find(self, photo: Image, every: bool = False) -> list[Face]:
        """Find the faces of a photo.

        Args:
            photo: (H, W, 3) RGB uint8. Not to be changed.
            every: search for all faces. Without it, the search may stop at the first view of the photo
                that shows any; with it, small faces beside a large one are searched for too.

        Returns:
            Faces in pixels of the photo, best score first; empty if there are none.
        """
        ...


class Detector(Protocol):
    """Find boxes of faces. One instance serves one thread."""

    def find(self, photo: Image) -> list[Detection]:
        """Find the faces of a photo.

        Args:
            photo: (H, W, 3) RGB uint8. Not to be changed.

        Returns:
            Detections in pixels of the photo, best score first; empty if there are none.
        """
        ...


def register_landmarker(name: str) -> Callable[[ClassT], ClassT]:
    """Register a class of landmarkers under a name, as a decorator."""
    return _register(LANDMARKERS, name)


def register_detector(name: str) -> Callable[[ClassT], ClassT]:
    """Register a class of detectors under a name, as a decorator."""
    return _register(DETECTORS, name)


def find_class(registered: dict[str, type], name: str) -> type | None:
    """Find a class by its registered name, or import it.

    Args:
        registered: :data:`LANDMARKERS` or :data:`DETECTORS`.
        name: a registered name, or ``module:Class``.

    Returns:
        The class; None if the name is neither registered nor of the form ``module:Class``.

    Raises:
        ConfigError: there is no such module or class, or it cannot be used as one.
    """
    if name in registered:
        return registered[name]
    module, colon, attribute = name.partition(":")
    if not (colon and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        return None
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        way_out = "install its package, or set PYTHONPATH to its folder"
        raise ConfigError(f"{name}: cannot import {module} ({error}); {way_out}") from error
    if not isinstance(found, type):
        raise ConfigError(f"{name}: {module} has no class {attribute}; give module:Class")
    _require_usable(found, name)
    return found


def _register(registered: dict[str, type], name: str) -> Callable[[ClassT], ClassT]:
    def register(added: ClassT) -> ClassT:
        if name in registered and registered[name].__qualname__ != added.__qualname__:
            raise ConfigError(f"{name}: registered already, as {registered[name].__qualname__}; choose another name")
        _require_usable(added, name)
        registered[name] = added
        return added

    return register


def _require_usable(found: Any, name: str) -> None:
    if not callable(getattr(found, "find", None)):
        raise ConfigError(f"{name}: {found.__qualname__} has no method find; see toolkit.landmarks.protocols")
    try:
        inspect.signature(found).bind("config")
    except (TypeError, ValueError) as error:  # ValueError: a class of C code without a signature
        way_out = "its constructor must take one argument, the FindConfig"
        raise ConfigError(f"{name}: cannot construct {found.__qualname__} ({error}); {way_out}") from error
