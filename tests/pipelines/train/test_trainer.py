import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipelines.train.config import TrainConfig
from pipelines.train.recipes.registry import recipe_settings
from pipelines.train.recipes.scaleway import ScalewayConfig
from pipelines.train.recipes.settings import with_settings
from pipelines.train.trainer import Training, total_steps
from pipelines.weights.checkpoint import load_generator, load_state
from tests.conftest import FRONTALIZE, Run
from tests.killing import end_halfway
from toolkit.errors import ConfigError
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8]) -> Path:
    """Two people, four inputs each: the target, darker and shifted."""
    root = tmp_path_factory.mktemp("set")
    for person, face in (("ann", portrait[50:178, 160:288]), ("bea", portrait[50:178, 160:288][:, ::-1])):
        (root / person).mkdir()
        (root / f"{person}.jpg").write_bytes(encode_image(face, ".jpg"))
        for number in range(4):
            shifted = np.asarray(np.roll(face, 6 * number, axis=1) // (1 + number % 2), np.uint8)
            (root / person / f"{number}.jpg").write_bytes(encode_image(shifted, ".jpg"))
    return root


def config(dataset: Path, **changes: object) -> TrainConfig:
    settings: dict[str, object] = {
        "dataset": str(dataset),
        "steps": 6,
        "batch_size": 4,
        "log_every": 1,
        "save_every": 2,
    }
    return TrainConfig(**{**settings, **changes})  # type: ignore[arg-type]


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def undisturbed(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("run") / "r"
    list(Training(config(dataset), run, "cpu", 2).run(never))
    return run


def test_a_run_leaves_what_the_contract_says(undisturbed: Path) -> None:
    assert json.loads((undisturbed / "config.json").read_text())["recipe_config"]["gan_weight"] == 5e-4
    assert [row["step"] for row in metrics(undisturbed)] == [1, 2, 3, 4, 5, 6]
    assert list(undisturbed.glob("events.out.tfevents.*"))
    assert read_photo(undisturbed / "samples" / "000006.jpg").shape == (3 * 128, 8 * 128, 3)
    assert load_state(undisturbed / "checkpoints" / "last.ckpt")["step"] == 6
    net, card = load_generator(undisturbed / "generator.safetensors", torch.device("cpu"))
    assert (card.recipe, card.template, card.image_size, card.step) == ("scaleway", "chin", 128, 6)
    assert (card.normalization.mean, card.normalization.scale) == (128, 128)
    assert not net.training


@pytest.mark.slow
def test_stopped_and_resumed_equals_undisturbed_bit_for_bit(undisturbed: Path, dataset: Path, tmp_path: Path) -> None:
    whole, parts = undisturbed, tmp_path / "parts"
    seen: list[int] = []
    for stop_after in (3, 4, 99):
        training = Training(config(dataset), parts, "cpu", 2)
        for now in training.run(lambda limit=stop_after: len(seen) + 1 >= limit):  # type: ignore[misc]
            seen.append(now.step)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert metrics(parts) == metrics(whole)
    assert (parts / "generator.safetensors").read_bytes() == (whole / "generator.safetensors").read_bytes()


@pytest.mark.slow
def test_kill_nine_and_the_same_command_again_equals_undisturbed(
    undisturbed: Path, dataset: Path, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "r"
    words = ["train", dataset, folder, "--steps", 6, "--batch-size", 4, "--save-every", 2, "--quiet"]
    checkpoint = folder / "checkpoints" / "last.ckpt"
    end_halfway([*FRONTALIZE, *words], folder, checkpoint.exists, lambda: load_state(checkpoint)["step"] < 6)
    assert run(*words).exit_code == 0
    assert (folder / "generator.safetensors").read_bytes() == (undisturbed / "generator.safetensors").read_bytes()


@pytest.mark.slow
def test_it_learns(dataset: Path, tmp_path: Path) -> None:
    quick = {"learning_rate": "1e-3"}
    list(Training(config(dataset, steps=24, save_every=24, settings=quick), tmp_path / "r", "cpu", 2).run(never))
    errors = [row["l2"] for row in metrics(tmp_path / "r")]
    assert np.mean(errors[-3:]) < 0.5 * np.mean(errors[:3])


def test_another_config_for_the_same_run_is_refused_with_the_difference(
    undisturbed: Path, dataset: Path, run: Run
) -> None:
    before = (undisturbed / "config.json").read_bytes()
    result = run("train", dataset, undisturbed, "--steps", 6, "--batch-size", 3, "--save-every", 2)
    assert result.exit_code == 2
    assert "batch_size 4 there, 3 now" in result.stderr.replace("\n", " ")
    assert (undisturbed / "config.json").read_bytes() == before


def test_foreign_folders_are_not_written_to(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="not empty and holds no config.json"):
        Training(config(dataset), tmp_path, "cpu", 2)


def test_settings_reach_the_recipe_with_typed_errors() -> None:
    changed = with_settings(ScalewayConfig, {"l1_weight": "1", "epochs": "3"})
    assert (changed.l1_weight, changed.epochs) == (1.0, 3)
    with pytest.raises(ConfigError, match="no such setting; this recipe has schedule"):
        with_settings(ScalewayConfig, {"l3_weight": "1"})
    with pytest.raises(ConfigError, match="must be of type float or none"):
        with_settings(ScalewayConfig, {"l1_weight": "much"})
    with pytest.raises(ConfigError, match="this network has one size, 128"):
        with_settings(ScalewayConfig, {"image_size": "64"})


def test_duration_is_counted_in_steps_or_epochs(dataset: Path) -> None:
    by_steps = config(dataset)
    assert total_steps(by_steps, recipe_settings(by_steps), 8, 4) == 6
    by_epochs = config(dataset, steps=None, epochs=3)
    assert total_steps(by_epochs, recipe_settings(by_epochs), 9, 4) == 7  # 27 pairs in batches of 4
    published = config(dataset, steps=None, batch_size=None)
    assert total_steps(published, recipe_settings(published), 300, 30) == 300
    with pytest.raises(ConfigError, match="give one of the two"):
        config(dataset, epochs=2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--recipe", "magic"], "no such recipe; choose one of scaleway"),
        (["--device", "cuda:7"], "sees"),
        (["--device", "tpu"], "choose auto, cpu, cuda or cuda:i"),
        (["--set", "l1_weight"], "must be key=value"),
        (["--steps", "0"], "steps=0: must be 1 or more"),
        (["--batch-size", "1"], "batch normalization needs 2"),
    ],
)
def test_a_wrong_set_up_exits_2_and_leaves_no_run(
    words: list[str], says: str, dataset: Path, run: Run, tmp_path: Path
) -> None:
    result = run("train", dataset, tmp_path / "r", *words)
    assert result.exit_code == 2
    assert says in result.stderr.replace("\n", " ")
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_bf16_trains_too(dataset: Path, tmp_path: Path) -> None:
    [first, *_] = Training(config(dataset, steps=2, precision="bf16"), tmp_path / "r", "cpu", 2).run(never)
    assert all(np.isfinite(value) for value in first.losses.values())


def test_a_run_whose_folder_is_moved_meanwhile_ends_with_all_that_a_later_one_needs(
    dataset: Path, undisturbed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "r"
    for progress in Training(config(dataset), run, "cpu", 2).run(never):
        if progress.step == 3:
            run.rename(tmp_path / "elsewhere")
    for name in ("config.json", "generator.safetensors"):
        assert (run / name).read_bytes() == (undisturbed / name).read_bytes()
    assert [row["step"] for row in metrics(run)] == [4, 5, 6]
    assert list(run.glob("events.out.tfevents.*"))
    assert Training(config(dataset), run, "cpu", 2).done == 6
