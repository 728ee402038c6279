"""Metrics of face verification and identification, computed from cosines of embeddings.

Pairs are divided into ten folds by person; the threshold is chosen on nine folds and applied to the
tenth. A face that was not found has no embedding: its cosines are 0, and it is included.

Source of the protocol: Huang et al., Labeled Faces in the Wild, University of Massachusetts 07-49,
2007. No person is in two folds, so no threshold is chosen on the people it is applied to.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
FOLDS = 10
THRESHOLDS = np.linspace(-0.2, 0.9, 551)
_PROBES_AT_ONCE = 1024  # compared with the whole gallery in one product


def cross_validated_correct(cosines: Array, same: NDArray[np.bool_], folds: Indices) -> NDArray[np.bool_]:
    """Classify each pair with the threshold that is best on all other folds.

    Args:
        cosines: (N,) of the pairs.
        same: (N,) whether a pair shows one person.
        folds: (N,) index of each pair's fold; at least two different ones.

    Returns:
        (N,) whether the classification is correct.
    """
    correct = np.zeros(len(cosines), bool)
    for fold in np.unique(folds):
        known = folds != fold
        rates = [((cosines[known] > threshold) == same[known]).mean() for threshold in THRESHOLDS]
        best = THRESHOLDS[int(np.argmax(rates))]
        correct[~known] = (cosines[~known] > best) == same[~known]
    return correct


def mean_over_folds(correct: NDArray[np.bool_], folds: Indices) -> float:
    """Return the accuracy: the mean over folds of the share of (N,) correct classifications."""
    return float(np.mean([correct[folds == fold].mean() for fold in np.unique(folds)]))


def area_under_curve(cosines: Array, same: NDArray[np.bool_]) -> float:
    """Return the ROC AUC: how often a pair of one person has a higher cosine than a pair of two; ties count half."""
    genuine, impostors = np.sort(cosines[same]), np.sort(cosines[~same])
    below = np.searchsorted(impostors, genuine, "left") + np.searchsorted(impostors, genuine, "right")
    return float(below.mean() / 2 / len(impostors))


def draw_impostors(people: Indices, gallery: Indices, seed: int = 0) -> Indices:
    """Draw for each probe a gallery image of another person, with equal probability.

    Args:
        people: (N,) identity of each probe.
        gallery: (T,) identity of each gallery image; at least two people.
        seed: of the random numbers.

    Returns:
        (N,) indices into the gallery.
    """
    order = np.argsort(gallery, kind="stable")
    first, last = (np.searchsorted(gallery[order], people, side) for side in ("left", "right"))
    others = len(gallery) - (last - first)
    drawn = (np.random.default_rng(seed).random(len(people)) * others).astype(np.intp)
    return np.asarray(order[np.where(drawn < first, drawn, drawn + (last - first))], np.intp)


def rank1_correct(
    probes: Array, people: Indices, gallery: Array, gallery_people: Indices, left_out: Indices | None = None
) -> NDArray[np.bool_]:
    """Return whether the gallery image with the highest cosine shows the probe's person (rank-1 identification).

    Args:
        probes: (N, D) unit vectors; zeros where no face was found, which counts as wrong.
        people: (N,) identity of each probe.
        gallery: (T, D) unit vectors.
        gallery_people: (T,) identity of each gallery image.
        left_out: (N,) the gallery image with which each probe is not compared; None: compared with all.

    Returns:
        (N,) whether the probe is identified.
    """
    nearest = []
    for row in range(0, len(probes), _PROBES_AT_ONCE):
        cosines = probes[row : row + _PROBES_AT_ONCE] @ gallery.T
        if left_out is not None:
            cosines[np.arange(len(cosines)), left_out[row : row + _PROBES_AT_ONCE]] = -np.inf
        nearest.append(np.argmax(cosines, axis=1))
    return np.asarray((gallery_people[np.concatenate(nearest)] == people) & probes.any(axis=1))
