"""Stage: export a trained generator to ONNX, and check it against torch before it is written.

The graph comes from torch.export, torch's default since 2.9, not from the older TorchScript tracer.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.attribute_gan import AttributeGenerator
from models.multitask import STANDARD_LIGHT, MultitaskGenerator
from pipelines.weights.checkpoint import GeneratorCard, load_generator, weights_of
from pipelines.weights.generator import weights_path
from pipelines.weights.recipe_file import known_networks
from toolkit.errors import ConfigError, ExportDiffers
from toolkit.photos.files import write_atomic

OPSET = 18  # the exporter's default; runtimes since 2023 read it (tested with ONNX Runtime 1.15)
BATCHES = (1, 2, 7)  # batch sizes that are checked
BOUND = 1e-4  # largest difference from torch, in normalized values: a hundredth of an 8-bit level
OUTPUT = "face"


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the exported graph."""

    meaning: str  # shape, range and meaning; stored as the input's doc_string
    draw: Callable[[int], Tensor]  # returns a random batch of that size, over the whole range


@dataclass(frozen=True, slots=True)
class Check:
    """The difference between ONNX Runtime and torch on one batch."""

    batch: int
    difference: float  # the largest of all pixels and channels, in normalized values


class OnnxExport:
    """The export of one generator.

    Args:
        run: a run, its ``generator.safetensors``, or ``refiner`` for the built-in weights.
        out: the ``.onnx`` file.
        recipe: the user's recipe file that defines its network, where that is not built in.

    Attributes:
        inputs: the graph's inputs by name, in the network's order.

    Raises:
        ConfigError: the extra ``onnx`` is not installed, the weights or the recipe file cannot be used, or OUT does not
            end in ``.onnx``.
    """

    def __init__(self, run: Path, out: Path, recipe: Path | None = None) -> None:
        self._onnx, self._runtime = _import_onnx()
        if out.suffix != ".onnx" or out.is_dir():
            raise ConfigError(f"OUT {out}: must be a file that ends in .onnx")
        self._out = out
        weights = weights_of(weights_path(str(run)))
        self._net, self._card = load_generator(weights, torch.device("cpu"), known_networks(recipe))
        self.inputs = _inputs(self._net, self._card, torch.Generator().manual_seed(0))

    def run(self) -> Iterator[Check]:
        """Export with a dynamic batch size, check each size of BATCHES, then write the file.

        The card of the weights, with crop and normalization, is stored in the file's ``metadata_props`` as ``card``.

        Raises:
            ExportDiffers: the results differ from torch's; nothing is written.
            ConfigError: OUT cannot be written.
        """
        data = self._graph()
        session = self._runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
        for batch in BATCHES:
            difference = self._difference(session, batch)
            if not difference <= BOUND:  # NaN is refused too
                raise ExportDiffers(
                    f"{self._out} is not written: a batch of {batch} differs from torch's by {difference:g}, the bound "
                    f"is {BOUND:g}. Check the weights, and the versions of torch and onnxruntime against pyproject.toml"
                )
            yield Check(batch, difference)
        try:
            write_atomic(self._out, data)
        except OSError as error:
            raise ConfigError(f"OUT {self._out}: cannot be written ({error.strerror})") from error

    def _graph(self) -> bytes:
        # The batch dimension is named once: torch warns where several inputs name the same dimension.
        batches = [torch.export.Dim("batch"), *[torch.export.Dim.AUTO] * (len(self.inputs) - 1)]
        program = torch.onnx.export(
            self._net,
            tuple(each.draw(2) for each in self.inputs.values()),  # torch.export specializes a batch of one
            input_names=list(self.inputs),
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=tuple({0: batch} for batch in batches),
            verbose=False,
        )
        model = program.model_proto  # type: ignore[union-attr]
        graph = model.graph
        # The exporter's metadata contain paths of this machine's source files.
        for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
            del part.metadata_props[:]
        for value in graph.input:
            value.doc_string = self.inputs[value.name].meaning
        constants = self._card.normalization
        graph.output[
            0
        ].doc_string = f"(batch, 3, S, S) float, RGB; level = {constants.scale:g} * value + {constants.mean:g}"
        model.ir_version = self._onnx.helper.find_min_ir_version_for(model.opset_import)  # torch sets the newest
        self._onnx.helper.set_model_props(model, {"card": json.dumps(asdict(self._card))})
        self._onnx.checker.check_model(model)
        data: bytes = model.SerializeToString()
        return data

    @torch.inference_mode()
    def _difference(self, session: Any, batch: int) -> float:
        inputs = {name: each.draw(batch) for name, each in self.inputs.items()}
        [actual] = session.run(None, {name: values.numpy() for name, values in inputs.items()})
        expected: Tensor = self._net(*inputs.values())
        return float((torch.from_numpy(actual) - expected).abs().max())


