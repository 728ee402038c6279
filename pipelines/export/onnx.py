"""Stage: export a trained generator to ONNX, and check it against torch before it is written.

The graph comes from torch.export, torch's default since 2.9, not from the older TorchScript tracer.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from models.attribute_gan import AttributeGenerator
from models.multitask import STANDARD_LIGHT, MultitaskGenerator
from models.refiner import Refined, Refiner
from pipelines.export.onnx_graph import remove_metadata, store_in_half
from pipelines.weights.checkpoint import GeneratorCard, load_generator, weights_of
from pipelines.weights.generator import weights_path
from pipelines.weights.recipe_file import known_networks
from toolkit.errors import ConfigError, ExportDiffers
from toolkit.photos.files import write_atomic

OPSET = 18  # the exporter's default; runtimes since 2023 read it (tested with ONNX Runtime 1.15)
BATCHES = (1, 2, 7)  # batch sizes that are checked
SCALES = (1.0, 1.5, 0.75)  # sides of these batches for the refiner, relative to the card's: it takes any side
TRACED_SCALE = 1.25  # not 1: the refiner is traced with resizing
BOUND = 1e-4  # largest difference from torch, in normalized values: a hundredth of an 8-bit level
CONFIDENCE = "(batch,) float in [0, 1], the expected cosine of a face recognizer between face and person"


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the exported graph."""

    meaning: str  # shape, range and meaning; stored as the input's doc_string
    draw: Callable[[int, int], Tensor]  # returns a random batch of that size, of images of that side, over all values


@dataclass(frozen=True, slots=True)
class Check:
    """The difference between ONNX Runtime and torch on one batch."""

    batch: int
    size: int  # px per side
    difference: float  # the largest of all outputs, pixels and channels, in normalized values


class FaceAndConfidence(nn.Module):
    """A refiner without the output that its training alone needs."""

    def __init__(self, refiner: Refiner) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(self, view: Tensor, visibility: Tensor, unmirrored: Tensor) -> tuple[Tensor, Tensor]:
        """Return the faces, (B, 3, S, S), and their confidence, (B,)."""
        refined: Refined = self.refiner(view, visibility, unmirrored)
        return refined.image, refined.confidence


class OnnxExport:
    """The export of one generator.

    Args:
        run: a run, its ``generator.safetensors``, or ``refiner`` for the built-in weights.
        out: the ``.onnx`` file.
        recipe: the user's recipe file that defines its network, where that is not built in.

    Attributes:
        inputs: the graph's inputs by name, in the network's order.
        outputs: shape, range and meaning of its outputs, likewise.
        any_size: the images may have any side; else that of the card.

    Raises:
        ConfigError: the weights or the recipe file cannot be used, or OUT does not end in ``.onnx``.
    """

    def __init__(self, run: Path, out: Path, recipe: Path | None = None) -> None:
        if out.suffix != ".onnx" or out.is_dir():
            raise ConfigError(f"OUT {out}: must be a file that ends in .onnx")
        self._out = out
        weights = weights_of(weights_path(str(run)))
        net, self._card = load_generator(weights, torch.device("cpu"), known_networks(recipe))
        self.any_size = isinstance(net, Refiner)
        self.inputs = _inputs(net, self._card, torch.Generator().manual_seed(0))
        constants = self._card.normalization
        self.outputs = {
            "face": f"(batch, 3, S, S) float, RGB; level = {constants.scale:g} * value + {constants.mean:g}"
        }
        self._net = net
        if isinstance(net, Refiner):
            self._net, self.outputs["confidence"] = FaceAndConfidence(net).eval(), CONFIDENCE

    def run(self) -> Iterator[Check]:
        """Export with a dynamic batch size, for the refiner also side; check each of BATCHES, then write the file.

        The card of the weights, with crop and normalization, is stored in the file's ``metadata_props`` as ``card``.

        Raises:
            ExportDiffers: the results differ from torch's; nothing is written.
            ConfigError: OUT cannot be written.
        """
        data = self._graph()
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        for batch, scale in zip(BATCHES, SCALES, strict=True):
            size = self._side(scale)
            difference = self._difference(session, batch, size)
            if not difference <= BOUND:  # NaN is refused too
                raise ExportDiffers(
                    f"{self._out} is not written: a batch of {batch} at {size} px differs from torch's by "
                    f"{difference:g}, the bound is {BOUND:g}. Check the weights, and the versions of torch and "
                    "onnxruntime against pyproject.toml"
                )
            yield Check(batch, size, difference)
        try:
            write_atomic(self._out, data)
        except OSError as error:
            raise ConfigError(f"OUT {self._out}: cannot be written ({error.strerror})") from error

    def _side(self, scale: float) -> int:
        return round(scale * self._card.image_size) if self.any_size else self._card.image_size

    def _graph(self) -> bytes:
        model = self._trace()
        remove_metadata(model)
        store_in_half(model)
        meanings = {name: each.meaning for name, each in self.inputs.items()} | self.outputs
        for value in (*model.graph.input, *model.graph.output):
            value.doc_string = meanings[value.name]
            if self.any_size:
                for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
                    if axis != 1:  # of the channels
                        dimension.dim_param = "size" if axis else "batch"
        model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)  # torch sets the newest
        onnx.helper.set_model_props(model, {"card": json.dumps(asdict(self._card))})
        onnx.checker.check_model(model)
        data: bytes = model.SerializeToString()
        return data

    def _trace(self) -> Any:
        # The dimensions are named once: torch warns where several inputs name the same dimension.
        automatic = torch.export.Dim.AUTO
        shapes: list[dict[int, Any]] = [{0: automatic} for _ in self.inputs]
        shapes[0][0] = torch.export.Dim("batch")
        if self.any_size:
            for shape in shapes:
                shape |= {2: automatic, 3: automatic}
        program = torch.onnx.export(
            self._net,
            # torch.export specializes a batch of one
            tuple(each.draw(2, self._side(TRACED_SCALE)) for each in self.inputs.values()),
            input_names=list(self.inputs),
            output_names=list(self.outputs),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=tuple(shapes),
            verbose=False,
        )
        return program.model_proto  # type: ignore[union-attr]

    @torch.inference_mode()
    def _difference(self, session: Any, batch: int, size: int) -> float:
        inputs = {name: each.draw(batch, size) for name, each in self.inputs.items()}
        actual = session.run(list(self.outputs), {name: values.numpy() for name, values in inputs.items()})
        expected: Tensor | tuple[Tensor, ...] = self._net(*inputs.values())
        pairs = zip(actual, [expected] if isinstance(expected, Tensor) else expected, strict=True)
        return float(torch.stack([(torch.from_numpy(one) - other).abs().max() for one, other in pairs]).max())


