"""Landmarkers and detectors of a user, given by a registered name or as module:Class."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import ConfigError
from toolkit.faces.face import Face
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.detection import Detection
from toolkit.landmarks.finder import open_detector, open_landmarker
from toolkit.landmarks.protocols import DETECTORS, LANDMARKERS, Landmarker, register_detector, register_landmarker
from toolkit.landmarks.yunet import YuNet
from toolkit.photos.types import Image

MODULE = """
import numpy as np
from toolkit.landmarks.detection import Detection
from toolkit.landmarks.finder import FaceFinder

class Flipped:
    def __init__(self, config):
        self.finder, self.config = FaceFinder(config), config

    def find(self, photo, every=False):
        return self.finder.find(photo, every)

class Fixed:
    def __init__(self, config):
        self.points = np.full((6, 2), np.nan)

    def find(self, photo):
        return [Detection(0.9, 10.0, 20.0, 30.0, self.points)]

class Deaf:
    def __init__(self, config): ...

class Alone:
    def find(self, photo): ...

def function(config): ...
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_faces.py").write_text(MODULE)
    (tmp_path / "broken_faces.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def registered() -> Iterator[None]:
    """Leave the registries as they were."""
    before = dict(LANDMARKERS), dict(DETECTORS)
    yield
    for registry, names in zip((LANDMARKERS, DETECTORS), before, strict=True):
        registry.clear()
        registry.update(names)


def test_a_landmarker_is_imported_and_replaces_the_built_in_one(portrait: Image, landmarker: Landmarker) -> None:
    config = FindConfig(landmarker="own_faces:Flipped", min_presence=0.4)
    own = open_landmarker(pickle.loads(pickle.dumps(config)))
    assert type(own).__name__ == "Flipped"
    assert own.config.min_presence == 0.4  # type: ignore[attr-defined]
    [face], [built_in] = own.find(portrait), landmarker.find(portrait)
    np.testing.assert_array_equal(face.landmarks, built_in.landmarks)


def test_a_detector_is_asked_in_retries_and_named_in_the_pass(
    portrait: Image, landmarker: Landmarker, registered: None
) -> None:
    [face] = landmarker.find(portrait)
    landmarks = face.landmarks[:, :2]
    ears = landmarks[[234, 454]]
    points = np.concatenate([[landmarks[468], landmarks[473], landmarks[4], landmarks[[13, 14]].mean(axis=0)], ears])
    asked = []

    @register_detector("certain")
    class Certain:
        def __init__(self, config: FindConfig) -> None: ...

        def find(self, photo: Image) -> list[Detection]:
            asked.append(photo.shape)
            x, y = landmarks.mean(axis=0)
            return [Detection(1.0, float(x), float(y), face.size * 0.9, points)]

    config = FindConfig(detector="certain", min_detection=1.0)  # at which the built-in detectors find nothing
    [found] = open_landmarker(config).find(portrait)
    assert found.found_by == "certain"
    assert np.hypot(*(found.landmarks - face.landmarks)[:, :2].T).mean() < 0.02 * face.size
    assert asked == [portrait.shape]
    assert open_landmarker(FindConfig(min_detection=1.0)).find(portrait) == []


def test_registered_names_are_found_and_belong_to_one_class(registered: None) -> None:
    @register_landmarker("none")
    class Nothing:
        def __init__(self, config: FindConfig) -> None: ...

        def find(self, photo: Image, every: bool = False) -> list[Face]:
            return []

    assert isinstance(open_landmarker(FindConfig(landmarker="none")), Nothing)
    with pytest.raises(ConfigError, match="none: registered already, as .*Nothing; choose another name"):
        register_landmarker("none")(type("Other", (Nothing,), {}))
    with pytest.raises(ConfigError, match="no such file; give a model file, one of the registered names .none., "):
        FindConfig(landmarker="nothing")
    config = FindConfig(landmarker="none")
    LANDMARKERS.clear()  # as in a worker process that has not imported the module
    with pytest.raises(ConfigError, match="landmarker none: not registered in this process; give module:Class"):
        open_landmarker(config)


def test_an_imported_detector_gets_the_config() -> None:
    detector = open_detector(FindConfig(detector="own_faces:Fixed"))
    assert detector.find(np.zeros((9, 9, 3), np.uint8))[0].side == 30
    assert isinstance(open_detector(FindConfig()), YuNet)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_module:Flipped", "cannot import no_module .* set PYTHONPATH to its folder"),
        ("broken_faces:Flipped", "cannot import broken_faces .No module named 'no_such_package'"),
        ("own_faces:Missing", "own_faces has no class Missing; give module:Class"),
        ("own_faces:function", "own_faces has no class function"),
        ("own_faces:Deaf", "Deaf has no method find; see toolkit.landmarks.protocols"),
        ("own_faces:Alone", "cannot construct Alone .* its constructor must take one argument, the FindConfig"),
        ("own_faces", "no such file; give a model file, module:Class, or leave it out"),
        ("own_faces:", "no such file"),
        ("../own:Flipped", "no such file"),
    ],
)
@pytest.mark.parametrize("option", ["detector", "landmarker"])
def test_wrong_names_are_setup_errors(option: str, name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"^{option} {name}: .*{says}"):
        FindConfig(**{option: name})  # type: ignore[arg-type]


def test_a_landmarker_and_a_detector_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="give one of the two"):
        FindConfig(landmarker="own_faces:Flipped", detector="own_faces:Fixed")
