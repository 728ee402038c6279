"""``frontalize train``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.console import INTERRUPTED, Console
from pipelines.commands.terminal.options import CORES, Dataset, Device, Json, Quiet, Workers
from pipelines.extras import TRAINING, require_extra
from pipelines.runtime.interrupt import Interrupt
from pipelines.train.config import RECIPE_NAMES, Loader, Precision, TrainConfig
from toolkit.errors import ConfigError, TrainingDiverged

DEFAULT = TrainConfig(dataset="")


Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run; the same command resumes it.")]
RecipeName = Annotated[str, typer.Option(help=f"Recipe: {', '.join(RECIPE_NAMES)}, or the path of a .py file.")]
Steps = Annotated[int | None, typer.Option(help="Optimizer steps; by default from the epochs.")]
Epochs = Annotated[int | None, typer.Option(help="Passes over the pairs; by default the recipe's.")]
BatchSize = Annotated[int | None, typer.Option(help="Pairs per step; by default the recipe's.")]
InPrecision = Annotated[Precision, typer.Option(help="Precision of the networks.")]
DataLoader = Annotated[Loader, typer.Option(help="Data loader.")]
Seed = Annotated[int, typer.Option(help="Seed of the initial weights and of the order.")]
SaveEvery = Annotated[int, typer.Option(help="Steps between checkpoints.")]
ValidateEvery = Annotated[int | None, typer.Option(help="Steps between validations; by default those of --save-every.")]
StartFrom = Annotated[Path | None, typer.Option(help="A run whose generator's weights to start from.")]
Accumulate = Annotated[int, typer.Option(help="Batches per optimizer step.")]
Ema = Annotated[float, typer.Option(help="Decay of the generator's exponential moving average; 0: none.")]
ChannelsLast = Annotated[bool, typer.Option("--channels-last", help="Use the channels-last memory format.")]
Compile = Annotated[bool, typer.Option("--compile", help="Compile the networks with torch.compile.")]
Devices = Annotated[int, typer.Option(help="Number of GPUs, or of CPU processes, on this machine.")]
Settings = Annotated[list[str] | None, typer.Option(help="key=value: a setting of the recipe; repeatable.")]


def train(
    dataset: Dataset,
    run: Run,
    recipe: RecipeName = DEFAULT.recipe,
    steps: Steps = DEFAULT.steps,
    epochs: Epochs = DEFAULT.epochs,
    batch_size: BatchSize = DEFAULT.batch_size,
    precision: InPrecision = DEFAULT.precision,
    loader: DataLoader = DEFAULT.loader,
    seed: Seed = DEFAULT.seed,
    save_every: SaveEvery = DEFAULT.save_every,
    validate_every: ValidateEvery = DEFAULT.validate_every,
    start_from: StartFrom = None,
    accumulate: Accumulate = DEFAULT.accumulate,
    ema: Ema = DEFAULT.ema,
    channels_last: ChannelsLast = DEFAULT.channels_last,
    compile: Compile = DEFAULT.compile,
    devices: Devices = DEFAULT.devices,
    set: Settings = None,
    device: Device = "auto",
    workers: Workers = CORES,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a generator on a paired set."""
    config = TrainConfig(
        dataset=str(dataset.resolve()),
        recipe=str(Path(recipe).resolve()) if recipe.endswith(".py") else recipe,
        steps=steps,
        epochs=epochs,
        batch_size=batch_size,
        precision=precision,
        loader=loader,
        seed=seed,
        save_every=save_every,
        validate_every=validate_every,
        start_from=None if start_from is None else str(start_from.resolve()),
        accumulate=accumulate,
        ema=ema,
        channels_last=channels_last,
        compile=compile,
        devices=devices,
        settings=_settings(set or []),
    )
    console = Console(json, quiet)
    with Interrupt() as stop:
        try:
            document = train_watched(console, config, run, device, workers, stop)
        except TrainingDiverged as error:
            console.error(f"stopped: {error}")
            raise typer.Exit(1) from error
    console.print_json(document)
    if stop.pressed:
        raise typer.Exit(INTERRUPTED)


def train_watched(
    console: Console, config: TrainConfig, run: Path, device: str, workers: int, stop: Interrupt
) -> dict[str, object]:
    """Train to the end with a progress bar; return the document for --json."""
    require_extra("train", "train", *TRAINING)
    from pipelines.train.trainer import REPLACED, Progress, Training

    def note(now: Progress) -> str:
        losses = " ".join(f"{name} {loss:.4f}" for name, loss in now.losses.items())
        return f"{now.images_per_second:.0f} images/s {losses}"

    training = Training(config, run, device, workers)
    todo = training.steps - training.done
    console.print(f"training {config.recipe} on {training.device}: {todo:,} of {training.steps:,} steps to go")
    first: dict[str, float] = {}
    valid: dict[str, float] = {}
    last, rate, step = first, 0.0, training.done
    for now in console.track(training.run(stop), "training", todo, note):
        step, rate = now.step, now.images_per_second
        last, valid = now.losses or last, now.validation or valid
        first = first or last
        if now.warning:
            console.error(now.warning)
    if training.replaced:
        console.error(f"{len(training.replaced):,} files could not be decoded; named in {run / REPLACED}")
    if first:
        change = ", ".join(f"{name} {first.get(name, loss):.4f} -> {loss:.4f}" for name, loss in last.items())
        console.print(f"{run}: step {step:,}; {change}; {rate:.0f} images/s")
    if valid:
        console.print(", ".join(f"{name.replace('val_', 'validation ')} {value:.4f}" for name, value in valid.items()))
    numbers = {"step": step, "steps": training.steps, "images_per_second": round(rate, 2)}
    return {"run": str(run), **numbers, "losses": last, "validation": valid}


def _settings(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise ConfigError(f"--set {text}: must be key=value, as in --set l1_weight=1")
    return dict(text.split("=", 1) for text in texts)
