"""Stage: a paired set -> a trained generator, by one loop that calls one recipe's step."""

import dataclasses
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from pipelines.batches import Feed, Loader, Needs, PairBatch
from pipelines.batches_dali import DaliLoader
from pipelines.batches_torch import TorchLoader, load_pairs
from pipelines.checkpoint import load_state, save_generator, save_state
from pipelines.configs import TrainConfig
from pipelines.devices import choose_device
from pipelines.recipes.recipe import Recipe, RecipeConfig, with_settings
from pipelines.recipes.scaleway import Scaleway, ScalewayConfig
from pipelines.runs import Metrics, claim_run, sample_grid
from pipelines.workers import Stop
from toolkit.errors import ConfigError
from toolkit.images import encode_image, write_whole
from toolkit.subjects import read_pairs, spread_over_subjects

SHOWN = 8  # pairs on a sample grid
CHECKPOINT, GENERATOR, REPLACED = Path("checkpoints/last.ckpt"), "generator.safetensors", "replaced.json"
RECIPES: dict[str, tuple[type[Any], type[Any]]] = {"scaleway": (Scaleway, ScalewayConfig)}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands after a step; losses only on the steps that log them."""

    step: int  # steps done
    steps: int  # of so many
    images_per_second: float  # pairs, since this process began to train
    losses: dict[str, float]


class Training:
    """One run, set up and ready to go on from where it was.

    Args:
        config: what to learn.
        folder: the run; its config is written before the first step.
        device: auto, cpu, cuda or cuda:i.
        workers: threads or processes of the loader.

    Raises:
        ConfigError: any setting, the dataset, the device, or a folder with another config.
    """

    def __init__(self, config: TrainConfig, folder: Path, device: str, workers: int) -> None:
        self._config, self._folder = config, folder
        settings = recipe_settings(config)
        pairs = read_pairs(Path(config.dataset))
        self.steps = total_steps(config, settings, len(pairs))
        self._fabric = _fabric(config.precision, choose_device(device))
        self.device = self._fabric.device
        make_recipe, _ = RECIPES[config.recipe]
        needs = getattr(settings, "needs", Needs())
        self._feed = Feed(
            root=Path(config.dataset).resolve(),
            pairs=pairs,
            batch_size=settings.batch_size,
            image_size=settings.image_size,
            normalization=make_recipe.normalization,
            seed=config.seed,
            workers=workers,
            needs=needs,
            labels=needs.read_labels(Path(config.dataset), pairs),
        )
        self._loader: Loader = (DaliLoader if config.loader == "dali" else TorchLoader)(self._feed, self.device)
        claim_run(folder, {**dataclasses.asdict(config), "recipe_config": dataclasses.asdict(settings)})  # type: ignore[call-overload]
        torch.manual_seed(config.seed)
        self._recipe: Recipe = make_recipe(settings, self._fabric)
        self.done = self._resume()

    def run(self, stop: Stop) -> Iterator[Progress]:
        """Train to the last step, or until told to stop: a checkpoint is written first. Yields after every step."""
        metrics, config, feed = Metrics(self._folder, self.done), self._config, self._feed
        shown = load_pairs(feed, spread_over_subjects(range(len(feed.pairs)), SHOWN), self.device)
        started = time.monotonic()
        for step, batch in enumerate(self._loader.batches(self.done, self.steps), start=self.done + 1):
            losses = self._recipe.step(batch, epoch=(step - 1) * feed.batch_size // len(feed.pairs))
            told_to_stop = stop()
            logged = {}
            if step % config.log_every == 0 or step in (1, self.steps):
                logged = {name: float(loss) for name, loss in losses.items()}
                metrics.add(step, logged)
            if step % config.save_every == 0 or step == self.steps or told_to_stop:
                self._save(step, shown)
            rate = (step - self.done) * feed.batch_size / (time.monotonic() - started)
            yield Progress(step, self.steps, rate, logged)
            if told_to_stop:
                break
        metrics.close()

    def _resume(self) -> int:
        """Load the checkpoint, where there is one; the steps done."""
        path = self._folder / CHECKPOINT
        if not path.exists():
            return 0
        state = load_state(path)
        for name, part in self._recipe.state().items():
            part.load_state_dict(state["recipe"][name])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and "random_cuda" in state:
            torch.cuda.set_rng_state(state["random_cuda"], self.device)
        return int(state["step"])

    def _save(self, step: int, shown: PairBatch) -> None:
        """Write a sample grid, the generator and, last, the checkpoint that vouches for both."""
        generator = self._recipe.generator.eval()
        with torch.inference_mode():
            grid = sample_grid(shown, generator(shown.input), self._recipe.normalization)
        generator.train()
        write_whole(self._folder / "samples" / f"{step:06d}.jpg", encode_image(grid, ".jpg"))
        save_generator(self._folder / GENERATOR, generator, self._recipe.card(step))
        if replaced := dict(self._loader.replaced):  # files that could not be decoded, and why
            write_whole(self._folder / REPLACED, json.dumps(replaced, indent=2) + "\n")
        parts = {name: part.state_dict() for name, part in self._recipe.state().items()}
        state = {"step": step, "recipe": parts, "random": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)
        save_state(self._folder / CHECKPOINT, state)


def recipe_settings(config: TrainConfig) -> RecipeConfig:
    """The recipe's own config: its defaults, ``--set``, then the options that every recipe has.

    Raises:
        ConfigError: no such recipe or setting.
    """
    if config.recipe not in RECIPES:
        raise ConfigError(f"recipe={config.recipe!r}: no such recipe; choose one of {', '.join(RECIPES)}")
    common = {"batch_size": config.batch_size, "epochs": config.epochs}
    given = {name: value for name, value in common.items() if value is not None}
    settings: RecipeConfig = with_settings(RECIPES[config.recipe][1](), config.settings)
    return dataclasses.replace(settings, **given)  # type: ignore[type-var]


def total_steps(config: TrainConfig, recipe: RecipeConfig, pairs: int) -> int:
    """Optimizer steps of the whole run."""
    return config.steps or -(-recipe.epochs * pairs // recipe.batch_size)


def _fabric(precision: str, device: torch.device) -> Fabric:
    return Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
