"""What this machine is, and what it lacks."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from examples.gpu.claims import Lacking
from pipelines.extras import is_installed
from pipelines.runtime.config import all_cores

PACKAGES = ("frontalize", "torch", "torchvision", "lightning-fabric", "nvidia-dali-cuda120", "onnxruntime", "onnx")
ROOT = Path(__file__).parents[2]
GIB = 2**30


def describe(device: str) -> dict[str, str]:
    """Return the rows of the report's first table."""
    rows = {
        "processor": _processor(),
        "cores": str(all_cores()),
        "memory": _memory(),
        "system": platform.platform(),
        **(_gpu(device) if device.startswith("cuda") else {"GPU": "none: the CPU stands in for it"}),
        "Python": sys.version.split()[0],
    }
    for package in PACKAGES:
        try:
            rows[package] = version(package)
        except PackageNotFoundError:
            rows[package] = "not installed"
    rows["commit"] = _output("git", "-C", str(ROOT), "rev-parse", "HEAD") or "not a checkout"
    return rows


def require_dali() -> None:
    """Raise Lacking without DALI."""
    if not is_installed("nvidia.dali"):
        raise Lacking("DALI not installed")


def utilization_reader(device: str) -> Callable[[], float]:
    """Return what reads how busy the device is, 0 to 1; of the CPU, that is all of its cores.

    Raises:
        Lacking: NVML cannot be used.
    """
    if device == "cpu":
        return lambda: min(1.0, float(Path("/proc/loadavg").read_text().split()[0]) / all_cores())
    try:
        import pynvml  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise Lacking("NVML missing (pip install nvidia-ml-py)") from error
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2] or 0))
    except pynvml.NVMLError as error:
        raise Lacking(f"NVML does not work ({error})") from error
    return lambda: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100


def _gpu(device: str) -> dict[str, str]:
    import torch

    about = torch.cuda.get_device_properties(device)
    driver = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").partition("\n")[0]
    return {
        "GPU": f"{about.name}, {about.total_memory / GIB:.0f} GiB, compute capability {about.major}.{about.minor}",
        "GPUs": str(torch.cuda.device_count()),
        "driver": driver or "not known: no nvidia-smi",
        "CUDA of torch": str(torch.version.cuda),
        "cuDNN": str(torch.backends.cudnn.version()),
    }


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory() -> str:
    about = Path("/proc/meminfo")
    kilobytes = int(about.read_text().split()[1]) if about.exists() else 0
    return f"{1024 * kilobytes / GIB:.0f} GiB" if kilobytes else "not known"


def _output(*words: str) -> str:
    if shutil.which(words[0]) is None:
        return ""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
