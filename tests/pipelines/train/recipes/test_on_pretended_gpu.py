"""Training steps, validation and sample grids of every recipe on a pretended GPU: no tensor stays on the CPU."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from models.recognizers.dlib_resnet import DlibResNet
from pipelines.metrics.image_metrics import MEASURES
from pipelines.train import trainer
from pipelines.train.data import torch_loader
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import BatchSpec, LoaderSpec, PairBatch
from pipelines.train.data.torch_loader import TorchLoader, load_pairs
from pipelines.train.recipes import identity
from pipelines.train.recipes.recipe import Recipe, Setup, StepInfo, TrainingSet
from pipelines.train.recipes.registry import RECIPES, make_recipe, normalization_of, recipe_settings
from pipelines.train.validation import save_grids, validate
from tests.pipelines.train.recipes.runs import config
from tests.pretended_gpu import GPU, pretended_fabric, pretended_gpu
from toolkit.records.subjects import find_splits, read_pairs

CASES: list[tuple[str, dict[str, str]]] = [  # recipe and settings: together, all branches of all steps
    ("scaleway", {}),
    ("siamese", {}),
    ("siamese", {"phase": "l1"}),
    ("siamese", {"phase": "contour", "contour_loss": "l2"}),
    ("siamese-gan-v1", {}),
    ("siamese-gan-v2", {}),
    ("multitask", {"pose_terms": "true"}),
    ("refiner", {"gan_warmup": "0", "identity_warmup": "0"}),
    ("refiner", {"gan_warmup": "0", "recognizer": "folder"}),
    ("attributes", {"channels": "16"}),
    ("attributes", {"channels": "16", "conditional": "false"}),
]


def named(case: tuple[str, dict[str, str]]) -> str:
    return " ".join([case[0], *(f"{name}={value}" for name, value in case[1].items())])


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def loader(*words: Any, num_workers: int, multiprocessing_context: object, pin_memory: bool, **options: Any) -> Any:
        assert pin_memory
        return DataLoader(*words, **options)

    monkeypatch.setattr(torch_loader, "DataLoader", loader)
    monkeypatch.setattr(identity, "load_dlib_resnet", lambda folder: DlibResNet())


def spec_of(dataset: Path, recipe: str, settings: dict[str, str], **changes: Any) -> LoaderSpec:
    """What the trainer loads for a recipe."""
    chosen = recipe_settings(config(dataset, recipe, settings=settings))
    root = find_splits(dataset)["train"]
    pairs = read_pairs(root)
    return LoaderSpec(
        root=root,
        pairs=pairs,
        batch_size=2,
        image_size=chosen.image_size,
        normalization=normalization_of(recipe),
        seed=0,
        workers=1,
        batch_spec=changes.pop("batch_spec", chosen.batch_spec),
        labels=chosen.batch_spec.read_labels(root, pairs),
        **changes,
    )


def recipe_on(fabric: Fabric, spec: LoaderSpec, name: str, settings: dict[str, str]) -> Recipe:
    contour = torch.ones(1, 1, spec.image_size, spec.image_size)
    data = TrainingSet(spec.root, spec.pairs, spec.labels, contour)
    chosen = recipe_settings(config(spec.root, name, settings=settings))
    return make_recipe(name, chosen, Setup(fabric, channels_last=True), data)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_recipe_trains_on_its_device(dataset: Path, tmp_path: Path, case: tuple[str, dict[str, str]]) -> None:
    """Steps in both precisions; then what the trainer does at a checkpoint."""
    name, settings = case
    spec = spec_of(dataset, name, settings)
    with pretended_gpu():
        [batch] = TorchLoader(spec, GPU).batches(0, 1)
        require_on_gpu(batch)
        for precision in ("bf16", "32"):
            recipe = recipe_on(pretended_fabric(precision), spec, name, settings)
            losses = recipe.step(batch, StepInfo(0, 0))
            assert losses and {loss.device for loss in losses.values()} == {GPU}
            for network in recipe.networks.values():
                assert {parameter.device for parameter in network.module.parameters()} == {GPU}
                assert all(state["step"].device == GPU for state in network.optimizer.state.values())
        average = trainer._make_average(recipe, 0.9)
        assert average is not None
        average.update_parameters(recipe.generator)
        if recipe.has_targets:
            validation = validate(recipe, average.module, iter([batch]), pretended_fabric())
            assert len(validation) == len(MEASURES)
        save_grids(tmp_path, 1, recipe, average.module, load_pairs(spec, [0, 1], GPU))
    assert list(tmp_path.glob("samples/*.jpg"))


def test_every_augmentation_stays_on_the_device(dataset: Path) -> None:
    augment = Augment(load_size=144, flip=0.5, brightness=0.4, contrast=0.4, saturation=0.5, jpeg=1, blur=1)
    batch_spec = BatchSpec(labels=True, attributes=True, second="neighbor", augment=augment)
    spec = spec_of(dataset, "scaleway", {})
    spec = replace(spec, batch_spec=batch_spec, labels=batch_spec.read_labels(spec.root, spec.pairs))
    with pretended_gpu():
        for batch in TorchLoader(spec, GPU).batches(0, 2):
            require_on_gpu(batch)


def test_every_recipe_is_run_above() -> None:
    assert {name for name, _ in CASES} == set(RECIPES)


def require_on_gpu(batch: PairBatch) -> None:
    parts = [part for name in PairBatch.__slots__ if (part := getattr(batch, name)) is not None]
    assert {part.device for part in parts} == {GPU}
