"""Near-duplicate images, found by perceptual hashes, which hardly change when an image is encoded again or resized."""

from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

GRID = 16  # cells, across and down
MIN_STEP = 2  # gray levels between neighboring cells: smaller differences are noise of a plain background
BANDS = 8  # of the hash; a pair that differs in fewer bits has at least one band in common
MAX_DIFFERENT_BITS = 11  # of 256: holds for nearly all copies that are brighter, half as large, or JPEGs of quality 60

# Of the gray grids. Copies are above .98. Aligned profiles of two people before the same wall may have nearly the same
# bits; their correlation is up to .97.
MIN_CORRELATION = 0.975
MAX_BAND_MEMBERS = 200  # larger groups with one value of a band are skipped: they are mostly blank images
_HASH_BYTES = GRID * GRID // 8


def signature(image: NDArray[np.uint8]) -> bytes:
    """Compute the signature of an image: a hash of 32 bytes, then the 256 gray levels of a 16 x 16 grid.

    A bit of the hash is 1 where, on a grid of 16 x 17 gray cells, a cell is brighter than its left neighbor.

    Args:
        image: (H, W, 3) RGB uint8.

    Source: N. Krawetz, "Kind of Like That", 2013 (dHash).
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    wide = cv2.resize(gray, (GRID + 1, GRID), interpolation=cv2.INTER_AREA)
    levels = cv2.resize(gray, (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.packbits(wide[:, 1:] > wide[:, :-1] + MIN_STEP).tobytes() + levels.round().astype(np.uint8).tobytes()


def find_duplicate_pairs(signatures: list[bytes]) -> list[tuple[int, int]]:
    """Find the pairs of signatures that belong to near-duplicate images.

    Only pairs that have one of eight bands of the hash in common are compared, so a million signatures take
    seconds; of pairs that differ in eight bits or more a few are missed.

    Returns:
        Pairs of indices, each once, sorted.
    """
    if not signatures:
        return []
    rows = np.frombuffer(b"".join(signatures), np.uint8).reshape(len(signatures), -1)
    bits = rows[:, :_HASH_BYTES]
    found: set[tuple[int, int]] = set()
    for band in np.split(bits, BANDS, axis=1):
        keys = np.ascontiguousarray(band).view(np.uint32)[:, 0]
        order = np.argsort(keys, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
            if 1 < len(group) <= MAX_BAND_MEMBERS:
                found.update(combinations(sorted(group.tolist()), 2))
    similar = [(a, b) for a, b in found if int(np.unpackbits(bits[a] ^ bits[b]).sum()) <= MAX_DIFFERENT_BITS]
    grids = rows[:, _HASH_BYTES:]
    return sorted((a, b) for a, b in similar if _correlation(grids[a], grids[b]) > MIN_CORRELATION)


def _correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    a, b = (levels - levels.mean() for levels in (one, other))
    lengths = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / lengths if lengths else 1.0
