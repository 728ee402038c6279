"""Stage: a trained generator -> an ONNX file for other runtimes, checked against torch before it is written.

The graph comes from torch.export, torch's default since 2.9, and not from the older tracer of TorchScript.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.attribute_gan import AttributeGenerator
from models.multitask import STANDARD, MultitaskGenerator
from models.refiner import Refiner
from pipelines.weights.checkpoint import GeneratorCard, load_generator, weights_of
from pipelines.weights.generator import weights_path
from toolkit.errors import ConfigError, ExportDiffers
from toolkit.photos.files import write_whole

OPSET = 18  # the exporter's own; runtimes of 2023 (ONNX Runtime 1.15 was tried) and newer ones read it
BATCHES = (1, 2, 7)  # sizes that are tried
BOUND = 1e-4  # largest difference from torch, in network numbers: a hundredth of an 8-bit level
OUTPUT = "face"


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the exported graph."""

    meaning: str  # shape, range and what it is; stored with the input as its doc_string
    draw: Callable[[int], Tensor]  # so many random ones from all of that range


@dataclass(frozen=True, slots=True)
class Check:
    """How far ONNX Runtime is from torch on one batch."""

    batch: int
    difference: float  # the largest of all pixels and channels, in network numbers


class OnnxExport:
    """A generator that is about to be exported.

    Args:
        run: a run, its ``generator.safetensors``, or ``refiner`` for the built-in weights.
        out: the ``.onnx`` file.

    Attributes:
        inputs: what the graph takes, by name, in the network's order.

    Raises:
        ConfigError: the extra ``onnx`` is not installed, no such weights, or OUT is no such file.
    """

    def __init__(self, run: Path, out: Path) -> None:
        self._onnx, self._runtime = _import_onnx()
        if out.suffix != ".onnx" or out.is_dir():
            raise ConfigError(f"OUT {out}: must be a file that ends in .onnx")
        self._out = out
        self._net, self._card = load_generator(weights_of(weights_path(str(run))), torch.device("cpu"))
        self.inputs = _inputs(self._net, self._card, torch.Generator().manual_seed(0))

    def run(self) -> Iterator[Check]:
        """Export for any batch size, check each size in BATCHES, then write.

        The card of the weights, crop and normalization in it, goes into the file's ``metadata_props`` as ``card``.

        Raises:
            ExportDiffers: the results are not torch's; nothing is written.
            ConfigError: OUT cannot be written.
        """
        data = self._graph()
        session = self._runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
        for batch in BATCHES:
            difference = self._difference(session, batch)
            if not difference <= BOUND:  # so that no number is refused too
                raise ExportDiffers(
                    f"{self._out} is not written: a batch of {batch} differs from torch's by {difference:g}, the bound "
                    f"is {BOUND:g}. Are the weights sound, and torch and onnxruntime as pyproject.toml wants them?"
                )
            yield Check(batch, difference)
        try:
            write_whole(self._out, data)
        except OSError as error:
            raise ConfigError(f"OUT {self._out}: cannot be written ({error.strerror})") from error

    def _graph(self) -> bytes:
        # One name for the batch of all inputs: given to each, torch would warn that they are the same.
        batches = [torch.export.Dim("batch"), *[torch.export.Dim.AUTO] * (len(self.inputs) - 1)]
        program = torch.onnx.export(
            self._net,
            tuple(each.draw(2) for each in self.inputs.values()),  # torch.export takes a batch of one for a constant
            input_names=list(self.inputs),
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=tuple({0: batch} for batch in batches),
            verbose=False,
        )
        model = program.model_proto  # type: ignore[union-attr]
        graph = model.graph
        # The exporter's notes, paths of this machine's source files among them.
        for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
            del part.metadata_props[:]
        for value in graph.input:
            value.doc_string = self.inputs[value.name].meaning
        constants = self._card.normalization
        graph.output[
            0
        ].doc_string = f"(batch, 3, S, S) float, RGB; level = {constants.scale:g} * value + {constants.mean:g}"
        model.ir_version = self._onnx.helper.find_min_ir_version_for(model.opset_import)  # torch says the newest
        self._onnx.helper.set_model_props(model, {"card": json.dumps(asdict(self._card))})
        self._onnx.checker.check_model(model)
        data: bytes = model.SerializeToString()
        return data

    @torch.inference_mode()
    def _difference(self, session: Any, batch: int) -> float:
        drawn = {name: each.draw(batch) for name, each in self.inputs.items()}
        [got] = session.run(None, {name: values.numpy() for name, values in drawn.items()})
        wanted: Tensor = self._net(*drawn.values())
        return float((torch.from_numpy(got) - wanted).abs().max())


def _import_onnx() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  what torch's exporter writes with
    except ImportError as error:
        raise ConfigError(
            f"export needs {error.name}, which is not installed: pip install 'frontalize[onnx]'"
        ) from error
    return onnx, onnxruntime


def _inputs(net: nn.Module, card: GeneratorCard, chance: torch.Generator) -> dict[str, Input]:
    """What the graph takes, by name, in the network's order.

    The multitask network's noise is none of them: it stays zero, as in all that this package does after
    training, so that one photo has one answer.
    """
    if isinstance(net, AttributeGenerator):
        names = ", ".join(card.attributes) or "traits"
        traits = net.attributes
        return {
            "attributes": Input(
                f"(batch, {traits}) float, 1 or 0 for each of {names}",
                lambda count: torch.randint(2, (count, traits), generator=chance).float(),
            ),
            "chance": Input(
                "(batch, 1) float in [0, 1): what differs between faces with the same traits",
                lambda count: torch.rand(count, 1, generator=chance),
            ),
        }
    if isinstance(net, Refiner):
        return _views(card, chance)
    inputs = {"image": _image(card, chance)}
    if isinstance(net, MultitaskGenerator):
        asked = {"pose": (net.poses, net.poses // 2, "frontal"), "light": (net.lights, STANDARD, "the standard one")}
        for name, (classes, usual, called) in asked.items():
            inputs[name] = Input(
                f"(batch,) int64, the {name} to draw, 0 to {classes - 1}; {min(usual, classes - 1)} is {called}",
                lambda count, classes=classes: torch.randint(classes, (count,), generator=chance),  # type: ignore[misc]
            )
    return inputs


def _views(card: GeneratorCard, chance: torch.Generator) -> dict[str, Input]:
    size, constants = card.image_size, card.normalization
    return {
        "view": Input(
            f"(batch, 3, {size}, {size}) float, RGB, (level - {constants.mean:g}) / {constants.scale:g} of the "
            "geometric frontal view",
            lambda count: torch.rand(count, 3, size, size, generator=chance).mul(255 / constants.scale).sub(1),
        ),
        "visibility": Input(
            f"(batch, 1, {size}, {size}) float in [0, 1], how well the photo showed each pixel of the view",
            lambda count: torch.rand(count, 1, size, size, generator=chance),
        ),
    }


def _image(card: GeneratorCard, chance: torch.Generator) -> Input:
    size, constants = card.image_size, card.normalization
    window = f", its middle {size} px of {card.load_size}" if (card.load_size or size) > size else ""
    levels = f"(level - {constants.mean:g}) / {constants.scale:g}"
    return Input(
        f"(batch, 3, {size}, {size}) float, RGB, {levels} of the crop {card.template!r}{window}",
        lambda count: (
            torch.randint(256, (count, 3, size, size), generator=chance)
            .float()
            .sub(constants.mean)
            .div(constants.scale)
        ),
    )
