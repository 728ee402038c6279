"""``frontalize bench``."""

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pipelines.batch.config import FrontalizeConfig
from pipelines.batch.geometric import frontal_views
from pipelines.bench.config import BenchConfig, Yardstick
from pipelines.bench.sample import choose_photos, link_photos
from pipelines.commands.terminal.console import INTERRUPTED, Console
from pipelines.commands.terminal.options import CORES, Device, Json, Quiet, Workers
from pipelines.demo_photos import draw_photos
from pipelines.extras import TRAINING, require_extra
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Interrupt
from pipelines.runtime.plan import plan_photos

DEFAULT = BenchConfig()
PER_WORKER = 144  # photos of the end-to-end run
COUNTS = (1_000, 1_000_000)
MODELS = ("geometric", "refiner")

Against = Annotated[
    Yardstick | None, typer.Option(help="Compare `align` and `batch` with a plain loop over the photos.")
]
PlainLandmarker = Annotated[
    Path | None,
    typer.Option(metavar="FILE.task", help="A face_landmarker.task, which MediaPipe runs in the plain loop."),
]


def bench(
    source: Annotated[
        Path | None, typer.Argument(metavar="[SRC]", help="Photos; by default drawn from a portrait.")
    ] = None,
    photos: Annotated[int, typer.Option(help="Number of photos, evenly spaced.")] = DEFAULT.photos,
    rounds: Annotated[int, typer.Option(help="Measured rounds; the median is reported.")] = DEFAULT.rounds,
    device: Device = DEFAULT.device,
    workers: Workers = CORES,
    against: Against = DEFAULT.against,
    landmarker: PlainLandmarker = DEFAULT.landmarker,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure the speed of each stage on this machine, and estimate 1,000 and 1,000,000 photos.

    With --against plain, run `align` and `batch` and the loop that you would write instead, one photo after the other,
    in turn, and compare them. The photos are then as many as keep all workers busy.
    """
    console, bulk = Console(json, quiet), BulkConfig(workers=workers, device=device)
    config = BenchConfig(photos=photos, rounds=rounds, device=device, against=against, landmarker=landmarker)
    if config.against:
        from pipelines.commands.bench_against import compare

        compare(console, source, config, bulk, max(config.photos, PER_WORKER * bulk.workers))
        return
    require_extra("train", "bench", *TRAINING, instead="--against plain")
    from pipelines.bench.bench import NETWORK, Bench
    from pipelines.bench.photo_stages import VIEW_SIZE
    from pipelines.bench.rates import Timing, machine, steady_rates

    with Interrupt() as stop, tempfile.TemporaryDirectory() as folder:
        sample = sample_photos(source, Path(folder) / "drawn", config.photos)
        measured = Bench(sample, Path(folder) / "views", config, bulk.workers)
        for _ in console.track(measured.run(stop), "measuring", len(measured), lambda note: note):
            pass
        if stop.pressed:
            raise typer.Exit(INTERRUPTED)
        whole = {}
        for model in MODELS:
            moments = _end_to_end(console, measured.photos, Path(folder), model, bulk, stop)
            if stop.pressed:
                raise typer.Exit(INTERRUPTED)
            what, place = f"batch --model {model} --size {VIEW_SIZE}", f"{bulk.workers} processes"
            whole[model] = Timing("from end to end", what, place, "photos", steady_rates(moments))
    document = {
        **machine(measured.device),
        "workers": bulk.workers,
        "source": str(source or "drawn from one portrait"),
        **measured.sample(),
        "rounds": config.rounds,
        "stages": [timing.row(COUNTS) for timing in measured.timings.values()],
        "end_to_end": [
            {"model": model, **run.row(COUNTS), **measured.limit(run, model == NETWORK)} for model, run in whole.items()
        ],
    }
    _print_summary(console, document)
    console.print_json(document)


def sample_photos(source: Path | None, drawn: Path, count: int) -> list[Path]:
    """Return at most ``count`` photos of a folder, or photos drawn into ``drawn``."""
    if source is None:
        draw_photos(drawn, faceless=False)
    return choose_photos(source or drawn, count)


def _end_to_end(
    console: Console, sample: list[Path], scratch: Path, model: str, bulk: BulkConfig, stop: Interrupt
) -> list[float]:
    """Run the sample through `batch`, repeated; return when each photo was finished, in seconds."""
    from pipelines.batch.network import Frontalizer
    from pipelines.bench.photo_stages import VIEW_SIZE

    source = scratch / "sample"
    link_photos(sample, source, PER_WORKER * bulk.workers)
    plan = plan_photos(source, scratch / model)
    config = FrontalizeConfig(model=model, size=VIEW_SIZE)
    if model == "geometric":
        outcomes = frontal_views(plan, config, bulk, stop)
    else:
        outcomes = Frontalizer(config, bulk).run(plan, stop)
    return [time.perf_counter() for _ in console.track(outcomes, f"from end to end, {model}", len(plan), lambda _: "")]


def _print_summary(console: Console, said: dict[str, Any]) -> None:
    console.print(f"{said['processor']}, {said['cores']} cores; networks on {said['device']}, torch {said['torch']}")
    size = f"{said['width']} x {said['height']} px (medians)"
    console.print(
        f"{said['photos']:,} photos, {said['with_face']:,} with a face, {size}: {said['source']}; "
        f"medians of {said['rounds']} rounds, after one that warmed up"
    )
    table = Table("stage, alone", "with; on", "a second (slowest - fastest)", *(f"{count:,} take" for count in COUNTS))
    for column in (table.columns[0], *table.columns[3:]):
        column.no_wrap = True
    for row in (*said["stages"], *said["end_to_end"]):
        rate = f"{_short(row['per_second'])} {row['unit']} ({_short(row['slowest'])} - {_short(row['fastest'])})"
        times = (_duration(seconds) for seconds in row["seconds"].values())
        table.add_row(row["stage"], f"{row['what']}; {row['place']}", rate, *times)
    console.print_table(table)
    for end in said["end_to_end"]:
        console.print(
            f"{end['model']}: limited by {end['limited_by']}, {end['of_stages']:.0%} of what the stages alone allow, "
            f"{end['times_plain_loop']:.2f} times a plain loop over the photos"
        )
    console.print(
        f"For stages timed on one core, the last columns are for {said['workers']} of them, at best; the start of the "
        "workers is left out."
    )


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def _duration(seconds: float) -> str:
    for unit, length, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 72)):
        if seconds < most * length:
            return f"{_short(seconds / length)} {unit}"
    return f"{_short(seconds / 86400)} days"
