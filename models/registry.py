"""Generators by the architecture name that a weights file gives."""

from torch import nn

from models.attribute_gan import AttributeGenerator
from models.encoder_decoder import EncoderDecoder
from models.multitask import MultitaskGenerator
from models.refiner import Refiner
from models.siamese import SiameseGenerator

# The weights file also holds the keyword arguments, if any.
GENERATORS: dict[str, type[nn.Module]] = {
    "attributes": AttributeGenerator,
    "encoder_decoder": EncoderDecoder,
    "multitask": MultitaskGenerator,
    "refiner": Refiner,
    "siamese": SiameseGenerator,
}
