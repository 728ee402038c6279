"""Which name in a weights file means which generator."""

from torch import nn

from models.attribute_gan import AttributeGenerator
from models.encoder_decoder import EncoderDecoder
from models.multitask import MultitaskGenerator
from models.refiner import Refiner
from models.siamese import SiameseGenerator

# Called with the numbers that the weights file gives, if it gives any.
GENERATORS: dict[str, type[nn.Module]] = {
    "attributes": AttributeGenerator,
    "encoder_decoder": EncoderDecoder,
    "multitask": MultitaskGenerator,
    "refiner": Refiner,
    "siamese": SiameseGenerator,
}
