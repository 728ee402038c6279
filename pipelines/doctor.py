"""Stage: compare this machine with the requirements of frontalize."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import numpy as np
from packaging.requirements import Requirement

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
    yield _python()
    yield from _packages()
    yield _try("landmark models", "a face graph that runs", _landmarks, "fail")
    yield _try("torch", "a convolution on the CPU", _torch, "fail")
    yield _try("DALI on the CPU", "a decoded JPEG", _dali, "warn")
    yield from _cuda()
    yield _disk(folder)


def cpu_path_works(checks: list[Check]) -> bool:
    """Return whether everything works without a GPU."""
    return all(check.verdict != "fail" for check in checks)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 13)
    return Check("Python", found, ">=3.11,<3.13", "ok" if fits else "fail")


def _packages() -> Iterator[Check]:
    try:
        requirements = [Requirement(line) for line in requires("frontalize") or []]
    except PackageNotFoundError:
        yield Check("frontalize", "not installed", "pip install .", "fail")
        return
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        bound = str(requirement.specifier) or "any"
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield Check(requirement.name, "missing", bound, "warn" if "dali" in requirement.name else "fail")
            continue
        fits = requirement.specifier.contains(found, prereleases=True)
        yield Check(requirement.name, found, bound, "ok" if fits else "warn")


def _try(name: str, wanted: str, attempt: Callable[[], str], on_error: Literal["warn", "fail"]) -> Check:
    try:
        return Check(name, attempt(), wanted, "ok")
    except (ImportError, OSError, RuntimeError, ValueError, AttributeError, ConfigError) as error:
        return Check(name, f"{type(error).__name__}: {error}".splitlines()[0][:100], wanted, on_error)


def _landmarks() -> str:
    from toolkit.landmarks.finder import open_landmarker

    faces = open_landmarker().find(np.zeros((64, 64, 3), np.uint8))
    return f"loaded; {len(faces)} faces on a black image"


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
