"""Frontal views for a batch of photos, rendered on the network's device."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.frontal_view import FrontalViews, render_views
from toolkit.faces.head_mesh import head_mirror, head_triangles
from toolkit.views.frontal import ViewInputs


class ViewRenderer:
    """Renders views as :func:`toolkit.views.frontal.render_view` does, a batch at a time.

    Args:
        size: side of the views, pixels; a multiple of 4.
        device: where they are rendered.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self._size, self._device = size, device
        self._triangles, self._mirror = (
            torch.from_numpy(part(back=False)).to(device) for part in (head_triangles, head_mirror)
        )

    def __call__(self, views: Sequence[ViewInputs]) -> FrontalViews:
        """Render a batch; all values are whole numbers from 0 to 255, as float32, those of the visibility, too."""
        height, width = np.max([view.texture.shape[:2] for view in views], axis=0)
        textures = [
            np.pad(texture, [(0, height - texture.shape[0]), (0, width - texture.shape[1]), (0, 0)], "edge")
            for texture in (view.texture for view in views)
        ]
        images, visibility, unmirrored = render_views(
            self._to_device(textures).permute(0, 3, 1, 2),
            self._to_device([view.texture_xy for view in views]),
            self._to_device([view.view_xyz for view in views]),
            self._to_device([view.visibility for view in views]),
            self._to_device([view.background for view in views]).permute(0, 3, 1, 2),
            torch.tensor([view.own_margin for view in views], device=self._device),
            (self._triangles, self._mirror),
            self._size,
        )
        return FrontalViews(images.floor(), (255 * visibility).round(), unmirrored.floor())

    def _to_device(self, parts: Sequence[NDArray[np.uint8] | NDArray[np.float32]]) -> Tensor:
        return torch.from_numpy(np.stack(parts)).to(self._device).float()
