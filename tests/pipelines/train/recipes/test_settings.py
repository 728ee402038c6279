"""The published settings, and settings that are refused."""

import dataclasses
from pathlib import Path

import pytest

from pipelines.runtime.renamed import RENAMED_SETTINGS
from pipelines.train.recipes.multitask import MultitaskConfig
from pipelines.train.recipes.recipe import linear_decay, multistep_decay
from pipelines.train.recipes.registry import RECIPES, recipe_settings
from pipelines.train.recipes.scaleway import ScalewayConfig
from pipelines.train.recipes.settings import with_settings
from pipelines.train.recipes.siamese import SiameseConfig
from pipelines.train.recipes.siamese_gan import SiameseGanConfig
from tests.conftest import Run
from tests.pipelines.train.recipes.runs import config
from toolkit.errors import ConfigError


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
    assert (second.learning_rate, second.batch_size, second.batch_spec.second) == (5e-4, 64, None)
    gan = SiameseGanConfig()
    assert (gan.gan_weight, gan.reconstruction_weight, gan.discriminator_every) == (0.1, 5, 6)
    assert (gan.batch_size, gan.steps) == (50, 70_000)
    assert RECIPES["siamese-gan-v1"].config().real == "photo"
    assert RECIPES["siamese-gan-v2"].config().real == "target"
    multitask = MultitaskConfig()
    assert (multitask.l1_weight, multitask.batch_size, multitask.steps, multitask.discriminator_every) == (
        100,
        64,
        50_000,
        (2, 4),
    )
    assert [linear_decay(4e-4, step, 100, 0.6) for step in (0, 60, 80)] == pytest.approx([4e-4, 4e-4, 2e-4])
    assert linear_decay(4e-4, 120, 100, 0.6) == 0  # with --steps the run may be longer
    assert linear_decay(4e-4, 80, None, 0.6) == 4e-4
    assert [multistep_decay(2e-4, step, (20_000, 40_000)) for step in (0, 19_999, 20_000, 40_000)] == [
        2e-4,
        2e-4,
        1e-4,
        5e-5,
    ]


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
        ("scaleway", "learning_rate=0"),
        ("scaleway", "learning_rate=nan"),
        ("scaleway", "l1_weight=-1"),
        ("scaleway", "l2_weight=inf"),
        ("scaleway", "beta1=1"),
        ("scaleway", "steps=0"),
        ("scaleway", "epochs=-1"),
        ("siamese", "margin=0"),
        ("siamese", "flip=1.5"),
        ("siamese", "lr_halve_every=0"),
        ("siamese", "load_size=0"),
        ("siamese", "batch_size=0"),
        ("siamese-gan-v1", "discriminator_learning_rate=-1"),
        ("siamese-gan-v1", "disentangling_weight=-0.1"),
        ("siamese-gan-v1", "reconstruction_weight=nan"),
        ("siamese-gan-v1", "discriminator_every=0"),
        ("siamese", "phase=4"),
        ("siamese", "contour_loss=l3"),
        ("siamese-gan-v2", "real=fake"),
        ("multitask", "discriminator_every=2"),
        ("multitask", "discriminator_every=2,0"),
        ("multitask", "discriminator_every_switch=-1"),
        ("multitask", "real_weight=-1"),
        ("multitask", "image_size=128"),
        ("attributes", "image_size=96"),
        ("attributes", "channels=0"),
        ("attributes", "conditional=perhaps"),
        ("attributes", "batch_size=1"),
        ("attributes", "learning_rate=-1e-4"),
        ("refiner", "lr_decay_from=1"),
        ("refiner", "recolor=-0.1"),
        ("refiner", "background_weight=-1"),
        ("refiner", "paint_weight=nan"),
        ("refiner", "gan_warmup=-1"),
        ("refiner", "identity_warmup=1.5"),
        ("refiner", "recognizer_learning_rate=0"),
    ],
)
def test_wrong_settings_are_named(recipe: str, setting: str, dataset: Path) -> None:
    key, _, value = setting.partition("=")
    with pytest.raises(ConfigError, match=rf"{key}=.*: (must be|choose|this network|batch normalization needs) "):
        recipe_settings(config(dataset, recipe, batch_size=None, settings={key: value}))


def test_a_number_out_of_bounds_is_refused_with_the_default(dataset: Path) -> None:
    with pytest.raises(ConfigError, match=r"^learning_rate=0.0: must be more than 0; the default is 0.0004$"):
        recipe_settings(config(dataset, "refiner", settings={"learning_rate": "0"}))
    with pytest.raises(ConfigError, match=r"^discriminator_every=0,4: must be 1 or more; the default is 2,4$"):
        recipe_settings(config(dataset, "multitask", settings={"discriminator_every": "0,4"}))


@pytest.mark.parametrize(("old", "new"), RENAMED_SETTINGS.items())
def test_a_setting_of_an_earlier_version_is_refused_with_its_new_name(
    old: str, new: str, dataset: Path, tmp_path: Path, run: Run
) -> None:
    fields = {recipe: [field.name for field in dataclasses.fields(entry.config)] for recipe, entry in RECIPES.items()}
    recipe = next(recipe for recipe, names in fields.items() if new in names)
    assert not any(old in names for names in fields.values())
    result = run("train", dataset, tmp_path / "r", "--recipe", recipe, "--set", f"{old}=1000")
    assert result.exit_code == 2
    assert f"--set {old}=1000: this setting is now called {new}" in result.stderr.replace("\n", " ")
    assert not (tmp_path / "r").exists()


def test_a_setting_of_another_recipe_is_unknown(dataset: Path) -> None:
    with pytest.raises(ConfigError, match="--set strangers=1: no such setting; this recipe has schedule"):
        recipe_settings(config(dataset, "scaleway", settings={"strangers": "1"}))
