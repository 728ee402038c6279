"""Lightning Fabric: training on one device or several."""

import os
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from pipelines.runtime.devices import choose_device
from toolkit.errors import ConfigError


def open_fabric(precision: str, device: str, devices: int) -> Fabric:
    """Lightning Fabric on one device or several, launched.

    Under ``torchrun`` and SLURM the launcher says how many processes there are; otherwise, with
    ``devices`` above 1, Fabric starts the other processes by running the same command again.

    Args:
        precision: ``32``, or ``bf16`` for mixed precision.
        device: auto, cpu, cuda or cuda:i.
        devices: of this machine; above 1 it takes the first ones of that kind.

    Raises:
        ConfigError: a device that is not there.
    """
    chosen = torch.device(choose_device(device))
    local = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("SLURM_NTASKS_PER_NODE") or devices)
    nodes = int(os.environ.get("SLURM_NNODES") or int(os.environ.get("WORLD_SIZE", local)) // local)
    several = local * nodes > 1
    if chosen.type == "cuda" and local > torch.cuda.device_count():
        raise ConfigError(f"devices={local}: torch sees {torch.cuda.device_count()} GPUs; use fewer")
    one: Any = [chosen.index or 0] if chosen.type == "cuda" else 1
    fabric = Fabric(
        accelerator=chosen.type,
        devices=local if several else one,
        num_nodes=nodes,
        # Generators pass twice before one backward; the batch norms' numbers must not be rewritten in between.
        strategy=DDPStrategy(broadcast_buffers=False) if several else "auto",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    if several:
        fabric.launch()
    return fabric
