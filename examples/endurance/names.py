"""The scene of names: scripts, marks, separators, bytes that are no Unicode, 255 bytes, two names for one output."""

import random
import shutil
from pathlib import Path

from examples.endurance.runs import FACES, finish, look
from examples.endurance.stage import Stage
from toolkit.records.ledger import LEDGER_NAME, read_ledger

NAMES = (
    *("صورة", "照片", "사진", "รูปถ่าย", "चित्र", "снимок", "😀👩‍👩‍👧", "e\u0301", "é", "\u202egpj", "\u200fמ"),
    *(
        "a\nb",
        "-rf",
        "--help",
        " before",
        "after ",
        "a\\..\\b",
        "%s%n",
        "$(x)",
        "[red]x[red]",
        "<b>",
        "a'\"b",
        "con",
        "A",
        "a",
    ),
    *("\udcff\udcfe", "n" * 251, "あ" * 83, "x.tar.gz", "a..."),
)
TWINS = (("twins", "t.jpg"), ("twins", "t.jpeg"))  # one output for both
VERBS = ("align", "pairs build", "pairs synth", "batch")  # the others take the names of a data set


def odd_names(stage: Stage, rng: random.Random) -> list[str]:
    """Photos and folders with these names: each photo gets one row, and all that is written is named in one."""
    if stage.verb not in VERBS:
        return []
    source = stage.folder / "names"
    shutil.rmtree(source, ignore_errors=True)
    photos = [(name, f"{other}.jpg") for name in NAMES for other in rng.sample(NAMES, 2)] + list(TWINS)
    for place, (folder, name) in enumerate(photos):
        (source / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(FACES / f"{('003', '021', '061')[place % 3]}_frontal.jpg", source / folder / name)
    inputs = {"/".join(photo) for photo in photos}
    words = [source if word == stage.source else word for word in stage.words]
    stage.out.parent.mkdir(exist_ok=True)
    before = set(stage.folder.iterdir())
    stage.met += 1
    finish(words, stage.log)
    said = _check(stage.out, inputs) + [f"{path} was made" for path in set(stage.folder.iterdir()) - before]
    seen = look(stage.out)
    finish(words, stage.log)
    again = look(stage.out)
    said += [f"{name} changed in the second run" for name in seen.files if again.files.get(name) != seen.files[name]]
    if seen.rows != again.rows:
        said.append("the second run has other rows")
    return said


def _check(out: Path, inputs: set[str]) -> list[str]:
    rows = read_ledger(out)
    said = [f"no row of {name!r}" for name in inputs - {row.input for row in rows}]
    said += [f"a row of {row.input!r}" for row in rows if row.input not in inputs]
    said += [
        f"{row.input!r}: {row.reason}"
        for row in rows
        if row.status == "failed" and row.code not in ("collision", "unwritable")
    ]
    said += [f"{row.input!r} is written" for row in rows if row.input.startswith("twins/") and row.status == "written"]
    named = {output for row in rows for output in row.outputs}
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file() and ".aligned" not in path.parts}
    extra = files - named - {LEDGER_NAME, "labels.csv", "README.md"}
    return said + [f"no {name!r}" for name in named - files] + [f"{name!r} has no row" for name in extra]
