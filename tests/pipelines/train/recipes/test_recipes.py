"""Every recipe of SYSTEMS.md: that it steps as written there, resumes bit for bit, and leaves weights that work."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from models.losses import contrastive, names
from models.siamese import SiameseGenerator
from pipelines.runtime.devices import open_fabric
from pipelines.train.config import RECIPE_NAMES, TrainConfig
from pipelines.train.data.batches import PairBatch
from pipelines.train.recipes.contour import WEIGHT, contour_weights
from pipelines.train.recipes.multitask import MultitaskConfig
from pipelines.train.recipes.recipe import Clock, TrainingSet, Workshop, fading, halved
from pipelines.train.recipes.registry import RECIPES, make_recipe, recipe_settings
from pipelines.train.recipes.scaleway import ScalewayConfig
from pipelines.train.recipes.settings import with_settings
from pipelines.train.recipes.siamese import SiameseConfig
from pipelines.train.recipes.siamese_gan import SiameseGanConfig
from pipelines.train.trainer import PATIENCE, Training, Watch
from pipelines.weights.checkpoint import GeneratorCard, load_generator, save_generator
from pipelines.weights.normalization import Normalization
from tests.conftest import Run
from toolkit.errors import CheckpointError, ConfigError, TrainingDiverged
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.records.labels import write_labels
from toolkit.records.subjects import mask_of, read_pairs

CPU = torch.device("cpu")


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8], run: Run) -> Path:
    """Three people in a few poses, lamps and traits, divided."""
    root = tmp_path_factory.mktemp("set")
    rows = []
    for number, person in enumerate(("ann", "bea", "cid")):
        face = np.ascontiguousarray(np.roll(portrait[50:178, 160:288], number, axis=2)[:, :: -1 if number else 1])
        (root / person).mkdir()
        for name, yaw, shift in ((f"{person}.jpg", 0, 0), *((f"{person}/{yaw}.jpg", yaw, yaw) for yaw in (-30, 0, 45))):
            (root / name).write_bytes(encode_image(np.roll(face, shift // 3, axis=1), ".jpg"))
            if "/" in name:
                (root / mask_of(name)).write_bytes(encode_image(face[:, :, 0], ".png"))
            row = {"file": name, "subject": person, "role": "input" if "/" in name else "target", "yaw": yaw}
            lamp = {"light": 10 * number, "light_strength": 0.5} if yaw else {}
            rows.append(row | lamp | {"attr_Male": number % 2, "attr_Smiling": 1})
    write_labels(root, rows)
    assert run("pairs", "split", root, "--val", "1").exit_code == 0
    return root


def config(dataset: Path, recipe: str, **changes: object) -> TrainConfig:
    settings: dict[str, object] = {
        "dataset": str(dataset),
        "recipe": recipe,
        "steps": 2,
        "batch_size": 2,
        "log_every": 1,
        "save_every": 1,
        "validate_every": 2,
        "loader": "torch",
    }
    return TrainConfig(**{**settings, **changes})  # type: ignore[arg-type]


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def train(config: TrainConfig, run: Path) -> None:
    for _ in Training(config, run, "cpu", 1).run(never):
        pass


def kill_nine(config: TrainConfig, run: Path) -> None:
    """Train in a process that is killed at a random moment after its first step."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_recipes"])  # torch is imported once for all of them
    process = context.Process(target=train, args=(config, run))
    process.start()
    while not ((run / "metrics.jsonl").exists() and metrics(run)):
        assert process.is_alive()
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.2))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("recipe", RECIPE_NAMES)
def test_a_run_killed_and_resumed_equals_an_undisturbed_one_bit_for_bit(
    recipe: str, dataset: Path, tmp_path: Path
) -> None:
    settings = {"refiner": {"alone": "1", "strangers": "1"}, "scaleway": {}, "attributes": {"channels": "16"}}
    changes = {"ema": 0.5, "settings": settings.get(recipe, {"mirror": "0.5"})}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(config(dataset, recipe, **changes), whole)
    kill_nine(config(dataset, recipe, **changes), parts)
    train(config(dataset, recipe, **changes), parts)
    assert metrics(parts) == metrics(whole)
    assert [row["step"] for row in metrics(whole)] == [1, 2]
    assert all(np.isfinite(value) for row in metrics(whole) for value in row.values())
    assert (parts / "generator.safetensors").read_bytes() == (whole / "generator.safetensors").read_bytes()
    validated = {name for name in metrics(whole)[-1] if name.startswith("val_")}
    assert validated == (set() if recipe == "attributes" else {"val_l1", "val_l2", "val_psnr", "val_ssim"})
    net, card = load_generator(whole / "generator.safetensors", CPU)
    assert card.recipe == recipe
    if recipe == "attributes":
        assert card.shape["channels"] == 16
        assert net(torch.ones(1, 2)).shape == (1, 3, 64, 64)
    else:
        size = card.image_size
        masks = [torch.zeros(1, 1, size, size)] if recipe == "refiner" else []
        assert net(torch.zeros(1, 3, size, size), *masks).shape == (1, 3, size, size)
        assert card.load_size == (128 if size == 128 else 100)
    if recipe == "multitask":  # a row for every pose
        assert read_photo(whole / "samples" / "000001_multitask.jpg").shape == (9 * 96, 3 * 96, 3)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of siamese that has not learned anything yet."""
    run = tmp_path_factory.mktemp("untrained")
    torch.manual_seed(0)
    card = GeneratorCard(
        architecture="siamese",
        image_size=96,
        load_size=100,
        template="chin",
        normalization=Normalization(),
        recipe="siamese",
        step=0,
    )
    save_generator(run / "generator.safetensors", SiameseGenerator(), card)
    return run


def test_a_generator_trained_on_windows_is_fed_windows(untrained: Path, tmp_path: Path, photos: Path, run: Run) -> None:
    words = ["batch", photos / "ann", tmp_path / "out", "--model", untrained / "generator.safetensors", "--json"]
    result = run(*words)
    assert json.loads(result.stdout)["written"] == 3, result.stderr
    assert read_photo(tmp_path / "out" / "0.jpg").shape == (96, 96, 3)


@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_the_contour_phase_starts_from_a_run_and_moves_the_decoder_alone(
    loss: str, dataset: Path, untrained: Path, tmp_path: Path
) -> None:
    later = {"phase": "contour", "contour_loss": loss}
    train(config(dataset, "siamese", steps=1, start_from=str(untrained), settings=later), tmp_path / "third")
    (before, _), (after, _) = (
        load_generator(run / "generator.safetensors", CPU) for run in (untrained, tmp_path / "third")
    )
    old, new = before.state_dict(), after.state_dict()
    moved = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert moved == {"decoder"}
    losses = {name for name in metrics(tmp_path / "third")[0] if not name.startswith("val_")}
    assert losses == {"step", "contour"}
    with pytest.raises(CheckpointError, match="does not fit"):
        Training(config(dataset, "multitask", start_from=str(untrained)), tmp_path / "other", "cpu", 1)


def test_the_contour_is_where_the_faces_end(dataset: Path) -> None:
    root = dataset / "train"
    weights = contour_weights(TrainingSet(root, read_pairs(root), None), 96)
    assert weights.shape == (1, 1, 96, 96)
    assert weights.min() == 1
    assert weights.max() == WEIGHT
    assert weights[0, 0, 40, 44:52].max() == 1  # the nose is inside


def test_accumulated_batches_make_one_step_of_a_larger_one(dataset: Path, tmp_path: Path) -> None:
    """Without batch norm in between (l2 of a frozen net's decoder would not do): the gradients' means must agree."""
    train(config(dataset, "scaleway", steps=2, accumulate=2), tmp_path / "r")
    assert [row["step"] for row in metrics(tmp_path / "r")] == [1, 2]
    net = torch.nn.Linear(3, 1)
    start = {name: value.clone() for name, value in net.state_dict().items()}
    fabric, data = open_fabric("32", "cpu", 1), torch.randn(4, 3)
    results = []
    for accumulate in (1, 2):
        net.load_state_dict(start)
        trainee = Workshop(fabric, accumulate).trainee(net, 0.1, (0.9, 0.999))
        for part in data.chunk(accumulate):
            trainee.descend(trainee.net(part).square().mean())
        results.append(net.weight.detach().clone())
    torch.testing.assert_close(*results)


def test_what_fools_a_judge_does_not_move_it() -> None:
    fabric = open_fabric("32", "cpu", 1)
    workshop = Workshop(fabric, accumulate=2)
    maker, judge = (workshop.trainee(torch.nn.Linear(2, 2), 0.1, (0.5, 0.999)) for _ in range(2))
    made = maker.net(torch.ones(1, 2))
    maker.descend(judge.consult(made).sum())
    assert all(parameter.grad is None for parameter in judge.raw.parameters())
    assert all(parameter.grad is not None for parameter in maker.raw.parameters())


@pytest.mark.parametrize(
    ("schedule", "weights"),
    [
        ("constant", [(5e-4, 0, 1)] * 5),
        ("odd-epochs", [(1e-3, 1, 1), (0, 1, 1), (1e-3, 1, 1), (0, 1, 1), (1e-3, 1, 1)]),
        ("two-phase", [(5e-4, 0, 1)] * 3 + [(0, 1, 1)] * 2),
    ],
)
def test_the_published_schedules(schedule: str, weights: list[tuple[float, float, float]]) -> None:
    settings = with_settings(ScalewayConfig, {"schedule": schedule})
    assert [settings.weights(epoch) for epoch in range(5)] == weights
    assert settings.epochs == {"constant": 30, "odd-epochs": 18, "two-phase": 5}[schedule]


def test_the_published_settings_are_the_defaults() -> None:
    first = SiameseConfig()
    assert (first.learning_rate, first.beta1, first.batch_size, first.steps) == (1e-4, 0.7, 48, 70_000)
    third = with_settings(SiameseConfig, {"phase": "contour"})
    assert (third.learning_rate, third.batch_size, third.steps) == (1e-4, 64, 50_000)
    second = with_settings(SiameseConfig, {"phase": "l1"})
    assert (second.learning_rate, second.batch_size, second.needs.second) == (5e-4, 64, None)
    gan = SiameseGanConfig()
    assert (gan.gan_weight, gan.recon_weight, gan.judge_every, gan.batch_size, gan.steps) == (0.1, 5, 6, 50, 70_000)
    assert RECIPES["siamese-gan-v1"].config().real == "photo"
    assert RECIPES["siamese-gan-v2"].config().real == "target"
    multitask = MultitaskConfig()
    assert (multitask.l1_weight, multitask.batch_size, multitask.steps, multitask.judge_every) == (
        100,
        64,
        50_000,
        (2, 4),
    )
    assert [fading(4e-4, step, 100, 0.6) for step in (0, 60, 80)] == pytest.approx([4e-4, 4e-4, 2e-4])
    assert fading(4e-4, 80, None, 0.6) == 4e-4
    assert [halved(2e-4, step, (20_000, 40_000)) for step in (0, 19_999, 20_000, 40_000)] == [2e-4, 2e-4, 1e-4, 5e-5]


def test_the_judge_of_the_siamese_gan_learns_at_every_sixth_step(dataset: Path) -> None:
    settings = recipe_settings(config(dataset, "siamese-gan-v2"))
    recipe = make_recipe(
        "siamese-gan-v2", settings, Workshop(open_fabric("32", "cpu", 1)), TrainingSet(dataset, [], None)
    )
    classes = torch.tensor([0, 1])
    images = torch.rand(2, 3, 96, 96)
    batch = PairBatch(
        images,
        images,
        classes,
        *[classes] * 3,
        second=images,
        second_pose=classes,
        second_light=classes,
        second_identity=classes,
    )
    assert ["judge" in recipe.step(batch, Clock(step, 0)) for step in (0, 1, 5, 6)] == [True, False, False, True]
    recipe.step(batch, Clock(20_000, 0))
    rates = {name: trainee.optimizer.param_groups[0]["lr"] for name, trainee in recipe.trainees.items()}
    assert rates == {"generator": 1e-4, "discriminator": 5e-5}


def test_like_things_are_pulled_together_and_unlike_ones_apart() -> None:
    near, far = torch.zeros(1, 4), torch.tensor([[3.0, 0, 0, 0]])
    same, other = torch.tensor([True]), torch.tensor([False])
    torch.testing.assert_close(contrastive(near, far, same), torch.tensor(9.0), atol=1e-4, rtol=0)
    assert contrastive(near, far, other) == 0
    torch.testing.assert_close(contrastive(near, near, other), torch.tensor(4.0), atol=1e-4, rtol=0)
    logits = torch.tensor([[5.0, 0], [0, 5.0]])
    assert names(logits, torch.tensor([0, -1])) < 0.01
    assert names(logits, torch.tensor([-1, -1])) == 0


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(
    dataset: Path, tmp_path: Path, run: Run
) -> None:
    words = ["train", dataset, tmp_path / "r", "--steps", 4, "--batch-size", 2, "--loader", "torch"]
    for save_every, said in ((1, "weights are no numbers"), (9, "fool is nan")):
        result = run(*words[:2], tmp_path / said, *words[3:], "--set", "l2_weight=nan", "--save-every", save_every)
        assert result.exit_code == 1, result.stderr
        assert said in result.stderr.replace("\n", " ")
        assert "The last checkpoint is from before" in result.stderr.replace("\n", " ")
        assert not (tmp_path / said / "checkpoints" / "last.ckpt").exists()


def test_a_judge_that_has_won_is_noticed_once() -> None:
    watch = Watch()
    said = [watch.check({"judge": 1e-5}, step) for step in range(2 * PATIENCE)]
    assert [bool(text) for text in said].index(True) == PATIENCE - 1
    assert sum(map(bool, said)) == 1
    with pytest.raises(TrainingDiverged, match="l1 is nan"):
        watch.check({"l1": float("nan")}, 1)


def test_recipes_that_need_labels_say_what_is_missing(dataset: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a.jpg", "a/1.jpg"):
        (tmp_path / name).write_bytes((dataset / "ann.jpg").read_bytes())
    for recipe in ("siamese", "attributes"):
        result = run("train", tmp_path, tmp_path / "r", "--recipe", recipe)
        assert result.exit_code == 2, recipe
        assert "labels.csv" in result.stderr
        assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("recipe", "setting"),
    [
        ("scaleway", "schedule=often"),
        ("siamese", "phase=4"),
        ("siamese", "contour_loss=l3"),
        ("siamese-gan-v2", "real=fake"),
        ("multitask", "judge_every=2"),
        ("multitask", "image_size=128"),
        ("attributes", "image_size=96"),
        ("attributes", "channels=0"),
        ("attributes", "conditional=perhaps"),
        ("refiner", "fades_from=1"),
    ],
)
def test_wrong_settings_are_named(recipe: str, setting: str, dataset: Path) -> None:
    key, _, value = setting.partition("=")
    with pytest.raises(ConfigError, match=key):
        recipe_settings(config(dataset, recipe, settings={key: value}))


PLAIN_RECIPE = """
from dataclasses import dataclass
from torch import nn
from examples.sharp_recipe import Sharp, SharpConfig
from pipelines.recipes.registry import Entry

class Plain(Sharp):  # without batch statistics: two halves of a batch then know as much as the whole
    def __init__(self, config, workshop, data):
        layers = nn.Conv2d(3, 8, 5, 2, 2), nn.ELU(), nn.ConvTranspose2d(8, 3, 4, 2, 1)
        self.config, self.generator = config, nn.Sequential(*layers)
        self.trainees = {"generator": workshop.trainee(self.generator, 1e-3, (0.9, 0.999))}

RECIPE = Entry(Plain, SharpConfig)
"""


def test_two_processes_with_half_the_batch_each_train_as_one_with_the_whole(dataset: Path, tmp_path: Path) -> None:
    """torchrun's way: the environment says who is who; gradients and metrics are averaged, one process writes."""
    recipe = tmp_path / "plain.py"
    recipe.write_text(PLAIN_RECIPE)
    train(config(dataset, str(recipe), steps=6, batch_size=4), tmp_path / "one")
    words = ["train", dataset, tmp_path / "two", "--recipe", recipe, "--steps", 6, "--batch-size", 2]
    words += ["--loader", "torch", "--device", "cpu", "--workers", "1", "--save-every", 2, "--quiet"]
    script = "from pipelines.cli import main; main()"
    place = os.environ | {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    place |= {"MASTER_PORT": "29511", "TORCHELASTIC_RUN_ID": "none", "GROUP_RANK": "0"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, *map(str, words)], env=place | {"RANK": rank, "LOCAL_RANK": rank}
        )
        for rank in "01"
    ]
    assert [process.wait(120) for process in both] == [0, 0]
    one, two = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    for now in two:
        then = next(row for row in one if row["step"] == now["step"])
        assert [now[name] for name in ("l1", "edges")] == pytest.approx([then["l1"], then["edges"]], rel=1e-4)
    weights, others = (load_file(tmp_path / name / "generator.safetensors") for name in ("one", "two"))
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=1e-4, atol=1e-5)


