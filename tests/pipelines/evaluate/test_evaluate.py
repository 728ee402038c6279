"""`evaluate` on drawn sets whose numbers are known, and on turned portraits."""

import json
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.siamese import SiameseGenerator
from pipelines.evaluate.candidate_models import short_names
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.evaluate import Evaluation
from pipelines.evaluate.summary import lines
from pipelines.metrics.image_metrics import compare_images
from pipelines.photo_jobs.crops import resize_square
from pipelines.weights.checkpoint import GeneratorCard, save_generator
from pipelines.weights.normalization import Normalization
from tests.conftest import Run
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import ConfigError
from toolkit.faces.face import Landmarker
from toolkit.geometry.crop import crop_matrix
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.photos.resample import cut
from toolkit.records.labels import write_labels
from toolkit.views.rotate import rotate_view

Image = NDArray[np.uint8]
SIDE = 32
Draw = Callable[[str, Image], Image]  # an input's name and its target -> the input


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker processes: a job is done where it is asked for. One test has them."""

    def inline(open_work: Callable[[], Any], jobs: Sequence[Any], workers: int, stop: Any, ahead: int) -> Iterator[Any]:
        work = open_work()
        for job in jobs:
            if stop():
                return
            yield work(job)

    monkeypatch.setattr("pipelines.evaluate.evaluate.run_in_workers", inline)


def texture(seed: int) -> Image:
    """Something that no other seed looks like, away from black and white."""
    coarse = np.random.default_rng(seed).integers(80, 170, (8, 8, 3)).astype(np.uint8)
    return np.asarray(coarse.repeat(SIDE // 8, 0).repeat(SIDE // 8, 1), np.uint8)


def draw_set(root: Path, subjects: dict[str, dict[str, float | None]], draw: Draw, **person: str) -> Path:
    """Subjects with the names and yaws of their inputs; each target is a texture, each input as ``draw`` says."""
    rows: list[dict[str, object]] = []
    for number, (subject, inputs) in enumerate(subjects.items()):
        target = texture(number)
        (root / subject).mkdir(parents=True)
        (root / f"{subject}.png").write_bytes(encode_image(target, ".png"))
        who = {"subject": subject, "person": person.get(subject)}
        rows.append({"file": f"{subject}.png", "role": "target", **who})
        for name, yaw in inputs.items():
            (root / subject / f"{name}.png").write_bytes(encode_image(draw(f"{subject}/{name}", target), ".png"))
            rows.append({"file": f"{subject}/{name}.png", "role": "input", "yaw": yaw, **who})
    write_labels(root, rows)
    return root


def brighter(levels: dict[str, int]) -> Draw:
    return lambda name, target: target + np.uint8(levels[name])


def judged(root: Path, *models: str, recognizer: Path | None = None, **more: Any) -> dict[str, Any]:
    evaluation = Evaluation(root, EvaluateConfig(models=models, recognizer=recognizer, workers=2, **more))
    assert sorted(evaluation.run(lambda: False)) == list(range(len(evaluation.pairs)))
    return evaluation.document()


class _ByTexture:
    """Stands for a recogniser: tells textures apart."""

    def __init__(self, path: Path) -> None:
        assert path.is_file()

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float64]:
        middle = np.stack([crop[56:104, 32:80].astype(float) for crop in crops])
        cells = middle.reshape(len(crops), 6, 8, 6, 8, 3).mean(axis=(2, 4)).reshape(len(crops), -1)
        cells -= cells.mean(axis=1, keepdims=True)
        return np.asarray(cells / np.linalg.norm(cells, axis=1, keepdims=True))


@pytest.fixture
def recognizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("pipelines.evaluate.evaluate.Recognizer", _ByTexture)
    path = tmp_path / "recognizer.onnx"
    path.touch()
    return path


def test_images_are_compared_in_the_fields_units() -> None:
    """Flat images have no structure, so SSIM is its first factor, in closed form."""
    flat = [torch.full((1, 3, 24, 24), value) for value in (-0.2, 0.4)]  # 0.4 and 0.7 of white
    l1, l2, psnr, ssim = compare_images(*flat, Normalization())[:, 0].tolist()
    assert (l1, l2) == pytest.approx((0.6, 0.36), abs=1e-5)
    assert psnr == pytest.approx(-10 * np.log10(0.09), abs=1e-3)
    assert ssim == pytest.approx((2 * 0.4 * 0.7 + 1e-4) / (0.16 + 0.49 + 1e-4), abs=1e-3)
    one = torch.rand(2, 3, 24, 24) * 2 - 1
    other = torch.stack([one[0], -one[1]])
    alike = compare_images(other, one, Normalization())
    assert alike[:, 0].tolist() == pytest.approx([0, 0, 100, 1], abs=1e-5)
    assert alike[3, 1] < 0


def test_known_differences_give_known_numbers_by_yaw(tmp_path: Path) -> None:
    yaws = {"ann": {"a": 0.0, "b": -14.9}, "bea": {"a": 15.0, "b": -90.0, "c": None}}
    levels = {"ann/a": 0, "ann/b": 10, "bea/a": 20, "bea/b": 40, "bea/c": 5}
    document = judged(draw_set(tmp_path / "set", yaws, brighter(levels)), "raw")
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
    document = judged(root, "raw", by="subject")
    ann, bea = document["models"][0]["groups"]
    assert (ann["group"], ann["pairs"], bea["group"], bea["pairs"]) == ("ann", 2, "bea", 1)
    assert ann["l1"] == pytest.approx(20 / 127.5, abs=1e-6)
    assert [line.pairs for line in lines(document)] == [
        "all",
        "yaw 0 to 15",
        "yaw 15 to 30",
        "subject ann",
        "subject bea",
    ]
    with pytest.raises(ConfigError, match="by=age: .*labels.csv has no such column"):
        judged(root, "raw", by="age")


def test_all_are_compared_at_one_size(tmp_path: Path) -> None:
    root = draw_set(tmp_path / "set", {"ann": {"a": 0.0}}, lambda _, target: np.full_like(target, 20))
    (root / "ann.png").write_bytes(encode_image(np.full((64, 64, 3), 80, np.uint8), ".png"))
    for size in (None, 48):
        document = judged(root, "raw", size=size)
        assert document["size"] == (size or 64)
        assert document["models"][0]["l1"] == pytest.approx(60 / 127.5, abs=1e-6)


def test_who_keeps_the_person_is_known_and_who_shuffles_people_is_left_to_chance(
    tmp_path: Path, recognizer: Path
) -> None:
    people = {f"p{number:02d}": {"a": 10.0, "b": 50.0} for number in range(40)}
    noise = np.random.default_rng(0)

    def same(_: str, target: Image) -> Image:
        return np.clip(target + noise.normal(0, 10, target.shape), 0, 255).astype(np.uint8)

    strangers = np.roll(np.arange(40), 1)
    kept = judged(draw_set(tmp_path / "kept", people, same), "raw", recognizer=recognizer)
    assert kept["ranked_by"] == "identity_cosine"
    for row in (kept["models"][0], *kept["models"][0]["bins"]):
        assert row["accuracy"] > 0.98  # two of the textures happen to be somewhat alike
        assert (row["auc"], row["rank1"]) == (1, 1)
        assert row["identity_cosine"] > 0.8
        assert abs(row["impostor_cosine"]) < 0.1
    shuffled = draw_set(tmp_path / "other", people, lambda name, _: texture(int(strangers[int(name[1:3])])))
    [raw] = judged(shuffled, "raw", recognizer=recognizer)["models"]
    assert abs(raw["accuracy"] - 0.5) < 0.1
    assert abs(raw["auc"] - 0.5) < 0.15
    assert raw["rank1"] == 0
    assert abs(raw["identity_cosine"]) < 0.1


def test_another_target_of_the_same_person_is_right_and_no_impostor(tmp_path: Path, recognizer: Path) -> None:
    """Inputs of `a1` look like the target of `a2`, who is the same person; impostors are the others alone."""
    subjects = {name: {"x": 0.0} for name in ("a1", "a2", "b", "c")}
    looks = {"a1/x": 1, "a2/x": 0, "b/x": 2, "c/x": 3}
    draw: Draw = lambda name, _: texture(looks[name])  # noqa: E731
    one = judged(draw_set(tmp_path / "one", subjects, draw, a1="a", a2="a"), "raw", recognizer=recognizer)
    two = judged(draw_set(tmp_path / "two", subjects, draw), "raw", recognizer=recognizer)
    assert (one["people"], two["people"]) == (3, 4)
    assert (one["models"][0]["rank1"], two["models"][0]["rank1"]) == (1, 0.5)
    assert one["models"][0]["impostor_cosine"] < 0.4


def test_a_face_that_is_not_found_counts_as_cosine_0(tmp_path: Path, recognizer: Path) -> None:
    people = {f"p{number}": {"a": 10.0} for number in range(6)}
    document = judged(draw_set(tmp_path / "set", people, lambda _, target: target), "geometric", recognizer=recognizer)
    [geometric] = document["models"]
    assert (geometric["missing"], geometric["reasons"]) == (6, {"no-face": 6})
    assert {geometric[name] for name in ("l1", "l2", "psnr", "ssim")} == {None}
    assert (geometric["identity_cosine"], geometric["rank1"], geometric["auc"]) == (0, 0, 0.5)
    assert geometric["best"] == geometric["worst"] == []


def test_one_person_alone_has_no_impostors(tmp_path: Path, recognizer: Path) -> None:
    document = judged(
        draw_set(tmp_path / "set", {"ann": {"a": 0.0}}, lambda _, target: target), "raw", recognizer=recognizer
    )
    [raw] = document["models"]
    assert raw["identity_cosine"] == pytest.approx(1)
    assert (raw["accuracy"], raw["auc"], raw["impostor_cosine"], raw["rank1"]) == (None, None, None, 1)


def test_of_a_divided_set_val_is_judged(tmp_path: Path, run: Run) -> None:
    levels = {f"{name}/a": 10 * number for number, name in enumerate("abcd")}
    root = draw_set(tmp_path / "set", {name: {"a": 0.0} for name in "abcd"}, brighter(levels))
    assert run("pairs", "split", root, "--val", "1").exit_code == 0
    [subject] = (path.stem for path in (root / "val").glob("*.png"))
    document = judged(root, "raw")
    assert (document["part"], document["pairs"]) == ("val", 1)
    assert document["models"][0]["l1"] == pytest.approx(levels[f"{subject}/a"] / 127.5, abs=1e-6)


def test_a_generator_is_judged_by_what_batch_writes(tmp_path: Path, run: Run) -> None:
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
    [model] = judged(root, str(weights), size=100, batch_size=2)["models"]
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


def test_models_are_named_as_shortly_as_is_clear() -> None:
    assert short_names(["raw", "runs/a/generator.safetensors", "x/b.safetensors"]) == ["raw", "a", "x/b.safetensors"]
    for unclear in (["a/run/generator.safetensors", "b/run/generator.safetensors"], ["generator.safetensors"]):
        assert short_names(unclear) == unclear


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory, portrait: Image, landmarker: Landmarker) -> Path:
    """One face under two names that need escaping, turned by 5 and 45 degrees; no labels; one input has no face."""
    root = tmp_path_factory.mktemp("turned")
    [crop] = align_photo(portrait, landmarker, AlignConfig(size=96))
    for subject, side in (("<b>ann & co", 1), ("bea", -1)):
        (root / subject).mkdir()
        (root / f"{subject}.png").write_bytes(encode_image(crop.image, ".png"))
        for yaw in (5, 45):
            view = rotate_view(portrait, crop.face, yaw * side)
            image = cut(view.image, crop_matrix(view.landmarks, 96), 96)
            (root / subject / f"{yaw}.png").write_bytes(encode_image(image, ".png"))
    (root / "bea" / "wall.png").write_bytes(encode_image(np.full((96, 96, 3), 90, np.uint8), ".png"))
    return root


def test_turned_portraits_are_judged_as_a_user_would(turned: Path, run: Run, tmp_path: Path, monkeypatch: Any) -> None:
    """With worker processes; the frontal view is the one that `batch` writes, a damaged pair a row."""
    monkeypatch.undo()
    (turned / "bea" / "cut.png").write_bytes((turned / "bea" / "5.png").read_bytes()[:900])
    page = tmp_path / "new" / "page.html"
    result = run("evaluate", turned, page, "--json", "--workers", 1)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    raw, geometric, refined = document["models"]
    assert refined["missing"] == 1
    assert refined["ssim"] != geometric["ssim"]
    assert [row["input"] for row in document["failed"]] == ["bea/cut.png"]
    assert "bea/cut.png" in result.stderr
    assert document["yaw"] == {"labelled": 0, "measured": 4, "unknown": 1}
    assert [(row["from"], row["pairs"]) for row in raw["bins"]] == [(0, 2), (30, 2)]
    assert (raw["missing"], geometric["missing"], geometric["reasons"]) == (0, 1, {"no-face": 1})
    assert geometric["bins"][1]["ssim"] > raw["bins"][1]["ssim"] + 0.1  # turning back helps where something is turned
    words = ["batch", turned, tmp_path / "out", "--model", "geometric", "--size", 96, "--format", "png", "--quiet"]
    run(*words, "--workers", 1)
    faces = {path.name: read_photo(path).astype(float) for path in (tmp_path / "out" / "bea").glob("*.png")}
    target = read_photo(turned / "bea.png")
    rows = {row["input"]: row["l1"] for row in geometric["best"] + geometric["worst"]}
    for name in ("5.png", "45.png"):
        assert rows[f"bea/{name}"] == pytest.approx(np.abs(faces[name] - target).mean() / 127.5, abs=1e-5)
    text = page.read_text()
    assert "&lt;b&gt;ann &amp; co/45.png" in text
    assert "<b>" not in text
    assert "no-face" in text
    assert not re.search(r"(src|href)=.?(?!\"data:)http", text)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{root}/none"], "no such folder"),
        (["{root}", "--model", "none.safetensors"], "no such file"),
        (["{root}", "--model", "raw", "--model", "raw"], "named twice"),
        (["{root}", "--recognizer", "none.onnx"], "recognizer none.onnx: no such file"),
        (["{root}", "--size", "9"], "size=9: must be 16 to 1024"),
        (["{root}", "--batch-size", "0"], "batch_size=0: must be 1 or more"),
        (["{root}", "--workers", "0"], "workers=0: must be 1 or more"),
        (["{root}", "{root}"], "no name for a page"),
        (["{root}", "labels.csv"], "end it in .html"),
        (["{root}", "--device", "cuda:9"], "sees"),
    ],
)
def test_a_wrong_set_up_exits_2(words: list[str], says: str, turned: Path, run: Run, tmp_path: Path) -> None:
    with_page = [word.format(root=turned) for word in words]
    if len(with_page) == 1 or with_page[1].startswith("--"):
        with_page.insert(1, str(tmp_path / "page.html"))
    result = run("evaluate", *with_page)
    assert result.exit_code == 2
    assert says in result.stderr.replace("\n", " ")
    assert not (tmp_path / "page.html").exists()


def test_ctrl_c_ends_with_130_and_no_page(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_set(tmp_path / "set", {name: {"a": 0.0} for name in "abc"}, lambda _, target: target)
    read = 0

    def interrupted(*words: Any) -> Any:
        nonlocal read
        read += 1
        signal.raise_signal(signal.SIGINT)
        return _see(*words)

    from pipelines.evaluate.pair_worker import _see

    monkeypatch.setattr("pipelines.evaluate.pair_worker._see", interrupted)
    assert run("evaluate", root, tmp_path / "page.html", "--model", "raw").exit_code == 130
    assert read == 1
    assert not (tmp_path / "page.html").exists()
