"""How a generator does, in numbers and in pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from pipelines.batches import Normalization, PairBatch
from pipelines.recipes.recipe import Recipe
from pipelines.runs import sample_grid, titled
from toolkit.images import encode_image, write_whole

PREFIX = "val_"
_FLOOR = 1e-10  # of a mean squared difference: identical images have no finite PSNR


@torch.inference_mode()
def validate(recipe: Recipe, generator: nn.Module, batches: Iterator[PairBatch], fabric: Fabric) -> dict[str, float]:
    """L1 and L2 in network numbers, PSNR (dB) and SSIM of images in [0, 1]; each the mean over all pairs of all ranks.

    Source of SSIM: Wang et al., IEEE TIP 2004, as torchmetrics has it: Gaussian window of sigma 1.5 px.
    """
    generator.eval()
    sums = torch.zeros(5, dtype=torch.float64, device=fabric.device)
    for batch in batches:
        with fabric.autocast():
            made = recipe.show(generator, batch).float()
        off = made - batch.target
        one, other = (_shares(images, recipe.normalization) for images in (made, batch.target))
        squared = (one - other).square().mean(dim=(1, 2, 3)).clamp_min(_FLOOR)
        alike: Any = structural_similarity_index_measure(one, other, data_range=1.0, reduction="none")
        each = (off.abs().mean(dim=(1, 2, 3)), off.square().mean(dim=(1, 2, 3)), -10 * squared.log10(), alike)
        sums += torch.stack([*(values.sum() for values in each), torch.tensor(float(len(off)), device=off.device)])
    generator.train()
    reduced: Any = fabric.all_reduce(sums, reduce_op="sum")
    *totals, count = reduced.tolist()
    return {PREFIX + name: total / count for name, total in zip(("l1", "l2", "psnr", "ssim"), totals, strict=True)}


def _shares(images: Tensor, constants: Normalization) -> Tensor:
    return ((images * constants.scale + constants.mean) / 255).clamp(0, 1)


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
