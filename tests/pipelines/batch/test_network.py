import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.weights.generator import GeneratedFace
from pipelines.weights.torch_generator import TorchGenerator
from tests.conftest import FRONTALIZE, Run, tree
from tests.killing import end_halfway, rows_in
from toolkit.errors import ConfigError
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image
from toolkit.records.ledger import read_ledger


@pytest.fixture(scope="module")
def frontal(photos: Path, untrained: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One undisturbed run over the small collection."""
    out = tmp_path_factory.mktemp("frontal") / "out"
    run("batch", photos, out, "--model", untrained, "--quiet")
    return out


def test_a_folder_becomes_a_mirrored_folder_of_frontal_faces(frontal: Path) -> None:
    assert sorted(tree(frontal)) == [f"{person}/{number}.jpg" for person in ("ann", "bea") for number in range(3)]
    assert read_photo(frontal / "ann" / "0.jpg").shape == (128, 128, 3)
    rows = {row.input: row for row in read_ledger(frontal)}
    assert rows["coffee.png"].code == "no-face"
    assert rows["cut.jpg"].code == "unreadable"
    assert rows["ann/1.jpg"].faces[0].keys() >= {"box", "matrix", "yaw"}


@pytest.mark.slow
def test_a_second_run_skips_and_another_size_does_again(
    frontal: Path, photos: Path, untrained: Path, run: Run, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(frontal, tmp_path / "out"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    words = ["batch", photos, out, "--model", untrained, "--json"]
    summary = json.loads(run(*words).stdout)
    assert (summary["skipped"], summary["written"], summary["failed"]) == (7, 0, 1)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")} == before
    summary = json.loads(run(*words, "--size", 64).stdout)
    assert (summary["skipped"], summary["written"], summary["failed"]) == (0, 6, 1)
    assert {read_photo(path).shape for path in before} == {(64, 64, 3)}


def test_size_and_format_are_the_users(photos: Path, untrained: Path, run: Run, tmp_path: Path) -> None:
    words = ["batch", photos / "ann", tmp_path, "--model", untrained, "--size", 256, "--format", "png"]
    assert run(*words).exit_code == 0
    assert read_photo(tmp_path / "0.png").shape == (256, 256, 3)


@pytest.mark.slow
def test_aligned_crops_go_straight_in(photos: Path, untrained: Path, run: Run, tmp_path: Path) -> None:
    """Crops of the model's size give the same faces as the raw photos, and a photo that is none is rejected."""
    assert run("align", photos / "ann", tmp_path / "crops", "--size", 128, "--format", "png").exit_code == 0
    (tmp_path / "crops" / "wide.png").write_bytes(encode_image(np.zeros((20, 30, 3), np.uint8), ".png"))
    for source, out, more in (("crops", "one", ["--aligned"]), (photos / "ann", "two", [])):
        words = ["batch", tmp_path / source, tmp_path / out, "--model", untrained, "--format", "png", *more]
        assert run(*words).exit_code == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert {row.input: row.code for row in read_ledger(tmp_path / "one")}["wide.png"] == "not-square"


def images(faces: list[GeneratedFace]) -> list[Image]:
    """The images of faces of a network that gives no confidence."""
    assert {face.confidence for face in faces} == {None}
    return [face.image for face in faces]


def test_a_face_does_not_depend_on_its_neighbours(untrained: Path) -> None:
    """Bit for bit: what makes a resumed run equal to an undisturbed one."""
    generator = TorchGenerator(untrained, 8, "cpu")
    crops = list(np.random.default_rng(0).integers(0, 255, (8, 128, 128, 3), np.uint8))
    together = images(generator([[crop] for crop in crops]))
    assert len({face.tobytes() for face in together}) == 8
    for place in (0, 3, 7):
        np.testing.assert_array_equal(generator([[crops[place]]])[0].image, together[place])
        np.testing.assert_array_equal(generator([[crop] for crop in crops[place:]])[0].image, together[place])
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    twice = images(TorchGenerator(untrained, 5, "cpu")([[crop] for crop in crops * 2]))
    np.testing.assert_array_equal(twice, together * 2)
    torch.set_num_threads(threads)


def test_a_gpu_short_of_memory_gets_smaller_batches(untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator, tried = TorchGenerator(untrained, 8, "cpu"), []
    crops = [[crop] for crop in np.random.default_rng(0).integers(0, 255, (8, 128, 128, 3), np.uint8)]
    whole = images(generator(crops))
    inner: Callable[[torch.Tensor], torch.Tensor] = generator._net.forward

    def forward(images: torch.Tensor) -> torch.Tensor:
        tried.append(len(images))
        if len(images) > most:
            raise torch.OutOfMemoryError("no")
        return inner(images)

    most = 3
    monkeypatch.setattr(generator._net, "forward", forward)
    np.testing.assert_allclose(np.array(images(generator(crops)), int), np.array(whole, int), atol=1)
    assert tried[:2] == [8, 4]
    assert tried[-4:] == [2] * 4
    tried.clear()
    generator(crops[:3])
    assert tried == [2, 2]  # what did not fit once is not tried again
    most = 0
    with pytest.raises(ConfigError, match="no memory for one face"):
        generator(crops)


@pytest.mark.slow
def test_kill_nine_and_run_again_equals_one_run(photos: Path, untrained: Path, run: Run, tmp_path: Path) -> None:
    source, killed, whole = tmp_path / "src", tmp_path / "killed", tmp_path / "whole"
    source.mkdir()
    for number in range(24):
        (source / f"{number:02d}.jpg").hardlink_to(photos / ("ann", "bea")[number % 2] / f"{number % 3}.jpg")
    words = ["batch", source, killed, "--model", untrained, "--batch-size", "4", "--quiet"]
    end_halfway([*FRONTALIZE, *words], killed, lambda: rows_in(killed) >= 6, lambda: 0 < rows_in(killed) < 24)
    finished = {row.input for row in read_ledger(killed)}
    stamps = {name: (killed / name).stat().st_mtime_ns for name in finished}
    assert run(*words).exit_code == 0
    assert {name: (killed / name).stat().st_mtime_ns for name in finished} == stamps
    words[2] = whole
    assert run(*words).exit_code == 0
    assert tree(killed) == tree(whole)
    assert len(tree(whole)) == 24


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "none.safetensors"], "no such file; train one"),
        (["--model", "{untrained}", "--batch-size", "0"], "batch_size=0: must be 1 or more"),
        (["--model", "{untrained}", "--device", "cuda:9"], "sees"),
        (["--model", "{untrained}", "--margin", "0.3"], "128 px, and nothing around it; use refiner"),
        (["--model", "{untrained}", "--min-confidence", "0.3"], "its network gives no confidence; leave it out"),
        (["--model", "geometric", "--min-confidence", "0.3"], "it gives no confidence; leave it out"),
        (["--model", "geometric", "--margin", "0.3", "--paste-back"], "it writes whole photos; leave one out"),
    ],
)
def test_a_wrong_set_up_exits_2(
    words: list[str], says: str, photos: Path, untrained: Path, run: Run, tmp_path: Path
) -> None:
    result = run("batch", photos, tmp_path / "out", *(word.format(untrained=untrained) for word in words))
    assert result.exit_code == 2
    assert says in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()
