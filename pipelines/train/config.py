"""Settings of ``frontalize train``."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from toolkit.errors import ConfigError

Precision = Literal["32", "bf16"]
Loader = Literal["dali", "torch"]
RECIPE_NAMES = ("scaleway", "siamese", "siamese-gan-v1", "siamese-gan-v2", "multitask", "refiner", "attributes")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """``frontalize train``: all that decides what a run learns; stored as ``RUN/config.json`` before the first step."""

    dataset: str  # subject-folder root
    recipe: str = "scaleway"
    steps: int | None = None  # optimizer steps; None: by epochs
    epochs: int | None = None  # passes over the pairs; None: the recipe's, unless steps are given
    batch_size: int | None = None  # pairs per step; None: the recipe's
    precision: Precision = "32"
    loader: Loader = "dali"
    seed: int = 0
    log_every: int = 10  # steps between lines of metrics.jsonl
    save_every: int = 500  # steps between checkpoints and sample grids; one more comes at the end
    validate_every: int | None = None  # steps between validations, where the set has a part for it; None: save_every
    accumulate: int = 1  # batches whose gradients make one step
    ema: float = 0.0  # decay of a running average of the generator, 0.999 say; 0: none is kept
    channels_last: bool = False  # memory format of the networks: faster on GPUs
    compile: bool = False  # torch.compile: a minute at the start, faster steps
    devices: int = 1  # GPUs, or processes on the CPU, of this machine; torchrun and SLURM say it themselves
    start_from: str | None = None  # a run or its generator.safetensors, whose weights are the first ones
    settings: dict[str, str] = field(default_factory=dict)  # --set key=value, for the recipe's own config

    def __post_init__(self) -> None:
        counts = ("steps", "epochs", "batch_size", "log_every", "save_every", "validate_every", "accumulate", "devices")
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value}: must be 1 or more")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema={self.ema}: must be 0 to below 1; try 0.999")
        if self.steps is not None and self.epochs is not None:
            raise ConfigError(f"steps={self.steps} and epochs={self.epochs}: give one of the two")
        if self.precision not in get_args(Precision):
            raise ConfigError(f"precision={self.precision!r}: choose one of {', '.join(get_args(Precision))}")
        if self.loader not in get_args(Loader):
            raise ConfigError(f"loader={self.loader!r}: choose one of {', '.join(get_args(Loader))}")
