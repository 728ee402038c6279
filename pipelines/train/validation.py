"""Validation metrics and sample grids of a generator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from pipelines.metrics.image_metrics import MEASURES, compare_images
from pipelines.train.data.batches import PairBatch
from pipelines.train.recipes.recipe import Recipe
from pipelines.train.run_folder import sample_grid, with_title
from toolkit.photos.files import encode_image, write_atomic

PREFIX = "val_"


@torch.inference_mode()
def validate(recipe: Recipe, generator: nn.Module, batches: Iterator[PairBatch], fabric: Fabric) -> dict[str, float]:
    """Return the means of :func:`pipelines.metrics.image_metrics.compare_images` over all pairs of all ranks."""
    generator.eval()
    sums = torch.zeros(len(MEASURES) + 1, dtype=torch.float64, device=fabric.device)  # and the count of pairs
    for batch in batches:
        with fabric.autocast():
            fake = recipe.generate(generator, batch).float()
        each = compare_images(fake, batch.target, recipe.normalization)
        sums += torch.cat([each.sum(dim=1), each.new_tensor([each.shape[1]])])
    generator.train()
    reduced: Any = fabric.all_reduce(sums, reduce_op="sum")
    *totals, count = reduced.tolist()
    return {PREFIX + name: total / count for name, total in zip(MEASURES, totals, strict=True)}


def save_grids(run: Path, step: int, recipe: Recipe, generator: nn.Module, batch: PairBatch) -> None:
    """Write ``samples/<step>.jpg``, rows input, generated, target, and the recipe's extra grid if it has one."""
    generator.eval()
    with torch.inference_mode():
        rows = [batch.input, recipe.generate(generator, batch), batch.target]
        extra_rows, title = recipe.extra_grid(generator, batch)
    generator.train()
    grids = ((f"{step:06d}.jpg", rows, ""), (f"{step:06d}_{recipe.architecture}.jpg", extra_rows, title))
    for name, grid, text in grids:
        if grid:
            picture = with_title(sample_grid(grid, recipe.normalization), text)
            write_atomic(run / "samples" / name, encode_image(picture, ".jpg"))
