"""A recipe in a user's file, with a network of its own: it trains, resumes, and other commands load its weights."""

import json
from pathlib import Path

import pytest
import torch

from models.registry import GENERATORS
from pipelines.weights.checkpoint import load_generator
from pipelines.weights.recipe_file import known_networks
from tests.conftest import Run
from tests.pipelines.train.recipes.runs import CPU, config, metrics, train
from toolkit.errors import CheckpointError, ConfigError
from toolkit.photos.decode import read_photo

OWN = Path(__file__).parents[4] / "examples" / "sharp_recipe.py"
SETTINGS = {"width": "4", "edge_weight": "2"}
OTHER = """
from torch import nn
from pipelines.train.recipes.registry import Entry

class Other(nn.Linear): ...

RECIPE = Entry(object, object, networks={NAME: CLASS})
"""


def other_recipe(path: Path, name: str, network: str = "Other") -> Path:
    path.write_text(OTHER.replace("NAME", repr(name)).replace("CLASS", network))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    """A run of two steps."""
    run = tmp_path_factory.mktemp("trained") / "run"
    train(config(dataset, str(OWN), settings=SETTINGS), run)
    return run


@pytest.fixture
def weights(trained: Path) -> Path:
    return trained / "generator.safetensors"


@pytest.mark.slow
def test_it_trains_and_resumes_exactly(trained: Path, weights: Path, dataset: Path, tmp_path: Path) -> None:
    assert {"l1", "edges", "val_psnr"} <= metrics(trained)[-1].keys()
    from pipelines.train.trainer import Training

    for _ in Training(config(dataset, str(OWN), settings=SETTINGS), tmp_path / "r", "cpu", 1).run(lambda: True):
        pass
    assert len(metrics(tmp_path / "r")) == 1
    train(config(dataset, str(OWN), settings=SETTINGS), tmp_path / "r")
    assert (tmp_path / "r" / "generator.safetensors").read_bytes() == weights.read_bytes()


def test_its_weights_are_a_start_for_another_run(trained: Path, dataset: Path, tmp_path: Path) -> None:
    train(config(dataset, str(OWN), steps=1, settings=SETTINGS, start_from=str(trained)), tmp_path / "r")
    with pytest.raises(ConfigError, match="does not fit this recipe"):
        train(config(dataset, str(OWN), settings={"width": "5"}, start_from=str(trained)), tmp_path / "wider")
    assert not (tmp_path / "wider").exists()


@pytest.mark.slow
def test_batch_and_evaluate_take_the_recipe_file(
    weights: Path, dataset: Path, photos: Path, tmp_path: Path, run: Run
) -> None:
    words = ["batch", photos / "ann", tmp_path / "out", "--model", weights, "--recipe", OWN, "--json"]
    assert json.loads(run(*words).stdout)["written"] == 3
    assert read_photo(tmp_path / "out" / "0.jpg").shape == (128, 128, 3)
    assert json.loads(run(*words).stdout)["skipped"] == 3
    words = ["evaluate", dataset, tmp_path / "page.html", "--model", weights, "--model", "raw", "--recipe", OWN]
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    assert [row["name"] for row in json.loads(result.stdout)["models"]] == ["run", "raw"]


@pytest.mark.slow
def test_a_changed_recipe_file_makes_batch_do_its_work_again(
    weights: Path, photos: Path, tmp_path: Path, run: Run
) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN.read_text())
    words = ["batch", photos / "ann", tmp_path / "out", "--model", weights, "--recipe", own, "--json"]
    assert json.loads(run(*words).stdout)["written"] == 3
    own.write_text(OWN.read_text() + "# changed\n")
    assert json.loads(run(*words).stdout)["written"] == 3


