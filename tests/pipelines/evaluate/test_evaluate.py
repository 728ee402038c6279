"""`evaluate` on drawn sets whose numbers are known, and on turned portraits."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.siamese import SiameseGenerator
from pipelines.evaluate import evaluate
from pipelines.evaluate.candidate_models import short_names
from pipelines.evaluate.summary import tables
from pipelines.metrics.image_metrics import MEASURES, compare_images
from pipelines.photo_jobs.crops import resize_square
from pipelines.weights.checkpoint import GeneratorCard, save_generator
from pipelines.weights.normalization import Normalization
from tests.conftest import Run
from tests.pipelines.evaluate.sets import SIDE, brighter, draw_set, evaluated
from toolkit.errors import ConfigError
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image


def test_images_are_compared_in_the_fields_units() -> None:
    """Flat images have no structure, so SSIM is its first factor, in closed form."""
    flat = [torch.full((1, 3, 24, 24), value) for value in (-0.2, 0.4)]  # 0.4 and 0.7 of white
    l1, l2, psnr, ssim = compare_images(flat[0], flat[1], Normalization())[:, 0].tolist()
    assert (l1, l2) == pytest.approx((0.6, 0.36), abs=1e-5)
    assert psnr == pytest.approx(-10 * np.log10(0.09), abs=1e-3)
    assert ssim == pytest.approx((2 * 0.4 * 0.7 + 1e-4) / (0.16 + 0.49 + 1e-4), abs=1e-3)
    one = torch.rand(2, 3, 24, 24) * 2 - 1
    other = torch.stack([one[0], -one[1]])
    alike = compare_images(other, one, Normalization())
    assert alike[:, 0].tolist() == pytest.approx([0, 0, 100, 1], abs=1e-5)
    assert alike[3, 1] < 0


def test_known_differences_give_known_numbers_by_yaw(tmp_path: Path) -> None:
    yaws: dict[str, dict[str, float | None]] = {
        "ann": {"a": 0.0, "b": -14.9},
        "bea": {"a": 15.0, "b": -90.0, "c": None},
    }
    levels = {"ann/a": 0, "ann/b": 10, "bea/a": 20, "bea/b": 40, "bea/c": 5}
    document = evaluated(draw_set(tmp_path / "set", yaws, brighter(levels)), "raw")
    [raw] = document["models"]
    assert (document["pairs"], document["subjects"], document["size"]) == (5, 2, SIDE)
    assert document["yaw"] == {"labelled": 4, "measured": 0, "unknown": 1}  # no face in a texture
    assert raw["l1"] == pytest.approx(np.mean([0, 10, 20, 40, 5]) / 127.5, abs=1e-6)
    bins = {row["from"]: row for row in raw["bins"]}
    assert {low: row["pairs"] for low, row in bins.items()} == {0: 2, 15: 1, 75: 1}
    assert bins[15]["l2"] == pytest.approx((20 / 127.5) ** 2, abs=1e-6)
    assert bins[75]["psnr"] == pytest.approx(20 * np.log10(255 / 40), abs=1e-3)
    assert bins[0]["psnr"] == pytest.approx((100 + 20 * np.log10(255 / 10)) / 2, abs=1e-3)
    assert 0.5 < bins[75]["ssim"] < bins[15]["ssim"] < bins[0]["ssim"] < 1
    assert [row["input"] for row in raw["best"]] == ["ann/a.png", "bea/c.png", "ann/b.png"]
    assert [row["input"] for row in raw["worst"]] == ["bea/b.png", "bea/a.png", "ann/b.png"]
    assert raw["best"][0]["ssim"] == pytest.approx(1, abs=1e-6)
    assert "identity_cosine" not in raw
    assert raw["groups"] == []


def test_groups_have_numbers_of_their_own(tmp_path: Path) -> None:
    yaws = {"ann": {"a": 0.0, "b": 20.0}, "bea": {"a": 0.0}}
    root = draw_set(tmp_path / "set", yaws, brighter({"ann/a": 10, "ann/b": 30, "bea/a": 5}))
    document = evaluated(root, "raw", by=("subject",))
    assert document["by"] == "subject"
    ann, bea = document["models"][0]["groups"]
    assert (ann["group"], ann["pairs"], bea["group"], bea["pairs"]) == ("ann", 2, "bea", 1)
    assert ann["l1"] == pytest.approx(20 / 127.5, abs=1e-6)
    assert [(column, [row.pairs for row in rows]) for column, rows in tables(document)] == [
        ("", ["all", "yaw 0 to 15", "yaw 15 to 30"]),
        ("subject", ["subject ann", "subject bea"]),
    ]
    with pytest.raises(
        ConfigError, match="by=age: .*labels.csv has no such column; choose one of file, subject, role, yaw"
    ):
        evaluated(root, "raw", by=("subject", "age"))


def test_several_columns_group_the_pairs_apart(tmp_path: Path, run: Run) -> None:
    yaws = {"ann": {"a": 0.0, "b": 20.0}, "bea": {"a": 0.0}}
    root = draw_set(tmp_path / "set", yaws, brighter({"ann/a": 10, "ann/b": 30, "bea/a": 5}), bea="the other")
    page = tmp_path / "page.html"
    words = ["evaluate", root, page, "--model", "raw", "--by", "subject", "--by", "person", "--workers", 1]
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["by"] == ["subject", "person"]
    groups = [(row["by"], row["group"], row["pairs"]) for row in document["models"][0]["groups"]]
    assert groups == [("subject", "ann", 2), ("subject", "bea", 1), ("person", "", 2), ("person", "the other", 1)]
    assert [column for column, _ in tables(document)] == ["", "subject", "person"]
    assert re.search("person unknown +raw +2 .*\nperson the other +raw +1 ", result.stderr)
    assert re.findall("<h2>(By .*)</h2>", page.read_text()) == ["By subject", "By person"]
    assert page.read_text().count('<table class="numbers">') == 3
    result = run(*words, "--by", "person")
    assert result.exit_code == 2 and "named twice" in result.stderr


def test_all_are_compared_at_one_size(tmp_path: Path) -> None:
    root = draw_set(tmp_path / "set", {"ann": {"a": 0.0}}, lambda _, target: np.full_like(target, 20))
    (root / "ann.png").write_bytes(encode_image(np.full((64, 64, 3), 80, np.uint8), ".png"))
    for size in (None, 48):
        document = evaluated(root, "raw", size=size)
        assert document["size"] == (size or 64)
        assert document["models"][0]["l1"] == pytest.approx(60 / 127.5, abs=1e-6)


def test_the_val_split_is_evaluated_if_there_is_one(tmp_path: Path, run: Run) -> None:
    levels = {f"{name}/a": 10 * number for number, name in enumerate("abcd")}
    root = draw_set(tmp_path / "set", {name: {"a": 0.0} for name in "abcd"}, brighter(levels))
    assert run("pairs", "split", root, "--val", "1").exit_code == 0
    [subject] = (path.stem for path in (root / "val").glob("*.png"))
    document = evaluated(root, "raw")
    assert (document["part"], document["pairs"]) == ("val", 1)
    assert document["models"][0]["l1"] == pytest.approx(levels[f"{subject}/a"] / 127.5, abs=1e-6)


@pytest.mark.slow
def test_the_faces_of_a_generator_are_those_that_batch_writes(tmp_path: Path, run: Run) -> None:
    """The numbers, from the files of `batch --aligned`. Its faces show the middle of a crop and are put in place."""
    torch.manual_seed(0)
    net = SiameseGenerator()
    with torch.no_grad():
        net(torch.randn(2, 3, 96, 96))  # batch norm meets data, or all outputs would be the same grey
    weights = tmp_path / "run" / "generator.safetensors"
    sizes: dict[str, Any] = {"image_size": 96, "load_size": 100, "template": "chin", "normalization": Normalization()}
    save_generator(weights, net, GeneratorCard(architecture="siamese", recipe="siamese", step=0, **sizes))
    subjects = {name: {"a": 0.0, "b": 30.0} for name in ("ann", "bea", "cid")}
    root = draw_set(tmp_path / "set", subjects, lambda name, target: np.roll(target, len(name), axis=1))
    [model] = evaluated(root, str(weights), size=100, batch_size=2)["models"]
    assert (model["model"], model["name"]) == (str(weights), "run")
    words = [
        "batch",
        root,
        tmp_path / "out",
        "--model",
        weights,
        "--aligned",
        "--format",
        "png",
        "--batch-size",
        2,
        "--workers",
        1,
    ]
    assert run(*words).exit_code == 0
    off = []
    for subject, inputs in subjects.items():
        target = resize_square(read_photo(root / f"{subject}.png"), 100).astype(float)
        for name in inputs:
            face = read_photo(tmp_path / "out" / subject / f"{name}.png")
            off.append(np.abs(np.pad(face, ((2, 2), (2, 2), (0, 0)), mode="edge") - target).mean() / 127.5)
    assert model["l1"] == pytest.approx(np.mean(off), abs=1e-5)


def test_names_of_models_are_short_but_unique() -> None:
    assert short_names(["raw", "runs/a/generator.safetensors", "x/b.safetensors"]) == ["raw", "a", "x/b.safetensors"]
    for unclear in (["a/run/generator.safetensors", "b/run/generator.safetensors"], ["generator.safetensors"]):
        assert short_names(unclear) == unclear


def test_a_gpu_computes_in_float32_where_no_face_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where faces are searched on it, all of the run does so anyway."""
    found: list[bool] = []

    def compare(faces: list[Any], targets: list[Any], device: str) -> list[list[float]]:
        found.append(torch.backends.cudnn.allow_tf32)
        return [[0.0] * len(MEASURES)] * len(faces)

    monkeypatch.setattr(evaluate, "choose_device", lambda name: "cuda:0")
    monkeypatch.setattr(evaluate, "compare_faces", compare)
    assert torch.backends.cudnn.allow_tf32
    evaluated(draw_set(tmp_path / "set", {"ann": {"a": 0.0}}, brighter({"ann/a": 0})), "raw")
    assert found == [False]
    assert torch.backends.cudnn.allow_tf32
