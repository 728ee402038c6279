"""The identity loss of recipe ``refiner``: whether a generated face is still the person, by a face recognizer."""

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from models.recognizers.identity_encoder import IdentityEncoder, info_nce, random_recolor, random_warp
from pipelines.train.data.batches import PairBatch
from pipelines.train.recipes.recipe import OptimizedNetwork, Setup, TrainingSet, require
from pipelines.weights.dlib_weights import load_dlib_resnet
from toolkit.photos.decode import read_photo
from toolkit.records.subjects import spread_over_subjects

ADAM_BETAS = (0.9, 0.999)  # torch's defaults
CENTERED_ON = 512  # targets whose mean embedding is subtracted: what all faces have in common


class RecognizerSettings(Protocol):
    """The settings of a recognizer that is trained along."""

    @property
    def recognizer_learning_rate(self) -> float:
        """Of Adam."""
        ...

    @property
    def identity_warmup(self) -> int:
        """Steps before its loss is used."""
        ...


class IdentityLoss(Protocol):
    """A recognizer in training.

    Attributes:
        networks: what learns, for the recipe.
        warmup: steps before :meth:`cosine` means anything.
    """

    networks: dict[str, OptimizedNetwork]
    warmup: int

    def step(self, batch: PairBatch) -> dict[str, Tensor]:
        """Train the recognizer on a batch; return its losses by name."""
        ...

    def cosine(self, fake: Tensor, target: Tensor) -> Tensor:
        """Return the (B,) cosines between the embeddings of generated and target faces, (B, 3, S, S) each."""
        ...


class TrainedAlong:
    """A small recognizer that learns to match each view with its portrait among all of the batch."""

    def __init__(self, setup: Setup, settings: RecognizerSettings) -> None:
        network = setup.network(IdentityEncoder(), settings.recognizer_learning_rate, ADAM_BETAS)
        self.networks, self.warmup = {"recognizer": network}, settings.identity_warmup

    def step(self, batch: PairBatch) -> dict[str, Tensor]:
        """See :class:`IdentityLoss`. Views and portraits are recolored and warped."""
        recognizer = self.networks["recognizer"]
        embeddings = recognizer.net(random_warp(random_recolor(torch.cat([batch.target, batch.input]))))
        portraits, views = embeddings.chunk(2)
        loss = info_nce(portraits, views, require(batch.identity))
        recognizer.backward_and_step(loss)
        return {"recognizer": loss}

    def cosine(self, fake: Tensor, target: Tensor) -> Tensor:
        """See :class:`IdentityLoss`."""
        recognizer = self.networks["recognizer"]
        with torch.no_grad():
            wanted: Tensor = recognizer.frozen_forward(target)
        cosines: Tensor = (recognizer.frozen_forward(fake) * wanted).sum(dim=1)
        return cosines


class Pretrained:
    """dlib's recognizer, which knows faces already. Its embeddings are centered on the mean of the set's targets.

    Args:
        setup: of the run.
        folder: of its weights.
        data: the training set.

    Raises:
        ConfigError: the folder does not contain them.
    """

    def __init__(self, setup: Setup, folder: str, data: TrainingSet) -> None:
        self.networks: dict[str, OptimizedNetwork] = {}
        self.warmup = 0
        self._device, self._network = setup.fabric.device, load_dlib_resnet(Path(folder)).to(setup.fabric.device)
        self._center = self._mean_embedding(data)

    def step(self, batch: PairBatch) -> dict[str, Tensor]:
        """Learn nothing."""
        return {}

    def cosine(self, fake: Tensor, target: Tensor) -> Tensor:
        """See :class:`IdentityLoss`. Both images of a pair are warped alike, or the generator learns to move pixels."""
        both = random_warp(torch.cat([fake, target], dim=1))
        made, wanted = both.split(3, dim=1)
        with torch.no_grad():
            goal = self._network(wanted) - self._center
        return cosine_similarity(self._network(made) - self._center, goal)

    @torch.no_grad()
    def _mean_embedding(self, data: TrainingSet) -> Tensor:
        targets = list(dict.fromkeys(pair.target for pair in spread_over_subjects(data.pairs, CENTERED_ON)))
        embeddings = []
        for target in targets:
            photo = torch.from_numpy(read_photo(data.root / target)).to(self._device)
            embeddings.append(self._network(photo.permute(2, 0, 1)[None].float() / 127.5 - 1))
        return torch.cat(embeddings).mean(dim=0)
