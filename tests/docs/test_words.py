"""Code, texts and docs use the words of the field: none of the private words that earlier versions had."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

# Private word -> why it is one: what the field says. Whole words and phrases, so that ordinary English passes.
PRIVATE: dict[str, str] = {
    r"judg(?:e|es|ed|ing)(?:_\w+)?": "discriminator, or evaluate",
    r"makers?": "generator",
    r"fool(?:s|ed|ing)?": "adversarial",
    r"[Tt]rainees?|[Ww]orkshops?": "OptimizedNetwork, Setup",
    r"descend|consult(?:s|ed)?": "backward_and_step, frozen_forward",
    r"told[_ ]apart|should_be": "disentangling, bce_to",
    r"[Ll]aps?|GLANCE|bur(?:y|ied|ies)": "stages, poll interval, reap",
    r"lanes?|lanes_of": "slots",
    r"vouch(?:es|ed)?|handed|carried": "confirmed, flipped, mapped to the photo",
    r"[Ss]teady(?:Mesh)?|--no-steady": "averaging, refine_profiles",
    r"(?:first|second|later|further|other|more|many|these|several|all) looks?": "search, search views",
    r"turnable|[Ss]ilhouettes?|rims?|relief": "rotate, head outline, backlight, depth jitter",
    r"wear(?:s|ing)?|worn": "degrade",
    r"closeness": "inverse depth",
    r"Sight|Unseen|Questions|KIN": "LoadedPair, UnreadablePair, GroundTruth",
    r"(?:its|a|no|their) say": "what the code does",
    r"[Aa]ncestors?": "scaleway/frontalization",
    r"[Ss]trangers?": "impostors, or unknown sources",
    r"of ours|of theirs": "built in, or ours",
    r"SYSTEMS\.md|DESIGN\.md|VIEWS\.md|HOUSE\.md": "the published source",
    r"alone=|strangers=|frontalized=|(?:--)(?:wear|relief|frontalized|steady)": "the option's name of today",
}
ORDINARY = {  # lines that contain such a word in its ordinary sense: path -> part of the line
    "toolkit/photos/exif.py": ["the maker's notes are omitted"],  # EXIF's own term
    "tests/toolkit/photos/test_decode_scaled.py": ["rim"],  # of a picture
}
OLD_NAMES = {  # files about the old names themselves
    "CHANGELOG.md",
    "pipelines/runtime/renamed.py",
    "tests/docs/test_words.py",
    "tests/pipelines/commands/test_wrong_options.py",
    "tests/pipelines/train/test_run_folder.py",
    "tests/pipelines/train/recipes/test_settings.py",
}
FOLDERS = ("toolkit", "models", "pipelines", "tests", "examples", "docs")
SUFFIXES = (".py", ".md", ".toml", ".ipynb", ".html", ".css", ".js")


def text_files() -> list[Path]:
    """Return the project's files of text."""
    nested = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found = [path for path in [*ROOT.iterdir(), *nested] if path.suffix in SUFFIXES and path.is_file()]
    return sorted(path for path in found if path.relative_to(ROOT).as_posix() not in OLD_NAMES)


@pytest.mark.parametrize("word", PRIVATE)
def test_no_file_has_a_private_word(word: str) -> None:
    pattern = re.compile(rf"(?<![\w-])(?:{word})(?!\w)")
    found = []
    for path in text_files():
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if pattern.search(line) and not any(part in line for part in ORDINARY.get(name, ())):
                found.append(f"{name}:{number}: {line.strip()[:120]}")
    assert found == [], f"say {PRIVATE[word]}"
