"""Identity scores, with a recognizer of textures."""

from pathlib import Path

import numpy as np
import pytest

from tests.pipelines.evaluate.sets import Draw, draw_set, evaluated, texture
from toolkit.photos.types import Image


def test_kept_identities_score_high_and_shuffled_ones_at_chance(tmp_path: Path, recognizer: Path) -> None:
    people = {f"p{number:02d}": {"a": 10.0, "b": 50.0} for number in range(40)}
    noise = np.random.default_rng(0)

    def same(_: str, target: Image) -> Image:
        return np.clip(target + noise.normal(0, 10, target.shape), 0, 255).astype(np.uint8)

    others = np.roll(np.arange(40), 1)
    kept = evaluated(draw_set(tmp_path / "kept", people, same), "raw", recognizer=recognizer)
    assert kept["ranked_by"] == "identity_cosine"
    for row in (kept["models"][0], *kept["models"][0]["bins"]):
        assert row["accuracy"] > 0.98  # two of the textures happen to be somewhat alike
        assert (row["auc"], row["rank1"]) == (1, 1)
        assert row["identity_cosine"] > 0.8
        assert abs(row["impostor_cosine"]) < 0.1
    shuffled = draw_set(tmp_path / "other", people, lambda name, _: texture(int(others[int(name[1:3])])))
    [raw] = evaluated(shuffled, "raw", recognizer=recognizer)["models"]
    assert abs(raw["accuracy"] - 0.5) < 0.1
    assert abs(raw["auc"] - 0.5) < 0.15
    assert raw["rank1"] == 0
    assert abs(raw["identity_cosine"]) < 0.1


def test_another_target_of_the_same_person_is_correct_and_no_impostor(tmp_path: Path, recognizer: Path) -> None:
    """Inputs of `a1` resemble the target of `a2`, who is the same person; impostors are the others alone."""
    subjects = {name: {"x": 0.0} for name in ("a1", "a2", "b", "c")}
    seeds = {"a1/x": 1, "a2/x": 0, "b/x": 2, "c/x": 3}
    draw: Draw = lambda name, _: texture(seeds[name])  # noqa: E731
    one = evaluated(draw_set(tmp_path / "one", subjects, draw, a1="a", a2="a"), "raw", recognizer=recognizer)
    two = evaluated(draw_set(tmp_path / "two", subjects, draw), "raw", recognizer=recognizer)
    assert (one["people"], two["people"]) == (3, 4)
    assert (one["models"][0]["rank1"], two["models"][0]["rank1"]) == (1, 0.5)
    assert one["models"][0]["impostor_cosine"] < 0.4


def test_a_face_that_is_not_found_counts_as_cosine_0(tmp_path: Path, recognizer: Path) -> None:
    people = {f"p{number}": {"a": 10.0} for number in range(6)}
    document = evaluated(
        draw_set(tmp_path / "set", people, lambda _, target: target), "geometric", recognizer=recognizer
    )
    [geometric] = document["models"]
    assert (geometric["missing"], geometric["reasons"]) == (6, {"no-face": 6})
    assert {geometric[name] for name in ("l1", "l2", "psnr", "ssim")} == {None}
    assert (geometric["identity_cosine"], geometric["rank1"], geometric["auc"]) == (0, 0, 0.5)
    assert geometric["best"] == geometric["worst"] == []


def test_one_person_alone_has_no_impostors(tmp_path: Path, recognizer: Path) -> None:
    document = evaluated(
        draw_set(tmp_path / "set", {"ann": {"a": 0.0}}, lambda _, target: target), "raw", recognizer=recognizer
    )
    [raw] = document["models"]
    assert raw["identity_cosine"] == pytest.approx(1)
    assert (raw["accuracy"], raw["auc"], raw["impostor_cosine"], raw["rank1"]) == (None, None, None, 1)
