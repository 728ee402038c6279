"""What of the Containerfile can be checked without building an image."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Containerfile").read_text()
FILE = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", TEXT, flags=re.MULTILINE))  # an instruction per line
LINES = [line for line in FILE.splitlines() if line]
FINAL = ("cpu", "cuda")


def stages() -> dict[str, list[str]]:
    """The instructions of each stage by its name."""
    found: dict[str, list[str]] = {}
    for line in LINES:
        if line.startswith("FROM "):
            found[line.split()[3]] = current = []
        current.append(line)
    return found


def test_an_image_without_a_target_is_the_small_one() -> None:
    assert list(stages())[-1] == "cpu"
    assert {line.split()[1] for line in LINES if line.startswith("FROM ")} - set(stages()) == {"debian:trixie-slim"}


@pytest.mark.parametrize("name", FINAL)
def test_images_run_frontalize_as_a_user_without_rights(name: str) -> None:
    lines = stages()[name]
    assert lines[-4:] == ["USER 1000", "WORKDIR /data", 'ENTRYPOINT ["frontalize"]', 'CMD ["--help"]']
    assert f"COPY --from={name}-install /opt/frontalize /opt/frontalize" in lines
    assert not any(line.startswith("RUN ") for line in lines)


def test_no_address_and_no_secret_goes_into_an_image() -> None:
    assert not re.search(r"https?:|index-url|token|password|secret", TEXT, re.IGNORECASE)
    assert not any(line.split()[0] in ("ADD", "ARG") for line in LINES)
    copied = [line.split()[1:-1] for line in LINES if line.startswith("COPY ") and "--from" not in line]
    assert "." not in {name for names in copied for name in names}  # a checkout may hold anything
    for line in LINES:
        if "apt-get install" in line:
            assert "--no-install-recommends" in line and "rm -rf /var/lib/apt/lists/*" in line
        if "pip install" in line:
            assert "--no-cache-dir" in line


def test_the_image_has_the_libraries_that_the_readme_names() -> None:
    [named] = re.findall(r"apt-get install ([\w. -]+?)\s+#", (ROOT / "README.md").read_text())
    installed = {word.removesuffix("t64") for line in stages()["python"] for word in line.split()}
    assert {"libgl1", "libglib2.0-0"} <= installed & set(named.split())


def test_what_is_copied_is_enough_for_a_build(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77.0.1", reason="reads pyproject.toml")
    for line in stages()["source"]:
        if line.startswith("COPY "):
            *names, target = line.split()[1:]
            for name in names:
                place = tmp_path / target.lstrip("/")
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("*.onnx", "*.safetensors"))
                else:
                    place.mkdir(exist_ok=True)
                    shutil.copy(ROOT / name, place)
    call = "from setuptools import build_meta; print(build_meta.prepare_metadata_for_build_wheel('.'))"
    made = subprocess.run(
        [sys.executable, "-c", call], cwd=tmp_path / "source", capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    about = tmp_path / "source" / made.stdout.split()[-1]
    licenses = {path.name for path in (about / "licenses").rglob("*") if path.is_file()}
    assert licenses == {"LICENSE", "LICENSE_MEDIAPIPE", "LICENSE_YUNET", "NOTICE"}
    assert {path.parent.name for path in (tmp_path / "source").glob("*/py.typed")} == {"models", "pipelines", "toolkit"}
    assert "Name: frontalize" in (about / "METADATA").read_text()
