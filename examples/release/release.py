"""Check, build and prove a release; tag it if asked. Nothing is uploaded: the last lines say how.

    make release                                          # or: python examples/release/release.py
    python examples/release/release.py --dry-run          # the checks alone, and what would be done
    python examples/release/release.py --tag              # and make the tag

The version in pyproject.toml must be that of CITATION.cff and of the newest section of the changelog, which must have a
date; all files must be committed. Then, in environments of their own under a temporary folder: wheel and source
distribution are built into dist/, checked by `twine check --strict` and by tests/release/test_distributions.py, both
are installed, and examples/release/smoke.py runs every command.

This file needs git, and Python with the packages of `make test`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ("build>=1.2,<2", "twine>=6.1,<8", "cffconvert>=2,<3")
VERSION = r"\d+\.\d+\.\d+"
UNRELEASED = "unreleased"


@dataclass(frozen=True, slots=True)
class Named:
    """The version and the date that a file names; None where it names none."""

    version: str | None
    date: str | None


def in_changelog(text: str) -> Named:
    """Read the newest section, ``## 0.2.0, 2026-11-28`` or ``## 0.2.0, unreleased``."""
    found = re.search(rf"^## ({VERSION}), (\d{{4}}-\d\d-\d\d|{UNRELEASED})$", text, re.MULTILINE)
    return Named(found[1], None if found[2] == UNRELEASED else found[2]) if found else Named(None, None)


def in_citation(text: str) -> Named:
    """Read ``version`` and ``date-released`` of a CITATION.cff."""
    values = dict(re.findall(r"^(version|date-released): *(\S+)$", text, re.MULTILINE))
    return Named(values.get("version"), values.get("date-released"))


def version_of(root: Path) -> str:
    """Read the version in pyproject.toml."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def problems(root: Path) -> list[str]:
    """Return what keeps the source in a folder from being released, one sentence each."""
    version, found = version_of(root), []
    changelog = in_changelog((root / "CHANGELOG.md").read_text())
    citation = in_citation((root / "CITATION.cff").read_text())
    if not re.fullmatch(VERSION, version):
        found.append(f"pyproject.toml: version {version} is not major.minor.patch")
    for name, named in (("CHANGELOG.md", changelog), ("CITATION.cff", citation)):
        if named.version != version:
            found.append(f"{name}: version {named.version}, but pyproject.toml has {version}")
    if changelog.date is None:
        found.append(f"CHANGELOG.md: no date; write `## {version}, YYYY-MM-DD`")
    if citation.date != changelog.date:
        found.append(f"CITATION.cff: date {citation.date}, but CHANGELOG.md has {changelog.date}")
    return found + _git_problems(root, f"v{version}")


def _git_problems(root: Path, tag: str) -> list[str]:
    try:
        changed = _said(["git", "status", "--porcelain"], root)
        tags = _said(["git", "tag", "--list", tag], root)
    except (OSError, subprocess.CalledProcessError) as error:
        return [f"git: {root} cannot be read ({error}); release from a clone"]
    found = [f"git: {len(changed.splitlines())} files are not committed"] if changed else []
    return found + ([f"git: the tag {tag} is there; raise the version"] if tags else [])


def build(root: Path, dist: Path, scratch: Path) -> None:
    """Build both distributions and check them."""
    tools = scratch / "tools"
    venv.create(tools, with_pip=True)
    _run([tools / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS], root)
    _run([tools / "bin/cffconvert", "--validate", "--infile", root / "CITATION.cff"], root)
    shutil.rmtree(dist, ignore_errors=True)
    _run([tools / "bin/python", "-m", "build", "--outdir", dist, root], scratch)
    _run([tools / "bin/twine", "check", "--strict", *sorted(dist.iterdir())], root)
    tests = [sys.executable, "-m", "pytest", "tests/release/test_distributions.py"]
    _run(tests, root, os.environ | {"FRONTALIZE_DIST": str(dist)})


def prove(root: Path, dist: Path, scratch: Path, version: str) -> None:
    """Install each distribution into an environment of its own and run every command away from the checkout."""
    for file in sorted(dist.iterdir()):
        place = scratch / f"installed-{file.suffix[1:]}"
        venv.create(place, with_pip=True)
        _run([place / "bin/pip", "install", "--quiet", "--disable-pip-version-check", file], scratch)
        smoke = [place / "bin/python", root / "examples/release/smoke.py", place / "bin/frontalize"]
        _run([*smoke, root / "tests/data", "--version", version], scratch)


def release(root: Path, dry: bool, tag: bool) -> int:
    """Do all steps; return the exit code: 1 if something keeps the source from being released."""
    version, dist, found = version_of(root), root / "dist", problems(root)
    for problem in found:
        print(f"not ready: {problem}")
    if dry:
        print(f"would build {version} into {dist}, check and install it" + (f", and make the tag v{version}" * tag))
    if found or dry:
        return 1 if found else 0
    with tempfile.TemporaryDirectory() as scratch:
        build(root, dist, Path(scratch))
        prove(root, dist, Path(scratch), version)
    if tag:
        _run(["git", "tag", "--annotate", f"v{version}", "--message", f"frontalize {version}"], root)
    print(f"frontalize {version} is ready; nothing was uploaded. To publish it:")
    for line in (f"git tag --annotate v{version} --message 'frontalize {version}'",) * (not tag):
        print(f"  {line}")
    print(f"  git push origin v{version}\n  twine upload {dist}/*")
    return 0


def _run(command: Sequence[str | Path], folder: Path, environment: dict[str, str] | None = None) -> None:
    print("$", *command, flush=True)
    if code := subprocess.run(command, cwd=folder, env=environment, check=False).returncode:
        sys.exit(f"{Path(command[0]).name} ended with {code}; nothing was tagged or uploaded")


def _said(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    words.add_argument("--dry-run", action="store_true", help="check only, and say what would be done")
    words.add_argument("--tag", action="store_true", help="make the tag at the end")
    given = words.parse_args()
    sys.exit(release(ROOT, given.dry_run, given.tag))
