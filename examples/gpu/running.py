"""The steps that run what the project has: tests, trainings, bulk runs, exports."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from examples.gpu.claims import Claim, Lacking, StepFailed, at_least, at_most, measured, skipped
from examples.gpu.machine import ROOT, require_dali
from examples.gpu.work import Work
from pipelines.weights.generator import weights_path


def run_tests(work: Work) -> list[Claim]:
    """All tests with the marker ``gpu``: without a GPU they skip themselves."""
    result = work.out / "tests.xml"
    settings = ("-c", ROOT / "pyproject.toml", "-p", "no:cacheprovider", f"--junitxml={result}")
    words = ("-m", "gpu", "-q", *settings, ROOT / work.sizes.tests)
    work.call("pytest:console_main", *words, codes=(0, 1))
    cases = list(ElementTree.parse(result).iter("testcase"))
    bad = [case.get("name", "") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    absent = [case.find("skipped") for case in cases]
    reasons = sorted({reason.get("message", "") for reason in absent if reason is not None})
    ran = len(cases) - sum(reason is not None for reason in absent)
    claims = [at_most(f"tests with the marker gpu that fail, of {ran} that ran", len(bad), 0)] if ran else []
    claims += [measured(f"fails: {name}", "") for name in bad]
    if reasons:
        claims.append(skipped(f"{len(cases) - ran} tests with the marker gpu", "; ".join(reasons)))
    if not cases:
        raise StepFailed(f"{work.sizes.tests}: no test has the marker gpu")
    return claims


def make_training_set(work: Work) -> list[Claim]:
    """The set of the trainings: a round trip gives views, and the masks that the refiner needs."""
    words = ("--round-trip", "--per-photo", work.sizes.views, *work.place(work.device))
    document = work.frontalize("pairs", "synth", work.few, work.training_set, *words)
    return [at_least("pairs synth --round-trip: photos written", document["written"] + document["skipped"], 1)]


def train(work: Work, recipe: str) -> list[Claim]:
    """One recipe with DALI, which decodes mixed on a GPU, and with torch's loader."""
    require_dali()
    words: list[object] = ["--device", work.device, "--workers", work.sizes.workers]
    words += ["--seconds", work.sizes.train_seconds, "--warm-up", work.sizes.warm_up]
    if work.sizes.batch_size is not None:
        words += ["--batch-size", work.sizes.batch_size]
    run = work.folder(f"run-{recipe}", work.device)
    rates: dict[str, Any] = json.loads(work.call("examples.gpu.training:main", work.training_set, run, recipe, *words))
    dali, torch = rates["dali"], rates["torch"]
    sizes, ratio = work.sizes, dali["images_per_second"] / torch["images_per_second"]
    claims = [
        measured(f"train {recipe}: {loader}", f"{each['images_per_second']:.1f} images/s")
        for loader, each in rates.items()
    ]
    infinite = sum(not each["losses_finite"] for each in rates.values())
    claims += [
        at_most(f"train {recipe}: runs with a loss that is no number", infinite, 0),
        at_least(f"train {recipe}: DALI relative to torch's loader", ratio, sizes.least_loader_ratio, "times"),
        at_most(f"train {recipe}: time that the GPU waits for data, DALI", dali["waiting"], sizes.most_waiting, "%"),
        measured(f"train {recipe}: the same, torch's loader", f"{100 * torch['waiting']:.3g} %"),
    ]
    busy = f"train {recipe}: time that the GPU is busy, DALI"
    if dali["busy"] is None:
        return [*claims, skipped(busy, dali["lacks"] or "too short to be sampled")]
    return [*claims, measured(busy, f"{100 * dali['busy']:.0f} %")]


def throughput(work: Work, verb: str) -> list[Claim]:
    """A whole bulk run on the CPU and on the GPU."""
    rates = {}
    for device in dict.fromkeys(("cpu", work.device)):
        words = (*work.place(device), "--overwrite")
        out = work.folder(f"throughput-{verb}", device)
        document = work.frontalize(verb, work.many, out, *words)
        if not document["written"]:
            raise StepFailed(f"{verb}: no photo of {work.many} was written")
        rates[device] = document["total"] / document["seconds"], _limit(document["busy"])
    figures = [
        measured(f"{verb}: {device}", f"{rate:.1f} photos/s, limited by {limit}")
        for device, (rate, limit) in rates.items()
    ]
    ratio = rates[work.device][0] / rates["cpu"][0]
    return [*figures, at_least(f"{verb}: GPU relative to CPU", ratio, work.sizes.least_ratio, "times")]


def _limit(busy: dict[str, dict[str, float]]) -> str:
    """The place that works most of the time, and its longest stage."""
    place = max(busy, key=lambda name: sum(busy[name].values()))
    stage = max(busy[place], key=lambda name: busy[place][name])
    return f"{stage} ({place} {100 * sum(busy[place].values()):.0f} % busy)"


def export(work: Work, name: str) -> list[Claim]:
    """Export a generator to ONNX; run it with ONNX Runtime's CUDA provider."""
    run: Any = name
    if name != "refiner":
        run = work.folder(f"run-{name}", work.device) / "dali"
        if not (run / "generator.safetensors").exists():
            raise Lacking(f"the training of {name}")
    out = work.out / f"{name}.onnx"
    document = work.frontalize("export", run, out)
    worst = max(document["differences"].values())
    claim = at_most(f"export {name}: difference from torch, both on the CPU", worst, document["bound"])
    return [claim, *_in_onnx_runtime(work, f"export {name}", _weights(run), out)]


def built_in_refiner(work: Work) -> list[Claim]:
    """The ONNX file of the package, which runs on CPUs, against the weights that GPUs take."""
    return _in_onnx_runtime(work, "built-in refiner", "refiner", weights_path("refiner").with_suffix(".onnx"))


def _in_onnx_runtime(work: Work, name: str, weights: str, file: Path) -> list[Claim]:
    checked: dict[str, Any] = json.loads(work.call("examples.gpu.onnx_check:main", weights, file, work.device))
    what = f"{name}: ONNX Runtime, {checked['provider']}, from torch on {checked['device']}"
    claims = [at_most(what, checked["difference"], checked["bound"])]
    if checked["lacks"]:
        claims.append(skipped(f"{name}: ONNX Runtime on the GPU", checked["lacks"]))
    return claims


def _weights(run: Any) -> str:
    return str(run / "generator.safetensors") if isinstance(run, Path) else str(run)
