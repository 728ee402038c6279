"""Draw the crop with its numbers, on a real crop of the public-domain portrait: the README's picture.

python examples/draw_crop.py [PICTURE]
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from toolkit.crops.align import AlignConfig, align_photo
from toolkit.geometry.crop import chin_crop_points
from toolkit.geometry.mesh_topology import LEFT_EYE_INNER, RIGHT_EYE_INNER
from toolkit.landmarks.finder import open_landmarker
from toolkit.photos.files import encode_image, write_atomic

SIDE, BORDER, RULE = 384, 64, 150  # px: the crop, the white around it, the room for its measures
INK, RED, WHITE = (40, 40, 40), (210, 40, 40), (255, 255, 255)


def main(path: Path) -> None:
    """The crop, its eye midpoint and chin where the landmarks are, the template's lines where they should be."""
    [crop] = align_photo(np.asarray(data.astronaut(), np.uint8), open_landmarker(), AlignConfig(size=SIDE))
    sheet = np.full((SIDE + 2 * BORDER, SIDE + 2 * BORDER + RULE, 3), 255, np.uint8)
    sheet[BORDER : BORDER + SIDE, BORDER : BORDER + SIDE] = crop.image
    _, chin = chin_crop_points(crop.face.landmarks)
    eyes = crop.face.landmarks[[RIGHT_EYE_INNER, LEFT_EYE_INNER], :2]
    points = np.vstack([eyes, chin]) @ crop.matrix[:, :2].T + crop.matrix[:, 2] + BORDER
    eye_line, left, right, bottom = BORDER + 0.2 * SIDE, BORDER, BORDER + SIDE, BORDER + SIDE
    _line(sheet, (left, eye_line), (right + 70, eye_line))
    _line(sheet, (BORDER + SIDE / 2, BORDER - 14), (BORDER + SIDE / 2, bottom))
    _line(sheet, (left, bottom), (right + 70, bottom))
    for point in points:
        cv2.circle(sheet, tuple(point.round().astype(int)), 5, RED, -1, cv2.LINE_AA)
    _text(sheet, "0.5 w", (BORDER + SIDE / 2 - 20, BORDER - 22))
    _text(sheet, "0.2 h", (right + 24, (BORDER + eye_line) / 2 + 5))
    _text(sheet, "0.8 h", (right + 24, (eye_line + bottom) / 2))
    _text(sheet, "inner-eye midpoint", (right + 24, eye_line - 8))
    _text(sheet, "chin", (right + 24, bottom + 18))
    write_atomic(path, encode_image(sheet, path.suffix))


def _line(sheet: NDArray[np.uint8], start: tuple[float, float], end: tuple[float, float]) -> None:
    cv2.line(sheet, (round(start[0]), round(start[1])), (round(end[0]), round(end[1])), RED, 1, cv2.LINE_AA)


def _text(sheet: NDArray[np.uint8], text: str, place: tuple[float, float]) -> None:
    cv2.putText(sheet, text, (round(place[0]), round(place[1])), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "crop-drawn.png"))
