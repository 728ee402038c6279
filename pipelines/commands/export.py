"""``frontalize export``."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.terminal.console import Console
from pipelines.commands.terminal.options import Json, Quiet, Recipe
from pipelines.extras import NETWORKS, require_extra
from pipelines.runtime.config import require_recipe_file
from toolkit.errors import ExportDiffers


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run, its generator.safetensors, or `refiner`.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="Output file.")],
    recipe: Recipe = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Export the generator of a run to ONNX, and check it against torch."""
    require_extra("train", "export", *NETWORKS)
    require_extra("onnx", "export", "onnx", "onnxscript")  # torch's exporter writes with onnxscript
    require_recipe_file(recipe)
    from pipelines.export.onnx import BATCHES, BOUND, OPSET, OnnxExport

    console, exporting = Console(json, quiet), OnnxExport(run, out, recipe)
    inputs = {name: each.meaning for name, each in exporting.inputs.items()}
    try:
        checks = list(console.track(exporting.run(), "exporting", len(BATCHES), lambda check: f"batch {check.batch}"))
    except ExportDiffers as error:
        console.error(str(error))
        raise typer.Exit(1) from error
    largest = max(check.difference for check in checks)
    any_side = " and side" if exporting.any_size else ""
    console.print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, opset {OPSET}, any batch size{any_side}")
    for name, meaning in (*inputs.items(), *exporting.outputs.items()):
        console.print(f"  {name}: {meaning}")
    sizes = ", ".join(str(check.batch) for check in checks)
    console.print(
        f"checked with ONNX Runtime in batches of {sizes}: at most {largest:.1e} from torch, the bound is {BOUND:g}"
    )
    console.print_json(
        {
            "out": str(out),
            "opset": OPSET,
            "inputs": inputs,
            "outputs": exporting.outputs,
            "differences": {str(check.batch): check.difference for check in checks},
            "bound": BOUND,
        }
    )
