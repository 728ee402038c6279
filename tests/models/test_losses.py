"""Losses where networks saturate."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from models.losses import bce_to


@pytest.mark.parametrize("label", [0, 1])
def test_a_saturated_discriminator_gives_a_finite_gradient(label: int) -> None:
    logits = torch.tensor([-200.0, -1.0, 0.5, 200.0], requires_grad=True)
    probability = logits.sigmoid()
    assert {0.0, 1.0} <= set(probability.tolist())
    bce_to(probability, label).backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
    expected = torch.where(torch.tensor([False, True, True, False]), (probability - label) / 4, 0.0)
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("label", [0, 1])
def test_the_value_is_that_of_torch(label: int) -> None:
    probability = torch.tensor([0.0, 1e-30, 0.2, 0.999, 1.0])
    expected = binary_cross_entropy(probability, torch.full((5,), float(label)))
    torch.testing.assert_close(bce_to(probability, label), expected)


def test_nan_stays_nan() -> None:
    assert bce_to(torch.tensor([0.5, torch.nan]), 1).isnan()
