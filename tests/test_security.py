"""The promises of SECURITY.md that hold for the code as a whole."""

import ast
import re
from pathlib import Path

from pipelines.runtime.config import BulkConfig
from tests.conftest import Run
from toolkit.photos.decode import MAX_BYTES, MAX_PIXELS

ROOT = Path(__file__).parents[1]
PACKAGES = ("toolkit", "models", "pipelines")


def test_no_package_of_ours_unpickles_or_evaluates() -> None:
    """pickle, marshal, eval, exec and shells: each place where one is used is named here, with the reason."""
    allowed = {
        "pipelines/runtime/ray_backend.py",  # between our own processes, as Ray does
        "pipelines/export/legacy_pickle.py",  # an Unpickler that knows tensors and refuses every other name
        "pipelines/runtime/worker_pool.py",  # what our own worker processes say, through a pipe that nobody else has
        "pipelines/runtime/worker_process.py",
        "pipelines/weights/checkpoint.py",  # the name of an error
        "pipelines/export/convert_weights.py",  # likewise
    }
    words = (
        "import pickle",
        "from pickle",
        "import marshal",
        "import shelve",
        " eval(",
        " exec(",
        "os.system",
        "shell=True",
    )
    found = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if any(word in path.read_text() for word in words)
    }
    assert found == allowed
    loads = [
        line
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text().splitlines()
        if "torch.load(" in line
    ]
    assert loads and all("weights_only=True" in line for line in loads)


def test_a_tampered_model_ends_a_command_with_2_and_one_line(tmp_path: Path, photos: Path, run: Run) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 100)
    result = run("batch", photos, tmp_path / "out", "--model", tmp_path / "x.safetensors")
    assert result.exit_code == 2 and result.stderr.startswith("error: model ") and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_opencv_decodes_no_file_of_anybodys() -> None:
    """SECURITY.md: its JPEG reader has a known fault in the versions that MediaPipe lets us have."""
    words = ("cv2.imread", "cv2.imdecode", "cv2.VideoCapture", "torchvision.io")
    found = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if any(word in path.read_text() for word in words)
    }
    assert found == {
        "toolkit/photos/degrade.py",  # what it has just encoded itself
        "pipelines/bench/plain_loop.py",  # the loop that `bench --against plain` compares with
    }


def test_no_package_of_ours_knows_a_network() -> None:
    network = {"socket", "ssl", "http", "urllib", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "subprocess"}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {name.partition(".")[0] for name in names} & network, f"{path} imports {names}"


def test_every_promise_names_tests_that_are_there() -> None:
    rows = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(row.split("|")[1]) for row in rows] == list(range(1, len(rows) + 1))
    tests = [f"/{path.relative_to(ROOT)}" for path in (ROOT / "tests").rglob("test_*.py")]
    for row in rows:
        named = re.findall(r"`([\w/]*test_\w+\.py)`", row)
        assert named
        assert [name for name in named if sum(path.endswith(f"/{name}") for path in tests) != 1] == []


def test_the_bounds_are_those_that_are_promised() -> None:
    limits = BulkConfig().limits
    assert (limits.seconds, limits.memory) == (60, 1 << 30)
    assert (MAX_BYTES, MAX_PIXELS) == (512 << 20, 178_956_970)
