from pathlib import Path

import pytest

from toolkit.errors import ConfigError
from toolkit.records.subject_rules import subject_rule


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a,b\n1,2\n", b'file,subject\n"' + b"x" * 200_000])
def test_tables_of_subjects_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "who.csv").write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read as a CSV"):
        subject_rule(str(tmp_path / "who.csv"))


@pytest.mark.parametrize(
    "pattern", ["(", "(a){99999999999}", "(" * 3000 + "a" + ")" * 3000], ids=["open", "many", "deep"]
)
def test_patterns_that_python_cannot_compile_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="nor a regular expression"):
        subject_rule(pattern)
