import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.identity.verification import (
    FOLDS,
    area_under_curve,
    cross_validated_correct,
    draw_impostors,
    mean_over_folds,
    rank1_correct,
)

SAME: NDArray[np.bool_] = np.repeat([True, False], 100)
FOLD = np.tile(np.arange(FOLDS), 20)


def accuracy(cosines: NDArray[np.float64]) -> float:
    return mean_over_folds(cross_validated_correct(cosines, SAME, FOLD), FOLD)


def test_the_protocol_counts_what_it_says() -> None:
    apart = np.where(SAME, 0.6, 0.1)
    assert accuracy(apart) == area_under_curve(apart, SAME) == 1
    assert area_under_curve(np.zeros(200), SAME) == 0.5
    assert area_under_curve(-apart, SAME) == 0
    mixed = np.random.default_rng(0).normal(apart, 0.3)
    assert 0.7 < accuracy(mixed) < area_under_curve(mixed, SAME) < 1


@pytest.mark.slow
def test_cosines_that_know_nothing_are_right_half_of_the_time() -> None:
    chance = np.random.default_rng(0).normal(0.3, 0.1, (40, 200))
    assert np.mean([accuracy(cosines) for cosines in chance]) == pytest.approx(0.5, abs=0.02)


def test_no_fold_sees_its_own_threshold() -> None:
    """One fold's cosines lie higher than all others': its own threshold would be perfect, the others' is not."""
    cosines = np.where(SAME, 0.3, 0.1) + np.where(FOLD == 3, 0.4, 0.0)
    right = cross_validated_correct(cosines, SAME, FOLD)
    assert right[FOLD != 3].all()
    np.testing.assert_array_equal(right[FOLD == 3], SAME[FOLD == 3])
    assert mean_over_folds(right, FOLD) == pytest.approx(0.95)


def test_strangers_are_strangers_and_all_of_them_come() -> None:
    gallery = np.array([2, 0, 0, 1, 2, 2, 3])
    people = np.repeat(np.arange(4), 2000)
    drawn = draw_impostors(people, gallery)
    assert (gallery[drawn] != people).all()
    np.testing.assert_array_equal(drawn, draw_impostors(people, gallery))
    assert (drawn != draw_impostors(people, gallery, seed=1)).any()
    for person in range(4):
        counts = np.bincount(drawn[people == person], minlength=len(gallery))
        others = gallery != person
        np.testing.assert_allclose(counts[others], 2000 / others.sum(), rtol=0.15)


def test_rank_one_is_the_nearest_picture_of_any_of_the_same_person() -> None:
    gallery = np.eye(4)
    shown = np.array([0, 1, 1, 2])
    probes = np.array([[0.9, 0.1, 0, 0], [0.6, 0.5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    people = np.array([0, 1, 1, 0])
    np.testing.assert_array_equal(rank1_correct(probes, people, gallery, shown), [True, False, True, False])
    many = np.tile(probes, (600, 1))
    np.testing.assert_array_equal(
        rank1_correct(many, np.tile(people, 600), gallery, shown)[-4:], [True, False, True, False]
    )
