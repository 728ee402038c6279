"""Which name in a weights file means which generator."""

from torch import nn

from models.encoder_decoder import EncoderDecoder

GENERATORS: dict[str, type[nn.Module]] = {"encoder_decoder": EncoderDecoder}
