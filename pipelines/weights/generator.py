"""Generators, ready for images: the built-in ones through ONNX Runtime on the CPU, all others through torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import models
from pipelines.extras import NETWORKS, require_extra
from pipelines.weights.card import GeneratorCard
from toolkit.photos.types import Image
from toolkit.views.frontal import ViewInputs

NetworkInput = Sequence[Image] | ViewInputs  # of one photo
CPU_BATCH_SIZE = 8  # faces per pass and thread; more are not faster
BUILT_IN = {"refiner": Path(models.__file__).parent / "weights" / "refiner.safetensors"}


class GeneratedFace(NamedTuple):
    """What a generator makes of one photo."""

    image: Image  # (S, S, 3) RGB
    confidence: float | None = None  # 0 to 1: the cosine to a frontal photo that it expects; None: it gives none


class Generator(Protocol):
    """Runs a trained generator on the kind of images that it was trained on.

    On the CPU each pass runs on one thread, several passes in parallel, and the result for a face does not depend on
    the other faces of its batch nor on the number of cores, bit for bit: a resumed run equals an uninterrupted one,
    and a cluster equals one machine.

    Attributes:
        card: the settings that it was trained with.
        takes_frontal_view: it takes geometric frontal views with their visibility; the others take crops.
        side: of the crops that it takes, px. Of recipes that train on random windows of slightly larger crops, the
            network gets the middle window. Frontal views may have any side.
        gives_confidence: its faces have a confidence: the network's estimate of the cosine that a face recognizer
            finds between the face and a frontal photo of the same person.
    """

    card: GeneratorCard
    takes_frontal_view: bool
    side: int
    gives_confidence: bool

    def __call__(self, photos: Sequence[NetworkInput]) -> list[GeneratedFace]:
        """Generate a frontal face for each photo.

        Args:
            photos: for each its crop, (S, S, 3) RGB, S the attribute ``side``; or, where it takes frontal views, the
                ``network_inputs`` of :class:`toolkit.views.frontal.FrontalView`, or on a GPU the view's inputs. All
                must be of one kind.

        Returns:
            Faces of the card's size, or of the size of the views.

        Raises:
            ConfigError: the device has no memory for one face. Where it has none for a batch, the batch size is
                halved, from then on.
        """
        ...


def open_generator(
    model: str,
    batch_size: int = CPU_BATCH_SIZE,
    device: str = "cpu",
    size: int | None = None,
    recipe: Path | None = None,
) -> Generator:
    """Load a generator.

    A built-in one on the CPU is run by ONNX Runtime, whether torch is installed or not, so that either installation
    gives the same faces bit for bit. All others need torch.

    Args:
        model: ``refiner``, or the path of a ``generator.safetensors``.
        batch_size: faces per pass on a GPU.
        device: where it runs, ``cpu`` or ``cuda:i``.
        size: of the views that are rendered from :class:`ViewInputs`, pixels; None: the card's.
        recipe: the user's recipe file that defines its network, where that is not built in.

    Raises:
        ConfigError: torch is needed and not installed, or the recipe file cannot be used.
        CheckpointError: the weights cannot be used, or their network takes no photos.
    """
    if model in BUILT_IN and device == "cpu":
        from pipelines.weights.onnx_generator import OnnxGenerator

        return OnnxGenerator(BUILT_IN[model])
    what, instead = (f"device {device}", "--device cpu") if model in BUILT_IN else (f"model {model}", "--model refiner")
    require_extra("train", what, *NETWORKS, instead=instead)
    from pipelines.weights.torch_generator import TorchGenerator

    return TorchGenerator(weights_path(model), batch_size, device, size, recipe)


def weights_path(model: str) -> Path:
    """Return the weights file of a model as ``--model`` names it: a built-in one, or a path."""
    return BUILT_IN.get(model, Path(model))
