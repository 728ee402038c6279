"""Every network, every loss and the renderer on a pretended GPU: no tensor stays on the CPU."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import models
from models import losses, refiner
from models.attribute_gan import AttributeDiscriminator, AttributeGenerator
from models.encoder_decoder import Discriminator, EncoderDecoder
from models.frontal_view import render_views
from models.multitask import MultitaskDiscriminator, MultitaskGenerator
from models.recognizers import identity_encoder
from models.recognizers.dlib_resnet import DlibResNet
from models.refiner import PatchDiscriminator, Refiner
from models.siamese import SiameseDiscriminator, SiameseGenerator
from tests.pretended_gpu import GPU, pretended_gpu

BATCH = 3
Draw = Callable[[], list[Tensor]]


def images(side: int, channels: int = 3) -> Tensor:
    return torch.rand(BATCH, channels, side, side, device=GPU)


def classes(count: int = BATCH) -> Tensor:
    return torch.randint(4, (count,), device=GPU)


NETWORKS: dict[type[nn.Module], Draw] = {  # the network -> inputs for it
    AttributeDiscriminator: lambda: [images(64)],
    AttributeGenerator: lambda: [torch.rand(BATCH, 40, device=GPU)],
    Discriminator: lambda: [images(128)],
    DlibResNet: lambda: [images(128)],
    EncoderDecoder: lambda: [images(128)],
    MultitaskDiscriminator: lambda: [images(96)],
    MultitaskGenerator: lambda: [images(96)],
    PatchDiscriminator: lambda: [images(128)],
    Refiner: lambda: [images(256), images(256, channels=1), images(256)],
    SiameseDiscriminator: lambda: [images(96)],
    SiameseGenerator: lambda: [images(96)],
    identity_encoder.IdentityEncoder: lambda: [images(128)],
}
LOSSES: dict[str, Callable[[], Tensor]] = {
    "bce_to": lambda: losses.bce_to(torch.rand(BATCH, device=GPU), 1),
    "contrastive": lambda: losses.contrastive(images(8), images(8), classes() == classes()),
    "info_nce": lambda: identity_encoder.info_nce(images(4).flatten(1), images(4).flatten(1), classes()),
    "l1": lambda: losses.l1(images(8), images(8)),
    "l2": lambda: losses.l2(images(8), images(8)),
    "masked_cross_entropy": lambda: losses.masked_cross_entropy(torch.rand(BATCH, 4, device=GPU), classes()),
    "random_recolor": lambda: identity_encoder.random_recolor(images(128)),
    "random_warp": lambda: identity_encoder.random_warp(images(128)),
}


def tensors(result: Any) -> list[Tensor]:
    """Return all tensors of a result, however they are nested."""
    return [result] if isinstance(result, Tensor) else [part for parts in result for part in tensors(parts)]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_a_network_computes_on_the_device_of_its_inputs(network: type[nn.Module], training: bool) -> None:
    with pretended_gpu():
        output = network().to(GPU).train(training)(*NETWORKS[network]())
        assert {tensor.device for tensor in tensors(output)} == {GPU}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_on_the_device_of_its_inputs(name: str) -> None:
    with pretended_gpu():
        assert LOSSES[name]().device == GPU


def test_views_are_rendered_on_the_device_of_their_meshes() -> None:
    size, vertices = 64, 9
    with pretended_gpu():
        points, triangles = torch.rand(BATCH, vertices, 3, device=GPU), classes(12).view(4, 3)
        mirror, share = torch.arange(vertices, device=GPU), torch.rand(BATCH, vertices, device=GPU)
        margins = torch.rand(BATCH, device=GPU)
        views = render_views(
            images(80), points[..., :2], points, share, images(size), margins, (triangles, mirror), size
        )
        assert [(part.device, part.shape) for part in views] == [
            (GPU, (BATCH, channels, size, size)) for channels in (3, 1, 3)
        ]


def test_no_network_and_no_loss_is_missing_above() -> None:
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(models.__path__, "models.")]
    seen = {type(part) for network in NETWORKS for part in network().modules()}
    networks = {
        part
        for module in modules
        for part in vars(module).values()
        if inspect.isclass(part) and issubclass(part, nn.Module) and part.__module__ == module.__name__
    }
    assert networks - seen == set()
    functions = {
        name
        for module in (losses, identity_encoder)
        for name, part in vars(module).items()
        if inspect.isfunction(part) and part.__module__ == module.__name__
    }
    assert functions == set(LOSSES)


# A function of torch that makes tensors -> inputs, and what calls it.
CREATORS: dict[str, tuple[Draw, Callable[..., Any]]] = {
    "arange": (lambda: [images(16), images(4, channels=2)], refiner._apply_shift),
    "full": (lambda: [images(96)], lambda image: MultitaskGenerator().to(GPU)(image)),
    "rand": (lambda: [images(16)], identity_encoder.random_recolor),
    "tensor": (NETWORKS[AttributeGenerator], lambda attributes: AttributeGenerator().to(GPU)(attributes)),
}


@pytest.mark.parametrize("creator", CREATORS)
def test_a_tensor_left_on_the_cpu_is_found(creator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, function = CREATORS[creator]
    create = getattr(torch, creator)
    with pretended_gpu():
        inputs = draw()
        function(*inputs)
        monkeypatch.setattr(torch, creator, lambda *words, device=None, **options: create(*words, **options))
        with pytest.raises(RuntimeError, match="two (different )?devices"):
            function(*inputs)
