"""What the README tells people to run is run here."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import plain_recipe
from tests.conftest import Run
from tests.examples.conftest import EXAMPLES, example, example_alone
from tests.faces import FACES
from toolkit.landmarks.profiles import network as profile_network
from toolkit.networks.runtime import OnnxNetwork, built_in
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.records.labels import read_labels, write_labels


def test_one_photo_is_aligned(tmp_path: Path, photos: Path) -> None:
    assert "degrees" in example_alone("align_one_photo.py", photos / "ann" / "0.jpg", tmp_path / "crop.png")
    assert read_photo(tmp_path / "crop.png").shape == (256, 256, 3)


def test_the_crop_is_drawn(tmp_path: Path) -> None:
    example("draw_crop.py", tmp_path / "drawn.png")
    drawn = read_photo(tmp_path / "drawn.png").astype(int)
    assert ((drawn[..., 0] - drawn[..., 1]) > 150).sum() > 500  # the red lines are there


@pytest.mark.slow
def test_the_align_benchmark_needs_an_old_mediapipe(photos: Path) -> None:
    script = EXAMPLES / "bench/align.py"
    ended = subprocess.run([sys.executable, script, photos / "ann"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "no FaceMesh in" in ended.stderr and "give --bare-python, with mediapipe==0.10.21" in ended.stderr


@pytest.mark.slow
def test_the_loader_and_train_benchmarks_measure_all_three(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    (tmp_path / "a").mkdir()
    small = np.ascontiguousarray(portrait[100:132, 200:232])
    for path in (tmp_path / "a.jpg", *(tmp_path / "a" / f"{number}.jpg" for number in range(3))):
        path.write_bytes(encode_image(small, ".jpg"))
    assert "times PIL" in example_alone("bench/loader.py", tmp_path, 1, 2)
    told = example("bench/train.py", tmp_path, plain_recipe.__file__, 1, 5)
    assert re.search(r"bare step [0-9.]+, \w+ [0-9.]+: [0-9.]+\n", told)
    assert re.search(r"batch 4: [0-9.]+ images/s, [0-9.]+ \([0-9.]+ to [0-9.]+\)", told)


@pytest.mark.slow
def test_views_are_drawn_and_timed(tmp_path: Path, photos: Path) -> None:
    turned, frontal = FACES / "003_left_3quarter.jpg", FACES / "003_frontal.jpg"
    example("draw_views.py", tmp_path / "views.png", turned, frontal, frontal, frontal)
    drawn = read_photo(tmp_path / "views.png").astype(int)
    assert drawn.shape == (4 * 160, 2 * 160, 3)
    (crop, geometric, refined, truth), straight = (np.split(half, 4) for half in np.split(drawn, 2, axis=1))
    assert np.abs(refined - truth).mean() < np.abs(crop - truth).mean()
    assert np.abs(refined - geometric).mean() > 1
    for view in straight[:3]:
        assert np.abs(view - straight[3]).mean() < 3  # a face that looks at the camera stays as it is
    assert "frontal_view at 128 px" in example("bench/views.py", photos / "ann", 2)


def test_what_runs_make_of_turned_heads_is_drawn(tmp_path: Path, untrained: Path) -> None:
    pair = FACES / "003_left_3quarter.jpg", FACES / "003_frontal.jpg"
    example("draw_recipes.py", tmp_path / "drawn.png", untrained.parent, "--", *pair)
    turned, made, true = np.split(read_photo(tmp_path / "drawn.png").astype(int), 3)
    assert turned.shape == made.shape == (128, 128, 3)
    assert np.abs(turned - true).mean() > 10
    assert made.std() > 1


def test_shapes_are_learnt(tmp_path: Path, photos: Path) -> None:
    told = example("learn/face_shapes.py", photos / "ann", photos / "bea", tmp_path / "shapes.npz")
    assert "6 faces, 6 modes hold 100.0%" in told
    with np.load(tmp_path / "shapes.npz") as stored:
        assert stored["mean"].shape == (468, 3)
        assert stored["mean"][152, 1] == pytest.approx(1, abs=0.02)


@pytest.mark.slow
def test_corrections_of_turned_shapes_are_learnt(tmp_path: Path) -> None:
    """Two people, each frontal and turned; the head of a third one is rotated to three yaws."""
    rows = list[dict[str, object]]()
    for person, view in (("003", "left_3quarter"), ("061", "right_3quarter")):
        (tmp_path / "set" / person).mkdir(parents=True)
        for file, name in ((f"{person}.jpg", f"{person}_frontal"), (f"{person}/a.jpg", f"{person}_{view}")):
            shutil.copy(FACES / f"{name}.jpg", tmp_path / "set" / file)
            role = "input" if "/" in file else "target"
            rows.append({"file": file, "subject": person, "role": role, "source": f"{name}.jpg"})
    write_labels(tmp_path / "set", rows)
    (tmp_path / "portraits").mkdir()
    for person in ("021", "025"):
        shutil.copy(FACES / f"{person}_frontal.jpg", tmp_path / "portraits")
    words = (tmp_path / "set", FACES, tmp_path / "portraits", tmp_path / "shape.npz")
    told = example("learn/frontal_shape.py", *words, "--limit", 1, "--subjects", r"^(\d+)_").splitlines()
    pattern = r"(real|synthetic), [a-z0-9 ]+ degrees: \d faces, \d+\.\d\d -> \d+\.\d\d px of 128"
    assert all(re.fullmatch(pattern, line) for line in told[:-1])
    assert sum(int(re.findall(r"(\d) faces", line)[0]) for line in told[:-1] if line.startswith("real")) == 2
    assert re.search(r"shape.npz: learned from [345] faces of 3 people", told[-1])
    with np.load(tmp_path / "shape.npz") as stored:
        assert stored["weights"].shape == (93, 3 * 468) and stored["weights"].dtype == np.float16
        assert 0 < np.abs(stored["weights"]).max() < 1


@pytest.mark.slow
def test_identity_is_measured(tmp_path: Path, shared: Path) -> None:
    for person in ("002", "024", "063"):
        for kind in ("frontal", "profile"):
            (tmp_path / person / kind).mkdir(parents=True)
            for number in ("01", "02"):
                (tmp_path / person / kind / f"{number}.jpg").symlink_to(
                    shared / "profiles" / person / kind / f"{number}.jpg"
                )
    told = example_alone("measure_identity.py", tmp_path, shared / "models" / "mobilefacenet_112x96.onnx")
    assert [line.split()[0] for line in told.splitlines()] == ["raw", "geometric"]
    genuine = [float(line.split("genuine ")[1].split()[0]) for line in told.splitlines()]
    assert all(0.15 < cosine < 0.7 for cosine in genuine)


@pytest.mark.slow
def test_the_notebook_runs_on_a_set(tmp_path: Path, photos: Path, run: Run) -> None:
    made = run("pairs", "build", photos, tmp_path / "set", "--subjects", r"^(\w+)/", "--max-rejects", "100%")
    assert (tmp_path / "set" / "ann.jpg").exists(), made.stderr
    notebook = json.loads((EXAMPLES / "look_at_a_dataset.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    script = "\n".join([*cells, f"plt.gcf().savefig({str(tmp_path / 'seen.png')!r})"])
    place = os.environ | {"DATASET": str(tmp_path / "set"), "MPLBACKEND": "agg"}
    result = subprocess.run([sys.executable, "-c", script], env=place, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "4 pairs of 2 subjects" in result.stdout
    assert "defects" in result.stdout
    assert not any(cell.get("outputs") for cell in notebook["cells"])  # pictures of somebody's set stay at home


def test_skin_tones_become_a_column(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = []
    for subject, colour in (("ann", (240, 205, 185)), ("bea", (90, 60, 45))):
        (tmp_path / subject).mkdir()
        for file, role in ((f"{subject}.png", "target"), (f"{subject}/a.png", "input")):
            (tmp_path / file).write_bytes(encode_image(np.full((64, 64, 3), colour, np.uint8), ".png"))
            rows.append({"file": file, "subject": subject, "role": role})
    write_labels(tmp_path, rows)
    assert "2 light, 2 dark" in example("label_tones.py", tmp_path)
    labels = read_labels(tmp_path)
    assert [labels.text("tone", f"{subject}/a.png") for subject in ("ann", "bea")] == ["light", "dark"]


@pytest.mark.slow
def test_traits_of_drawn_discs_are_flipped_and_read(tmp_path: Path, run: Run) -> None:
    example("flip_traits.py", "draw", tmp_path / "set", 100)
    words = ["train", tmp_path / "set", tmp_path / "run", "--recipe", "attributes", "--steps", 1, "--batch-size", 4]
    assert run(*words, "--set", "channels=16", "--loader", "torch", "--quiet").exit_code == 0
    told = example("flip_traits.py", "measure", tmp_path / "run", tmp_path / "discs.png").splitlines()
    assert re.search(r"Bright [01]\.\d\d, Large [01]\.\d\d, Red [01]\.\d\d$", told[0])
    assert [line.split()[0] for line in told[1:]] == ["flipped", "Bright", "Large", "Red"]
    assert read_photo(tmp_path / "discs.png").shape == (8 * 64, 5 * 64, 3)


@pytest.mark.slow
def test_the_profile_network_is_learnt(tmp_path: Path, photos: Path) -> None:
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed: pip install '.[onnx]'")
    told = example_alone("learn/profile_points.py", photos / "ann", tmp_path / "points.onnx", 1)
    assert "3 photos, " in told
    network = OnnxNetwork(tmp_path / "points.onnx")
    side = profile_network.INPUT_SIDE
    maps, right = network(np.zeros((3, side, side, 3), np.uint8))
    assert maps.shape[:2] == (3, len(profile_network.POINTS)) and right.shape == (3, 1)


def test_the_faces_of_the_tests_are_made_again(tmp_path: Path, shared: Path) -> None:
    assert "8 frontal faces, 4 turned ones" in example("make_test_faces.py", shared, tmp_path)
    assert (tmp_path / "points.csv").read_text() == (FACES / "points.csv").read_text()
    made = sorted(path.name for path in tmp_path.glob("*.jpg"))
    assert made == sorted(path.name for path in FACES.glob("*.jpg"))
    for name in made:
        one, other = (read_photo(folder / name).astype(int) for folder in (tmp_path, FACES))
        assert np.abs(one - other).mean() < 1


def test_a_detector_of_mediapipe_is_converted(tmp_path: Path, shared: Path) -> None:
    """The bundle of the Tasks API contains the detector of MediaPipe 0.10.21."""
    pytest.importorskip("tflite", reason="the extra dev is not installed: pip install '.[dev]'")
    pytest.importorskip("onnx", reason="the extra onnx is not installed: pip install '.[onnx]'")
    with (
        zipfile.ZipFile(shared / "models" / "face_landmarker.task") as bundle,
        zipfile.ZipFile(tmp_path / "mediapipe.whl", "w") as wheel,
    ):
        stored = bundle.read("face_detector.tflite")
        wheel.writestr("mediapipe/modules/face_detection/face_detection_short_range.tflite", stored)
    words = (tmp_path / "mediapipe.whl", tmp_path, "--only", "face_detector")
    assert "face_detector.onnx: " in example_alone("convert/mediapipe_networks.py", *words)
    image = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    made, shipped = OnnxNetwork(tmp_path / "face_detector.onnx")(image), built_in("face_detector")(image)
    for one, other in zip(made, shipped, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_every_example_is_run_by_a_test() -> None:
    """By its path or its name as a module, in a test or in another script, which is itself run by a test."""
    callers = [*EXAMPLES.parent.glob("tests/**/test_*.py"), *EXAMPLES.rglob("*.py")]
    scripts = [path for path in EXAMPLES.rglob("*.py") if '"__main__"' in path.read_text()] + [
        *EXAMPLES.rglob("*.ipynb")
    ]
    assert scripts
    assert [
        str(path) for path in scripts if not any(_calls(caller, path) for caller in callers if caller != path)
    ] == []


def _calls(caller: Path, script: Path) -> bool:
    text, path = caller.read_text(), script.relative_to(EXAMPLES)
    module = ".".join(["examples", *path.with_suffix("").parts])
    return any(name in text for name in (f'{path}"', f"{module}:", f"from {module} import"))
