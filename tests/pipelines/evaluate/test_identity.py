"""Identity scores, with a recognizer of textures."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run
from tests.pipelines.evaluate.sets import ByTexture, Draw, draw_set, evaluated, texture
from toolkit.identity.recognizer import to_recognizer_crop
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


def shown(seeds: dict[str, int]) -> Draw:
    return lambda name, _: texture(seeds[name])


def test_identity_against_the_other_targets_of_the_same_person(tmp_path: Path, recognizer: Path) -> None:
    """The inputs are targets: `a1` and `a2` of each other, `b1` of `b2`, `b2` its own; `c` has one target only."""
    subjects = {name: {"x": 0.0} for name in ("a1", "a2", "b1", "b2", "c")}  # with the textures 0 to 4 as targets
    root = draw_set(
        tmp_path / "set",
        subjects,
        shown({"a1/x": 1, "a2/x": 0, "b1/x": 3, "b2/x": 3, "c/x": 0}),
        **dict.fromkeys(("a1", "a2"), "a"),
        **dict.fromkeys(("b1", "b2"), "b"),
    )
    own = evaluated(root, "raw", recognizer=recognizer, by=("person", "subject"))
    other = evaluated(root, "raw", recognizer=recognizer, by=("subject",), identity_against="other")
    assert (own["identity_against"], own["without_other_target"]) == ("target", 0)
    assert (other["identity_against"], other["without_other_target"]) == ("other", 1)
    [raw] = other["models"]
    assert raw["rank1"] == 0.75 <= raw["auc"] < 1 and raw["accuracy"] > 0.5  # of the four that count
    found = {row["group"]: row for row in raw["groups"]}
    for name, like in (("a1", True), ("a2", True), ("b1", True), ("b2", False)):
        assert (found[name]["identity_cosine"] > 0.9, found[name]["rank1"]) == (like, like), name
    assert own["models"][0]["groups"][0]["identity_cosine"] < 0.5
    assert own["models"][0]["rank1"] == 0.8  # all but `c` are the target of some photo of the person
    assert raw["worst"][0]["input"] == "b2/x.png"


@pytest.mark.parametrize("batch_size", [1, 32])
def test_the_cosine_is_the_mean_over_all_others(tmp_path: Path, recognizer: Path, batch_size: int) -> None:
    """Examples are ranked while the set is read: targets of later batches have to be known by then."""
    subjects = {name: {"x": 0.0} for name in ("a1", "a2", "a3", "b")}
    seeds = {"a1/x": 1, "a2/x": 1, "a3/x": 1, "b/x": 3}
    root = draw_set(tmp_path / "set", subjects, shown(seeds), **dict.fromkeys(("a1", "a2", "a3"), "a"))
    one = evaluated(
        root, "raw", recognizer=recognizer, by=("subject",), identity_against="other", batch_size=batch_size
    )
    embed = ByTexture(recognizer).embed
    faces = embed([to_recognizer_crop(texture(seed)) for seed in range(3)])
    wanted = {"a1": faces[1] @ (faces[1] + faces[2]) / 2, "a2": faces[1] @ (faces[0] + faces[2]) / 2}
    [raw] = one["models"]
    found = {row["group"]: row["identity_cosine"] for row in raw["groups"]}
    assert (found["a1"], found["a2"]) == pytest.approx((wanted["a1"], wanted["a2"]), abs=1e-6)
    assert found["b"] is None  # one target only: it does not count
    assert one["without_other_target"] == 1
    assert raw["identity_cosine"] == pytest.approx(np.mean([found["a1"], found["a2"], found["a3"]]))
    listed = {row["input"]: row["identity_cosine"] for row in raw["best"] + raw["worst"]}
    assert listed.keys() == {"a1/x.png", "a2/x.png", "a3/x.png"}
    assert listed["a1/x.png"] == pytest.approx(found["a1"])
    nearest = max((0, 2), key=lambda seed: faces[1] @ faces[seed])  # to `a2`, without its own target and that of `b`
    last = embed([to_recognizer_crop(texture(3))])[0]
    assert raw["rank1"] == pytest.approx(1 if faces[1] @ faces[nearest] > faces[1] @ last else 2 / 3)


def test_identity_against_others_needs_them_and_a_recognizer(tmp_path: Path, recognizer: Path, run: Run) -> None:
    root = draw_set(tmp_path / "set", {"ann": {"a": 0.0}, "bea": {"a": 0.0}}, lambda _, target: target)
    words = ["evaluate", root, tmp_path / "page.html", "--identity-against", "other"]
    for more, message in (
        (["--recognizer", recognizer], "nobody in"),
        ([], "add --recognizer"),
    ):
        result = run(*words, *more)
        assert result.exit_code == 2 and message in result.stderr.replace("\n", " ")
    assert not (tmp_path / "page.html").exists()


def test_a_target_that_cannot_be_read_is_nobodys_reference(tmp_path: Path, recognizer: Path) -> None:
    subjects = {name: {"x": 0.0} for name in ("a1", "a2", "a3", "b")}
    seeds = {"a1/x": 1, "a2/x": 0, "a3/x": 0, "b/x": 3}
    root = draw_set(tmp_path / "set", subjects, shown(seeds), **dict.fromkeys(("a1", "a2", "a3"), "a"))
    (root / "a3.png").write_bytes(b"nothing")
    document = evaluated(root, "raw", recognizer=recognizer, by=("subject",), identity_against="other")
    assert [row["input"] for row in document["failed"]] == ["a3/x.png"]
    found = {row["group"]: row["identity_cosine"] for row in document["models"][0]["groups"]}
    assert (found["a1"], found["a2"]) == pytest.approx((1, 1))
