"""Whether pictures of one person can be told from pictures of two: the numbers of face verification.

Cosines of pairs, ten folds by person, the threshold chosen on nine and applied to the tenth. A face
that was not found has no description: its cosines are 0, and it counts.

Source of the protocol: Huang et al., Labeled Faces in the Wild, University of Massachusetts 07-49,
2007: no person is in two folds, so no threshold has seen the people that it judges.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]
FOLDS = 10
THRESHOLDS = np.linspace(-0.2, 0.9, 551)
_ROWS = 1024  # probes that are compared with the whole gallery at once


def judged_right(cosines: Array, same: NDArray[np.bool_], folds: Numbers) -> NDArray[np.bool_]:
    """Judge each pair by the threshold that is best on all other folds.

    Args:
        cosines: (N,) of the pairs.
        same: (N,) whether a pair shows one person.
        folds: (N,) number of a pair's fold; at least two different ones.

    Returns:
        (N,) whether the judgement is right.
    """
    right = np.zeros(len(cosines), bool)
    for fold in np.unique(folds):
        known = folds != fold
        rates = [((cosines[known] > threshold) == same[known]).mean() for threshold in THRESHOLDS]
        best = THRESHOLDS[int(np.argmax(rates))]
        right[~known] = (cosines[~known] > best) == same[~known]
    return right


def mean_over_folds(right: NDArray[np.bool_], folds: Numbers) -> float:
    """Accuracy: the mean of the folds' shares of (N,) right judgements."""
    return float(np.mean([right[folds == fold].mean() for fold in np.unique(folds)]))


def area_under_curve(cosines: Array, same: NDArray[np.bool_]) -> float:
    """How often a pair of one person scores above a pair of two; ties count half."""
    mine, others = np.sort(cosines[same]), np.sort(cosines[~same])
    below = np.searchsorted(others, mine, "left") + np.searchsorted(others, mine, "right")
    return float(below.mean() / 2 / len(others))


def draw_strangers(people: Numbers, gallery: Numbers, seed: int = 0) -> Numbers:
    """Draw for each probe a picture of somebody else, all of them equally likely.

    Args:
        people: (N,) whom each probe shows.
        gallery: (T,) whom each picture of the gallery shows; at least two people.
        seed: the same one draws the same.

    Returns:
        (N,) places in the gallery.
    """
    order = np.argsort(gallery, kind="stable")
    first, last = (np.searchsorted(gallery[order], people, side) for side in ("left", "right"))
    others = len(gallery) - (last - first)
    place = (np.random.default_rng(seed).random(len(people)) * others).astype(np.intp)
    return np.asarray(order[np.where(place < first, place, place + (last - first))], np.intp)


def ranks_first(probes: Array, people: Numbers, gallery: Array, shown: Numbers) -> NDArray[np.bool_]:
    """Rank 1: whether the picture of a gallery that is most like a probe shows the same person.

    Args:
        probes: (N, D) descriptions of length 1; all zeros where no face was found, which is wrong.
        people: (N,) whom each probe shows.
        gallery: (T, D) descriptions of length 1.
        shown: (T,) whom each picture of the gallery shows.

    Returns:
        (N,) whether it does.
    """
    nearest = [np.argmax(probes[row : row + _ROWS] @ gallery.T, axis=1) for row in range(0, len(probes), _ROWS)]
    return np.asarray((shown[np.concatenate(nearest)] == people) & probes.any(axis=1))
