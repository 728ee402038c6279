"""``frontalize bench --against plain``."""

import os
import tempfile
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from pipelines.bench.against import OURS, PLAIN, AgainstPlain
from pipelines.bench.config import BenchConfig
from pipelines.bench.rates import processor
from pipelines.bench.sample import link_photos
from pipelines.commands.bench import sample_photos
from pipelines.commands.terminal.console import INTERRUPTED, Console
from pipelines.runtime.config import BulkConfig, all_cores
from pipelines.runtime.devices import choose_device
from pipelines.runtime.interrupt import Interrupt


def compare(console: Console, source: Path | None, config: BenchConfig, bulk: BulkConfig, count: int) -> None:
    """Compare on ``count`` photos of a folder, or drawn ones, and print the result."""
    device, load = choose_device(config.device), os.getloadavg()[0]
    with Interrupt() as stop, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        sample = sample_photos(source, folder / "drawn", count)
        link_photos(sample, folder / "sample", count)
        compared = AgainstPlain(folder / "sample", folder, config, device, bulk)
        for _ in console.track(compared.run(stop), "comparing", len(compared), lambda note: note):
            pass
        if stop.pressed:
            raise typer.Exit(INTERRUPTED)
    document = {
        "processor": processor(),
        "cores": all_cores(),
        "device": device,
        "load": load,
        "workers": bulk.workers,
        "source": str(source or "drawn from one portrait"),
        "photos": count,
        "different_photos": len(sample),
        "rounds": config.rounds,
        "landmarker": str(config.landmarker or "built-in networks"),
        "comparisons": [comparison.row() for comparison in compared.comparisons.values()],
    }
    _print_summary(console, document)
    console.print_json(document)


def _print_summary(console: Console, said: dict[str, Any]) -> None:
    console.print(f"{said['processor']}, {said['cores']} cores; networks on {said['device']}")
    console.print(
        f"{said['photos']:,} photos, {said['different_photos']:,} of them different: {said['source']}; medians of "
        f"{said['rounds']} rounds, each side in turn, start-up included"
    )
    table = Table("command", "side", "photos/s (slowest - fastest)", "cores used", "CPU ms per photo", "written")
    for row in said["comparisons"]:
        for name, side in ((PLAIN, row["plain"]), (OURS, row["frontalize"])):
            rate = f"{side['per_second']:.1f} ({side['slowest']:.1f} - {side['fastest']:.1f})"
            cpu = f"{1000 * side['cpu_seconds_per_photo']:.1f}"
            table.add_row(row["command"], name, rate, f"{side['cores_used']:.2f}", cpu, f"{side['written']:,}")
    console.print_table(table)
    for row in said["comparisons"]:
        console.print(
            f"{row['command']}: {row['ratio']:.2f} times the plain loop ({row['least_ratio']:.2f} to "
            f"{row['greatest_ratio']:.2f})"
        )
    console.print(
        f"The plain loop: one photo after the other, read and written by OpenCV, landmarks by {said['landmarker']}; "
        "for batch also a view and the refiner in batches of one."
    )
    if said["load"] > said["cores"] / 2:
        console.print(
            f"This machine did other work when this began (load {said['load']:.1f}): measure again when it is idle. "
            "Threads that wait for each other, as those of the plain loop, lose more by it than single ones."
        )
