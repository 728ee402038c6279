import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags
from PIL import Image as PilImage

from pipelines.pairs.config import ImportConfig
from pipelines.pairs.importers.cfp import crops_disagree, profile_matrix, read_profile_fiducials
from pipelines.pairs.importers.multipie import YAWS, list_multipie
from tests.conftest import Run, tree
from tests.pipelines.pairs.imported import codes, drawn, table
from toolkit.crops.align import align_photo
from toolkit.errors import PhotoRejected
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image
from toolkit.records.ledger import read_ledger
from toolkit.records.subjects import read_pairs
from toolkit.views.rotate import rotate_view

Draw = Callable[[Path, str], Path]


@pytest.fixture(scope="module")
def turned(portrait: Image, landmarker: Landmarker) -> dict[int, Image]:
    """The portrait and its views from both sides, by yaw."""
    [face] = landmarker.find(portrait)
    return {yaw: rotate_view(portrait, face, yaw).image for yaw in (-30, 30, 60)} | {0: portrait}


def test_multipie_cameras_fill_the_half_circle_in_steps_of_15_degrees() -> None:
    assert sorted(YAWS.values()) == list(range(-90, 91, 15))
    assert [YAWS[camera] for camera in ("110", "080", "051", "190", "240")] == [-90, -45, 0, 45, 90]


