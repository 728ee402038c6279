"""Stage: compare this machine with the requirements of frontalize."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pipelines.extras import Extra, is_installed
from toolkit.errors import ConfigError

GIB = 2**30
MIN_DISK = 2 * GIB  # a training run with its checkpoints, and some thousand crops


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    found: str
    wanted: str
    verdict: Literal["ok", "warn", "fail"]  # warn: the CPU path works without it


def run_checks(folder: Path) -> Iterator[Check]:
    """Run all checks, the fastest first.

    Args:
        folder: whose disk is checked.
    """
    yield from _packages()
    yield _try("landmark models", "faces searched in an image", _landmarks, "fail")
    yield _try("refiner", "a face", _refiner, "fail")
    if is_installed("torch"):
        yield _try("torch", "a convolution on the CPU", _torch, "fail")
        if is_installed("nvidia.dali"):
            yield _try("DALI on the CPU", "a decoded JPEG", _dali, "warn")
        yield from _cuda()
    else:
        yield Check("CUDA", "used through torch, which is missing", "optional", "warn")
    yield _disk(folder)


def cpu_path_works(checks: list[Check]) -> bool:
    """Return whether everything works without a GPU."""
    return all(check.verdict != "fail" for check in checks)


def _packages() -> Iterator[Check]:
    """Python, the packages of the light install, those of each extra that are there, and each extra with gaps."""
    try:
        about = metadata("frontalize")
    except PackageNotFoundError:
        yield Check("frontalize", "not installed", "pip install .", "fail")
        return
    python, wanted = ".".join(map(str, sys.version_info[:3])), about["Requires-Python"]
    yield Check("Python", python, wanted, "ok" if SpecifierSet(wanted).contains(python) else "fail")
    requirements = [Requirement(line) for line in about.get_all("Requires-Dist") or []]
    for requirement in requirements:
        if _belongs(requirement, ""):
            yield _package(requirement) or Check(requirement.name, "missing", str(requirement.specifier), "fail")
    for extra in get_args(Extra):
        own = [each for each in requirements if _belongs(each, extra) and not _belongs(each, "")]
        found = {each.name: _package(each) for each in own}
        yield from filter(None, found.values())
        if gaps := ", ".join(name for name, check in found.items() if check is None):
            yield Check(f"extra {extra}", f"missing: {gaps}", f"pip install 'frontalize[{extra}]'", "warn")


def _belongs(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _package(requirement: Requirement) -> Check | None:
    """Compare the installed version with the bounds; None if there is none."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return None
    fits = requirement.specifier.contains(found, prereleases=True)
    return Check(requirement.name, found, str(requirement.specifier) or "any", "ok" if fits else "warn")


def _try(name: str, wanted: str, attempt: Callable[[], str], on_error: Literal["warn", "fail"]) -> Check:
    try:
        return Check(name, attempt(), wanted, "ok")
    except (ImportError, OSError, RuntimeError, ValueError, AttributeError, ConfigError) as error:
        return Check(name, f"{type(error).__name__}: {error}".splitlines()[0][:100], wanted, on_error)


def _landmarks() -> str:
    from toolkit.landmarks.finder import open_landmarker

    faces = open_landmarker().find(np.zeros((64, 64, 3), np.uint8))
    return f"loaded; {len(faces)} faces on a black image"


def _refiner() -> str:
    from pipelines.weights.generator import open_generator
    from toolkit.views.frontal import FrontalView

    refiner = open_generator("refiner")
    black, hidden = np.zeros((refiner.side, refiner.side, 3), np.uint8), np.zeros((refiner.side,) * 2, np.float32)
    [face] = refiner([FrontalView(black, hidden, black).network_inputs])
    return f"works on the CPU, {len(face.image)} px"


def _torch() -> str:
    import torch

    torch.nn.Conv2d(3, 8, 3)(torch.zeros(1, 3, 16, 16))
    return f"works, {torch.get_num_threads()} threads"


def _dali() -> str:
    import torch

    from pipelines.train.data.dali_loader import decode_once

    height, width = decode_once(torch.device("cpu"))
    return f"works, {width} x {height} px"


def _cuda() -> Iterator[Check]:
    import torch

    if not torch.cuda.is_available():
        yield Check("CUDA", "no GPU", "optional", "warn")
        return
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield Check("CUDA", f"{torch.version.cuda}: {', '.join(names)}", "optional", "ok")
    from pipelines.train.data.dali_loader import decode_once

    yield _try("DALI on the GPU", "a decoded JPEG", lambda: str(decode_once(torch.device("cuda", 0))), "warn")


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free in {folder}"
    return Check("disk", found, f"{MIN_DISK / GIB:.0f} GiB", "ok" if free >= MIN_DISK else "warn")
