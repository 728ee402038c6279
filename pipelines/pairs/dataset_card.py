"""The files that every stage that makes a paired set writes beside the images: labels.csv and the dataset card."""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from pipelines.runtime.plan import Plan
from toolkit.photos.decode import READ_ERRORS
from toolkit.photos.files import write_atomic
from toolkit.records.labels import ATTRIBUTE, LABELS, write_labels
from toolkit.records.ledger import LEDGER_NAME, Outcome, sorted_outcomes
from toolkit.records.subjects import VIEW_PARTS

CARD = "README.md"
FILE_HASH = "file_sha256"  # in a face's row of the ledger: of the output, while ``sha256`` is of the input
_LABELS = (
    *("yaw", "pitch", "roll", "person", "light", "light_strength", "session", "camera", "partition"),
    *("expression", "view", "age", "sex", "ethnicity"),
)
_MAX_SIZES_READ = 200  # files whose size is read for the card
_BIN = 15  # degrees


def write_labels_and_card(plan: Plan, made_by: str) -> None:
    """Write labels.csv and the dataset card of a set from its ledger.

    Args:
        plan: of the run; rows of inputs that it does not contain are left out.
        made_by: the command, for the card.
    """
    planned = {job.input for job in plan.jobs} | {outcome.input for outcome in plan.refused}
    rows: list[dict[str, Any]] = []
    refusals: Counter[str] = Counter()
    for outcome in sorted_outcomes(plan.out):
        if outcome.input in planned:
            rows += _rows(outcome)
            refusals[outcome.code] += not outcome.outputs
    write_labels(plan.out, rows)
    write_atomic(plan.out / CARD, _card(plan, rows, +refusals, made_by))


def _rows(outcome: Outcome) -> Iterable[dict[str, Any]]:
    images = [output for output in outcome.outputs if not output.endswith(VIEW_PARTS)]
    for output, face in zip(images, outcome.faces, strict=True):
        folder, slash, _ = output.partition("/")
        row = {name: value for name, value in face.items() if name in _LABELS or name.startswith(ATTRIBUTE)}
        yield row | {
            "file": output,
            "subject": folder if slash else Path(output).stem,
            "role": "input" if slash else "target",
            "sha256": face.get(FILE_HASH),
            "source": outcome.input,
        }


def _card(plan: Plan, rows: list[dict[str, Any]], refusals: Counter[str], made_by: str) -> str:
    inputs = [row for row in rows if row["role"] == "input"]
    targets = [row for row in rows if row["role"] == "target"]
    people = {row.get("person") or row["subject"] for row in rows}
    lines = [
        f"# {plan.out.name}: a paired set",
        "",
        f"Made by `{made_by}` from the photos in `{plan.source.name}/`.",
        "",
        f"- {len(targets):,} subjects, {len(people):,} people, {len(inputs):,} inputs;"
        f" one frontal target for each subject, `<subject>{_suffix(targets)}`, its inputs in `<subject>/`.",
        f"- Sides: {_sizes(plan.out, [row['file'] for row in rows])}.",
        f"- Yaw of the inputs: {_histogram([row.get('yaw') for row in inputs])}. Positive: to the subject's left.",
        *_light_and_attributes(inputs),
        f"- Not used: {_counts(refusals) or 'nothing'}. `{LEDGER_NAME}` names each photo and the reason.",
        f"- `{LABELS}`: pose, light and origin of each file, and its hash.",
        "",
        "The photos' own licence and the rights of the people in them hold for this set too.",
        "Before training on it: `frontalize pairs verify`, and `frontalize pairs split`.",
        "",
    ]
    return "\n".join(lines)


def _light_and_attributes(inputs: list[dict[str, Any]]) -> list[str]:
    lights = {row.get("light") for row in inputs} - {None, ""}
    attributes = sorted({name.removeprefix(ATTRIBUTE) for row in inputs for name in row if name.startswith(ATTRIBUTE)})
    lit = [f"- Light: {len(lights):,} different, in the column `light`."] if lights else []
    return lit + ([f"- Attributes: {', '.join(attributes)}."] if attributes else [])


def _suffix(targets: list[dict[str, Any]]) -> str:
    return Path(targets[0]["file"]).suffix if targets else ".jpg"


def _sizes(root: Path, files: list[str]) -> str:
    step = max(1, math.ceil(len(files) / _MAX_SIZES_READ))
    sizes: Counter[str] = Counter()
    for file in files[::step]:
        try:
            with Image.open(root / file) as photo:
                sizes["{} x {} px".format(*photo.size)] += 1
        except READ_ERRORS:  # a set can be built from crops of other programs
            sizes["unreadable"] += 1
    return f"{_counts(sizes)} (of {sizes.total():,} files looked at)"


def _histogram(yaws: list[Any]) -> str:
    bins = Counter(round(float(yaw) / _BIN) * _BIN for yaw in yaws if yaw not in (None, ""))
    return ", ".join(f"{angle}° {count:,}" for angle, count in sorted(bins.items())) or "not known"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common())
