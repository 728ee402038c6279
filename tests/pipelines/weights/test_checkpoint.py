"""Weights and checkpoints that somebody changed are refused with their path."""

import io
import json
import os
import pickle
import random
import resource
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.attribute_gan import AttributeGenerator
from pipelines.export.convert_weights import convert_weights
from pipelines.weights.checkpoint import GeneratorCard, load_generator, load_state, save_generator, save_state
from pipelines.weights.normalization import Normalization
from tests.memory import little_memory
from toolkit.errors import CheckpointError, ConfigError

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
        with pytest.raises(CheckpointError, match=f"{name} is .* in the weights, .* in the attributes of its card"):
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


@pytest.mark.slow
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


def test_all_weights_that_come_along_fit_their_cards() -> None:
    import models

    built_in = Path(models.__file__).parent / "weights" / "refiner.safetensors"
    net, card = load_generator(built_in, CPU)
    assert card == replace(card) and sum(value.numel() for value in net.state_dict().values()) > 2_000_000


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    for content in (b"", b"nonsense", (8).to_bytes(8, "little") + b"{}      "):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="model "):
            load_generator(path, torch.device("cpu"))
    torch.save({"step": torch.nn.Linear(2, 2)}, tmp_path / "pickle.ckpt")  # a whole module: never unpickled
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_state(tmp_path / "pickle.ckpt")


def test_a_disk_that_does_not_take_a_checkpoint_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save_state(path, {"step": 1})
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))  # bytes of a file
    try:
        with pytest.raises(ConfigError, match=r"last.ckpt: cannot be written, .* run the same command again"):
            save_state(path, {"step": 2, "weights": torch.zeros(50_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["last.ckpt"]
