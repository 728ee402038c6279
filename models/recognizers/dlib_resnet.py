"""dlib's face recognition network, for identity losses: 29 convolutions, embeddings of 128 numbers.

Source: Davis King's dlib_face_recognition_resnet_model_v1, public domain, with the 8-bit weights that the npm package
@vladmandic/face-api (MIT) carries: :mod:`pipelines.weights.dlib_weights`. It learned from VGG Face and FaceScrub.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, pad

INPUT_SIDE, CROP_SIDE = 150, 120  # px: of the network's input, and of a chin crop in it
CROP_LEFT, CROP_TOP = 15, 20  # px: place of the crop, so that the eyes lie 44 px below the input's top
MEAN_RGB, LEVELS = (122.782, 117.001, 104.298), 256.0
EMBEDDING_SIZE = 128
_STAGES = ((32, 32, 3, False), (32, 64, 3, True), (64, 128, 2, True), (128, 256, 2, True), (256, 256, 0, True))


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut; a halving block halves the resolution and may add channels."""

    def __init__(self, inner: int, outer: int, halves: bool) -> None:
        super().__init__()
        self.conv1 = (
            nn.Conv2d(inner, outer, 3, stride=2, padding=0) if halves else nn.Conv2d(inner, outer, 3, padding=1)
        )
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1)
        self._halves = halves

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape, or to half of H and W."""
        inner = self.conv2(self.conv1(features).relu())
        if self._halves:
            features = avg_pool2d(features, 2)
            inner = pad(inner, (0, features.shape[3] - inner.shape[3], 0, features.shape[2] - inner.shape[2]))
            features = pad(features, (0, 0, 0, 0, 0, inner.shape[1] - features.shape[1]))
        return torch.relu(features + inner)


class DlibResNet(nn.Module):
    """Compute face embeddings of chin crops. Its weights are constant."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=2)
        blocks = []
        for inner, outer, plain, halves in _STAGES:
            blocks += [ResidualBlock(inner, outer, True)] if halves else []
            blocks += [ResidualBlock(outer, outer, False) for _ in range(plain)]
        self.blocks = nn.Sequential(*blocks)
        self.embed = nn.Linear(256, EMBEDDING_SIZE, bias=False)
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, crops: Tensor) -> Tensor:
        """Map chin crops, (B, 3, S, S) in [-1, 1], to (B, 128) embeddings."""
        placed = interpolate(crops.float(), (CROP_SIDE, CROP_SIDE), mode="bilinear", antialias=True)
        right, below = INPUT_SIDE - CROP_SIDE - CROP_LEFT, INPUT_SIDE - CROP_SIDE - CROP_TOP
        placed = pad(placed, (CROP_LEFT, right, CROP_TOP, below), mode="replicate")
        levels = (127.5 * (placed + 1) - self.mean) / LEVELS
        features = self.blocks(max_pool2d(self.stem(levels).relu(), 3, 2))
        embeddings: Tensor = self.embed(features.mean(dim=(2, 3)))
        return embeddings
