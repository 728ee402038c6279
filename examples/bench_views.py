"""How many views a second one core makes, once the landmarks are known.

    python examples/bench_views.py PHOTOS [COUNT]

`rotate_view` on photos cut to 256 px around the head, all its preparation included; `frontal_view`
at 128 px from the same turned heads; and further poses of a head that is prepared already.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.align import AlignConfig, align_photo
from toolkit.cascade import open_landmarker
from toolkit.images import list_photos
from toolkit.landmarks import Face, Landmarker
from toolkit.photos import read_photo
from toolkit.turnable import TurnableHead
from toolkit.views import frontal_view, rotate_view

SIDE, YAW, ROUNDS = 256, 40.0, 3
Cut = tuple[NDArray[np.uint8], Face]


def rate(work: Callable[[Cut], object], cuts: list[Cut]) -> str:
    """Photos a second, the best and the worst of some rounds."""
    rates = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for cut in cuts:
            work(cut)
        rates.append(len(cuts) / (time.perf_counter() - started))
    return f"{sorted(rates)[ROUNDS // 2]:.0f}/s ({min(rates):.0f} to {max(rates):.0f})"


def read_cut(path: Path, landmarker: Landmarker) -> list[Cut]:
    """The head, and its landmarks found anew in the cut; nothing where there is none."""
    config = AlignConfig(size=SIDE, margin=0.6)
    crops = align_photo(read_photo(path), landmarker, config)
    return [(crop.image, face) for crop in crops for face in landmarker.find(crop.image)[:1]]


def main(folder: Path, count: int) -> None:
    """Read, warm up, time, tell."""
    cv2.setNumThreads(1)
    landmarker = open_landmarker()
    cuts = [cut for name in list_photos(folder)[0][:count] for cut in read_cut(folder / name, landmarker)]
    turned = [(view.image, Face(view.landmarks, None)) for view in (rotate_view(*cut, YAW) for cut in cuts)]
    heads = {id(cut[0]): TurnableHead(*cut) for cut in cuts}
    frontal_view(*turned[0])
    print(f"{len(cuts)} heads: rotate_view at {SIDE} px {rate(lambda cut: rotate_view(*cut, YAW), cuts)}", end="; ")
    print(f"further poses {rate(lambda cut: heads[id(cut[0])].view(YAW), cuts)}", end="; ")
    print(f"frontal_view at 128 px {rate(lambda cut: frontal_view(*cut, 128), turned)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 40)
