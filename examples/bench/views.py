"""How many views a second one core makes, once the landmarks are known.

    python examples/bench/views.py PHOTOS [COUNT]

`rotate_view` on photos cut to 256 px around the head, all its preparation included; `frontal_view`
at 128 px from the same turned heads; and further poses of a head that is prepared already. Then the
drawing of the frontal views in one batch on a GPU, or on the CPU where there is none, and what it costs:
arithmetic operations as PyTorch's profiler counts them, and bytes that it writes.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.profiler import ProfilerActivity, profile

from pipelines.weights.gpu_views import ViewRenderer
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.faces.face import Face
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import list_photos
from toolkit.views import frontal
from toolkit.views.frontal import frontal_view
from toolkit.views.rotate import RotatableHead, rotate_view

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


def batch_rate(turned: list[Cut], device: str) -> str:
    """Frontal views a second, drawn in one batch; and the operations and bytes that each takes."""
    layouts = [frontal.prepare_view(*cut, 128, "chin") for cut in turned]
    draw = ViewRenderer(128, torch.device(device))
    rates = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        draw(layouts)[0].sum().item()  # the sum waits for the device
        rates.append(len(turned) / (time.perf_counter() - started))
    with profile(activities=[ProfilerActivity.CPU], with_flops=True, profile_memory=True, acc_events=True) as seen:
        draw(layouts)
    events = seen.key_averages()
    written = sum(max(event.self_cpu_memory_usage + event.self_device_memory_usage, 0) for event in events)
    millions = [amount / len(turned) / 1e6 for amount in (sum(event.flops for event in events), written)]
    rate = f"{sorted(rates[1:])[ROUNDS // 2]:.0f}/s on {device}"
    return f"{rate}; each takes {millions[0]:.1f} M operations and writes {millions[1]:.1f} MB"


def main(folder: Path, count: int) -> None:
    """Read, warm up, time, tell."""
    cv2.setNumThreads(1)
    landmarker = open_landmarker()
    cuts = [cut for name in list_photos(folder)[0][:count] for cut in read_cut(folder / name, landmarker)]
    turned = [(view.image, Face(view.landmarks, None)) for view in (rotate_view(*cut, YAW) for cut in cuts)]
    heads = {id(cut[0]): RotatableHead(*cut) for cut in cuts}
    frontal_view(*turned[0])
    print(f"{len(cuts)} heads: rotate_view at {SIDE} px {rate(lambda cut: rotate_view(*cut, YAW), cuts)}", end="; ")
    print(f"further poses {rate(lambda cut: heads[id(cut[0])].view(YAW), cuts)}", end="; ")
    print(f"frontal_view at 128 px {rate(lambda cut: frontal_view(*cut, 128), turned)}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"drawn in one batch: {batch_rate(turned, device)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 40)
