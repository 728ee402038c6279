"""What pyproject.toml cannot say: the README as a package index shows it, where relative links lead nowhere."""

import re
from pathlib import Path

from setuptools import setup

README = Path(__file__).with_name("README.md")
LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?!https?:|mailto:|#)(?P<file>[^)#\s]+)(?:#[^)\s]*)?\)")
NOTE = "Files and pages named in brackets are in the source distribution."


def without_relative_links(text: str) -> str:
    """Return a Markdown page whose links to files beside it are texts that name the file."""
    title, rest = text.split("\n", 1)
    return f"{title}\n\n{NOTE}\n{LINK.sub(_as_text, rest)}"


def _as_text(link: re.Match[str]) -> str:
    text = f"Picture: {link['text']}" if link["picture"] else link["text"]
    return f"{text} (`{link['file']}`)"


if __name__ == "__main__":
    setup(
        long_description=without_relative_links(README.read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
    )
