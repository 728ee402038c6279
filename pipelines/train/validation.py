"""How a generator does, in numbers and in pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from pipelines.metrics.image_metrics import MEASURES, compare_images
from pipelines.train.data.batches import PairBatch
from pipelines.train.recipes.recipe import Recipe
from pipelines.train.run_folder import sample_grid, titled
from toolkit.photos.files import encode_image, write_whole

PREFIX = "val_"


@torch.inference_mode()
def validate(recipe: Recipe, generator: nn.Module, batches: Iterator[PairBatch], fabric: Fabric) -> dict[str, float]:
    """The means of :func:`pipelines.metrics.image_metrics.compare_images` over all pairs of all ranks."""
    generator.eval()
    sums = torch.zeros(5, dtype=torch.float64, device=fabric.device)
    for batch in batches:
        with fabric.autocast():
            made = recipe.show(generator, batch).float()
        each = compare_images(made, batch.target, recipe.normalization)
        sums += torch.cat([each.sum(dim=1), each.new_tensor([each.shape[1]])])
    generator.train()
    reduced: Any = fabric.all_reduce(sums, reduce_op="sum")
    *totals, count = reduced.tolist()
    return {PREFIX + name: total / count for name, total in zip(MEASURES, totals, strict=True)}


def save_grids(run: Path, step: int, recipe: Recipe, generator: nn.Module, batch: PairBatch) -> None:
    """Write ``samples/<step>.jpg``: rows input, generated, target; and one more where the recipe has more to show."""
    generator.eval()
    with torch.inference_mode():
        rows = [batch.input, recipe.show(generator, batch), batch.target]
        extra, title = recipe.extra_grid(generator, batch)
    generator.train()
    for name, grid, words in ((f"{step:06d}.jpg", rows, ""), (f"{step:06d}_{recipe.architecture}.jpg", extra, title)):
        if grid:
            picture = titled(sample_grid(grid, recipe.normalization), words)
            write_whole(run / "samples" / name, encode_image(picture, ".jpg"))
