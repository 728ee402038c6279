"""Self-contained HTML pages: pictures inside the file, no scripts, nothing fetched."""

import base64
import html

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.photos.files import encode_image

Image = NDArray[np.uint8]
TILE = 112  # px, the side of a picture's square
GREY = 238  # of what a picture leaves free


def fit(image: Image) -> Image:
    """An (H, W, 3) RGB image in a square tile, whole and uncut."""
    scale = TILE / max(image.shape[:2])
    width, height = (max(1, round(side * scale)) for side in (image.shape[1], image.shape[0]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    tile = np.full((TILE, TILE, 3), GREY, np.uint8)
    top, left = (TILE - height) // 2, (TILE - width) // 2
    tile[top : top + height, left : left + width] = small
    return tile


def picture(image: Image, name: str) -> str:
    """An ``<img>`` that holds the image, in a tile; ``name`` is read where it cannot be seen."""
    data = base64.b64encode(encode_image(fit(image), ".jpg", 85)).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{html.escape(name)}">'


def page(title: str, body: str) -> str:
    """A whole page around a body of HTML; the title is plain text."""
    return _PAGE.format(title=html.escape(title), body=body)


_PAGE = """<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; color: #282828; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse }}
th {{ text-align: left; padding: 0 1rem .5rem 0 }}
td {{ padding: .25rem 1rem .25rem 0; vertical-align: middle }}
img {{ display: block; border-radius: 4px }}
.numbers td, .numbers th {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }}
.numbers td:nth-child(-n+2), .numbers th:nth-child(-n+2) {{ text-align: left; white-space: normal }}
.numbers .first td {{ border-top: 1px solid #ccc }}
.pairs td {{ vertical-align: top; font-size: 12px; max-width: 11rem; overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
{body}
</html>
"""
