"""``frontalize train``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import CORES, Device, Json, Quiet, Workers
from pipelines.configs import Loader, Precision, TrainConfig
from pipelines.screen import INTERRUPTED, Interrupt, Screen
from toolkit.errors import ConfigError

DEFAULT = TrainConfig(dataset="")


def train(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Root of a paired set.")],
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run; the same command again resumes it.")],
    recipe: Annotated[str, typer.Option(help="What to train: scaleway.")] = DEFAULT.recipe,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps; by default as many as the epochs make.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the pairs; by default the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs per step; by default the recipe's.")] = None,
    precision: Annotated[Precision, typer.Option(help="Of the networks.")] = DEFAULT.precision,
    loader: Annotated[Loader, typer.Option(help="What feeds them.")] = DEFAULT.loader,
    seed: Annotated[int, typer.Option(help="Of the first weights and of the order.")] = DEFAULT.seed,
    save_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = DEFAULT.save_every,
    set: Annotated[list[str] | None, typer.Option(help="key=value of the recipe's own config; repeatable.")] = None,
    device: Device = "auto",
    workers: Workers = CORES,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a generator on a paired set."""
    config = TrainConfig(
        dataset=str(dataset.resolve()),
        recipe=recipe,
        steps=steps,
        epochs=epochs,
        batch_size=batch_size,
        precision=precision,
        loader=loader,
        seed=seed,
        save_every=save_every,
        settings=_settings(set or []),
    )
    screen = Screen(json, quiet)
    with Interrupt() as stop:
        document = train_watched(screen, config, run, device, workers, stop)
    screen.result(document)
    if stop.pressed:
        raise typer.Exit(INTERRUPTED)


def train_watched(
    screen: Screen, config: TrainConfig, run: Path, device: str, workers: int, stop: Interrupt
) -> dict[str, object]:
    """Train to the end with a progress bar; what a program would want to know of it."""
    from pipelines.train import Progress, Training

    def note(now: Progress) -> str:
        losses = " ".join(f"{name} {loss:.4f}" for name, loss in now.losses.items())
        return f"{now.images_per_second:.0f} images/s {losses}"

    training = Training(config, run, device, workers)
    todo = training.steps - training.done
    screen.say(f"training {config.recipe} on {training.device}: {todo:,} of {training.steps:,} steps to go")
    first: dict[str, float] = {}
    last, rate, step = first, 0.0, training.done
    for now in screen.track(training.run(stop), "training", todo, note):
        step, rate = now.step, now.images_per_second
        last = now.losses or last
        first = first or last
    if first:
        change = ", ".join(f"{name} {first[name]:.4f} -> {loss:.4f}" for name, loss in last.items())
        screen.say(f"{run}: step {step:,}; {change}; {rate:.0f} images/s")
    return {"run": str(run), "step": step, "steps": training.steps, "images_per_second": round(rate, 2), "losses": last}


def _settings(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise ConfigError(f"--set {text}: must be key=value, as in --set l1_weight=1")
    return dict(text.split("=", 1) for text in texts)