def _import_onnx() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise ConfigError(
            f"export needs {error.name}, which is not installed: pip install 'frontalize[onnx]'"
        ) from error
    return onnx, onnxruntime


def _inputs(net: nn.Module, card: GeneratorCard, random: torch.Generator) -> dict[str, Input]:
    """The graph's inputs by name, in the network's order.

    The noise of the multitask network is not an input: it is zero outside of training, so that the output depends on
    the photo only.
    """
    if isinstance(net, AttributeGenerator):
        return _attribute_inputs(net, card, random)
    if getattr(net, "takes_frontal_view", False):
        return _view_inputs(card, random)
    inputs = {"image": _image_input(card, random)}
    if isinstance(net, MultitaskGenerator):
        conditions = {
            "pose": (net.poses, net.poses // 2, "frontal"),
            "light": (net.lights, STANDARD_LIGHT, "the standard one"),
        }
        for name, (classes, default, meaning) in conditions.items():
            inputs[name] = Input(
                f"(batch,) int64, the {name} to draw, 0 to {classes - 1}; {min(default, classes - 1)} is {meaning}",
                lambda count, classes=classes: torch.randint(classes, (count,), generator=random),  # type: ignore[misc]
            )
    return inputs


def _attribute_inputs(net: AttributeGenerator, card: GeneratorCard, random: torch.Generator) -> dict[str, Input]:
    names, attributes = ", ".join(card.attributes) or "attributes", net.attributes
    return {
        "attributes": Input(
            f"(batch, {attributes}) float, 1 or 0 for each of {names}",
            lambda count: torch.randint(2, (count, attributes), generator=random).float(),
        ),
        "chance": Input(
            "(batch, 1) float in [0, 1): noise that differs between faces with the same attributes",
            lambda count: torch.rand(count, 1, generator=random),
        ),
    }


def _view_inputs(card: GeneratorCard, random: torch.Generator) -> dict[str, Input]:
    size, constants = card.image_size, card.normalization
    return {
        "view": Input(
            f"(batch, 3, {size}, {size}) float, RGB, (level - {constants.mean:g}) / {constants.scale:g} of the "
            "geometric frontal view",
            lambda count: torch.rand(count, 3, size, size, generator=random).mul(255 / constants.scale).sub(1),
        ),
        "visibility": Input(
            f"(batch, 1, {size}, {size}) float in [0, 1], how well the photo showed each pixel of the view",
            lambda count: torch.rand(count, 1, size, size, generator=random),
        ),
    }


def _image_input(card: GeneratorCard, random: torch.Generator) -> Input:
    size, constants = card.image_size, card.normalization
    window = f", its middle {size} px of {card.load_size}" if (card.load_size or size) > size else ""
    levels = f"(level - {constants.mean:g}) / {constants.scale:g}"
    return Input(
        f"(batch, 3, {size}, {size}) float, RGB, {levels} of the crop {card.template!r}{window}",
        lambda count: (
            torch.randint(256, (count, 3, size, size), generator=random)
            .float()
            .sub(constants.mean)
            .div(constants.scale)
        ),
    )
