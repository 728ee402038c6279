"""``frontalize export``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.console import Screen
from pipelines.commands.terminal.options import Json, Quiet
from toolkit.errors import ExportDiffers


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run, its generator.safetensors, or `refiner`.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="The file to write.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The generator of a run as ONNX, for other runtimes; written once ONNX Runtime gives torch's numbers."""
    from pipelines.export.onnx import BATCHES, BOUND, OPSET, OnnxExport

    screen, exporting = Screen(json, quiet), OnnxExport(run, out)
    inputs = {name: each.meaning for name, each in exporting.inputs.items()}
    try:
        checks = list(screen.track(exporting.run(), "exporting", len(BATCHES), lambda check: f"batch {check.batch}"))
    except ExportDiffers as error:
        screen.complain(str(error))
        raise typer.Exit(1) from error
    largest = max(check.difference for check in checks)
    screen.say(f"{out}: {out.stat().st_size / 1e6:.1f} MB, opset {OPSET}, any batch size")
    for name, meaning in inputs.items():
        screen.say(f"  {name}: {meaning}")
    sizes = ", ".join(str(check.batch) for check in checks)
    screen.say(
        f"checked with ONNX Runtime in batches of {sizes}: at most {largest:.1e} from torch, the bound is {BOUND:g}"
    )
    screen.result(
        {
            "out": str(out),
            "opset": OPSET,
            "inputs": inputs,
            "differences": {str(check.batch): check.difference for check in checks},
            "bound": BOUND,
        }
    )
