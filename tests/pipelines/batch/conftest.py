"""A refiner that changes every view and whose confidence is known."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from models.refiner import Refiner
from pipelines.weights.checkpoint import GeneratorCard, save_generator
from pipelines.weights.normalization import Normalization

CONFIDENCE = 0.6


@pytest.fixture(scope="session")
def brightening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that make a view brighter and expect the same cosine of each face, CONFIDENCE."""
    net = Refiner()
    odds = math.log(CONFIDENCE / (1 - CONFIDENCE))
    for bias, value in ((net.paint.bias, 0.3), (net.own_share.bias, -30.0), (net.confidence.bias, odds)):
        assert bias is not None
        nn.init.constant_(bias, value)
    nn.init.zeros_(net.confidence.weight)
    path = tmp_path_factory.mktemp("brightening") / "generator.safetensors"
    normalization = Normalization()
    card = GeneratorCard(
        architecture="refiner", image_size=128, template="chin", normalization=normalization, recipe="refiner", step=0
    )
    with torch.no_grad():
        save_generator(path, net, card)
    return path
