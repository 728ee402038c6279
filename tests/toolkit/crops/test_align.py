import cv2
import numpy as np
import pytest
from PIL import Image as PilImage

from tests.golden import CROP, golden_crop
from toolkit.crops.align import AlignConfig, align_photo, choose_faces
from toolkit.errors import ConfigError, PhotoRejected
from toolkit.faces.face import Face
from toolkit.geometry.affine import crop_to_photo, matrix_scale
from toolkit.geometry.crop import chin_crop_points
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.resample import paste_back, warp_crop
from toolkit.photos.types import Image


def test_a_real_face_lands_on_the_template(portrait: Image, landmarker: Landmarker) -> None:
    [crop] = align_photo(portrait, landmarker, AlignConfig(size=256))
    assert crop.image.shape == (256, 256, 3)
    padded = cv2.copyMakeBorder(crop.image, 128, 128, 128, 128, cv2.BORDER_REPLICATE)  # so that it can be found again
    [again] = landmarker.find(np.asarray(padded, np.uint8))
    midpoint, chin = np.array(chin_crop_points(again.landmarks - [128, 128, 0])) + 0.5
    np.testing.assert_allclose(midpoint, [128, 51.2], atol=0.02 * 256)
    assert abs(chin[1] - 256) < 0.03 * 256


def test_the_result_depends_on_the_photo_alone(portrait: Image, landmarker: Landmarker) -> None:
    [first] = landmarker.find(portrait)
    landmarker.find(np.ascontiguousarray(portrait[::2, ::2]))
    [again] = landmarker.find(portrait)
    [other] = open_landmarker().find(portrait)
    np.testing.assert_array_equal(first.landmarks, again.landmarks)
    np.testing.assert_array_equal(first.landmarks, other.landmarks)
    assert first.landmarks.shape == (478, 3)
    assert first.score is not None and 0.5 < first.score <= 1


def test_a_tight_crop_is_found_by_a_retry(landmarker: Landmarker, portrait: Image) -> None:
    [crop] = align_photo(portrait, landmarker, AlignConfig(size=200))
    tight = np.ascontiguousarray(crop.image[20:, 40:160])
    assert open_landmarker(FindConfig(retries=False)).find(tight) == []
    [face] = landmarker.find(tight)
    assert face.found_by == "yunet"
    midpoint, chin = np.array(chin_crop_points(face.landmarks)) + 0.5
    np.testing.assert_allclose(midpoint, [60, 20], atol=0.06 * 200)
    assert abs(chin[1] - 180) < 0.06 * 200


def test_no_face_is_rejected_with_its_reason(landmarker: Landmarker) -> None:
    with pytest.raises(PhotoRejected) as caught:
        align_photo(np.full((300, 200, 3), 90, np.uint8), landmarker)
    assert caught.value.reason.startswith("no-face: ")


def boxes(*left_and_width: tuple[float, float]) -> list[Face]:
    """Square faces, by the left edge and width of their boxes."""
    faces = []
    for left, width in left_and_width:
        mesh = np.zeros((478, 3))
        mesh[:, :2] = np.random.default_rng(0).uniform(0, width, (478, 2)) + [left, 0]
        mesh[0, :2], mesh[1, :2] = (left, 0), (left + width, width)
        faces.append(Face(mesh, 0.9))
    return faces


@pytest.mark.parametrize(
    ("policy", "kept"),
    [("largest", [200.0]), ("all", [0.0, 200.0]), ("reject", "several-faces"), ("tiny", "small-face")],
)
def test_several_faces_are_chosen_by_policy(policy: str, kept: object) -> None:
    faces = boxes((200, 120), (0, 60), (500, 30))
    config = AlignConfig(min_face=130) if policy == "tiny" else AlignConfig(faces=policy)  # type: ignore[arg-type]
    if isinstance(kept, str):
        with pytest.raises(PhotoRejected, match=kept):
            choose_faces(faces, config)
    else:
        assert [face.box[0] for face in choose_faces(faces, config)] == kept


def test_shrinking_averages_instead_of_picking() -> None:
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255  # one pixel wide: anything but an average of both is aliasing
    tenth = np.array([[0.1, 0, -0.45], [0, 0.1, -0.45]])
    crop = warp_crop(stripes, tenth, 64)
    assert np.abs(crop.astype(int) - 127).max() <= 2


def test_cutting_at_any_scale_keeps_points_in_place() -> None:
    yy, xx = np.mgrid[:900, :900]
    photo = np.repeat((np.hypot(xx - 500, yy - 400) < 60)[..., None] * np.uint8(255), 3, axis=2)
    for scale in (0.11, 0.4, 1.0, 1.7):
        matrix = np.array([[scale, 0, 128 - 500 * scale], [0, scale, 128 - 400 * scale]])
        crop = warp_crop(photo, matrix, 257)[..., 0].astype(float)
        rows, columns = np.mgrid[:257, :257]
        centre = [(crop * columns).sum() / crop.sum(), (crop * rows).sum() / crop.sum()]
        np.testing.assert_allclose(centre, [128, 128], atol=0.1)


