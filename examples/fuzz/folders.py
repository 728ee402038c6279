"""Readers of photos, ledgers and folders."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image as PilImage
from PIL import features

from examples.fuzz.tables import Prepared
from examples.fuzz_readers import WORDS, ledger_seeds, read_photo, read_rows, small_files
from pipelines.evaluate.pair_labels import PairLabels as EvaluatedLabels
from pipelines.pairs.build import build_pairs
from pipelines.pairs.config import PairsConfig, VerifyConfig
from pipelines.pairs.merge import plan_merge, write_merged
from pipelines.pairs.split import count_splits, plan_split, write_splits
from pipelines.pairs.verification.verify import Verification
from pipelines.report.config import ReportConfig
from pipelines.report.metadata import write_metadata
from pipelines.report.report import Report
from pipelines.runtime.plan import Job, plan_photos
from pipelines.runtime.run import run_bulk
from toolkit.errors import FrontalizeError
from toolkit.photos.files import encode_image
from toolkit.records.labels import LABELS
from toolkit.records.ledger import LEDGER_NAME, Outcome
from toolkit.records.subjects import read_layout

FORMS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "JPEG2000", "PPM", "TGA", "MPO", "AVIF")
NAMES = ("a/1.jpg", "a/2.jpg", "a.jpg", "b/1.png", "b.png")  # of a set with two subjects
SCRIPT = "<script>alert(1)</script>"
LABEL_ROWS = "\n".join(
    [
        "file,subject,role,person,yaw,pitch,light,light_strength,partition,sha256,source,attr_Smiling,tone",
        *(
            "a.jpg,a,target,ann,1.5,,0,0.5,train,,x/a.jpg,1,light",
            "a/1.jpg,a,input,ann,-30,2,10,0.5,train,,x/b.jpg,1,light",
        ),
        *(
            "a/2.jpg,a,input,ann,45,,-90,,train,,../c.jpg,0,",
            "b.png,b,target,,0,,,1,val,,b.png,1,dark",
            "b/1.png,b,input,,30,,7,1,val,,,1,",
        ),
    ]
).encode()
LAYOUTS = (
    b"a.jpg\na/1.jpg\na/2.jpg\nb.png\nb/1.png\nb/x/y.jpg",
    "é.jpg\né/\u202e1.jpg\ntrain.jpg\ntrain/1.jpg\nc.webp\nc/1.jpg\nlabels.csv\n.hid/x.jpg".encode(),
    b"train/a.jpg\ntrain/a/1.jpg\nval/b.jpg\nval/b/1.jpg\na.jpg\na/1.jpg\nb.jpg\nb/1.jpg",
)
LAYOUT_WORDS = (*WORDS, b"\n", b"/", b".jpg", b"train", b"val/", b"..", b"\xff", b".mask", b"A.JPG", b"n" * 251)
_SETTINGS = "settings"


def photo(box: Path, folder: Path | None = None) -> Prepared:
    """Photos in every format that Pillow writes here, and the small files of a folder."""
    random = np.random.default_rng(0)
    smooth = np.kron(random.integers(0, 256, (5, 6, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    drawn = PilImage.fromarray(smooth)
    seeds = [] if folder is None else small_files(folder)
    exif = PilImage.Exif()
    exif[0x0112], exif[0x010F] = 6, "brand"
    for form in FORMS:
        if form != "AVIF" or features.check("avif"):
            seeds += [_saved(drawn, form), _saved(drawn.convert("L"), form)] if form != "MPO" else [_saved(drawn, form)]
    seeds += [_saved(drawn, "JPEG", exif=exif, progressive=True), _saved(drawn.convert("CMYK"), "JPEG")]
    seeds += [_saved(drawn.convert("P"), "PNG"), _saved(drawn.convert("RGBA"), "PNG", exif=exif)]
    seeds += [_saved(drawn.convert("I;16"), "TIFF"), _saved(drawn, "TIFF", compression="tiff_lzw")]
    return read_photo, seeds


def _saved(image: PilImage.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def ledger(box: Path) -> Prepared:
    """A ledger, resumed."""
    return lambda data: read_rows(data, box), ledger_seeds()


def resume(box: Path) -> Prepared:
    """A run over a ledger: every photo gets its row, and nothing but its own outputs is removed."""
    (box / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (box / "in" / name).write_bytes(b"x")
    (box / "mine.jpg").write_bytes(b"mine")

    def work(jobs: Sequence[Job]) -> Iterator[Outcome]:
        for job in jobs:
            (box / "out" / f"{job.stem}.jpg").write_bytes(b"made")
            yield Outcome(input=job.input, status="written", outputs=[f"{job.stem}.jpg"], settings=_SETTINGS)

    def read(data: bytes) -> str:
        shutil.rmtree(box / "out", ignore_errors=True)
        (box / "out").mkdir()
        (box / "out" / "a.jpg").write_bytes(b"made")
        (box / "out" / LEDGER_NAME).write_bytes(data)
        rows = list(run_bulk(plan_photos(box / "in", box / "out"), work, _SETTINGS, overwrite=False))
        if {row.input for row in rows} != {"a.jpg", "b.jpg"} or (box / "mine.jpg").read_bytes() != b"mine":
            raise AssertionError(f"{rows}")
        return f"{sum(row.status == 'skipped' for row in rows)} skipped"

    seeds = [
        _rows(
            Outcome(
                input="a.jpg",
                status="written",
                outputs=[output],
                settings=settings,
                size=1,
                sha256=hashlib.sha256(b"x").hexdigest(),
            )
        )
        for output in ("a.jpg", "old/a.png", "../mine.jpg")
        for settings in (_SETTINGS, "old")
    ]
    return read, seeds


def _rows(*outcomes: Outcome) -> bytes:
    return b"".join(json.dumps({**asdict(one), "stage_seconds": None}).encode() + b"\n" for one in outcomes)


def crops(box: Path) -> Prepared:
    """What is made from a ledger of `align`: a paired set, a report, metadata."""
    source, out = box / "crops", box / "set"
    face = {
        "yaw": 1.5,
        "pitch": 0.0,
        "roll": 2.0,
        "score": 0.9,
        "sharpness": 50.0,
        "eyes_open": 0.5,
        "mouth_open": 0.1,
        "box": [0, 0, 1, 1],
    }
    names = ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg")
    image = encode_image(np.full((16, 16, 3), 90, np.uint8), ".jpg")
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(image)

    def read(data: bytes) -> str:
        (source / LEDGER_NAME).write_bytes(data)
        shutil.rmtree(out, ignore_errors=True)
        written = 0
        with suppress(FrontalizeError):
            _, outcomes = build_pairs(source, source, out, PairsConfig(subjects="folders"), overwrite=False)
            written = sum(bool(row.outputs) for row in outcomes)
        write_metadata(source)
        report = Report(source, box / "page.html", ReportConfig())
        report.write()
        if SCRIPT in (box / "page.html").read_text(encoding="utf-8"):
            raise AssertionError("a script is in the page")
        return f"{min(written, 4)} paired"

    rows = [
        Outcome(input=name, status="written", outputs=[name], faces=[face], size=len(image), sha256="0" * 64)
        for name in names
    ]
    rows += [Outcome(input=SCRIPT, status="failed", reason=f"unreadable: {SCRIPT}", source="../crops")]
    rows += [Outcome(input="many.jpg", status="written", outputs=["a/1.jpg", "b/1.jpg"], faces=[face, face])]
    return read, [_rows(*rows), _rows(*rows[:4])]


def labels(box: Path) -> Prepared:
    """labels.csv, as training, evaluation, splits and mergers read it."""
    from pipelines.train.data.class_labels import read_pair_labels

    root = _make_set(box / "set")
    other = _make_set(box / "other")

    def read(data: bytes) -> str:
        (root / LABELS).write_bytes(data)
        pairs, accepted = read_layout(root)[0], 0
        for attributes in (False, True):
            with suppress(FrontalizeError):
                found = read_pair_labels(root, pairs, attributes=attributes)
                everyone = np.arange(len(pairs))
                if found.light_class(everyone).max() >= found.lights or found.partner(0, "neighbor", 0.2, 0.9) >= len(
                    pairs
                ):
                    raise AssertionError("a class too many")
                accepted += 1
        with suppress(FrontalizeError):
            evaluated = EvaluatedLabels(root, pairs, ())
            evaluated.references("other")
            accepted += 1
            if any(not (box / "photos" / source).resolve().is_relative_to(box) for source in evaluated.sources(box)):
                raise AssertionError("a source outside")
        Verification(root, VerifyConfig(faces=False, workers=1)).summarize([])
        return f"{accepted + _split_and_merge(root, other, box / 'merged')} readers"

    return read, [LABEL_ROWS, LABEL_ROWS.replace(b"light_strength", b"session"), LABEL_ROWS.replace(b",tone", b",view")]


def _make_set(root: Path) -> Path:
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def _split_and_merge(root: Path, other: Path, merged: Path) -> int:
    """Split a set and merge it with another one; return how much of that was accepted, and remove it."""
    accepted = 0
    with suppress(FrontalizeError):
        plan = plan_split(root, "1")
        count_splits(plan)
        for _ in range(2):  # the second one updates
            list(write_splits(plan))
        accepted += 1
    with suppress(FrontalizeError):
        list(write_merged(plan_merge([root, other], merged)))
        accepted += 1
    for folder in (*(root / split for split in ("train", "val", "test")), merged):
        shutil.rmtree(folder, ignore_errors=True)
    return accepted


def layout(box: Path) -> Prepared:
    """Names of files and folders of a set."""
    other = _make_set(box / "other")

    def read(data: bytes) -> str:
        root = box / "set"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        for name in data.split(b"\n")[:40]:
            path = Path(os.fsdecode(name.replace(b"\0", b"")))
            if path.is_absolute() or ".." in path.parts or path == Path():
                continue  # no file of a folder has such a name
            with suppress(OSError):  # a file in place of a folder, a name too long
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_bytes(name)
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        Verification(root, VerifyConfig(faces=False, workers=1)).summarize([])
        accepted = _split_and_merge(root, other, box / "merged")
        # A split of the set itself is updated, and here removed.
        kept = {
            path: data
            for path, data in before.items()
            if path.relative_to(root).parts[0] not in ("train", "val", "test")
        }
        if any(not path.exists() or path.read_bytes() != data for path, data in kept.items()):
            raise AssertionError("a file of the set was changed")
        return f"{accepted} of 2"

    return read, LAYOUTS
