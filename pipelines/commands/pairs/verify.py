"""``frontalize pairs verify``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.commands.terminal.console import INTERRUPTED, Console
from pipelines.commands.terminal.options import CORES, Dataset, Device, Json, Quiet, Workers
from pipelines.pairs.config import VerifyConfig
from pipelines.pairs.verification.verify import Verification
from pipelines.runtime.interrupt import Interrupt

MAX_ROWS = 10  # printed of each kind; --json has all
DEFAULT = VerifyConfig()


def verify(
    dataset: Dataset,
    faces: Annotated[bool, typer.Option(help="Find the face in every file, to notice wrong crops.")] = DEFAULT.faces,
    recognizer: Annotated[
        Path | None, typer.Option(help="An ONNX face recognizer, to notice people under a wrong name.")
    ] = DEFAULT.recognizer,
    device: Device = "auto",
    workers: Workers = CORES,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check a paired set: orphans, mispairings, unreadable files, wrong crops, duplicates, people in two splits."""
    console = Console(json, quiet)
    config = VerifyConfig(faces=faces, recognizer=recognizer, workers=workers, device=device)
    verification = Verification(dataset, config)
    with Interrupt() as stop:
        infos = list(console.track(verification.inspect(stop), "checking", len(verification.entries), lambda _: ""))
        if stop.pressed:
            raise typer.Exit(INTERRUPTED)
    document = verification.summarize(infos)
    _print_summary(console, document)
    console.print_json(document)
    if document["defects"]:
        raise typer.Exit(1)


def _print_summary(console: Console, document: dict[str, Any]) -> None:
    splits = "".join(f", {count:,} inputs in {split}" for split, count in document["parts"].items())
    console.print(
        f"{document['files']:,} files, {document['subjects']:,} subjects, {document['people']:,} people{splits}"
    )
    for kind, label, show in (("defects", "", console.error), ("notes", "note: ", console.print)):
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in document[kind]:
            rows.setdefault(row["code"], []).append(row)
        for code, some in rows.items():
            show(f"{label}{code}, {len(some):,} times. Remedy: {some[0]['way_out']}")
            for row in some[:MAX_ROWS]:
                show(f"    {', '.join(row['files'][:4])}: {row['detail']}".replace("    : ", "    "))
            if len(some) > MAX_ROWS:
                show(f"    and {len(some) - MAX_ROWS:,} more; --json has all")
    if not document["defects"]:
        console.print("no defects")
