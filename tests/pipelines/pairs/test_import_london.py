"""`pairs import london`, on the London faces of tests/data and on the shared photos."""

import shutil
from pathlib import Path

import pytest

from pipelines.pairs.config import ImportConfig
from pipelines.pairs.importers.london import list_london
from tests.conftest import Run
from tests.faces import FACES
from tests.pipelines.pairs.imported import codes, drawn, table
from toolkit.errors import ConfigError
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import list_photos
from toolkit.records.subjects import read_pairs

LONDON = ImportConfig(kind="london")
VIEWS = ("left_3quarter", "left_profile", "right_3quarter", "right_profile")
PUBLISHED = {  # photo of tests/data -> its place in the set as it is published
    "003_frontal": "neutral_front/003_03",
    "003_left_3quarter": "neutral_left_3quarter/003_02",
    "030_frontal": "neutral_front/030_03",
    "030_left_profile": "neutral_left_profile/030_01",
    "061_frontal": "smiling_front/061_08",
    "061_right_3quarter": "smiling_right_3quarter/061_09",
    "070_right_profile": "neutral_right_profile/070_05",
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of four people under the names of the published set; one without a frontal photo, one not in the table."""
    root = tmp_path_factory.mktemp("london")
    for name, place in PUBLISHED.items():
        (root / place).parent.mkdir(exist_ok=True)
        shutil.copy(FACES / f"{name}.jpg", root / f"{place}.jpg")
    shutil.copy(FACES / "021_frontal.jpg", root / "neutral_front" / "021_03.jpg")
    drawn(root / "neutral_left_profile" / "021_01.jpg")  # no face
    drawn(root / "cover.jpg")
    (root / "london_faces_info.csv").write_text(
        "face_id,face_age,face_gender,face_eth\nX003,38,female,white\nX030,24,female,east_asian\nX021,48,male,white\n"
    )
    return root


def test_the_published_set_is_paired_by_person_and_expression(published: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "set"
    result = run("pairs", "import", "london", published, out, "--size", "96", "--workers", "1")
    assert result.exit_code == 0, result.stderr
    assert [(pair.input, pair.target) for pair in read_pairs(out)] == [
        ("003_neutral/left_3quarter.jpg", "003_neutral.jpg"),
        ("030_neutral/left_profile.jpg", "030_neutral.jpg"),
        ("061_smiling/right_3quarter.jpg", "061_smiling.jpg"),
    ]
    assert {name: code for name, code in codes(out).items() if code} == {
        "cover.jpg": "no-pose",
        "neutral_front/021_03.jpg": "single-photo",
        "neutral_left_profile/021_01.jpg": "no-face",
        "neutral_right_profile/070_05.jpg": "no-target",
    }
    rows = table(out)
    columns = ("person", "expression", "view", "age", "sex", "ethnicity")
    assert [rows["030_neutral/left_profile.jpg"][name] for name in columns] == [
        *("030", "neutral", "left_profile", "24", "female", "east_asian")
    ]
    assert [rows["003_neutral.jpg"][name] for name in columns] == ["003", "neutral", "front", "38", "female", "white"]
    assert [rows["061_smiling.jpg"][name] for name in columns] == ["061", "smiling", "front", "", "", ""]
    assert float(rows["003_neutral/left_3quarter.jpg"]["yaw"]) < -25  # measured: the nose points to the left
    assert float(rows["061_smiling/right_3quarter.jpg"]["yaw"]) > 25
    assert read_photo(out / "003_neutral.jpg").shape == (96, 96, 3)


def test_square_photos_are_aligned(published: Path, run: Run, tmp_path: Path, landmarker: Landmarker) -> None:
    folder = tmp_path / "one"
    for place in ("neutral_front/003_03.jpg", "neutral_left_3quarter/003_02.jpg"):
        (folder / place).parent.mkdir(parents=True)
        shutil.copy(published / place, folder / place)
    shutil.copy(published / "london_faces_info.csv", tmp_path)  # beside SRC
    assert run("pairs", "import", "london", folder, tmp_path / "set", "--workers", "1").exit_code == 0
    photo, crop = (read_photo(path) for path in (folder / "neutral_front/003_03.jpg", tmp_path / "set/003_neutral.jpg"))
    assert photo.shape == crop.shape
    sizes = [landmarker.find(image)[0].size for image in (photo, crop)]
    assert sizes[1] > 1.2 * sizes[0]
    assert table(tmp_path / "set")["003_neutral.jpg"]["sex"] == "female"


def test_all_names_of_both_layouts_are_known(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,age,sex,ethnicity\n1, 24 ,female,white\n")
    poses = [(expression, view) for expression in ("neutral", "smiling") for view in ("front", *VIEWS)]
    by_folder = [f"{expression}_{view}/001_{n:02}.jpg" for n, (expression, view) in enumerate(poses)]
    by_name = [f"a/001_{expression}_{view}.jpg".replace("_front", "") for expression, view in poses]
    for names in (by_folder, by_name):
        listing = list_london(tmp_path, names, LONDON)
        assert not listing.refused
        assert [(item.subject, item.name) for item in listing.items] == [(f"001_{one}", view) for one, view in poses]
        assert [item.photo for item in listing.items if item.role == "target"] == [names[0], names[5]]
        assert {item.labels["age"] for item in listing.items} == {"24"}
    both = list_london(tmp_path, [*by_folder, by_name[2]], LONDON)
    assert [(row.code, row.input) for row in both.refused] == [("collision", by_folder[2]), ("collision", by_name[2])]
    others = ("001.jpg", "001_sad.jpg", "001_neutral_left.jpg", "neutral_front/cover.jpg", "neutral_up/001_03.jpg")
    listing = list_london(tmp_path, [*by_name, *others], LONDON)
    assert [row.input for row in listing.refused] == list(others)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({}, "no london_faces_info.csv or people.csv in it, beside it, or in a folder of its photos"),
        ({"people.csv": "name,age\nann,3\n"}, "people.csv, line 1: 'name,age' has no column face_id or id"),
        ({"people.csv": "id,age\n001,3\nann,3\n"}, "people.csv, line 3: 'ann' is not a number such as 001"),
        ({"people.csv": "id,age\n001,3\n", "london_faces_info.csv": ""}, "london_faces_info.csv, line 1: ''"),
        ({"people.csv": b"\xff\xfe\x00"}, "people.csv: cannot be read"),
    ],
)
def test_a_wrong_or_missing_table_is_a_set_up_error(
    tables: dict[str, str | bytes], message: str, published: Path, tmp_path: Path
) -> None:
    source = tmp_path / "a" / "photos"
    source.mkdir(parents=True)
    for name, text in tables.items():
        (source / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as error:
        list_london(source, ["001_neutral.jpg", "001_neutral_left_profile.jpg"], LONDON)
    assert message in str(error.value)


def test_turned_photos_alone_are_a_set_up_error(run: Run, tmp_path: Path) -> None:
    drawn(tmp_path / "views" / "001_neutral_left_profile.jpg")
    result = run("pairs", "import", "london", tmp_path / "views", tmp_path / "set")
    assert result.exit_code == 2
    assert "none of its 1 photos of the set is frontal" in result.stderr.replace("\n", " ")
    drawn(tmp_path / "others" / "ann.jpg")
    result = run("pairs", "import", "london", tmp_path / "others", tmp_path / "set")
    assert result.exit_code == 2 and "001_neutral_left_3quarter.jpg" in result.stderr.replace("\n", " ")


def test_the_shared_photos_are_all_known(shared: Path) -> None:
    photos = [f"{folder}/{name}" for folder in ("london", "london_views") for name in list_photos(shared / folder)[0]]
    listing = list_london(shared, photos, LONDON)
    assert len(listing.items) == 510 and not listing.refused
    assert len({item.subject for item in listing.items}) == 102
    assert all(item.labels["sex"] in ("female", "male") for item in listing.items)


@pytest.mark.slow
def test_two_people_of_the_shared_photos_are_paired(shared: Path, run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "london", tmp_path / "set"
    for folder in ("london", "london_views"):
        (source / folder).mkdir(parents=True)
        for path in (*(shared / folder).glob("00[12]_*.jpg"), *(shared / folder).glob("*.csv")):
            (source / folder / path.name).symlink_to(path)
    result = run("pairs", "import", "london", source, out, "--size", "64", "--workers", "1")
    assert result.exit_code == 0, result.stderr
    assert len(read_pairs(out)) == 16
    rows = table(out)
    for person, age in (("001", "24"), ("002", "24")):
        for name in (f"{person}_neutral", f"{person}_smiling"):
            assert (rows[f"{name}.jpg"]["person"], rows[f"{name}.jpg"]["age"]) == (person, age)
            for view in VIEWS:
                yaw = float(rows[f"{name}/{view}.jpg"]["yaw"])
                assert (yaw > 0) == view.startswith("right") and abs(yaw) > 25
    assert run("pairs", "verify", out, "--workers", "1", "--no-faces").exit_code == 0