def test_crop_points_go_back_onto_the_photo(portrait: Image, landmarker: Landmarker) -> None:
    [crop] = align_photo(portrait, landmarker)
    target = np.array([[127.5, 50.7]])
    midpoint, _ = chin_crop_points(crop.face.landmarks)
    np.testing.assert_allclose(crop_to_photo(target, crop.matrix), [midpoint], atol=1e-6)


def test_the_crop_is_the_one_that_was_looked_at(landmarker: Landmarker) -> None:
    """Golden picture; after a change that is meant, look at it and run ``python -m tests.golden``."""
    golden = np.asarray(PilImage.open(CROP).convert("RGB")).astype(int)
    assert np.abs(golden_crop(landmarker).astype(int) - golden).mean() < 1.0


@pytest.mark.parametrize(
    "wrong", [{"size": 8}, {"size": 9000}, {"min_face": 0}, {"faces": "both"}, {"template": "passport"}]
)
def test_wrong_settings_name_value_and_way_out(wrong: dict[str, object]) -> None:
    [value] = wrong.values()
    with pytest.raises(ConfigError, match=str(value)) as caught:
        AlignConfig(**wrong)  # type: ignore[arg-type]
    assert "try" in str(caught.value) or "choose" in str(caught.value)


@pytest.mark.parametrize("size", [64, 256, 512])  # crops smaller, as large, and larger than their place in the photo
def test_a_crop_is_pasted_back_to_its_exact_place(portrait: Image, landmarker: Landmarker, size: int) -> None:
    [crop] = align_photo(portrait, landmarker, AlignConfig(size=size))
    pasted = paste_back(portrait, crop.image, crop.matrix)
    away = np.abs(pasted.astype(int) - portrait).max(axis=2)
    xy = np.stack(np.meshgrid(np.arange(512.0), np.arange(512.0)), axis=-1).reshape(-1, 2)
    there = (xy @ crop.matrix[:, :2].T + crop.matrix[:, 2] + 0.5).reshape(512, 512, 2) / size
    outside = ((there < -0.02) | (there > 1.02)).any(axis=2)
    inside = ((there > 0.05) & (there < 0.95)).all(axis=2)
    assert not away[outside].any()
    assert away[inside].mean() < (9 if size == 64 else 4)  # one resampling there, one back
    rows, columns = np.nonzero(inside)
    window = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    before, after = (cv2.cvtColor(each[window], cv2.COLOR_RGB2GRAY).astype(np.float32) for each in (portrait, pasted))
    (x, y), _ = cv2.phaseCorrelate(before, after)
    assert np.hypot(x, y) < 0.1  # px


def test_what_is_painted_on_the_crop_shows_where_the_matrix_says(portrait: Image, landmarker: Landmarker) -> None:
    sideways = np.ascontiguousarray(np.rot90(portrait, -1))
    [crop] = align_photo(sideways, landmarker, AlignConfig(size=400))
    changed = crop.image.copy()
    cv2.circle(changed, (100, 300), 12, (0, 255, 0), -1)
    pasted = paste_back(sideways, changed, crop.matrix)
    green = (pasted[..., 1] > 200) & (pasted[..., 0] < 60) & (pasted[..., 2] < 60)
    [expected] = crop_to_photo(np.array([[100.0, 300.0]]), crop.matrix)
    np.testing.assert_allclose(np.argwhere(green).mean(axis=0)[::-1], expected, atol=0.5)


def test_enlarged_crops_say_so(portrait: Image, landmarker: Landmarker) -> None:
    [large] = align_photo(portrait, landmarker, AlignConfig(size=512))
    [small] = align_photo(portrait, landmarker, AlignConfig(size=48))
    assert large.ledger_row()["upscaled"] == round(matrix_scale(large.matrix), 2) > 2
    assert "upscaled" not in small.ledger_row()


def test_a_margin_adds_photo_around_the_same_square(portrait: Image, landmarker: Landmarker) -> None:
    [tight] = align_photo(portrait, landmarker, AlignConfig(size=100))
    [wide] = align_photo(portrait, landmarker, AlignConfig(size=200, margin=0.5))
    np.testing.assert_allclose(wide.matrix[:, :2], tight.matrix[:, :2])
    middle = wide.image[50:150, 50:150].astype(int)
    assert np.abs(middle - tight.image).mean() < 1
    with pytest.raises(ConfigError, match="margin=-0.1: must be 0 to 2"):
        AlignConfig(margin=-0.1)
