import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest
import torch

from examples.endurance.runs import living
from pipelines.train.data.augment import Augment
from pipelines.train.data.batches import BatchSpec
from pipelines.train.data.class_labels import Partner
from pipelines.train.data.dali_loader import DaliLoader, decode_once
from pipelines.train.data.torch_loader import TorchLoader, load_pairs
from tests.pipelines.train.data.loading import (
    CPU,
    EVERYTHING,
    LEVEL,
    LOADERS,
    OPTIONS,
    AnyLoader,
    assert_near,
    assert_same,
    fields,
    make_spec,
)
from toolkit.photos.decode import read_photo


@LOADERS
def test_evaluation_goes_once_through_the_set_as_listed(dataset: Path, loader: AnyLoader) -> None:
    spec = make_spec(dataset, evaluation=True, batch_spec=EVERYTHING)
    assert spec.steps_per_pass == 4
    batches = list(loader(spec, CPU).batches(0, spec.steps_per_pass))
    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(15))
    assert [len(batch.input) for batch in batches] == [4, 4, 4, 3]
    loaded = load_pairs(
        make_spec(dataset, image_size=144), [0], CPU
    )  # at load_size: the window in the middle, and no more
    torch.testing.assert_close(batches[0].input[:1], loaded.input[:, :, 8:-8, 8:-8], rtol=0, atol=LEVEL * 1.01)


# --- what they look like


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("second", [None, "neighbor"])
def test_dali_and_torch_give_the_same_batches_within_tolerance(
    dataset: Path, option: str, second: Partner | None
) -> None:
    """Same pairs, same order, same labels, same changes."""
    augment, most, mean = OPTIONS[option]
    batch_spec = BatchSpec(labels=True, attributes=True, second=second, augment=Augment(**augment))
    spec = make_spec(dataset, batch_spec=batch_spec)
    batches = list(zip(DaliLoader(spec, CPU).batches(2, 9), TorchLoader(spec, CPU).batches(2, 9), strict=True))
    assert len(batches) == 7
    for one, other in batches:
        assert one.input.shape == (4, 3, 128, 128) and (one.second is None) == (second is None)
        assert one.attributes is not None and one.attributes.shape == (4, 2)
        assert_near(one, other, most, mean)


@LOADERS
@pytest.mark.parametrize("batch_spec", [BatchSpec(), EVERYTHING], ids=["plain", "everything"])
def test_a_batch_is_the_same_from_wherever_one_starts(dataset: Path, loader: AnyLoader, batch_spec: BatchSpec) -> None:
    spec = make_spec(dataset, batch_spec=batch_spec)
    whole, rest = list(loader(spec, CPU).batches(0, 6)), list(loader(spec, CPU).batches(4, 6))
    assert len(rest) == 2
    for one, other in zip(whole[4:], rest, strict=True):
        assert_same(one, other)


def test_batches_stay_what_they_are_after_the_next_one(dataset: Path) -> None:
    """DALI reuses its buffers; a batch that is kept must not change under the trainer's hands."""
    stream = DaliLoader(make_spec(dataset), CPU).batches(0, 8)
    first = next(stream)
    kept = first.input.clone()
    for _ in stream:
        pass
    torch.testing.assert_close(first.input, kept, rtol=0, atol=0)


@LOADERS
def test_photos_stand_upright(dataset: Path, loader: AnyLoader) -> None:
    """Pair 4 lies on its side by EXIF; its neighbours show the same face, darker and brighter."""
    spec = make_spec(dataset, evaluation=True, image_size=160)
    stored = torch.cat([batch.input for batch in loader(spec, CPU).batches(0, 2)]) * 128 + 128
    upright = torch.from_numpy(read_photo(dataset / "001" / "0.jpg") // 2).permute(2, 0, 1)
    assert (stored[4] - upright).abs().mean() < 3


def test_dali_decodes_here() -> None:
    assert decode_once(CPU) == (16, 16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("option", OPTIONS)
def test_mixed_decoding_gives_the_same_pairs(dataset: Path, option: str) -> None:
    """nvJPEG's upsampling differs from libjpeg's: 3 levels on average, and what the changes make of them."""
    augment = Augment(**OPTIONS[option][0])
    spec = make_spec(dataset, batch_spec=BatchSpec(labels=True, second="neighbor", augment=augment))
    gpu = torch.device("cuda", 0)
    batches = list(zip(DaliLoader(spec, gpu).batches(0, 4), TorchLoader(spec, CPU).batches(0, 4), strict=True))
    assert len(batches) == 4
    for one, other in batches:
        for name, value in fields(one).items():
            reference = fields(other)[name]
            assert value.device == gpu
            if value.ndim == 4:
                assert ((value.cpu() - reference).abs() / LEVEL).mean() <= 4, name
            else:
                assert torch.equal(value.cpu(), reference)


@pytest.mark.slow
def test_ctrl_c_to_the_processes_of_the_torch_loader_loses_no_batch(dataset: Path) -> None:
    """A terminal sends it to all processes; the training alone decides when it ends."""
    batches = TorchLoader(make_spec(dataset), CPU).batches(0, 6)
    loaded = [next(batches)]
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    workers = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    assert workers
    for process in (server, *map(int, workers)):
        os.kill(process, signal.SIGINT)
    time.sleep(0.1)  # that the signals take effect
    assert len([*loaded, *batches]) == 6


@pytest.mark.slow
def test_the_processes_of_the_torch_loader_end_with_a_killed_training(dataset: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from pipelines.train.data.torch_loader import TorchLoader\n"
        "from tests.pipelines.train.data.loading import CPU, make_spec\n"
        "batches = TorchLoader(make_spec(Path(sys.argv[1])), CPU).batches(0, 100)\n"
        "next(batches); print('ready', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", script, str(dataset)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as training:
        assert training.stdout is not None and training.stdout.readline() == b"ready\n"
        assert living(training.pid) > 2  # the fork server and its processes
        training.kill()
    deadline = time.monotonic() + 20
    while living(training.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert living(training.pid) == 0
