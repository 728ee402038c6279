"""Files that somebody changed: weights, checkpoints, tables, configs, models. Each is refused in words."""

import ast
import io
import json
import os
import pickle
import random
import re
import resource
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.attribute_gan import AttributeGenerator
from pipelines.export.convert_weights import convert_weights
from pipelines.pairs.build import build_pairs
from pipelines.pairs.config import PairsConfig
from pipelines.runtime.config import BulkConfig
from pipelines.train.run_folder import Metrics, claim_run
from pipelines.weights.checkpoint import GeneratorCard, load_generator, load_state, save_generator, save_state
from pipelines.weights.normalization import Normalization
from tests.conftest import Run
from toolkit.errors import CheckpointError, ConfigError, DatasetError
from toolkit.identity.recognizer import Recognizer
from toolkit.landmarks.mediapipe_tasks import TaskLandmarker
from toolkit.landmarks.yunet import YuNet
from toolkit.photos.decode import MOST_BYTES, MOST_PIXELS
from toolkit.records.labels import read_labels
from toolkit.records.ledger import MOST_LINE, read_ledger
from toolkit.records.subject_rules import subject_rule

CPU = torch.device("cpu")
CARD = GeneratorCard(
    architecture="attributes",
    image_size=64,
    template="chin",
    normalization=Normalization(),
    recipe="attributes",
    step=1,
    shape={"attributes": 2, "image_size": 64},
)


@contextmanager
def little_memory(room: int) -> Iterator[None]:
    """So many bytes more, and a reader that takes them fails."""
    status = Path("/proc/self/status").read_text()
    used = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData:"))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "generator.safetensors"
    save_generator(path, AttributeGenerator(2, 64), CARD)
    return path


