"""Which pairs a step takes, and what their numbers mean."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import BatchSpec
from pipelines.train.data.torch_loader import TorchLoader, load_pairs
from tests.pipelines.train.data.loading import CPU, make_spec
from toolkit.errors import ConfigError

# --- which pairs


def test_every_pair_comes_once_per_epoch_in_a_new_order(dataset: Path) -> None:
    spec = make_spec(dataset)
    stream = np.concatenate([spec.indices(step) for step in range(15)])  # 60 places = 4 epochs of 15
    epochs = stream.reshape(4, 15)
    assert all(Counter(epoch.tolist()) == Counter(range(15)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    np.testing.assert_array_equal(make_spec(dataset).indices(7), spec.indices(7))
    assert (make_spec(dataset, seed=4).indices(7) != spec.indices(7)).any()


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_ranks_share_what_one_would_see(dataset: Path, world_size: int) -> None:
    """Every pair once per epoch over all ranks, whether or not their number divides the set."""
    alone = make_spec(dataset, batch_size=2 * world_size)
    ranks = [make_spec(dataset, batch_size=2, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step in range(12):
        np.testing.assert_array_equal(np.concatenate([rank.indices(step) for rank in ranks]), alone.indices(step))
        np.testing.assert_array_equal(np.concatenate([rank.uniform(step) for rank in ranks]), alone.uniform(step))


def test_a_set_smaller_than_a_batch_still_fills_it(dataset: Path) -> None:
    assert len(make_spec(dataset, batch_size=40).indices(2)) == 40


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_in_evaluation_all_ranks_make_the_same_steps(dataset: Path, world_size: int) -> None:
    """15 pairs in steps of 14: one is left, and who has none takes it again."""
    ranks = [
        make_spec(dataset, batch_size=7, evaluation=True, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    assert len({rank.steps_per_pass for rank in ranks}) == 1
    seen = [rank.indices(step).tolist() for rank in ranks for step in range(ranks[0].steps_per_pass)]
    assert all(seen)
    assert {index for batch in seen for index in batch} == set(range(15))
    if world_size == 2:
        assert [len(batch) for batch in seen] == [7, 1, 7, 1]


def test_levels_become_numbers_as_the_recipe_says(dataset: Path) -> None:
    batch = load_pairs(make_spec(dataset), [0, 5], CPU)
    levels = batch.input * 128 + 128
    torch.testing.assert_close(levels, levels.round())
    assert levels.min() >= 0 and levels.max() <= 255
    assert batch.index.tolist() == [0, 5]


@pytest.mark.slow
def test_flipped_pairs_have_flipped_labels(dataset: Path) -> None:
    plain = make_spec(dataset, batch_spec=BatchSpec(labels=True, second="neighbor"))
    flipped = make_spec(dataset, batch_spec=BatchSpec(labels=True, second="neighbor", augment=Augment(flip=1)))
    batches = list(zip(TorchLoader(plain, CPU).batches(0, 4), TorchLoader(flipped, CPU).batches(0, 4), strict=True))
    assert len(batches) == 4
    for one, other in batches:
        assert one.pose is not None and other.pose is not None and one.light is not None and other.light is not None
        assert torch.equal(other.pose, 8 - one.pose)
        assert torch.equal(other.light, torch.where(one.light > 0, 20 - one.light, 0))
        assert torch.equal(other.input, one.input.flip(-1)) and torch.equal(other.target, one.target.flip(-1))
        assert one.second is not None and other.second is not None
        assert torch.equal(other.second, one.second.flip(-1))


def test_what_cannot_be_is_refused_at_once(dataset: Path) -> None:
    with pytest.raises(ConfigError, match="load_size=100: must be image_size=128 or more"):
        make_spec(dataset, batch_spec=BatchSpec(augment=Augment(load_size=100)))
    for name in ("batch_size", "image_size", "workers"):
        with pytest.raises(ConfigError, match=f"{name}=0: must be 1 or more"):
            make_spec(dataset, **{name: 0})
    with pytest.raises(ConfigError, match="two or more ascending degrees"):
        BatchSpec(yaws=(0.0, -15.0))
    with pytest.raises(ValueError, match=r"give labels=batch_spec\.read_labels"):
        make_spec(dataset, batch_spec=BatchSpec(labels=True), labels=None)
