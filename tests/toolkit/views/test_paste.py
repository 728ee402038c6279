"""Frontal faces pasted back into their photos, and `batch --paste-back`."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

from pipelines.batch.config import FrontalizeConfig
from tests.conftest import Run, tree
from toolkit.errors import ConfigError
from toolkit.faces.face import Face
from toolkit.geometry.affine import crop_to_photo
from toolkit.geometry.head_pose import head_pose
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image
from toolkit.records.ledger import read_ledger
from toolkit.views.paste import BORDER, paste, prepare_paste
from toolkit.views.rotate import rotate_view


@pytest.fixture(scope="module")
def face(portrait: Image, landmarker: Landmarker) -> Face:
    return landmarker.find(portrait)[0]


@pytest.fixture(scope="module")
def turned(portrait: Image, face: Face) -> Image:
    """The portrait with its head turned by about 25 degrees."""
    yaw = head_pose(face.landmarks).yaw
    return rotate_view(portrait, face, -25 - yaw).image


def _skin(photo: Image, face: Face) -> NDArray[np.bool_]:
    """Return (H, W): the pixels inside the hull of the mesh."""
    inside = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(face.landmarks[:468, :2].round().astype(np.int32)), (1,))
    return inside > 0


def _mesh_distance(one: Face, other: Face) -> float:
    """Return the mean distance of two meshes, in shares of the face's size."""
    return float(np.linalg.norm(one.landmarks[:468, :2] - other.landmarks[:468, :2], axis=1).mean() / one.size)


def test_a_turned_head_faces_the_camera_in_its_old_place(
    turned: Image, portrait: Image, landmarker: Landmarker
) -> None:
    [before] = landmarker.find(turned)
    assert head_pose(before.landmarks).turn > 18
    pasted = paste(turned, [prepare_paste(turned, before, 256)])
    [after] = landmarker.find(pasted)
    pose, old = head_pose(after.landmarks), head_pose(before.landmarks)
    assert pose.turn < 8
    assert abs(pose.roll - old.roll) < 4
    assert after.size == pytest.approx(before.size, rel=0.1)
    [true] = landmarker.find(portrait)  # the head before it was turned: looking down a little, as it still does then
    [true] = landmarker.find(paste(portrait, [prepare_paste(portrait, true, 256)]))
    assert _mesh_distance(after, true) < 0.05
    assert _mesh_distance(before, true) > 0.1


def test_far_from_the_head_every_pixel_is_the_photos_own(turned: Image, landmarker: Landmarker) -> None:
    [face] = landmarker.find(turned)
    pasted = paste(turned, [prepare_paste(turned, face, 128)])
    left, top, right, bottom = face.box
    rows, columns = np.mgrid[: turned.shape[0], : turned.shape[1]]
    away = np.hypot(columns - (left + right) / 2, rows - (top + bottom) / 2) > 1.6 * face.size
    assert away.mean() > 0.2
    np.testing.assert_array_equal(pasted[away], turned[away])
    assert (pasted != turned)[_skin(turned, face)].mean() > 0.5


def test_a_face_that_looks_at_the_camera_hardly_changes(portrait: Image, face: Face, landmarker: Landmarker) -> None:
    """Brought to the front twice: the second time there is little left to do, and no detail is lost."""
    once = paste(portrait, [prepare_paste(portrait, face, 256)])
    [frontal] = landmarker.find(once)
    twice = paste(once, [prepare_paste(once, frontal, 256)])
    skin = _skin(once, frontal)
    [again] = landmarker.find(twice)
    assert _mesh_distance(again, frontal) < 0.05
    assert _mesh_distance(again, frontal) < 0.5 * _mesh_distance(frontal, face)
    detail = [cv2.Laplacian(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), cv2.CV_64F)[skin].std() for each in (once, twice)]
    assert detail[1] > 0.9 * detail[0]


