"""The pages: every value is escaped, and nothing that a template needs may be missing."""

import json
import os
import re
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest

from pipelines.evaluate.page import Example, evaluation_page
from pipelines.html import data_url, render, require_page, write_page
from toolkit.errors import ConfigError

EVIL = "</script><b x='\" & {{ 7 * 7 }}"
ODD = os.fsdecode(b"\xff\xfe")  # a file name that is not valid Unicode


def test_values_are_escaped_in_text_attributes_and_scripts(tmp_path: Path) -> None:
    template = tmp_path / "a.html"
    template.write_text('<p title="{{ text }}">{{ text }}</p><script>{{ text | tojson }}</script>\n')
    page = render(template, text=EVIL + ODD)
    assert page.count("<") == 4 and page.endswith("\n")
    assert page.count("&lt;/script&gt;&lt;b x=&#39;&#34; &amp; {{ 7 * 7 }}") == 2
    assert json.loads(re.findall("<script>(.*)</script>", page)[0]) == EVIL + ODD
    write_page(tmp_path / "page.html", page)
    assert (tmp_path / "page.html").read_bytes().count(b"\xff\xfe") == 2


def test_a_variable_that_is_missing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("{{ text }}")
    with pytest.raises(jinja2.UndefinedError):
        render(tmp_path / "a.html")


def test_a_page_of_an_evaluation_escapes_all_that_comes_from_files() -> None:
    """Names of the set, of models and files, values of labels.csv, and reasons."""
    image = np.zeros((16, 16, 3), np.uint8)
    result = {"pairs": 1, "missing": 0, "l1": 0.5, "psnr": None}
    row: dict[str, Any] = {"input": EVIL + ODD, "target": EVIL, "yaw": 3.6, "l1": 0.5}
    document: dict[str, Any] = {
        **dict.fromkeys(("pairs", "subjects", "people", "size"), 1),
        **dict.fromkeys(("dataset", "recognizer", "by", "photos"), EVIL),
        "ranked_by": "ssim",
        "identity_against": "other",
        "landmarks": True,
        "without_other_target": 2,
        "failed": [{"input": EVIL, "reason": EVIL}],
        "models": [
            {"model": EVIL, "name": "x" + EVIL, **result, "bins": [], "groups": [{"by": EVIL, "group": EVIL, **result}]}
        ],
    }
    page = evaluation_page(
        document, [([Example([image, image, image], [row])], [Example([image, EVIL, image], [row])])]
    )
    assert EVIL not in page and "<b" not in page.replace("<br", "").replace("<body", "")
    assert page.count(data_url(image)) == 5
    assert "yaw +4°" in page and "<br>" in page and "<td>0.500</td><td>-</td>" in page
    assert "missing face" in page and "Not evaluated" in page
    assert "468 mesh points" in page and "the other targets of the same person" in page
    assert "2 pairs of people with one target only" in page


def test_pages_that_cannot_be_written_are_errors(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, says in (
        (".", "is a folder"),
        ("a.png", "end it in .html"),
        ("file/deep/a.html", "file; choose another"),
    ):
        with pytest.raises(ConfigError, match=says):
            require_page(tmp_path / name)
    require_page(tmp_path / "new" / "deep" / "a.HTML")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_page(tmp_path / "file" / "a.html", "")
