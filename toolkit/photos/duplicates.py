"""Perceptual hashes: images that look the same have nearly the same bits, however they were encoded or resized."""

from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 16  # cells of the grid, across and down
FLAT = 2  # grey levels: a smaller step is noise of the wall behind
BANDS = 8  # a pair that differs in fewer bits has at least one band in common
NEAR = 11  # of 256 bits: nearly all copies that are brighter, half as large, or JPEGs of quality 60

# Correlation of the grids. Copies: above .98. Aligned profiles of two people on one wall may agree in the bits; they
# reach .97.
ALIKE = 0.975
CROWD = 200  # members of a band beyond which it says nothing: blank images, mostly
_BITS = SIDE * SIDE // 8


def signature(image: NDArray[np.uint8]) -> bytes:
    """Describe a picture: 32 bytes of bits, then the 256 grey levels of a 16 x 16 grid.

    The bits say where, on a grid of 16 x 17 grey cells, a cell is brighter than its left neighbour.

    Args:
        image: (H, W, 3) RGB uint8.

    Source: N. Krawetz, "Kind of Like That", 2013 (dHash).
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    steps = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA)
    levels = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.packbits(steps[:, 1:] > steps[:, :-1] + FLAT).tobytes() + levels.round().astype(np.uint8).tobytes()


def near_pairs(signatures: list[bytes]) -> list[tuple[int, int]]:
    """Numbers of the pairs of signatures that are of one picture, each once, sorted.

    Only those that share one of eight bands of bits are compared, so that a million take seconds; of
    pairs that differ in eight bits or more a few are missed.
    """
    if not signatures:
        return []
    rows = np.frombuffer(b"".join(signatures), np.uint8).reshape(len(signatures), -1)
    bits = rows[:, :_BITS]
    found: set[tuple[int, int]] = set()
    for band in np.split(bits, BANDS, axis=1):
        keys = np.ascontiguousarray(band).view(np.uint32)[:, 0]
        order = np.argsort(keys, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
            if 1 < len(group) <= CROWD:
                found.update(combinations(sorted(group.tolist()), 2))
    near = [(a, b) for a, b in found if int(np.unpackbits(bits[a] ^ bits[b]).sum()) <= NEAR]
    return sorted((a, b) for a, b in near if _correlation(rows[a, _BITS:], rows[b, _BITS:]) > ALIKE)


def _correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    a, b = (levels - levels.mean() for levels in (one, other))
    lengths = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / lengths if lengths else 1.0
