"""What the tests share: a real portrait from scikit-image's wheel, and the shared data where it is present."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data
from typer.testing import CliRunner, Result

from pipelines.runtime import config
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.files import encode_image

# Tests run in two processes and train small networks: threads inside each would only fight over the cores.
# Set before torch is loaded; the commands that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(os.environ.get("FRONTALIZE_SHARED", "../shared")).resolve() / "data"

FRONTALIZE = [sys.executable, "-c", "from pipelines.cli import main; main()"]  # as a process of its own

# A command that a test calls in this process takes one worker unless told otherwise, not one for each core: each needs
# half a second of processor time to start, and two processes of tests keep two cores busy. Processes that tests start
# see all cores.
pytest.MonkeyPatch().setattr(config, "os", SimpleNamespace(sched_getaffinity=lambda process: {0}))

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """Eileen Collins, NASA, public domain: one frontal face in 512 x 512 px."""
    return np.asarray(data.astronaut(), np.uint8)


@pytest.fixture(scope="session")
def landmarker() -> Landmarker:
    return open_landmarker()


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"no shared data in {SHARED}; set FRONTALIZE_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def run() -> Run:
    """Call the command line as a user would, and see its exit code, stdout and stderr."""
    from pipelines.cli import app  # not before the patch above: it reads the defaults

    def call(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    return call


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8]) -> Path:
    """A small collection: two people (the second is the first, mirrored), one photo without a face, one damaged."""
    root = tmp_path_factory.mktemp("photos")
    for person, image in (("ann", portrait), ("bea", portrait[:, ::-1])):
        (root / person).mkdir()
        for number, shift in enumerate((0, 20, 40)):
            (root / person / f"{number}.jpg").write_bytes(encode_image(image[: 400 - shift, shift:], ".jpg", 90))
    (root / "coffee.png").write_bytes(encode_image(np.asarray(data.coffee(), np.uint8), ".png"))
    (root / "cut.jpg").write_bytes(encode_image(portrait, ".jpg")[:20_000])
    (root / "notes.txt").write_text("not a photo")
    return root


@pytest.fixture(scope="session")
def small_photos(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8]) -> Path:
    """Two photos of 200 px, for work that searches a photo for all its faces."""
    root = tmp_path_factory.mktemp("small")
    half = cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for number in range(2):
        photo = np.asarray(half[: 200 - 10 * number, 10 * number :], np.uint8)
        (root / f"{number}.jpg").write_bytes(encode_image(photo, ".jpg", 90))
    return root


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator with drawn weights: its faces are noise, but each depends on its input."""
    import torch  # not above: see OMP_NUM_THREADS

    from models.encoder_decoder import EncoderDecoder
    from pipelines.weights.checkpoint import GeneratorCard, save_generator
    from pipelines.weights.normalization import Normalization

    torch.manual_seed(0)
    net = EncoderDecoder()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(8, 3, 128, 128))  # batch norm meets data, or all outputs would be the same grey
    path = tmp_path_factory.mktemp("weights") / "generator.safetensors"
    card = GeneratorCard(
        architecture="encoder_decoder",
        image_size=128,
        template="chin",
        normalization=Normalization(128, 128),
        recipe="scaleway",
        step=0,
    )
    save_generator(path, net, card)
    return path


def tree(root: Path) -> dict[str, bytes]:
    """All files of an output folder but its ledger, by path."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "ledger.jsonl")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def touch(root: Path, *names: str) -> Path:
    """Make empty files in a folder, with the folders between, and return the folder."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root
