"""Stage: a paired set -> a trained generator, by one loop that calls one recipe's step."""

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipelines.runtime.devices import open_fabric
from pipelines.runtime.interrupt import Stop
from pipelines.train.config import TrainConfig
from pipelines.train.data.batches import Feed, Loader, PairBatch
from pipelines.train.data.dali_loader import DaliLoader
from pipelines.train.data.torch_loader import TorchLoader, load_pairs
from pipelines.train.recipes.recipe import Clock, Recipe, RecipeConfig, TrainingSet, Workshop, card_of
from pipelines.train.recipes.registry import make_recipe, normalization_of, recipe_settings
from pipelines.train.run_folder import Metrics, claim_run
from pipelines.train.validation import save_grids, validate
from pipelines.weights.checkpoint import load_state, load_weights, save_generator, save_state
from toolkit.errors import CheckpointError, ConfigError, TrainingDiverged
from toolkit.photos.files import write_whole
from toolkit.records.subjects import parts_of, read_pairs, spread_over_subjects

SHOWN = 8  # pairs on a sample grid
CHECKPOINT, GENERATOR, REPLACED = Path("checkpoints/last.ckpt"), "generator.safetensors", "replaced.json"
WAY_OUT = "The last checkpoint is from before; lower the learning rate with --set, or use --precision 32"
DEAD, PATIENCE = 1e-3, 20  # a judge whose loss stays below this for so many logged steps teaches nothing any more


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands after a step; losses only on the steps that log them."""

    step: int  # steps done
    steps: int  # of so many
    images_per_second: float  # pairs, since this process began to train
    losses: dict[str, float]
    validation: dict[str, float] = field(default_factory=dict)
    warning: str = ""


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
        self._settings = settings = recipe_settings(config)
        root = Path(config.dataset).resolve()
        parts = parts_of(root)
        self._fabric = open_fabric(config.precision, device, config.devices)
        self.device = self._fabric.device
        self._feed = self._feed_of(parts.get("train", root), workers)
        self._validation = self._feed_of(parts["val"], workers, evaluation=True) if "val" in parts else None
        pairs_a_step = settings.batch_size * self._fabric.world_size * config.accumulate
        self.steps = total_steps(config, settings, len(self._feed.pairs), pairs_a_step)
        self._pairs_a_step = pairs_a_step
        self._loader: Loader = (DaliLoader if config.loader == "dali" else TorchLoader)(self._feed, self.device)
        if self._fabric.is_global_zero:
            record = {**dataclasses.asdict(config), "recipe_config": dataclasses.asdict(settings)}  # type: ignore[call-overload]
            claim_run(folder, record)
        torch.manual_seed(config.seed)
        workshop = Workshop(self._fabric, config.accumulate, config.channels_last, config.compile)
        self._recipe: Recipe = make_recipe(config.recipe, settings, workshop, self._whole())
        self._average = _average(self._recipe, config.ema)
        self.done = self._resume()

    def run(self, stop: Stop) -> Iterator[Progress]:
        """Train to the last step, or until told to stop: a checkpoint is written first. Yields after every step.

        Raises:
            TrainingDiverged: a loss is no number any more; the last checkpoint is from before that.
        """
        config, feed = self._config, self._feed
        metrics = Metrics(self._folder, self.done) if self._fabric.is_global_zero else None
        watch = Watch()
        started = time.monotonic()
        batches = self._loader.batches(self.done * config.accumulate, self.steps * config.accumulate)
        for step in range(self.done + 1, self.steps + 1):
            clock = Clock(step - 1, (step - 1) * self._pairs_a_step // len(feed.pairs))
            losses = _mean([self._recipe.step(batch, clock) for batch in islice(batches, config.accumulate)])
            if self._average is not None:
                self._average.update_parameters(self._recipe.generator)
            last, told_to_stop = step == self.steps, stop()
            saves = step % config.save_every == 0 or last or told_to_stop
            logged = self._synchronized(losses) if saves or step % config.log_every == 0 or step == 1 else {}
            warning = watch.check(logged, step)
            before = time.monotonic()
            first = step == 1  # what training starts from, to measure it by
            validates = first or last or step % (config.validate_every or config.save_every) == 0
            validated = self._validated() if validates else {}
            if metrics and (logged or validated):
                metrics.add(step, logged | validated)
            if saves:
                self._save(step)
            started += time.monotonic() - before  # validating and saving are not training
            rate = (step - self.done) * self._pairs_a_step / max(time.monotonic() - started, 1e-9)
            yield Progress(step, self.steps, rate, logged, validated, warning)
            if told_to_stop:
                break
        if metrics:
            metrics.close()

    @property
    def replaced(self) -> dict[str, str]:
        """Files that could not be decoded so far, each with the reason."""
        return dict(self._loader.replaced)

    def _feed_of(self, root: Path, workers: int, evaluation: bool = False) -> Feed:
        settings, pairs = self._settings, read_pairs(root)
        needs = settings.needs
        return Feed(
            root=root,
            pairs=pairs,
            batch_size=settings.batch_size,
            image_size=settings.image_size,
            normalization=normalization_of(self._config.recipe),
            seed=self._config.seed,
            workers=workers,
            needs=needs,
            labels=needs.read_labels(root, pairs),
            evaluation=evaluation,
            rank=self._fabric.global_rank,
            world_size=self._fabric.world_size,
        )

    def _whole(self) -> TrainingSet:
        return TrainingSet(self._feed.root, self._feed.pairs, self._feed.labels)

    def _resume(self) -> int:
        """Load the checkpoint, or the weights to start from; the steps done."""
        path = self._folder / CHECKPOINT
        if not path.exists():
            if self._config.start_from is not None:
                load_weights(Path(self._config.start_from), self._recipe.generator)
            return 0
        state = load_state(path)
        try:
            for name, part in self._recipe.state().items():
                part.load_state_dict(state["recipe"][name])
            if self._average is not None:
                self._average.load_state_dict(state["average"])
            torch.set_rng_state(state["random"])
            if self.device.type == "cuda" and "random_cuda" in state:
                torch.cuda.set_rng_state(state["random_cuda"], self.device)
            return int(state["step"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            said = (str(error).splitlines() or [""])[0][:200]
            raise CheckpointError(
                f"{path}: not this recipe's state ({type(error).__name__}: {said}); remove it to start over"
            ) from error

    @property
    def _shown(self) -> PairBatch:
        """Fixed pairs for the sample grids: of people that are not trained on, where there are such."""
        feed = self._validation or self._feed
        return load_pairs(feed, spread_over_subjects(range(len(feed.pairs)), SHOWN), self.device)

    def _best(self) -> torch.nn.Module:
        """The generator that counts: the average where one is kept."""
        return self._recipe.generator if self._average is None else self._average.module

    def _validated(self) -> dict[str, float]:
        if self._validation is None or not self._recipe.has_truth:
            return {}
        loader = TorchLoader(self._validation, self.device)
        return validate(self._recipe, self._best(), loader.batches(0, self._validation.steps_per_pass), self._fabric)

    def _synchronized(self, losses: dict[str, Tensor]) -> dict[str, float]:
        together: Any = self._fabric.all_reduce(losses, reduce_op="mean")
        return {name: float(loss) for name, loss in together.items()}

    def _save(self, step: int) -> None:
        """Write sample grids, the generator and, last, the checkpoint that vouches for both."""
        self._fabric.barrier()
        if not self._fabric.is_global_zero:
            return
        generator = self._best()
        if not all(bool(value.isfinite().all()) for value in generator.state_dict().values()):
            raise TrainingDiverged(f"step {step:,}: weights are no numbers any more. {WAY_OUT}")
        save_grids(self._folder, step, self._recipe, generator, self._shown)
        card = card_of(self._recipe, self._config.recipe, self._feed, step)
        save_generator(self._folder / GENERATOR, generator, card)
        if replaced := self.replaced:
            write_whole(self._folder / REPLACED, json.dumps(replaced, indent=2) + "\n")
        parts = {name: part.state_dict() for name, part in self._recipe.state().items()}
        state = {"step": step, "recipe": parts, "random": torch.get_rng_state()}
        if self._average is not None:
            state["average"] = self._average.state_dict()
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)
        save_state(self._folder / CHECKPOINT, state)


class Watch:
    """Notices a run that went wrong."""

    def __init__(self) -> None:
        self._dead = 0

    def check(self, losses: dict[str, float], step: int) -> str:
        """A warning, or nothing.

        Raises:
            TrainingDiverged: a loss is no number.
        """
        if bad := [name for name, loss in losses.items() if not math.isfinite(loss)]:
            said = ", ".join(f"{name} is {losses[name]}" for name in bad)
            raise TrainingDiverged(f"step {step:,}: {said}. {WAY_OUT}")
        if "judge" in losses:
            self._dead = self._dead + 1 if losses["judge"] < DEAD else 0
        if self._dead == PATIENCE:
            return f"step {step:,}: the discriminator's loss stays below {DEAD:g}: it has won, and teaches nothing more"
        return ""


def total_steps(config: TrainConfig, settings: RecipeConfig, pairs: int, pairs_a_step: int) -> int:
    """Optimizer steps of the whole run: as the command says, else as the recipe does."""
    if config.steps is not None:
        return config.steps
    if config.epochs is None and settings.steps is not None:
        return settings.steps
    epochs = config.epochs or settings.epochs
    if epochs is None:
        raise ConfigError(f"recipe {config.recipe} has neither steps nor epochs; give --steps or --epochs")
    return -(-epochs * pairs // pairs_a_step)


def _average(recipe: Recipe, decay: float) -> AveragedModel | None:
    """A running average of the generator, batch-norm statistics included."""
    if not decay:
        return None
    return AveragedModel(recipe.generator, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _mean(each: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    if len(each) == 1:
        return each[0]
    return {name: torch.stack([losses[name] for losses in each]).mean() for name in each[0]}