def test_a_refined_face_joins_without_a_step(turned: Image, landmarker: Landmarker) -> None:
    """The refined face shows inside; along the square's edges the view is unchanged."""
    [face] = landmarker.find(turned)
    plain = prepare_paste(turned, face, 128)
    assert plain.border == round(BORDER * 128)
    view, visibility, unmirrored = plain.network_inputs
    assert view.shape == (128, 128, 3)
    assert visibility.shape == (128, 128) and unmirrored.shape == view.shape
    brighter = plain.with_refined(np.asarray(np.minimum(view, 215) + 40, np.uint8))
    edge = slice(plain.border, plain.border + 1)
    assert np.abs(brighter.image[edge].astype(int) - plain.image[edge]).max() <= 3
    same = paste(turned, [plain.with_refined(view)])
    gain = paste(turned, [brighter]).astype(float) - same
    skin = _skin(same, landmarker.find(same)[0])
    assert 20 < gain[skin].mean() <= 40
    step = np.abs(np.diff(cv2.GaussianBlur(gain, (0, 0), 1).mean(axis=2), axis=1))
    assert step.max() < 12  # 40 levels that began at once would make a step of 16


@pytest.mark.slow
def test_a_folder_of_photos_with_several_faces(
    turned: Image, portrait: Image, landmarker: Landmarker, run: Run, tmp_path: Path
) -> None:
    """Within the bound faces are pasted, beyond it left alone; the outputs are upright and as large as the photos."""
    source, out = tmp_path / "src" / "a", tmp_path / "out"
    source.mkdir(parents=True)
    pair = np.hstack([turned[:400], portrait[:400, ::-1]])
    (source / "pair.png").write_bytes(encode_image(pair, ".png"))
    askew = PillowImage.Exif()
    askew[274] = 6  # lies on its side
    PillowImage.fromarray(np.ascontiguousarray(np.rot90(turned))).save(source / "askew.jpg", exif=askew)
    far, near = (head_pose(face.landmarks).turn for face in landmarker.find(pair, every=True))
    words = ["batch", tmp_path / "src", out, "--model", "geometric", "--paste-back", "--format", "png", "--json"]
    words += ["--workers", 1, "--max-turn", round((far + near) / 2, 1)]
    assert json.loads(run(*words).stdout)["reasons"] == {"turned": 1}
    rows = {row.input: row for row in read_ledger(out)}
    assert [face["pasted"] for face in rows["a/pair.png"].faces] == [False, True]
    assert "degrees, above --max-turn" in rows["a/askew.jpg"].reason
    pasted = read_photo(out / "a" / "pair.png")
    np.testing.assert_array_equal(pasted[:, :300], pair[:, :300])
    assert (pasted != pair)[:, 512:].any()
    assert json.loads(run(*words).stdout)["skipped"] == 2
    words[-1] = 45  # another bound is another result
    assert json.loads(run(*words).stdout)["written"] == 2
    assert sorted(tree(out)) == ["a/askew.png", "a/pair.png"]
    assert read_photo(out / "a" / "askew.png").shape == turned.shape
    rows = {row.input: row for row in read_ledger(out)}
    pasted = read_photo(out / "a" / "pair.png")
    for face in rows["a/pair.png"].faces:
        assert face["pasted"]
        x, y = crop_to_photo(np.array([[128.0, 128]]), np.array(face["matrix"])).round().astype(int)[0]
        assert (pasted != pair)[y - 40 : y + 40, x - 40 : x + 40].mean() > 0.5


@pytest.mark.slow
def test_the_refiner_pastes_what_geometry_pastes(small_photos: Path, run: Run, tmp_path: Path) -> None:
    """A photo's result does not depend on its neighbours, and a second run has nothing to do."""
    words = ["batch", small_photos, tmp_path / "out", "--paste-back", "--max-turn", 45, "--workers", 1, "--json"]
    words += ["--size", 128, "--batch-size", 2]
    assert json.loads(run(*words).stdout)["written"] == 2
    before = tree(tmp_path / "out")
    assert read_photo(tmp_path / "out" / "1.jpg").shape == read_photo(small_photos / "1.jpg").shape
    (tmp_path / "out" / "1.jpg").unlink()
    again = json.loads(run(*words).stdout)
    assert (again["skipped"], again["written"]) == (1, 1)
    assert tree(tmp_path / "out") == before


def test_a_wrong_set_up_says_so(photos: Path, untrained: Path, run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--aligned with --paste-back"):
        FrontalizeConfig(model="geometric", aligned=True, paste_back=True)
    for wrong in (-1, 60, float("nan")):
        with pytest.raises(ConfigError, match="must be 0 to 45; it is in degrees; try 30"):
            FrontalizeConfig(model="geometric", paste_back=True, max_turn=wrong)
    result = run("batch", photos, tmp_path / "out", "--paste-back", "--model", untrained)
    assert result.exit_code == 2
    assert "fits into no photo; use refiner" in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()
