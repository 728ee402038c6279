"""Settings of ``frontalize train``."""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.runtime.config import require_at_least, require_choice
from toolkit.errors import ConfigError

Precision = Literal["32", "bf16"]
Loader = Literal["dali", "torch"]
MAX_SEED = 1 << 63
RECIPE_NAMES = ("scaleway", "siamese", "siamese-gan-v1", "siamese-gan-v2", "multitask", "refiner", "attributes")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """``frontalize train``: all that decides a run's result; stored as ``RUN/config.json`` before the first step."""

    dataset: str  # root of the paired set
    recipe: str = "scaleway"  # one of RECIPE_NAMES, or the path of a user's recipe file
    steps: int | None = None  # optimizer steps; None: by epochs
    epochs: int | None = None  # passes over the pairs; None: the recipe's, unless steps are given
    batch_size: int | None = None  # pairs per step; None: the recipe's
    precision: Precision = "32"
    loader: Loader = "dali"
    seed: int = 0  # of the initial weights, the order and the augmentation
    log_every: int = 10  # steps between lines of metrics.jsonl
    save_every: int = 500  # steps between checkpoints and sample grids; the last step saves too
    validate_every: int | None = None  # steps between validations, if the set has a part `val`; None: save_every
    accumulate: int = 1  # batches whose gradients make one optimizer step
    ema: float = 0.0  # decay of a moving average of the generator's weights, for example 0.999; 0: no average
    channels_last: bool = False  # memory format of the networks: faster on GPUs
    compile: bool = False  # torch.compile: a minute at the start, faster steps
    devices: int = 1  # GPUs, or processes on the CPU, of this machine; torchrun and SLURM set the number themselves
    start_from: str | None = None  # a run or its generator.safetensors, whose weights the training starts from
    settings: dict[str, str] = field(default_factory=dict)  # --set key=value, for the recipe's own config

    def __post_init__(self) -> None:
        counts = ("steps", "epochs", "batch_size", "log_every", "save_every", "validate_every", "accumulate", "devices")
        for name in counts:
            if (value := getattr(self, name)) is not None:
                require_at_least(name, value, 1, "leave it out for the default")
        if not 0 <= self.seed < MAX_SEED:
            raise ConfigError(f"seed={self.seed}: must be 0 or more, and below 2**63; leave it out for 0")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema={self.ema}: must be 0 or more and below 1; try 0.999")
        if self.steps is not None and self.epochs is not None:
            raise ConfigError(f"steps={self.steps} and epochs={self.epochs}: give one of the two")
        require_choice("precision", self.precision, Precision)
        require_choice("loader", self.loader, Loader)
