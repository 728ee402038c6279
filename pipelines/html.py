"""Self-contained HTML pages: Jinja2 templates that escape every value, images inside the file, nothing fetched."""

import base64
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from toolkit.errors import ConfigError
from toolkit.photos.files import encode_image, write_atomic
from toolkit.photos.types import Image

if TYPE_CHECKING:
    from jinja2 import Environment
TILE = 112  # pixels, side of the square in which an image is shown
GRAY = 238  # level of the area that an image leaves free
QUALITY = 85  # of JPEG


def render(template: Path, **values: Any) -> str:
    """Render a template.

    Every value is escaped, or with the filter ``tojson`` written as JSON that cannot end a ``<script>``.

    Args:
        template: an HTML file beside its reader.
        values: all variables of the template; a missing one raises ``jinja2.UndefinedError``.
    """
    return _environment(template.parent).get_template(template.name).render(values)


@cache
def _environment(folder: Path) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # here, so that `--help` stays fast

    environment = Environment(
        loader=FileSystemLoader(folder, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def require_page(path: Path) -> None:
    """Check that an HTML page can be written, before work starts.

    Raises:
        ConfigError: it cannot, or the name does not end in .html.
    """
    if path.is_dir():
        raise ConfigError(f"OUT {path}: is a folder; give the name of an HTML file")
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"OUT {path}: not the name of an HTML file; end it in .html")
    folder = next(parent for parent in path.absolute().parents if os.access(parent, os.F_OK))
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"OUT {path}: nothing can be written to {folder}; choose another folder")


def write_page(path: Path, page: str) -> None:
    """Write an HTML page atomically.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        write_atomic(path, page)
    except OSError as error:
        raise ConfigError(f"OUT {path}: cannot be written ({error.strerror}); choose another") from error


def to_tile(image: Image) -> Image:
    """Fit an (H, W, 3) RGB image into a square of :data:`TILE` pixels, uncropped."""
    scale = TILE / max(image.shape[:2])
    width, height = (max(1, round(side * scale)) for side in (image.shape[1], image.shape[0]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    tile = np.full((TILE, TILE, 3), GRAY, np.uint8)
    top, left = (TILE - height) // 2, (TILE - width) // 2
    tile[top : top + height, left : left + width] = small
    return tile


def data_url(image: Image) -> str:
    """Encode the tile of an (H, W, 3) RGB image as the ``src`` of an ``<img>``."""
    data = base64.b64encode(encode_image(to_tile(image), ".jpg", QUALITY)).decode()
    return f"data:image/jpeg;base64,{data}"
