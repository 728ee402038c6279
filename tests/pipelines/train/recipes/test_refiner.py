"""Round-trip sets, the refiner that is trained on them, and `batch` with it."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.recognizers.identity_encoder import IdentityEncoder, info_nce, random_recolor, random_warp
from models.refiner import Refiner
from pipelines.train.data.batches import BatchSpec, PairBatch
from pipelines.train.recipes.recipe import require
from pipelines.train.recipes.refiner import add_spots, recolor_pairs, reshape_pairs
from pipelines.weights.checkpoint import GeneratorCard, save_generator
from pipelines.weights.generator import weights_path
from pipelines.weights.normalization import Normalization
from tests.conftest import Run
from tests.faces import FACES
from toolkit.photos.decode import read_photo
from toolkit.photos.degrade import degrade
from toolkit.records.subjects import mask_of, read_pairs, unmirrored_of, view_parts_of

YAWS = "--yaws=-50,0,70"
PARTS = ("input", "target", "visibility", "unmirrored")


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """Three photos of one person: rotated, degraded, restored, split."""
    from typer.testing import CliRunner

    from pipelines.cli import app

    out = tmp_path_factory.mktemp("returned") / "set"
    words = ["pairs", "synth", photos / "ann", out, "--round-trip", "--degrade", "1", YAWS, "--size", "96"]
    words += ["--max-turn", "30"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr
    return out


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """An untrained refiner, which changes nothing yet."""
    path = tmp_path / "generator.safetensors"
    card = GeneratorCard(
        architecture="refiner", image_size=128, template="chin", normalization=Normalization(), recipe="refiner", step=0
    )
    net = Refiner()
    assert net.own_share.bias is not None
    torch.nn.init.constant_(net.own_share.bias, -30.0)
    save_generator(path, net, card)
    return path


@pytest.mark.slow
def test_round_trip_views_have_masks_and_unmirrored_views(returned: Path) -> None:
    pairs = read_pairs(returned)
    assert {Path(pair.input).name[:7] for pair in pairs} >= {"yaw-050", "yaw+000"}  # at 70 the mesh may fail
    for pair in pairs:
        view, target = (read_photo(returned / name).astype(int) for name in (pair.input, pair.target))
        mask = read_photo(returned / mask_of(pair.input))[..., 0].astype(int)
        assert view.shape == target.shape == (96, 96, 3)
        assert mask.shape == (96, 96)
        unmirrored = read_photo(returned / unmirrored_of(pair.input)).astype(int)
        assert unmirrored.shape == view.shape
        clear = mask > 0.9 * mask.max()
        assert np.abs(unmirrored - view)[clear].mean() < 3  # the half that the photo shows is the same in both
        if not pair.input.startswith("yaw+000"):
            assert np.abs(unmirrored - view)[~clear].mean() > np.abs(unmirrored - view)[clear].mean()
        middle = np.abs(view - target)[20:75, 26:70].mean()
        assert middle < 45  # the face is back where it was
        left, right = mask[30:68, 48:75].mean(), mask[30:68, 21:48].mean()  # the subject's left is the image's right
        if "yaw+070" in pair.input:  # turned to their left: the right half was seen
            assert right > left + 30
        if "yaw-050" in pair.input:
            assert left > right + 30
    with (returned / "labels.csv").open() as file:
        assert {row["file"] for row in csv.DictReader(file)} == {
            name for pair in pairs for name in (pair.input, pair.target)
        }


@pytest.mark.slow
def test_masks_and_unmirrored_views_are_split_with_their_views(returned: Path, run: Run) -> None:
    assert run("pairs", "split", returned, "--val", "1").exit_code == 0
    for part in ("train", "val"):
        for pair in read_pairs(returned / part):
            for name in view_parts_of(pair.input):
                assert (returned / part / name).samefile(returned / name)


def test_degrade_needs_round_trip_views(tmp_path: Path, photos: Path, run: Run) -> None:
    result = run("pairs", "synth", photos / "ann", tmp_path / "set", "--degrade", "1")
    assert result.exit_code == 2
    assert "add --round-trip" in result.stderr


def test_degraded_photos_are_the_same_for_the_same_seed(portrait: NDArray[np.uint8]) -> None:
    first, again, other = (degrade(portrait, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first.shape == portrait.shape
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(degrade(portrait, np.random.default_rng(3), 0), portrait)
    assert np.abs(first.astype(int) - portrait).mean() < 15


def test_random_warps_are_small_and_differ() -> None:
    torch.manual_seed(0)
    spot = torch.full((32, 3, 64, 64), -1.0)
    spot[:, :, 28:36, 28:36] = 1
    places = torch.arange(64.0)
    mass = random_warp(spot).mean(dim=1) + 1
    across = (mass.sum(dim=1) * places).sum(dim=1) / mass.sum(dim=(1, 2))
    assert 1 < across.std() < 5  # px
    assert abs(across.mean() - 31.5) < 2
    torch.testing.assert_close(random_warp(torch.ones(2, 3, 64, 64)), torch.ones(2, 3, 64, 64))


def same_images(count: int) -> PairBatch:
    """Return noise as view, portrait and unmirrored view alike, the red channel as visibility."""
    images = torch.rand(count, 3, 64, 64)
    return PairBatch(
        images, images.clone(), torch.arange(count), visibility=images[:, :1].clone(), unmirrored=images.clone()
    )


def test_view_and_portrait_are_recolored_alike() -> None:
    torch.manual_seed(0)
    before = same_images(64)
    batch = recolor_pairs(before, 0.6)
    assert torch.equal(batch.input, batch.target)
    assert torch.equal(batch.input, require(batch.unmirrored))
    changed = (batch.input != before.input).flatten(1).any(dim=1).float().mean()
    assert 0.4 < changed < 0.8


def test_view_and_portrait_are_reshaped_alike_and_both_halves_too() -> None:
    torch.manual_seed(0)
    before = same_images(64)
    batch = reshape_pairs(before, 0.5)
    assert torch.equal(batch.input, batch.target)
    assert torch.equal(batch.input, require(batch.unmirrored))
    torch.testing.assert_close(require(batch.visibility), batch.input[:, :1].clamp(min=0))
    moved = ((batch.input - before.input).flatten(1).abs().mean(dim=1) > 0.01).float().mean()
    assert 0.3 < moved < 0.7
    symmetric = replace(before, **{name: getattr(before, name) + getattr(before, name).flip(-1) for name in PARTS})
    reshaped = reshape_pairs(symmetric, 1).target
    torch.testing.assert_close(reshaped, reshaped.flip(-1), atol=1e-4, rtol=0)


def test_spots_are_on_the_middle_line_of_some_views_and_not_on_portraits() -> None:
    torch.manual_seed(0)
    before = same_images(64)
    batch = add_spots(before, 0.5)
    assert torch.equal(batch.target, before.target)
    assert torch.equal(batch.input, require(batch.unmirrored))
    changed = (batch.input != before.input).any(dim=1)  # (64, 64, 64)
    assert 0.3 < changed.flatten(1).any(dim=1).float().mean() < 0.7
    lashes, spots = (part.any(dim=0).any(dim=0).nonzero() - 31.5 for part in (changed[:, :22], changed[:, 22:]))
    assert spots.abs().max() < 3  # px: .03 of the side
    assert 3 < lashes.abs().max() < 8  # .12 of it, at the height of the eyes
    assert not changed[:, 57:].any()  # the chin
    assert torch.equal(add_spots(before, 0).input, before.input)


def test_batch_refines_by_default_with_built_in_weights(tmp_path: Path, run: Run) -> None:
    assert weights_path("refiner").stat().st_size < 16e6
    (tmp_path / "photos").mkdir()
    for name in ("003_left_3quarter", "003_frontal"):
        shutil.copy(FACES / f"{name}.jpg", tmp_path / "photos")
    words = ["batch", tmp_path / "photos", tmp_path / "refined", "--format", "png", "--json"]
    assert json.loads(run(*words).stdout)["written"] == 2
    plain = ["batch", tmp_path / "photos", tmp_path / "plain", "--format", "png", "--model", "geometric"]
    assert run(*plain).exit_code == 0
    changed = {}
    for name in ("003_left_3quarter", "003_frontal"):
        refined, geometric = (
            read_photo(tmp_path / model / f"{name}.png").astype(int) for model in ("refined", "plain")
        )
        assert refined.shape == (256, 256, 3)
        changed[name] = np.abs(refined - geometric).mean()
    assert 1 < changed["003_left_3quarter"] < 25  # mended, and still the same face
    assert changed["003_frontal"] < 0.01
    assert json.loads(run(*words).stdout)["skipped"] == 2


def test_masks_are_refused_with_color_augmentation() -> None:
    from pipelines.train.data.augment import Augment

    with pytest.raises(ValueError, match="only load_size and flip"):
        BatchSpec(view_parts=True, augment=Augment(brightness=0.1))


@pytest.mark.slow
def test_a_set_without_masks_is_refused(tmp_path: Path, returned: Path, run: Run) -> None:
    pair = read_pairs(returned)[0]
    for name in (pair.input, pair.target):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes((returned / name).read_bytes())
    (tmp_path / "set" / "labels.csv").write_bytes((returned / "labels.csv").read_bytes())
    result = run("train", tmp_path / "set", tmp_path / "run", "--recipe", "refiner", "--steps", "1")
    assert result.exit_code == 2
    assert "pairs synth --round-trip" in result.stderr.replace("\n", " ")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("size", [128, 160])
def test_batch_gives_the_refiner_the_geometric_view(
    size: int, tmp_path: Path, photos: Path, weights: Path, run: Run
) -> None:
    """An untrained refiner passes the view through, so the two commands must agree."""
    words = ["batch", photos / "ann", "--format", "png", "--size", size, "--json"]
    refined = run(*words, tmp_path / "refined", "--model", weights)
    assert json.loads(refined.stdout)["written"] == 3, refined.stderr
    assert run(*words, tmp_path / "plain", "--model", "geometric").exit_code == 0
    for path in sorted((tmp_path / "plain").glob("*.png")):
        one, other = (read_photo(folder / path.name).astype(int) for folder in (tmp_path / "refined", path.parent))
        assert one.shape == (size, size, 3)
        assert np.abs(one - other).max() <= 2


@pytest.mark.slow
def test_the_identity_encoder_learns_to_match_views_and_portraits() -> None:
    torch.manual_seed(0)
    people = torch.rand(12, 3, 8, 8).repeat_interleave(8, 2).repeat_interleave(8, 3) * 2 - 1
    net = IdentityEncoder()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        views = (people.flip(-1) + 0.3 * torch.randn_like(people)).clamp(-1, 1)
        one, other = net(random_recolor(torch.cat([people, views]))).chunk(2)
        return one, other

    def matched() -> float:
        with torch.inference_mode():
            one, other = both()
            return float(((one @ other.T).argmax(dim=1) == torch.arange(12)).float().mean())

    before = matched()
    after = before
    for step in range(60):
        optimizer.zero_grad()
        info_nce(*both(), torch.arange(12)).backward()
        optimizer.step()
        if step % 10 == 9 and (after := matched()) > 0.9:
            break
    assert before < 0.5 < 0.9 < after


def test_other_images_of_a_person_are_no_negatives() -> None:
    faces = torch.eye(3)
    apart = info_nce(faces, faces, torch.tensor([0, 1, 2]))
    swapped = info_nce(faces[[0, 2, 1]], faces, torch.tensor([0, 1, 2]))
    assert swapped > apart + 5
    alone = info_nce(faces[:1].repeat(3, 1), faces[:1].repeat(3, 1), torch.tensor([7, 7, 7]))
    assert alone == 0