@pytest.mark.slow
def test_export_and_convert_take_the_recipe_file(trained: Path, weights: Path, tmp_path: Path, run: Run) -> None:
    half = tmp_path / "half.safetensors"
    result = run("convert", trained, half, "--recipe", OWN)
    assert result.exit_code == 0, result.stderr
    net, card = load_generator(half, CPU, known_networks(OWN))
    assert (card.architecture, card.shape) == ("skip_generator", {"width": 4})
    assert net(torch.zeros(1, 3, 128, 128)).shape == (1, 3, 128, 128)
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    result = run("export", trained, tmp_path / "net.onnx", "--recipe", OWN, "--json")
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["inputs"]) == ["image"]


def test_without_the_recipe_file_the_way_out_is_said(
    trained: Path, weights: Path, dataset: Path, photos: Path, tmp_path: Path, run: Run
) -> None:
    commands: list[list[object]] = [
        ["batch", photos / "ann", tmp_path / "out", "--model", weights],
        ["evaluate", dataset, tmp_path / "page.html", "--model", weights],
        ["convert", trained, tmp_path / "half.safetensors"],
        ["export", trained, tmp_path / "net.onnx"],
    ]
    for words in commands:
        result = run(*words)
        assert result.exit_code == 2, words
        said = " ".join(result.stderr.split())
        assert "its network skip_generator is defined in the recipe sharp_recipe.py" in said
        assert "add --recipe PATH/sharp_recipe.py" in said
        other = run(*words, "--recipe", other_recipe(tmp_path / "other.py", "other"))
        assert "the one given defines other" in " ".join(other.stderr.split())
        missing = run(*words, "--recipe", tmp_path / "missing.py")
        assert missing.exit_code == 2
        assert "missing.py: no such file" in " ".join(missing.stderr.split())


def test_a_weights_file_makes_nobody_run_code(weights: Path, tmp_path: Path) -> None:
    """The card names the recipe's path, which is there: it is not read."""
    assert load_generator(weights, CPU, known_networks(OWN))[1].recipe == str(OWN)
    with pytest.raises(CheckpointError, match="add --recipe"):
        load_generator(weights, CPU)


def test_names_and_classes_of_networks_are_checked(tmp_path: Path) -> None:
    assert known_networks(None) == GENERATORS
    with pytest.raises(ConfigError, match="'refiner' has the name of a built-in one"):
        known_networks(other_recipe(tmp_path / "a.py", "refiner"))
    with pytest.raises(ConfigError, match=r"'own' must be a subclass of torch\.nn\.Module"):
        known_networks(other_recipe(tmp_path / "b.py", "own", "int"))
    (tmp_path / "c.py").write_text("")
    with pytest.raises(ConfigError, match="must set RECIPE"):
        known_networks(tmp_path / "c.py")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('architecture = "skip_generator"|architecture = "skipgenerator"', "'skipgenerator' is no known network"),
        ('return {"width": self.config.width}|return {}', "is .* in the weights"),
        ('return {"width": self.config.width}|return {"width": 5000}', "must be an integer from 1 to 4096"),
        ('return {"width": self.config.width}|return {"breadth": 4}', "no skip_generator can be built"),
    ],
)
def test_a_generator_that_could_not_be_loaded_again_is_refused_before_training(
    change: str, says: str, dataset: Path, tmp_path: Path
) -> None:
    old, new = change.split("|")
    assert old in OWN.read_text()
    (tmp_path / "own.py").write_text(OWN.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=says):
        train(config(dataset, str(tmp_path / "own.py"), settings=SETTINGS), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_recipe_file_without_an_entry_is_refused(dataset: Path, tmp_path: Path, run: Run) -> None:
    words = ["train", dataset, tmp_path / "r", "--steps", 1, "--batch-size", 2, "--loader", "torch", "--recipe"]
    (tmp_path / "empty.py").write_text("")
    for path, says in ((tmp_path / "empty.py", "must set RECIPE"), (tmp_path / "no.py", "choose one of scaleway")):
        refused = run(*words, path)
        assert refused.exit_code == 2
        assert says in refused.stderr.replace("\n", " ")
