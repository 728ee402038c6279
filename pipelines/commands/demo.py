"""``frontalize demo``."""

import time
from pathlib import Path
from typing import Annotated

import typer

from pipelines.batch.config import FrontalizeConfig
from pipelines.commands.report import draw_page
from pipelines.commands.terminal.bulk import align_first
from pipelines.commands.terminal.console import INTERRUPTED, Console, describe
from pipelines.commands.terminal.options import CORES, Quiet, Workers
from pipelines.commands.train import train_watched
from pipelines.demo_photos import draw_photos
from pipelines.extras import TRAINING, is_installed, require_extra
from pipelines.pairs.build import build_pairs
from pipelines.pairs.config import PairsConfig
from pipelines.report.config import ReportConfig
from pipelines.report.contact_sheet import contact_sheet, read_strips
from pipelines.report.report import Report
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Interrupt
from pipelines.runtime.plan import plan_photos
from pipelines.runtime.run import digest
from pipelines.train.config import Loader, TrainConfig
from toolkit.photos.files import encode_image, write_atomic

STEPS, BATCH_SIZE = 150, 8
FASTER = {"learning_rate": "6e-4"}  # three times the recipe's: one face is learnt quickly
DEFAULT_MODEL = "refiner"
MAX_PHOTOS = 10  # on the contact sheet


def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Working folder.")] = Path("demo"),
    workers: Workers = CORES,
    quiet: Quiet = False,
) -> None:
    """Run every step on a public-domain portrait, without download: align, pair, train, frontalize, report."""
    require_extra("train", "demo", *TRAINING)
    require_extra("demo", "demo", "skimage")
    console, bulk, started = Console(False, quiet), BulkConfig(workers=workers), time.monotonic()
    photos, crops, pairs = (out / name for name in ("photos", "aligned", "pairs"))
    faces = {"frontal": out / "frontal", "frontal, by the run's network": out / "learned"}
    with Interrupt() as stop:
        draw_photos(photos)
        console.print(f"aligned:     {describe(align_first(console, photos, crops, bulk, stop))}")
        who = PairsConfig(subjects="folders", target="*portrait*")
        plan, outcomes = build_pairs(crops.resolve(), crops.resolve(), pairs, who, False)
        console.print(f"paired:      {describe(console.watch(outcomes, 'pairing', len(plan)))}")
        config = TrainConfig(
            dataset=str(pairs.resolve()), steps=STEPS, batch_size=BATCH_SIZE, loader=_loader(), settings=FASTER
        )
        run = out / f"run-{digest(config)}"
        train_watched(console, config, run, "auto", workers, stop)
        if stop.pressed:
            raise typer.Exit(INTERRUPTED)
        for folder, model in zip(faces.values(), (DEFAULT_MODEL, str(run / "generator.safetensors")), strict=True):
            console.print(f"frontalized: {_frontalize(console, photos, folder, model, bulk, stop)}")
        sheet, page = _show(console, out, photos, {"aligned": crops, **faces}, bulk, stop)
    console.print(f"look at      {sheet}\nand at       {page}\nin {time.monotonic() - started:.0f} s")


def _loader() -> Loader:
    """DALI where it is installed, else torch's loader."""
    return "dali" if is_installed("nvidia.dali") else "torch"


def _frontalize(console: Console, photos: Path, frontal: Path, model: str, bulk: BulkConfig, stop: Interrupt) -> str:
    from pipelines.batch.network import Frontalizer

    plan = plan_photos(photos, frontal)
    frontalizer = Frontalizer(FrontalizeConfig(model=model), bulk)
    return describe(console.watch(frontalizer.run(plan, stop), "frontalizing", len(plan)))


def _show(
    console: Console, out: Path, photos: Path, folders: dict[str, Path], bulk: BulkConfig, stop: Interrupt
) -> tuple[Path, Path]:
    sheet, page = out / "contact-sheet.png", out / "report.html"
    strips = read_strips(photos, folders, MAX_PHOTOS)
    write_atomic(sheet, encode_image(contact_sheet(strips), ".png"))
    draw_page(console, Report(folders["frontal"], page, ReportConfig(photos=photos)), bulk.workers, stop)
    return sheet, page
