"""DALI's graph for GPUs, which decodes "mixed", as far as it can be tested without one."""

from pathlib import Path

import pytest
import torch
from nvidia.dali import fn
from torch.utils.dlpack import from_dlpack

from pipelines.train.data import dali_loader
from pipelines.train.data.dali_loader import DaliLoader
from pipelines.train.data.torch_loader import TorchLoader
from tests.pipelines.train.data.loading import CPU, assert_near, make_spec

GPU = torch.device("cuda", 0)
MIXED = b"*\x05mixed"  # an operator's device in the serialized graph


def test_a_gpu_decodes_mixed_and_resizes_there(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that names no GPU can be serialized without one, not built; operators refuse inputs of other devices."""
    monkeypatch.setattr(dali_loader, "_built", lambda make: make(device_id=None))
    pipeline = dali_loader._pipeline(make_spec(dataset), GPU, iter([]))
    graph = pipeline.serialize()
    places = [graph.index(name) for name in (b"ExternalSource", b"decoders__Image", MIXED, b"Resize")]
    assert places == sorted(places)
    assert [node.device for node in pipeline._graph_outputs] == ["gpu"]
    assert graph.count(MIXED) == dali_loader._one_by_one([b""], GPU).serialize().count(MIXED) == 1


def test_what_a_gpu_resizes_equals_the_images_of_the_torch_loader(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same graph with its operators on the CPU. Its resize rounds otherwise than Pillow's."""
    decode, build = fn.decoders.image, dali_loader._built
    monkeypatch.setattr(fn.decoders, "image", lambda *data, device, **options: decode(*data, device="cpu", **options))
    monkeypatch.setattr(dali_loader, "_built", lambda make: build(lambda: make(device_id=None)))
    spec = make_spec(dataset, evaluation=True)
    loader = DaliLoader(spec, GPU)
    monkeypatch.setattr(loader, "_to_torch", lambda images: from_dlpack(images.as_tensor()).permute(0, 3, 1, 2).clone())
    for one, other in zip(loader.batches(0, 4), TorchLoader(spec, CPU).batches(0, 4), strict=True):
        assert_near(one, other, 8, 0.3)
