"""Every option of every command is checked before work starts: a wrong value, with the value in the error."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from typer.models import ArgumentInfo, OptionInfo

from pipelines.cli import COMMANDS, PAIRS_COMMANDS
from tests.conftest import Run, tree
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image

# Valid words before the option under test: {photos} and {set} are folders; {out} and the others do not exist, because
# options are checked before files are opened.
WORDS = {
    "doctor": "",
    "align": "{photos} {out}",
    "pairs build": "{photos} {out} --subjects folders",
    "pairs synth": "{photos} {out}",
    "pairs import": "multipie {photos} {out}",
    "pairs verify": "{photos}",
    "pairs split": "{set}",
    "pairs views": "{set} {photos} {out}",
    "pairs morph": "{set} {out}",
    "pairs merge": "{set} {photos} {out}",
    "train": "{set} {out}",
    "batch": "{photos} {out}",
    "evaluate": "{set} {out}.html",
    "report": "{photos}",
    "generate": "missing {out}",
    "convert": "missing {out}",
    "export": "missing {out}",
    "bench": "{photos}",
    "demo": "{out}",
}
WRONG_TEXTS = {  # what no option of that name accepts
    "attributes": "Smiling=maybe",
    "by": "no-such-column",
    "detector": "no_such_module:Detector",
    "device": "tpu",
    "landmarker": "no_such_module:Landmarker",
    "max_rejects": "many",
    "model": "no-such-model",
    "pitches": "46.5",
    "recipe": "no-such-recipe",
    "set": "no_such_setting=1",
    "shard": "5/4",
    "subjects": "(unbalanced",
    "target": "",
    "val": "-3%",
    "yaws": "90.5",
}


def commands() -> Iterator[tuple[str, Callable[..., None]]]:
    """The functions of all commands by their words."""
    pairs = {f"pairs {name}": place for name, place in PAIRS_COMMANDS.items()}
    for words, place in (COMMANDS | pairs).items():
        module, function = place.split(":")
        yield words, getattr(import_module(module), function)


def options(command: Callable[..., None]) -> Iterator[tuple[str, str, Any]]:
    """Name, words and type of every option that takes a value."""
    for name, hint in get_type_hints(command, include_extras=True).items():
        if name == "return":
            continue
        kind, *extras = get_args(hint)
        [option] = [extra for extra in extras if isinstance(extra, OptionInfo | ArgumentInfo)]
        if isinstance(option, OptionInfo) and kind is not bool:
            # In Annotated, typer takes the first name of an option for its default.
            words = [word for word in (option.default, *(option.param_decls or ())) if str(word).startswith("-")]
            yield name, str(words[0]) if words else f"--{name.replace('_', '-')}", kind


def wrong_values(name: str, kind: Any) -> list[str]:
    if get_origin(kind) in (Union, UnionType):
        [kind] = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is Literal:
        return ["no-such-choice"]
    if kind is float:
        return ["-987.5", "nan", "word"]
    if kind is int:
        return ["-987", "word"]
    if kind is Path:
        return ["no-such-file"]
    assert name in WRONG_TEXTS, f"say in WRONG_TEXTS what --{name} must refuse"
    return [WRONG_TEXTS[name]]


FUNCTIONS = dict(commands())
CASES = [
    (command, word, value)
    for command, function in FUNCTIONS.items()
    for name, word, kind in options(function)
    for value in wrong_values(name, kind)
]


def test_every_command_is_listed() -> None:
    assert set(WORDS) == set(FUNCTIONS)


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory, portrait: Image) -> Path:
    """A paired set of one person."""
    root = tmp_path_factory.mktemp("set")
    (root / "ann").mkdir()
    for name in ("ann.jpg", "ann/1.jpg"):
        (root / name).write_bytes(encode_image(portrait[:128, :128], ".jpg"))
    return root


@pytest.mark.parametrize(("command", "option", "value"), CASES)
def test_a_wrong_value_is_an_error_before_anything_is_written(
    command: str, option: str, value: str, photos: Path, paired: Path, run: Run, tmp_path: Path
) -> None:
    before = tree(photos), tree(paired)
    places = {"photos": photos, "set": paired, "out": tmp_path / "out"}
    words = [word.format(**places) for word in WORDS[command].split()]
    result = run(*command.split(), *words, option, value)
    assert result.exit_code == 2, result.output
    named = option if value == "word" else value  # words that are no numbers are typer's errors, which name the option
    assert named in result.stderr.replace("\n", "")
    assert list(tmp_path.iterdir()) == []
    assert (tree(photos), tree(paired)) == before


RENAMED = {
    "pairs synth": ["--wear=1", "--relief=1", "--frontalized"],
    "align": ["--no-steady"],
    "train": ["--set=strangers=1", "--set=alone=1"],
}


@pytest.mark.parametrize(("command", "word"), [(name, word) for name, words in RENAMED.items() for word in words])
def test_an_old_name_is_an_error_that_gives_the_new_one(
    command: str, word: str, photos: Path, paired: Path, run: Run, tmp_path: Path
) -> None:
    new = {
        "--wear=1": "--degrade",
        "--relief=1": "--depth-jitter",
        "--frontalized": "--round-trip",
        "--no-steady": "--no-refine-profiles",
        "--set=strangers=1": "identity_warmup",
        "--set=alone=1": "gan_warmup",
    }[word]
    places = {"photos": photos, "set": paired, "out": tmp_path / "out"}
    words = [part.format(**places) for part in WORDS[command].split()]
    more = ["--recipe=refiner"] if command == "train" else []
    result = run(*command.split(), *words, *more, word)
    assert result.exit_code == 2
    assert new in result.stderr and word.split("=")[0] in result.stderr
    assert list(tmp_path.iterdir()) == []
