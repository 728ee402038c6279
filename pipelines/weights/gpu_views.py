"""Frontal views for a batch of photos on the network's own device: layouts go up, nothing comes back but faces."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.frontal_view import draw_frontal
from toolkit.faces.head_mesh import head_mirror, head_triangles
from toolkit.views.frontal import Layout


class ViewDrawer:
    """Draws what :func:`toolkit.views.frontal.draw` does, many at once.

    Args:
        size: side of the views, pixels; a multiple of 4.
        device: where.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self._size, self._device = size, device
        self._triangles, self._mirror = (
            torch.from_numpy(part(back=False)).to(device) for part in (head_triangles, head_mirror)
        )

    def __call__(self, layouts: Sequence[Layout]) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) float32, 0 to 255, and (B, 1, S, S) visibility, 0 to 255: whole numbers, as if stored."""
        high, wide = np.max([layout.skin.shape[:2] for layout in layouts], axis=0)
        skins = [
            np.pad(skin, [(0, high - skin.shape[0]), (0, wide - skin.shape[1]), (0, 0)], "edge")
            for skin in (layout.skin for layout in layouts)
        ]
        images, visible = draw_frontal(
            self._up(skins).permute(0, 3, 1, 2),
            self._up([layout.places for layout in layouts]),
            self._up([layout.target for layout in layouts]),
            self._up([layout.facing for layout in layouts]),
            self._up([layout.backdrop for layout in layouts]).permute(0, 3, 1, 2),
            (self._triangles, self._mirror),
            self._size,
        )
        return images.floor(), (255 * visible).round()

    def _up(self, parts: Sequence[NDArray[np.uint8] | NDArray[np.float32]]) -> Tensor:
        return torch.from_numpy(np.stack(parts)).to(self._device).float()