def with_card(weights: Path, path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The same tensors with another card."""
    card = json.loads(safe_metadata(weights))
    change(card)
    save_file(load_file(weights), path, metadata={"card": json.dumps(card)})
    return path


def safe_metadata(weights: Path) -> str:
    data = weights.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return str(header["__metadata__"]["card"])


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(shape={"attributes": 10**9, "image_size": 64}),
        lambda card: card.update(shape={"attributes": -1, "image_size": 64}),
        lambda card: card.update(shape={"attributes": 2.5}),
        lambda card: card.update(shape={"attributes": 3, "image_size": 64}),
        lambda card: card.update(shape={"attributes": 2, "image_size": 4096}),
        lambda card: card.update(shape={"width": 2}),
        lambda card: card.update(shape=[2]),
        lambda card: card.update(architecture=["attributes"]),
        lambda card: card.update(architecture="refiner"),
        lambda card: card.update(architecture="os.system"),
        lambda card: card.update(template={}),
        lambda card: card.update(image_size=10**12),
        lambda card: card.update(load_size="64"),
        lambda card: card.update(normalization={"mean": 0, "scale": 0}),
        lambda card: card.update(normalization={"mean": float("nan"), "scale": 1}),
        lambda card: card.update(normalization=None),
        lambda card: card.update(schema="new"),
        lambda card: card.update(schema=99),
        lambda card: card.pop("step"),
        lambda card: card.update(surprise=1),
        lambda card: card.clear(),
    ],
)
def test_a_card_that_was_changed_is_refused_and_asks_for_no_memory(
    change: Callable[[dict[str, Any]], object], weights: Path, tmp_path: Path
) -> None:
    path = with_card(weights, tmp_path / "x.safetensors", change)
    with pytest.raises(CheckpointError, match=r"^model .*x\.safetensors: "), little_memory(64 << 20):
        load_generator(path, CPU)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", "[" * 100_000, '"x"'])
def test_a_card_that_is_no_card_is_refused(text: str, weights: Path, tmp_path: Path) -> None:
    save_file(load_file(weights), tmp_path / "x.safetensors", metadata={"card": text})
    with pytest.raises(CheckpointError, match=r"its card is damaged"):
        load_generator(tmp_path / "x.safetensors", CPU)


def test_weights_of_another_shape_are_refused_by_name(weights: Path, tmp_path: Path) -> None:
    tensors = load_file(weights)
    first = next(iter(sorted(tensors)))
    for name, changed in (
        (first, tensors | {first: torch.zeros(1)}),
        ("extra", tensors | {"extra": torch.zeros(1)}),
        (first, {name: value for name, value in tensors.items() if name != first}),
    ):
        save_file(changed, tmp_path / "x.safetensors", metadata={"card": safe_metadata(weights)})
        with pytest.raises(CheckpointError, match=f"{name} is .* in the file, .* in the attributes of its card"):
            load_generator(tmp_path / "x.safetensors", CPU)


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_no_pickle_of_a_checkpoint_runs(legacy: bool, tmp_path: Path) -> None:
    state = {"schema": 1, "recipe": _Bomb(tmp_path / "ran")}
    torch.save(state, tmp_path / "x.ckpt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_state(tmp_path / "x.ckpt")
    (tmp_path / "y.ckpt").write_bytes(pickle.dumps(state))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_state(tmp_path / "y.ckpt")
    for name in ("x.ckpt", "y.ckpt"):
        with pytest.raises(CheckpointError):
            convert_weights(tmp_path / name, tmp_path / "out.safetensors")
        with pytest.raises(CheckpointError):
            load_generator(tmp_path / name, CPU)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    save_state(tmp_path / "x.ckpt", {"step": 1, "zeros": torch.zeros(8 << 20)})
    with zipfile.ZipFile(tmp_path / "x.ckpt") as whole, zipfile.ZipFile(tmp_path / "y.ckpt", "w") as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name), zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="compressed"), little_memory(16 << 20):
        load_state(tmp_path / "y.ckpt")


def test_a_pickle_of_few_bytes_takes_little_memory(tmp_path: Path) -> None:
    """Its reader makes room for the highest number that a part is given: here sixty gigabytes."""
    (tmp_path / "x.pt").write_bytes(b"\x80\x02Nr\xff\xff\xff\xff.")
    with pytest.raises(CheckpointError, match="numbers more than"):
        convert_weights(tmp_path / "x.pt", tmp_path / "out.safetensors")


@pytest.mark.parametrize("kind", ["state", "weights", "legacy"])
def test_damage_anywhere_is_refused_or_harmless(kind: str, weights: Path, tmp_path: Path) -> None:
    path, rng = tmp_path / "x", random.Random(kind)
    read: Callable[[], object]
    if kind == "state":
        save_state(path, {"step": 3, "recipe": torch.nn.Linear(3, 3).state_dict(), "random": torch.get_rng_state()})
        data, head, read = path.read_bytes(), None, lambda: load_state(path)
    elif kind == "weights":
        data, head, read = weights.read_bytes(), 4000, lambda: load_generator(path, CPU)
    else:
        buffer = io.BytesIO()
        torch.save(torch.nn.Linear(3, 3).state_dict(), buffer, _use_new_zipfile_serialization=False)
        data, head, read = buffer.getvalue(), None, lambda: convert_weights(path, tmp_path / "out.safetensors")
    for number in range(10 if kind == "weights" else 100):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 3, 20))):
            changed[rng.randrange(head or len(data))] = rng.randrange(256)
        path.write_bytes(changed[: rng.randrange(len(data))] if number % 5 == 0 else changed)
        try:
            read()
        except CheckpointError as error:
            assert str(path) in str(error)


def test_a_state_of_another_recipe_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match="holds a list, no training state"):
        load_state(tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a table"),
        (b"\x00\xff\xfe" * 99, "not a table"),
        (b"file,subject,role\n" + b'"' + b"x" * 200_000, "field larger than field limit"),
        (b"file,subject,role\na.jpg\n", "line 2 has 1 cells"),
    ],
)
def test_tables_of_labels_that_are_none_are_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=said):
        read_labels(tmp_path)


@pytest.mark.parametrize("cell", ["1e999", "-inf", "1e300", "x", "0x10", "9" * 5000])
def test_labels_that_are_no_numbers_are_refused(cell: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"file,subject,role,yaw\na.jpg,a,target,{cell}\n")
    with pytest.raises(DatasetError, match="not a number"):
        read_labels(tmp_path).numbers("yaw", ["a.jpg"])


def test_tables_and_models_beyond_their_bounds_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").touch()
    os.truncate(tmp_path / "labels.csv", 5 << 30)  # a hole: takes no room on disk
    with pytest.raises(DatasetError, match="bytes, the bound is"):
        read_labels(tmp_path)
    (tmp_path / "model").touch()
    os.truncate(tmp_path / "model", 2 << 30)
    for reader in (Recognizer, YuNet, TaskLandmarker):
        with pytest.raises(ConfigError, match="bytes, the bound is"):
            reader(tmp_path / "model")


@pytest.mark.parametrize("content", [b"", b"\x08\x07", b"\xff" * 1000, b"PK\x03\x04" + bytes(99)])
def test_models_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(content)
    for reader in (Recognizer, YuNet, TaskLandmarker):
        with pytest.raises(ConfigError, match="model: "):
            reader(tmp_path / "model")


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, "null", '{"a": 1}', "\ud800"])
def test_a_config_that_was_changed_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content, errors="surrogatepass")
    with pytest.raises(ConfigError, match="config"):
        claim_run(tmp_path, {"steps": 1})


def test_damaged_lines_of_metrics_are_dropped(tmp_path: Path) -> None:
    lines = ['{"step": 1}', "{not json}", '{"step": "x"}', "[1]}", "{}", '{"step": 2}', '{"step": 9}', '{"st']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    Metrics(tmp_path, 5).close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a,b\n1,2\n", b'file,subject\n"' + b"x" * 200_000])
def test_tables_of_subjects_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "who.csv").write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read as a CSV"):
        subject_rule(str(tmp_path / "who.csv"))


@pytest.mark.parametrize(
    "row",
    [
        {"status": "done"},
        {"input": ["a"]},
        {"input": 7},
        {"outputs": "a.jpg"},
        {"outputs": [7]},
        {"faces": [7]},
        {"faces": [{"yaw": "left"}]},
        {"faces": [{"yaw": float("inf")}]},
        {"reason": None},
        {"settings": []},
    ],
)
def test_rows_that_no_run_of_ours_writes_are_passed_over(row: dict[str, Any], tmp_path: Path) -> None:
    good = {"input": "b.jpg", "status": "written"}
    lines = [json.dumps({"input": "a.jpg", "status": "written"} | row), "[" * 100_000, json.dumps(good)]
    (tmp_path / "ledger.jsonl").write_text("\n".join(lines) + "\n")
    assert [outcome.input for outcome in read_ledger(tmp_path)] == ["b.jpg"]


def test_a_line_without_end_is_read_in_pieces(tmp_path: Path) -> None:
    with (tmp_path / "ledger.jsonl").open("wb") as file:
        file.write(b'{"input": "' + b"x" * (3 * MOST_LINE))
        file.write(b'"}\n{"input": "b.jpg", "status": "written"}\n')
    with little_memory(5 * MOST_LINE):
        assert [outcome.input for outcome in read_ledger(tmp_path)] == ["b.jpg"]


def test_crops_of_a_ledger_that_was_changed_are_refused_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"mine")
    crops = tmp_path / "crops"
    crops.mkdir()
    face = dict.fromkeys(("yaw", "pitch", "roll", "sharpness", "eyes_open", "mouth_open"), 0.1)
    rows = [
        {"input": "a/1.jpg", "status": "written", "outputs": ["../secret.jpg"], "faces": [face]},
        {"input": "a/2.jpg", "status": "written", "outputs": ["a/2.jpg", "a/3.jpg"], "faces": [{"sharpness": 1}]},
    ]
    (crops / "ledger.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.raises(ConfigError, match="finds no subject with two photos among 0 crops"):
        build_pairs(crops, crops, tmp_path / "set", PairsConfig(subjects="folders"), overwrite=False)


def test_all_weights_that_come_along_fit_their_cards() -> None:
    import models

    built_in = Path(models.__file__).parent / "weights" / "refiner.safetensors"
    net, card = load_generator(built_in, CPU)
    assert card == replace(card) and sum(value.numel() for value in net.state_dict().values()) > 2_000_000


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
    root = Path(__file__).parents[1]
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
        str(path.relative_to(root))
        for package in ("toolkit", "models", "pipelines")
        for path in (root / package).rglob("*.py")
        if any(word in path.read_text() for word in words)
    }
    assert found == allowed
    loads = [
        line
        for package in ("toolkit", "models", "pipelines")
        for path in (root / package).rglob("*.py")
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
    root = Path(__file__).parents[1]
    words = ("cv2.imread", "cv2.imdecode", "cv2.VideoCapture", "torchvision.io")
    found = {
        str(path.relative_to(root))
        for package in ("toolkit", "models", "pipelines")
        for path in (root / package).rglob("*.py")
        if any(word in path.read_text() for word in words)
    }
    assert found == {"toolkit/photos/degrade.py"}  # what it has just encoded itself


def test_no_package_of_ours_knows_a_network() -> None:
    root = Path(__file__).parents[1]
    network = {"socket", "ssl", "http", "urllib", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "subprocess"}
    for package in ("toolkit", "models", "pipelines"):
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {name.partition(".")[0] for name in names} & network, f"{path} imports {names}"


def test_every_promise_names_tests_that_are_there() -> None:
    root = Path(__file__).parents[1]
    rows = [line for line in (root / "SECURITY.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(row.split("|")[1]) for row in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)`", row)
        assert named and all((root / "tests" / name).is_file() for name in named)


def test_the_bounds_are_those_that_are_promised() -> None:
    limits = BulkConfig().limits
    assert (limits.seconds, limits.memory) == (60, 1 << 30)
    assert (MOST_BYTES, MOST_PIXELS) == (512 << 20, 178_956_970)