def _inputs(net: nn.Module, card: GeneratorCard, random: torch.Generator) -> dict[str, Input]:
    """The graph's inputs by name, in the network's order.

    The noise of the multitask network is not an input: it is zero outside of training, so that the output depends on
    the photo only.
    """
    if isinstance(net, AttributeGenerator):
        return _attribute_inputs(net, card, random)
    if getattr(net, "takes_frontal_view", False):
        return _view_inputs(net, card, random)
    inputs = {"image": _image_input(card, random)}
    if isinstance(net, MultitaskGenerator):
        conditions = {
            "pose": (net.poses, net.poses // 2, "frontal"),
            "light": (net.lights, STANDARD_LIGHT, "the standard one"),
        }
        for name, (classes, default, meaning) in conditions.items():
            inputs[name] = Input(
                f"(batch,) int64, the {name} to draw, 0 to {classes - 1}; {min(default, classes - 1)} is {meaning}",
                lambda count, _, classes=classes: torch.randint(classes, (count,), generator=random),  # type: ignore[misc]
            )
    return inputs


def _attribute_inputs(net: AttributeGenerator, card: GeneratorCard, random: torch.Generator) -> dict[str, Input]:
    names, attributes = ", ".join(card.attributes) or "attributes", net.attributes
    return {
        "attributes": Input(
            f"(batch, {attributes}) float, 1 or 0 for each of {names}",
            lambda count, _: torch.randint(2, (count, attributes), generator=random).float(),
        ),
        "chance": Input(
            "(batch, 1) float in [0, 1): noise that differs between faces with the same attributes",
            lambda count, _: torch.rand(count, 1, generator=random),
        ),
    }


def _view_inputs(net: nn.Module, card: GeneratorCard, random: torch.Generator) -> dict[str, Input]:
    side, constants = "S" if isinstance(net, Refiner) else card.image_size, card.normalization
    trained = f"; trained with S = {card.image_size}" if isinstance(net, Refiner) else ""

    def draw_view(count: int, size: int) -> Tensor:
        return torch.rand(count, 3, size, size, generator=random).mul(255 / constants.scale).sub(1)

    levels = f"(batch, 3, {side}, {side}) float, RGB, (level - {constants.mean:g}) / {constants.scale:g}"
    return {
        "view": Input(f"{levels} of the geometric frontal view{trained}", draw_view),
        "visibility": Input(
            f"(batch, 1, {side}, {side}) float in [0, 1], how well the photo showed each pixel of the view",
            # one half shown less than the other: of a face that looks at the camera the refiner changes nothing
            lambda count, size: torch.rand(count, 1, size, size, generator=random) * torch.linspace(0, 1, size),
        ),
        "unmirrored": Input(f"{levels} of the view without mirroring", draw_view),
    }


def _image_input(card: GeneratorCard, random: torch.Generator) -> Input:
    size, constants = card.image_size, card.normalization
    window = f", its middle {size} px of {card.load_size}" if (card.load_size or size) > size else ""
    levels = f"(level - {constants.mean:g}) / {constants.scale:g}"
    return Input(
        f"(batch, 3, {size}, {size}) float, RGB, {levels} of the crop {card.template!r}{window}",
        lambda count, _: (
            torch.randint(256, (count, 3, size, size), generator=random)
            .float()
            .sub(constants.mean)
            .div(constants.scale)
        ),
    )
