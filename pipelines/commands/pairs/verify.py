"""``frontalize pairs verify`` and ``frontalize pairs split``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.commands.terminal.console import INTERRUPTED, Screen
from pipelines.commands.terminal.options import CORES, Dataset, Device, Json, Quiet, Workers
from pipelines.pairs.config import VerifyConfig
from pipelines.pairs.verify import Verification
from pipelines.runtime.config import require_cpu
from pipelines.runtime.interrupt import Interrupt

SHOWN = 10  # defects of a kind; --json has them all
VERIFY = VerifyConfig()


def verify(
    dataset: Dataset,
    faces: Annotated[bool, typer.Option(help="Look for the face in every file, to see wrong crops.")] = VERIFY.faces,
    recognizer: Annotated[
        Path | None, typer.Option(help="An ONNX face recogniser: finds people under a wrong name.")
    ] = VERIFY.recognizer,
    device: Device = "auto",
    workers: Workers = CORES,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Orphans, mispairings, unreadable files, wrong crops, duplicates, people on both sides of a split."""
    screen = Screen(json, quiet)
    require_cpu(device)
    verification = Verification(dataset, VerifyConfig(faces=faces, recognizer=recognizer, workers=workers))
    with Interrupt() as stop:
        looks = list(screen.track(verification.look(stop), "looking", len(verification.entries), lambda _: ""))
        if stop.pressed:
            raise typer.Exit(INTERRUPTED)
    found = verification.judge(looks)
    _tell(screen, found)
    screen.result(found)
    if found["defects"]:
        raise typer.Exit(1)


def _tell(screen: Screen, found: dict[str, Any]) -> None:
    parts = "".join(f", {count:,} inputs in {part}" for part, count in found["parts"].items())
    screen.say(f"{found['files']:,} files, {found['subjects']:,} subjects, {found['people']:,} people{parts}")
    for kind, say in (("defects", screen.complain), ("notes", screen.say)):
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in found[kind]:
            rows.setdefault(row["code"], []).append(row)
        for code, some in rows.items():
            say(f"{'note: ' if kind == 'notes' else ''}{code}, {len(some):,} times. Way out: {some[0]['way_out']}")
            for row in some[:SHOWN]:
                say(f"    {', '.join(row['files'][:4])}: {row['detail']}".replace("    : ", "    "))
            if len(some) > SHOWN:
                say(f"    and {len(some) - SHOWN:,} more; --json has them all")
    if not found["defects"]:
        screen.say("nothing wrong")