def test_a_recipe_of_ones_own_is_one_file(dataset: Path, tmp_path: Path, run: Run) -> None:
    own = Path(__file__).parents[4] / "examples" / "sharp_recipe.py"
    words = ["train", dataset, tmp_path / "r", "--steps", 1, "--batch-size", 2, "--loader", "torch", "--recipe"]
    result = run(*words, own, "--set", "edge_weight=2", "--json")
    assert set(json.loads(result.stdout)["losses"]) == {"l1", "edges"}, result.stderr
    assert load_generator(tmp_path / "r" / "generator.safetensors", CPU)[1].architecture == "encoder_decoder"
    (tmp_path / "empty.py").write_text("")
    for path, says in ((tmp_path / "empty.py", "must set RECIPE"), (tmp_path / "no.py", "choose one of scaleway")):
        refused = run(*words, path)
        assert refused.exit_code == 2
        assert says in refused.stderr.replace("\n", " ")


def test_faces_are_drawn_with_asked_for_traits(dataset: Path, tmp_path: Path, run: Run) -> None:
    train(config(dataset, "attributes", steps=1), tmp_path / "r")
    words = ["generate", tmp_path / "r", tmp_path / "out", "--attributes"]
    grid = read_photo(tmp_path / "r" / "samples" / "000001_attributes.jpg")
    assert grid.shape == (20 + 5 * 64, 3 * 64, 3)  # three targets' traits, five chances, the judge's score
    assert grid[:20].min() < 100
    result = run(*words, "Smiling=1,Male=0", "-n", 3, "--json")
    assert json.loads(result.stdout)["outputs"] == ["0001.png", "0002.png", "0003.png"], result.stderr
    first = read_photo(tmp_path / "out" / "0001.png")
    assert first.shape == (64, 64, 3)
    assert not np.array_equal(first, read_photo(tmp_path / "out" / "0002.png"))
    run(*words, "Male=1", "-n", 1)
    assert not np.array_equal(first, read_photo(tmp_path / "out" / "0001.png"))  # the same chance, another trait
    for wrong, says in (("Bald=1", "knows Male, Smiling"), ("Male=2", "NAME=1 or NAME=0"), ("Male", "NAME=1")):
        refused = run(*words, wrong)
        assert refused.exit_code == 2
        assert says in refused.stderr.replace("\n", " ")
    photo = run("batch", dataset, tmp_path / "b", "--model", tmp_path / "r" / "generator.safetensors")
    assert photo.exit_code == 2
    assert "frontalize generate" in photo.stderr.replace("\n", " ")
