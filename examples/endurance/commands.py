"""The commands that are disturbed, what they work on, and what they make of it when nobody disturbs them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from examples.endurance.runs import Left, finish, look, make_photos, progress
from toolkit.photos.files import write_atomic

VERBS = ("align", "pairs build", "pairs synth", "pairs import", "batch", "train", "train (torch)")
LOG = "log.txt"  # of what the commands print
WHOLE = "whole"  # folder of the runs that nobody disturbs
PEOPLE = "id,age,sex\n0003,31,female\n0021,30,male\n"


@dataclass(frozen=True, slots=True)
class Whole:
    """A run that nobody disturbed."""

    left: Left
    code: int
    seconds: float
    progress: int  # lines and files at its end


def words_of(verb: str, folder: Path, place: str) -> list[object]:
    """Return the words of a command on the photos in a folder; its OUT is called like the command."""
    photos, out = folder / "photos", folder / place / verb
    training = ["train", folder / WHOLE / "pairs synth", out, "--steps", 12, "--batch-size", 4, "--save-every", 3]
    options: dict[str, list[object]] = {
        "align": ["align", photos, out],
        "batch": ["batch", photos, out, "--batch-size", 4],
        "pairs build": ["pairs", "build", photos, out, "--subjects", "folders"],
        "pairs synth": ["pairs", "synth", photos, out, "--yaws=-30,30", "--size", 64, "--min-sharpness", 5],
        "pairs import": ["pairs", "import", "london", folder / "people", out, "--size", 64],
        "train": [*training, "--ema", 0.5],
        "train (torch)": [*training, "--loader", "torch"],
    }
    return [*options[verb], "--quiet", "--workers", 2]


def make_inputs(folder: Path, copies: int) -> None:
    """Write the photos: in folders of people, and under the names of the London Set with its table."""

    def london(stem: str, number: int) -> str:
        person, view = stem.split("_", 1)
        return f"{number}{person}_neutral.jpg" if view == "frontal" else f"{number}{person}_neutral_{view}.jpg"

    make_photos(folder / "photos", copies, lambda stem, number: f"{stem[:3]}/{stem[4:]} {number}.jpg")
    make_photos(folder / "people", copies, london)
    write_atomic(folder / "people" / "people.csv", PEOPLE)


@cache
def undisturbed(verb: str, folder: Path) -> Whole:
    """Run a command to its end, once; before a training the command that makes its set."""
    if verb.startswith("train"):
        undisturbed("pairs synth", folder)
    code, seconds = finish(words_of(verb, folder, WHOLE), folder / LOG)
    return Whole(look(folder / WHOLE / verb), code, seconds, progress(folder / WHOLE / verb))
