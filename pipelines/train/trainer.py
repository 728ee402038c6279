"""Stage: train a generator on a paired set. One loop for all recipes; each recipe defines one step."""

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

from pipelines.runtime.interrupt import Stop
from pipelines.runtime.renamed import RENAMED_TENSORS
from pipelines.train.config import TrainConfig
from pipelines.train.contour_weights import contour_weights
from pipelines.train.data.batches import Loader, LoaderSpec, PairBatch
from pipelines.train.data.dali_loader import DaliLoader
from pipelines.train.data.torch_loader import TorchLoader, load_pairs
from pipelines.train.fabric import open_fabric
from pipelines.train.recipes.recipe import Recipe, RecipeConfig, Setup, StepInfo, TrainingSet, make_card
from pipelines.train.recipes.registry import make_recipe, networks_of, normalization_of, recipe_settings
from pipelines.train.run_folder import Metrics, claim_run, require_same_config, write_config
from pipelines.train.validation import save_grids, validate
from pipelines.weights.checkpoint import load_state, load_weights, require_loadable, save_generator, save_state
from toolkit.errors import CheckpointError, ConfigError, TrainingDiverged
from toolkit.photos.files import write_atomic
from toolkit.records.subjects import find_splits, read_pairs, spread_over_subjects

GRID_PAIRS = 8  # pairs of a sample grid
CHECKPOINT, GENERATOR, REPLACED = Path("checkpoints/last.ckpt"), "generator.safetensors", "replaced.json"
ADVICE = "The last checkpoint is from before; lower the learning rate with --set, or use --precision 32"
MIN_DISCRIMINATOR_LOSS = 1e-3  # below it the discriminator gives the generator no useful gradient
PATIENCE = 20  # consecutive logged steps below it before the warning


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a run after a step."""

    step: int  # steps done
    steps: int  # of the whole run
    images_per_second: float  # pairs per second of training in this process
    losses: dict[str, float]  # empty except on logged steps
    validation: dict[str, float] = field(default_factory=dict)
    warning: str = ""


class Training:
    """A run, set up to start, or to resume from its last checkpoint.

    Args:
        config: all that decides the result.
        run: the run's folder; its config is written once everything is set up.
        device: auto, cpu, cuda or cuda:i.
        workers: threads or processes of the loader.

    Raises:
        ConfigError: a setting, the data set, the device or the recipe cannot be used, or the folder holds another run.
    """

    def __init__(self, config: TrainConfig, run: Path, device: str, workers: int) -> None:
        self._config, self._run = config, run
        self._settings = settings = recipe_settings(config)
        record = {**dataclasses.asdict(config), "recipe_config": dataclasses.asdict(settings)}  # type: ignore[call-overload]
        self._record = record
        root = Path(config.dataset).resolve()
        splits = find_splits(root)
        self._fabric = open_fabric(config.precision, device, config.devices)
        self.device = self._fabric.device
        if self._fabric.is_global_zero:
            require_same_config(run, record)
        self._train_spec = self._loader_spec(splits.get("train", root), workers)
        self._val_spec = self._loader_spec(splits["val"], workers, evaluation=True) if "val" in splits else None
        self._pairs_per_step = settings.batch_size * self._fabric.world_size * config.accumulate
        self.steps = total_steps(config, settings, len(self._train_spec.pairs), self._pairs_per_step)
        self._loader: Loader = (DaliLoader if config.loader == "dali" else TorchLoader)(self._train_spec, self.device)
        data = self._training_set()
        torch.manual_seed(config.seed)
        setup = Setup(self._fabric, config.accumulate, config.channels_last, config.compile)
        self._recipe: Recipe = make_recipe(config.recipe, settings, setup, data)
        card = make_card(self._recipe, config.recipe, self._train_spec, 0)
        require_loadable(self._recipe.generator, card, networks_of(config.recipe))
        self._average = _make_average(self._recipe, config.ema)
        self.done = self._resume()
        if self._fabric.is_global_zero:
            claim_run(run, record)

    def run(self, stop: Stop) -> Iterator[Progress]:
        """Train to the last step, or until ``stop`` returns true; then write a checkpoint. Yields after every step.

        Raises:
            TrainingDiverged: a loss or a weight is NaN or infinite; the last checkpoint is from before.
        """
        config, spec = self._config, self._train_spec
        metrics = Metrics(self._run, self.done) if self._fabric.is_global_zero else None
        watch = DivergenceWatch()
        started = time.monotonic()
        batches = self._loader.batches(self.done * config.accumulate, self.steps * config.accumulate)
        for step in range(self.done + 1, self.steps + 1):
            info = StepInfo(step - 1, (step - 1) * self._pairs_per_step // len(spec.pairs))
            losses = _mean([self._recipe.step(batch, info) for batch in islice(batches, config.accumulate)])
            if self._average is not None:
                self._average.update_parameters(self._recipe.generator)
            first, last, stopped = step == 1, step == self.steps, stop()
            saves = step % config.save_every == 0 or last or stopped
            logged = self._all_reduced(losses) if saves or step % config.log_every == 0 or first else {}
            warning = watch.check(logged, step)
            pause = time.monotonic()
            validates = first or last or step % (config.validate_every or config.save_every) == 0
            validation = self._validate() if validates else {}
            if metrics and (logged or validation):
                metrics.add(step, logged | validation)
            if saves:
                self._save(step)
            started += time.monotonic() - pause  # the rate excludes validation and saving
            rate = (step - self.done) * self._pairs_per_step / max(time.monotonic() - started, 1e-9)
            yield Progress(step, self.steps, rate, logged, validation, warning)
            if stopped:
                break

    @property
    def replaced(self) -> dict[str, str]:
        """Files that could not be decoded so far, each with the reason."""
        return dict(self._loader.replaced)

    def _loader_spec(self, root: Path, workers: int, evaluation: bool = False) -> LoaderSpec:
        settings, pairs = self._settings, read_pairs(root)
        return LoaderSpec(
            root=root,
            pairs=pairs,
            batch_size=settings.batch_size,
            image_size=settings.image_size,
            normalization=normalization_of(self._config.recipe),
            seed=self._config.seed,
            workers=workers,
            batch_spec=settings.batch_spec,
            labels=settings.batch_spec.read_labels(root, pairs),
            evaluation=evaluation,
            rank=self._fabric.global_rank,
            world_size=self._fabric.world_size,
        )

    def _training_set(self) -> TrainingSet:
        spec, weights = self._train_spec, None
        if spec.batch_spec.contour_weights:
            weights = contour_weights(spec.root, spec.pairs, spec.image_size)
        return TrainingSet(spec.root, spec.pairs, spec.labels, weights)

    def _resume(self) -> int:
        """Load the checkpoint, or the weights of ``start_from``; return the number of steps done."""
        path = self._run / CHECKPOINT
        if not path.exists():
            if self._config.start_from is not None:
                networks = networks_of(self._config.recipe)
                load_weights(Path(self._config.start_from), self._recipe.generator, networks)
            return 0
        state = load_state(path)
        try:
            for name, part in self._recipe.state().items():
                stored = state["recipe"][name]
                part.load_state_dict({RENAMED_TENSORS.get(key, key): value for key, value in stored.items()})
            if self._average is not None:
                self._average.load_state_dict(state["average"])
            torch.set_rng_state(state["random"])
            if self.device.type == "cuda" and "random_cuda" in state:
                torch.cuda.set_rng_state(state["random_cuda"], self.device)
            return int(state["step"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = (str(error).splitlines() or [""])[0][:200]
            raise CheckpointError(
                f"{path}: not this recipe's state ({type(error).__name__}: {reason}); remove it to start over"
            ) from error

    @property
    def _grid_batch(self) -> PairBatch:
        """The fixed pairs of the sample grids, from the validation part if there is one."""
        spec = self._val_spec or self._train_spec
        return load_pairs(spec, spread_over_subjects(range(len(spec.pairs)), GRID_PAIRS), self.device)

    def _exported_generator(self) -> torch.nn.Module:
        """The generator that is validated and saved: the running average if one is kept."""
        return self._recipe.generator if self._average is None else self._average.module

    def _validate(self) -> dict[str, float]:
        if self._val_spec is None or not self._recipe.has_targets:
            return {}
        batches = TorchLoader(self._val_spec, self.device).batches(0, self._val_spec.steps_per_pass)
        return validate(self._recipe, self._exported_generator(), batches, self._fabric)

    def _all_reduced(self, losses: dict[str, Tensor]) -> dict[str, float]:
        reduced: Any = self._fabric.all_reduce(losses, reduce_op="mean")
        return {name: float(loss) for name, loss in reduced.items()}

    def _save(self, step: int) -> None:
        """Write sample grids and the generator, and last the checkpoint, so that it never is ahead of them."""
        self._fabric.barrier()
        if not self._fabric.is_global_zero:
            return
        write_config(self._run, self._record)
        generator = self._exported_generator()
        if not all(bool(value.isfinite().all()) for value in generator.state_dict().values()):
            raise TrainingDiverged(f"step {step:,}: weights are NaN or infinite. {ADVICE}")
        save_grids(self._run, step, self._recipe, generator, self._grid_batch)
        card = make_card(self._recipe, self._config.recipe, self._train_spec, step)
        save_generator(self._run / GENERATOR, generator, card)
        if replaced := self.replaced:
            write_atomic(self._run / REPLACED, json.dumps(replaced, indent=2) + "\n")
        parts = {name: part.state_dict() for name, part in self._recipe.state().items()}
        state = {"step": step, "recipe": parts, "random": torch.get_rng_state()}
        if self._average is not None:
            state["average"] = self._average.state_dict()
        if self.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)
        save_state(self._run / CHECKPOINT, state)


class DivergenceWatch:
    """Detects runs that diverge, and discriminators that leave the generator without a gradient."""

    def __init__(self) -> None:
        self._steps_below = 0

    def check(self, losses: dict[str, float], step: int) -> str:
        """Return a warning, or an empty text.

        Raises:
            TrainingDiverged: a loss is NaN or infinite.
        """
        if bad := [f"{name} is {loss}" for name, loss in losses.items() if not math.isfinite(loss)]:
            raise TrainingDiverged(f"step {step:,}: {', '.join(bad)}. {ADVICE}")
        if "discriminator" not in losses:
            return ""
        self._steps_below = self._steps_below + 1 if losses["discriminator"] < MIN_DISCRIMINATOR_LOSS else 0
        if self._steps_below != PATIENCE:
            return ""
        return (
            f"step {step:,}: the discriminator's loss stays below {MIN_DISCRIMINATOR_LOSS:g}: it tells all fakes "
            "from real images, and the generator learns nothing from it any more"
        )


def total_steps(config: TrainConfig, settings: RecipeConfig, pairs: int, pairs_per_step: int) -> int:
    """Return the optimizer steps of the whole run, by the command's options or else by the recipe's settings."""
    if config.steps is not None:
        return config.steps
    if config.epochs is None and settings.steps is not None:
        return settings.steps
    epochs = config.epochs or settings.epochs
    if epochs is None:
        raise ConfigError(f"recipe {config.recipe} has neither steps nor epochs; give --steps or --epochs")
    return -(-epochs * pairs // pairs_per_step)


def _make_average(recipe: Recipe, decay: float) -> AveragedModel | None:
    """An exponential moving average of the generator, buffers such as batch-norm statistics included."""
    if not decay:
        return None
    return AveragedModel(recipe.generator, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _mean(losses: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    if len(losses) == 1:
        return losses[0]
    return {name: torch.stack([each[name] for each in losses]).mean() for name in losses[0]}