def test_multipie_photos_pair_with_camera_051_of_their_own_recording(
    turned: dict[int, Image], run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "pie" / "session01" / "multiview" / "001"
    folder.mkdir(parents=True)
    for camera, light, yaw in (("051", "07", 0), ("041", "07", 30), ("130", "12", -30)):
        image = turned[yaw][:, 20:]  # not square
        (folder / f"001_01_01_{camera}_{light}.png").write_bytes(encode_image(image, ".png"))
    words = ["pairs", "import", "multipie", tmp_path / "pie", tmp_path / "set", "--workers", "1"]
    result = run(*words, "--size", "96", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["written"] == 3
    assert [(pair.input, pair.target) for pair in read_pairs(tmp_path / "set")] == [
        ("001_01_01/041_07.jpg", "001_01_01.jpg"),
        ("001_01_01/130_12.jpg", "001_01_01.jpg"),
    ]
    rows = table(tmp_path / "set")
    right_side = rows["001_01_01/041_07.jpg"]
    assert [right_side[name] for name in ("person", "session", "camera", "light", "yaw")] == [
        *("001", "01", "041", "7", "30.0")
    ]
    assert rows["001_01_01.jpg"]["yaw"] == "0.0"
    assert read_photo(tmp_path / "set" / "001_01_01.jpg").shape == (96, 96, 3)
    measured = {row.input[-10:-7]: row.faces[0]["yaw"] for row in read_ledger(tmp_path / "set" / ".aligned")}
    assert measured["041"] > 15 and measured["130"] < -15  # the sign of the cameras is that of our poses


@pytest.mark.slow
def test_multipie_names_that_do_not_fit_are_rejected_with_the_reason(run: Run, tmp_path: Path) -> None:
    for number, name in enumerate(
        (
            "001_01_01_051_07.png",
            "001_01_01_240_00.png",
            "001_01_01_081_07.png",
            "001_01_01_777_07.png",
            "holiday.png",
            "002_01_01_051_05.png",
            "002_01_01_140_05.png",
            "003_01_01_051_07.png",
            "004_02_03_051_07_crop_128.png",
            "004_02_03_110_19_crop_128.png",
            "a/001_01_01_190_03.png",
            "b/001_01_01_190_03.png",
        )
    ):
        drawn(tmp_path / "pie" / name, seed=number)
    out = tmp_path / "set"
    assert run("pairs", "import", "multipie", tmp_path / "pie", out, "--workers", "1").exit_code == 1  # collisions
    found = codes(out)
    assert [name for name, code in found.items() if code == "no-pose"] == [
        *("001_01_01_081_07.png", "001_01_01_777_07.png", "holiday.png")
    ]
    assert found["002_01_01_140_05.png"] == found["002_01_01_051_05.png"] == "no-target"
    assert found["003_01_01_051_07.png"] == "single-photo"
    assert found["a/001_01_01_190_03.png"] == found["b/001_01_01_190_03.png"] == "collision"
    assert [pair.input for pair in read_pairs(out)] == ["001_01_01/240_00.png", "004_02_03/110_19.png"]
    assert (out / "001_01_01.png").read_bytes() == (tmp_path / "pie" / "001_01_01_051_07.png").read_bytes()
    other = run("pairs", "import", "multipie", tmp_path / "pie", out, "--light", "5", "--workers", "1")
    assert other.exit_code == 1
    assert [pair.subject for pair in read_pairs(out)] == ["002_01_01"]
    result = run("pairs", "import", "multipie", tmp_path / "pie", tmp_path / "none", "--light", "9")
    assert result.exit_code == 2 and "lights here: 05, 07" in result.stderr.replace("\n", " ")


def test_all_13_cameras_and_20_lights_are_known() -> None:
    photos = [f"001_01_01_{camera}_{light:02}.png" for camera in YAWS for light in range(20)]
    listing = list_multipie(Path(), photos, ImportConfig(kind="multipie", light=7))
    assert len(listing.items) == 260 and not listing.refused
    assert [item.photo for item in listing.items if item.role == "target"] == ["001_01_01_051_07.png"]


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    """Four square photos and a long one; the list forgets the last."""
    root = tmp_path / "celeba"
    names = [f"00000{number}" for number in range(1, 5)]
    for number, name in enumerate(names):
        drawn(root / "img_align_celeba" / f"{name}.jpg", seed=number)
    drawn(root / "img_align_celeba" / "000005.jpg", (44, 54))
    (root / "list_attr_celeba.txt").write_text(
        "4\nMale Smiling\n000001.jpg  1 -1\n000002.jpg -1  1\n000003.jpg -1 -1\n000005.jpg  1  1\n"
    )
    (root / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n")
    (root / "identity_CelebA.txt").write_text("000001.jpg 2880\n000002.jpg 2880\n")
    return root


def test_celeba_photos_are_their_own_targets_with_attributes(celeba: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "set"
    result = run("pairs", "import", "celeba", celeba, out, "--align", "never", "--workers", "1")
    assert result.exit_code == 0, result.stderr
    assert {name[-10:]: code for name, code in codes(out).items() if code} == {
        "000004.jpg": "no-attributes",
        "000005.jpg": "not-square",
    }
    rows = table(out)
    assert len(rows) == 6
    assert [(rows[f"00000{n}.jpg"]["attr_Male"], rows[f"00000{n}.jpg"]["attr_Smiling"]) for n in (1, 2, 3)] == [
        *(("1", "0"), ("0", "1"), ("0", "0"))
    ]
    assert [rows[f"00000{n}/00000{n}.jpg"]["partition"] for n in (1, 2, 3)] == ["train", "val", "test"]
    assert [rows[f"00000{n}.jpg"]["person"] for n in (1, 2, 3)] == ["2880", "2880", ""]
    target, only_input = out / "000001.jpg", out / "000001" / "000001.jpg"
    assert target.samefile(only_input) and target.stat().st_nlink == 3  # and the working copy
    assert target.read_bytes() == (celeba / "img_align_celeba" / "000001.jpg").read_bytes()


def test_a_second_run_skips_all_and_new_tables_are_noticed(
    celeba: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(path: Path, target: Path) -> None:
        raise PermissionError("this disk knows no hard links")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    shutil.move(celeba / "list_attr_celeba.txt", tmp_path / "list_attr_celeba.txt")  # beside SRC, too
    out, counts = tmp_path / "set", []
    words = ["pairs", "import", "celeba", celeba, out, "--align", "never", "--workers", "1", "--json"]
    (out / ".aligned").mkdir(parents=True)
    (out / ".000001.jpg.part").write_bytes(b"left by a kill")
    for _ in range(2):
        counts.append(json.loads(run(*words).stdout))
    assert [count["written"] for count in counts] == [3, 0]
    assert counts[1]["skipped"] == 3
    assert (out / "000001.jpg").stat().st_nlink == 1
    before = tree(out)
    (celeba / "list_eval_partition.txt").write_text("000001.jpg 2\n")
    assert json.loads(run(*words).stdout)["written"] == 3
    assert table(out)["000001.jpg"]["partition"] == "test"
    assert {name for name, data in tree(out).items() if data != before[name]} == {"labels.csv"}


def test_celeba_tables_with_commas_are_read_and_others_refused(celeba: Path, run: Run, tmp_path: Path) -> None:
    listed = celeba / "list_attr_celeba.txt"
    lines = listed.read_text().splitlines()[2:]
    (celeba / "list_attr_celeba.csv").write_text(
        "\n".join(["image_id,Male,Smiling", *(",".join(line.split()) for line in lines)])
    )
    listed.unlink()
    words = ["pairs", "import", "celeba", celeba, tmp_path / "set", "--align", "never", "--workers", "1"]
    assert run(*words).exit_code == 0
    assert table(tmp_path / "set")["000002.jpg"]["attr_Smiling"] == "1"
    listed.write_text("4\nMale Smiling\n000001.jpg 1 2\n")
    result = run(*words)
    assert result.exit_code == 2 and "line 3" in result.stderr
    listed.unlink()
    (celeba / "list_attr_celeba.csv").unlink()
    result = run(*words)
    assert result.exit_code == 2 and "no list_attr_celeba.txt" in result.stderr


def test_photos_that_others_would_show_otherwise_are_written_anew(celeba: Path, run: Run, tmp_path: Path) -> None:
    path = celeba / "img_align_celeba" / "000001.jpg"
    exif = PilImage.Exif()
    exif[ExifTags.Base.Orientation] = 6
    PilImage.open(path).save(path, exif=exif, quality=95)
    run("pairs", "import", "celeba", celeba, tmp_path / "set", "--align", "never", "--workers", "1")
    with PilImage.open(tmp_path / "set" / "000001.jpg") as written:
        assert not written.getexif()
        assert np.abs(np.asarray(written, float) - read_photo(path)).mean() < 8


@pytest.mark.slow
def test_cfp_takes_the_best_frontal_photo_for_the_target(turned: dict[int, Image], run: Run, tmp_path: Path) -> None:
    for name, yaw in (("frontal/01", 30), ("frontal/02", 0), ("profile/01", 60)):
        path = tmp_path / "cfp" / "Data" / "Images" / "001" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(turned[yaw], ".jpg"))
    drawn(tmp_path / "cfp" / "Data" / "Images" / "002" / "profile" / "01.jpg", (90, 80))
    drawn(tmp_path / "cfp" / "cover.jpg")
    fiducials = tmp_path / "cfp" / "Data" / "Fiducials" / "002" / "profile" / "01.txt"
    fiducials.parent.mkdir(parents=True)
    fiducials.write_text("1,2\n")
    out = tmp_path / "set"
    result = run("pairs", "import", "cfp", tmp_path / "cfp", out, "--workers", "1")
    assert result.exit_code == 0, result.stderr
    assert [(pair.input, pair.target) for pair in read_pairs(out)] == [
        ("001/frontal-01.jpg", "001.jpg"),
        ("001/profile-01.jpg", "001.jpg"),
    ]
    assert float(table(out)["001/profile-01.jpg"]["yaw"]) > 30
    assert {name: code for name, code in codes(out).items() if code} == {
        "Data/Images/002/profile/01.jpg": "bad-fiducials",
        "cover.jpg": "no-pose",
    }


@pytest.mark.parametrize("number", ["nan", "inf", "1e308", "-100000"])
def test_cfp_fiducials_that_no_photo_can_have_are_refused(number: str, tmp_path: Path) -> None:
    (tmp_path / "001" / "profile").mkdir(parents=True)
    (tmp_path / "001" / "profile" / "01.txt").write_text(f"{number},1\n" + "2,3\n" * 29)
    with pytest.raises(PhotoRejected, match="bad-fiducials"):
        read_profile_fiducials(tmp_path, "001/profile/01.jpg")


def test_other_folders_are_a_set_up_error_that_shows_names(photos: Path, run: Run, tmp_path: Path) -> None:
    for kind, message in (("multipie", "001_01_01_051_07.png"), ("cfp", "<id>/frontal/NN.jpg")):
        result = run("pairs", "import", kind, photos, tmp_path / "set")
        text = result.stderr.replace("\n", " ")
        assert result.exit_code == 2 and message in text and "ann/0.jpg" in text
    assert run("pairs", "import", "imagenet", photos, tmp_path / "set").exit_code == 2
    assert not (tmp_path / "set" / "labels.csv").exists()


@pytest.mark.parametrize("option", [("--light", "20"), ("--size", "8"), ("--quality", "0"), ("--align", "maybe")])
def test_wrong_options_are_refused(option: tuple[str, str], celeba: Path, run: Run, tmp_path: Path) -> None:
    result = run("pairs", "import", "celeba", celeba, tmp_path / "set", *option)
    assert result.exit_code == 2 and option[1] in result.stderr


@pytest.mark.slow
def test_profiles_are_cut_by_their_fiducials_where_no_face_is_found(shared: Path, run: Run, tmp_path: Path) -> None:
    for person in ("001", "010", "012"):
        shutil.copytree(shared / "profiles" / person, tmp_path / "cfp" / person)
    for name in ("010/profile/03.jpg", "012/profile/01.jpg"):  # each faces another way; no face is found in flat gray
        with PilImage.open(tmp_path / "cfp" / name) as photo:
            PilImage.new("RGB", photo.size, "gray").save(tmp_path / "cfp" / name)
    out = tmp_path / "set"
    assert run("pairs", "import", "cfp", tmp_path / "cfp", out, "--workers", "1", "--size", "64").exit_code == 0
    faces = {row.input: row.faces[0] for row in read_ledger(out)}
    assert len(faces) == 24
    by_hand = {name: face["yaw"] for name, face in faces.items() if face["pass"] == "fiducials"}
    assert by_hand["010/profile/03.jpg"] == 80.0
    assert by_hand["012/profile/01.jpg"] == -80.0
    assert len(by_hand) == 2


def test_fiducial_crops_agree_with_the_landmarker(shared: Path, landmarker: Landmarker) -> None:
    folder = shared / "profiles" / "003" / "profile"
    paths = sorted(folder.glob("*.jpg"))
    assert len(paths) == 4
    for path in paths:
        [crop] = align_photo(read_photo(path), landmarker)
        matrix = profile_matrix(np.loadtxt(path.with_suffix(".txt"), delimiter=","), 256)
        assert not crops_disagree(crop.matrix, matrix, 256)
        assert crops_disagree(crop.matrix + [[0, 0, 80], [0, 0, 0]], matrix, 256)
