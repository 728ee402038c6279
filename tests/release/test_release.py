"""The release script's checks, on folders with wrong files; and the files of this project agree."""

import shutil
import subprocess
from pathlib import Path

import pytest

from examples.release.release import Named, in_changelog, in_citation, problems, release, version_of

ROOT = Path(__file__).parents[2]
CHANGELOG = "# Changelog\n\n## 1.2.3, 2026-01-02\n\n- New.\n\n## 1.2.2, 2025-12-24\n\n- Old.\n"
CITATION = "cff-version: 1.2.0\nversion: 1.2.3\ndate-released: 2026-01-02\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A committed project that can be released."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "CITATION.cff").write_text(CITATION)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=tests", "-c", "user.email=tests@localhost", "-c", "core.hooksPath=/dev/null")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "work")


def test_a_project_that_agrees_can_be_released(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(source) == []
    assert release(source, dry=True, tag=True) == 0
    assert "and make the tag v1.2.3" in capsys.readouterr().out
    assert not (source / "dist").exists()


@pytest.mark.parametrize("tag", [False, True])
def test_a_release_is_tagged_only_if_asked_and_never_uploaded(
    tag: bool, source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: list[str] = []
    monkeypatch.setattr("examples.release.release.build", lambda *_: steps.append("build"))
    monkeypatch.setattr("examples.release.release.prove", lambda *_: steps.append("prove"))
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "tests")
        monkeypatch.setenv(f"{name}_EMAIL", "tests@localhost")
    assert release(source, dry=False, tag=tag) == 0
    tags = subprocess.run(["git", "tag", "-n1"], cwd=source, check=True, capture_output=True, text=True).stdout
    assert tags.split() == (["v1.2.3", "frontalize", "1.2.3"] if tag else [])
    said = capfd.readouterr().out
    assert steps == ["build", "prove"]
    assert "nothing was uploaded" in said and "twine upload" in said and "git push origin v1.2.3" in said


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("pyproject.toml", "1.2.3", "1.3.0", ["CHANGELOG.md: version 1.2.3", "CITATION.cff: version 1.2.3"]),
        ("pyproject.toml", "1.2.3", "1.2", ["not major.minor.patch", "CHANGELOG.md", "CITATION.cff"]),
        ("CHANGELOG.md", "## 1.2.3, 2026-01-02\n", "", ["CHANGELOG.md: version 1.2.2", "CITATION.cff: date"]),
        ("CHANGELOG.md", ", 2026-01-02", ", unreleased", ["CHANGELOG.md: no date", "CITATION.cff: date 2026-01-02"]),
        ("CHANGELOG.md", "## ", "### ", ["CHANGELOG.md: version None", "no date", "CITATION.cff: date"]),
        ("CITATION.cff", "version: 1.2.3", "version: 1.2.2", ["CITATION.cff: version 1.2.2"]),
        ("CITATION.cff", "date-released: 2026-01-02\n", "", ["CITATION.cff: date None"]),
    ],
)
def test_what_disagrees_is_named(name: str, old: str, new: str, says: list[str], source: Path) -> None:
    text = (source / name).read_text()
    assert old in text
    (source / name).write_text(text.replace(old, new))
    commit(source)
    found = problems(source)
    assert len(found) == len(says)
    assert [words for words, problem in zip(says, found, strict=True) if words not in problem] == []


def test_uncommitted_files_and_a_tag_that_is_there_stop_a_release(source: Path) -> None:
    (source / "new.txt").touch()
    git(source, "tag", "v1.2.3")
    found = problems(source)
    assert found == ["git: 1 files are not committed", "git: the tag v1.2.3 is there; raise the version"]
    assert release(source, dry=False, tag=False) == 1
    assert not (source / "dist").exists()


def test_without_git_a_release_is_refused(source: Path) -> None:
    for path in sorted((source / ".git").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (source / ".git").rmdir()
    [problem] = problems(source)
    assert problem.startswith("git: ") and problem.endswith("release from a clone")


def test_the_files_of_this_project_agree() -> None:
    """The version in three files, the date in two."""
    version = version_of(ROOT)
    changelog = in_changelog((ROOT / "CHANGELOG.md").read_text())
    assert in_citation((ROOT / "CITATION.cff").read_text()) == changelog
    assert changelog == Named(version, changelog.date)
