"""Print the lowest version that each bound in pyproject.toml allows, as constraints for pip.

    python tests/lowest_versions.py > lowest.txt && pip install --constraint lowest.txt '.[train]'

``make test-lowest`` runs all tests with these versions.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

LOWER_BOUND = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,]+\])?>=(?P<version>[\w.]+)[^;]*(?P<marker>;.*)?")


def requirements(pyproject: dict[str, Any]) -> list[str]:
    """Return what building, installing and every extra require."""
    project = pyproject["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    return [*pyproject["build-system"]["requires"], *project["dependencies"], *extras]


def lowest_version(requirement: str) -> str:
    """Return a requirement's lower bound as an exact version: ``onnx==1.20`` for ``onnx>=1.20,<1.24``."""
    bound = LOWER_BOUND.fullmatch(requirement)
    if bound is None:
        raise ValueError(f"pyproject.toml, {requirement!r}: no lower bound; write name>=version")
    return "{name}=={version}".format(**bound.groupdict()) + (bound["marker"] or "")


if __name__ == "__main__":
    for line in requirements(tomllib.loads(PYPROJECT.read_text())):
        print(lowest_version(line))
