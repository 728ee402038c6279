import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from tests.conftest import FRONTALIZE, Run, tree
from tests.killing import end_halfway, rows_in
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.records.ledger import read_ledger


@pytest.fixture(scope="module")
def aligned(photos: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One undisturbed run over the small collection."""
    out = tmp_path_factory.mktemp("aligned") / "out"
    run("align", photos, out, "--quiet")
    return out


def test_every_file_has_its_row_and_the_exit_code_says_that_one_failed(photos: Path, run: Run, tmp_path: Path) -> None:
    result = run("align", photos, tmp_path / "out", "--json", "--workers", 2)
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert (summary["written"], summary["rejected"], summary["failed"]) == (6, 1, 1)
    assert summary["reasons"] == {"no-face": 1, "unreadable": 1}
    assert "cut.jpg: unreadable" in result.stderr
    assert "1 files are no photos by their names and were left alone: .txt 1" in result.stderr
    rows = {row.input: row for row in read_ledger(tmp_path / "out")}
    assert rows["coffee.png"].status == "rejected" and rows["coffee.png"].code == "no-face"
    assert rows["cut.jpg"].status == "failed" and rows["cut.jpg"].code == "unreadable"
    row = rows["ann/0.jpg"]
    assert row.outputs == ["ann/0.jpg"] and row.faces[0].keys() >= {"box", "score", "yaw", "pitch", "roll", "matrix"}
    assert read_photo(tmp_path / "out" / "ann" / "0.jpg").shape == (256, 256, 3)


def test_a_second_run_skips_all_that_is_finished(aligned: Path, photos: Path, run: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in aligned.rglob("*.jpg")}
    result = run("align", photos, aligned, "--json")
    summary = json.loads(result.stdout)
    assert (summary["skipped"], summary["written"], summary["failed"]) == (7, 0, 1)
    assert {path: path.stat().st_mtime_ns for path in aligned.rglob("*.jpg")} == before
    last = {row.input: row for row in read_ledger(aligned)}["ann/0.jpg"]
    assert (last.status, last.outputs) == ("skipped", ["ann/0.jpg"])


@pytest.mark.slow
def test_changed_inputs_settings_and_lost_outputs_are_done_again(photos: Path, run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "src", tmp_path / "out"
    shutil.copytree(photos / "ann", source)
    run("align", source, out)
    shutil.copy(source / "1.jpg", source / "0.jpg")  # another photo under the same name
    (out / "2.jpg").unlink()
    os.utime(source / "1.jpg")  # touched, not changed
    summary = json.loads(run("align", source, out, "--json").stdout)
    assert (summary["written"], summary["skipped"]) == (2, 1)
    summary = json.loads(run("align", source, out, "--json", "--size", 64, "--format", "png").stdout)
    assert summary["written"] == 3
    assert sorted(tree(out)) == ["0.png", "1.png", "2.png"]  # the crops of the old settings are gone


@pytest.mark.slow
def test_kill_nine_anywhere_and_run_again_equals_one_run(aligned: Path, photos: Path, run: Run, tmp_path: Path) -> None:
    out, words = tmp_path / "out", ["align", photos, tmp_path / "out", "--workers", 1, "--quiet"]
    command = [*FRONTALIZE, *words]
    end_halfway(command, out, lambda: rows_in(out, b'"written"') >= 1, lambda: 0 < rows_in(out, b'"written"') < 6)
    finished = {row.input for row in read_ledger(out) if row.status == "written"}
    stamps = {name: (out / name).stat().st_mtime_ns for name in finished}
    assert run(*words).exit_code == 1  # one photo is damaged
    assert tree(out) == tree(aligned)
    assert {name: (out / name).stat().st_mtime_ns for name in finished} == stamps


@pytest.mark.slow
def test_ctrl_c_keeps_the_ledger_whole_and_exits_130(photos: Path, tmp_path: Path) -> None:
    """Parent and workers get the signal, as from a terminal."""
    out, many = tmp_path / "out", tmp_path / "many"
    many.mkdir()
    for number in range(400):
        os.link(photos / "ann" / "0.jpg", many / f"{number:03d}.jpg")
    command = [*FRONTALIZE, "align", many, out, "--quiet"]
    partly = lambda: 0 < rows_in(out) < 400  # noqa: E731
    assert end_halfway(command, out, lambda: rows_in(out) > 0, partly, signal.SIGINT, group=True) == 130
    rows = read_ledger(out)
    assert 0 < len(rows) < 400
    assert {row.input for row in rows} == set(tree(out))  # every crop has its row, every row its crop


@pytest.mark.slow
def test_sideways_and_mirrored_exif_gives_the_same_crop(portrait: NDArray[np.uint8], run: Run, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "upright.png").write_bytes(encode_image(portrait, ".png"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(portrait)).save(source / "sideways.png", exif=exif)
    assert run("align", source, tmp_path / "out", "--format", "png").exit_code == 0
    upright, sideways = (read_photo(tmp_path / "out" / f"{name}.png") for name in ("upright", "sideways"))
    np.testing.assert_array_equal(upright, sideways)


@pytest.mark.slow
def test_all_faces_are_numbered_from_left_to_right(portrait: NDArray[np.uint8], run: Run, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    both = np.concatenate([portrait[:360, 60:400], portrait[:360, 60:400][:, ::-1]], axis=1)
    (source / "both.jpg").write_bytes(encode_image(both, ".jpg"))
    assert run("align", source, tmp_path / "all", "--faces", "all").exit_code == 0
    [row] = read_ledger(tmp_path / "all")
    assert row.outputs == ["both_1.jpg", "both_2.jpg"]
    assert row.faces[0]["box"][2] < row.faces[1]["box"][0]
    result = run("align", source, tmp_path / "none", "--faces", "reject", "--max-rejects", "50%")
    assert result.exit_code == 1
    assert read_ledger(tmp_path / "none")[0].reason.startswith("several-faces: 2 found")


def test_options_reach_the_crop_and_its_row(portrait: NDArray[np.uint8], run: Run, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Orientation] = "NASA", 8
    Image.fromarray(np.rot90(portrait, -1).copy()).save(source / "a.jpg", quality=95, exif=exif)
    for name, extra in (("plain", []), ("kept", ["--keep-exif", "--margin", 0.25, "--size", 300, "--format", "webp"])):
        assert run("align", source, tmp_path / name, *extra).exit_code == 0
    with Image.open(tmp_path / "plain" / "a.jpg") as plain, Image.open(tmp_path / "kept" / "a.webp") as kept:
        assert dict(plain.getexif()) == {}  # where and when a photo was taken is nobody's business
        assert kept.getexif()[ExifTags.Base.Artist] == "NASA"
        assert kept.getexif().get(ExifTags.Base.Orientation, 1) == 1  # the crop is upright
        assert kept.size == (300, 300)
    [row], [wide] = read_ledger(tmp_path / "plain"), read_ledger(tmp_path / "kept")
    assert row.faces[0]["pass"] == "plain" and row.faces[0]["upscaled"] > 1 and row.faces[0]["presence"] > 0.9
    ratio = row.faces[0]["matrix"][0][0] / 256 / (wide.faces[0]["matrix"][0][0] / 300)
    np.testing.assert_allclose(ratio, 1.5, rtol=1e-3)


@pytest.mark.slow
def test_a_sideways_photo_is_found_unless_retries_are_off(
    portrait: NDArray[np.uint8], run: Run, tmp_path: Path
) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "a.png").write_bytes(encode_image(np.rot90(portrait, 2).copy(), ".png"))
    run("align", source, tmp_path / "found")
    run("align", source, tmp_path / "lost", "--no-retries", "--min-detection", 0.9)
    [found], [lost] = read_ledger(tmp_path / "found"), read_ledger(tmp_path / "lost")
    assert found.faces[0]["pass"] == "rotated-180"
    assert lost.code == "no-face"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none", "out"], "no such folder"),
        (["{photos}", "{photos}"], "could overwrite inputs"),
        (["{photos}", "out", "--size", "3"], "size=3: must be 16 to 4096"),
        (["{photos}", "out", "--landmarker", "x.task"], "no such file"),
        (["{photos}", "out", "--device", "cuda"], "sees 0 GPUs"),
        (["{photos}", "out", "--max-rejects", "some"], "max-rejects='some'"),
        (["{photos}", "out", "--workers", "0"], "workers=0: must be 1 or more"),
        (["{photos}", "out", "--template", "passport"], "passport"),
        (["{photos}", "out", "--margin", "3"], "margin=3.0: must be 0 to 2"),
        (["{photos}", "out", "--min-detection", "0"], "min_detection=0.0: must be above 0, up to 1"),
        (["{photos}", "out", "--min-presence", "2"], "min_presence=2.0: must be above 0, up to 1"),
        (["{photos}", "out", "--detector", "y.onnx"], "no such file"),
    ],
)
def test_a_wrong_set_up_exits_2_before_anything_is_written(
    words: list[str], says: str, photos: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("align", *(word.format(photos=photos) for word in words))
    assert result.exit_code == 2
    assert says in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("option", "name"), [("--landmarker", "broken.task"), ("--detector", "broken.onnx")])
def test_a_model_that_no_worker_can_load_exits_2_and_leaves_nothing(
    option: str, name: str, photos: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(b"no model")
    result = run("align", photos, tmp_path / "new" / "out", option, tmp_path / name)
    assert result.exit_code == 2
    assert name in result.stderr.replace("\n", "")
    assert [path.name for path in tmp_path.iterdir()] == [name]
