"""What the wheel and the source distribution contain, and what a package index shows of them.

They are built here from a copy of the source, without a network. FRONTALIZE_DIST names a folder of built ones that are
checked instead; `examples/release/release.py` does so.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("toolkit", "models", "pipelines")
# What is beside the source in a checkout; see .gitignore.
BESIDE = (".*", "__pycache__", "*.egg-info", "build", "dist", "demo")
IN_SOURCE = (*PACKAGES, "docs", "examples", "tests")
TOP_FILES = {
    *("CHANGELOG.md", "CITATION.cff", "Containerfile", "LICENSE", "MANIFEST.in", "Makefile", "NOTICE", "README.md"),
    *("SECURITY.md", "pyproject.toml", "setup.py"),
}
LICENSES = {
    "LICENSE",
    "NOTICE",
    "toolkit/networks/weights/LICENSE_MEDIAPIPE",
    "toolkit/networks/weights/LICENSE_YUNET",
}
DATA = {  # in the packages, beside modules and licenses
    *(f"{package}/py.typed" for package in PACKAGES),
    *("pipelines/evaluate/page.html", "pipelines/report/report.html"),
    *("pipelines/report/report.css", "pipelines/report/report.js"),
    *("models/weights/refiner.onnx", "models/weights/refiner.safetensors", "models/weights/README.md"),
    *(f"toolkit/faces/{name}.npz" for name in ("face_shapes", "frontal_shape", "head_mesh")),
    *("toolkit/faces/README.md", "toolkit/networks/weights/README.md"),
    *(f"toolkit/networks/weights/{name}.onnx" for name in ("face_detector", "face_detector_full_range", "face_mesh")),
    *(f"toolkit/networks/weights/{name}.onnx" for name in ("person_segmentation", "profile_points", "yunet")),
}
WEIGHTS = (".onnx", ".safetensors", ".npz")
LARGEST = 20_000_000  # bytes of either file; far below what indexes take


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source that is built: a copy of the checkout, with what may lie in one."""
    if "FRONTALIZE_DIST" in os.environ:
        return ROOT
    copy = tmp_path_factory.mktemp("copy") / "source"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*BESIDE))
    for folder, name in (("toolkit", "__pycache__/old.pyc"), ("examples", ".cache/x"), ("build/lib/toolkit", "old.py")):
        rubbish = copy / folder / name
        rubbish.parent.mkdir(parents=True, exist_ok=True)
        rubbish.touch()
    return copy


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    """A folder with one wheel and one source distribution; the wheel is built from the latter, as `build` does."""
    if given := os.environ.get("FRONTALIZE_DIST"):
        return Path(given)
    pytest.importorskip("setuptools", minversion="77.0.1", reason="builds the distributions")
    folder = tmp_path_factory.mktemp("dist")
    _build("sdist", source, folder)
    with tarfile.open(_only(folder, "*.tar.gz")) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    _build("wheel", _only(folder / "unpacked", "*"), folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(_only(dist, "*.whl"))


@pytest.fixture(scope="module")
def about(wheel: zipfile.ZipFile) -> Message:
    """The wheel's metadata."""
    return message_from_bytes(wheel.read(f"{_about(wheel)}/METADATA"))


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(wheel: zipfile.ZipFile, source: Path) -> None:
    modules = {path.relative_to(source).as_posix() for name in PACKAGES for path in (source / name).rglob("*.py")}
    own = {f"licenses/{name}" for name in LICENSES}
    own |= {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"}
    in_packages = modules | DATA | {name for name in LICENSES if "/" in name}
    assert set(wheel.namelist()) == in_packages | {f"{_about(wheel)}/{name}" for name in own}
    assert [name for name in in_packages if wheel.read(name) != (source / name).read_bytes()] == []


def test_every_data_file_in_the_packages_is_listed() -> None:
    """A new file has to be listed above: it travels, or it does not belong there."""
    found = {path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()}
    others = {path.as_posix() for path in found if path.suffix != ".py" and "__pycache__" not in path.parts}
    assert others == DATA | {name for name in LICENSES if "/" in name}


def test_all_weights_name_their_origin_and_license() -> None:
    notice = (ROOT / "NOTICE").read_text()
    for name in sorted(DATA):
        path = ROOT / name
        if path.suffix in WEIGHTS:
            page = path.with_name("README.md").read_text()
            assert f"`{path.name}`" in page, name
            assert path.name in notice or f"{path.stem}.*" in notice, name
    assert "10.6084/m9.figshare.5047666" in notice  # CC BY asks for the attribution


@pytest.mark.slow
def test_the_source_distribution_is_the_whole_source(dist: Path, source: Path) -> None:
    with tarfile.open(_only(dist, "*.tar.gz")) as archive:
        names = [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]
    made = {name for name in names if name in ("PKG-INFO", "setup.cfg") or name.startswith("frontalize.egg-info/")}
    files = {path for folder in IN_SOURCE for path in (source / folder).rglob("*") if path.is_file()}
    expected = {path.relative_to(source).as_posix() for path in files if "__pycache__" not in path.parts}
    assert len(names) == len(set(names))
    assert set(names) - made == {name for name in expected if not re.search(r"(^|/)\.", name)} | TOP_FILES


@pytest.mark.slow
def test_no_file_is_large(dist: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in dist.iterdir() if path.is_file()}
    assert len(sizes) == 2
    assert {name for name, size in sizes.items() if size > LARGEST} == set()


@pytest.mark.slow
def test_the_metadata_say_what_pyproject_says(about: Message) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for field, value in (("Name", "name"), ("Version", "version"), ("Summary", "description")):
        assert about[field] == project[value]
    assert about["License-Expression"] == project["license"]
    assert about["Requires-Python"] == project["requires-python"]
    assert set(about.get_all("License-File", [])) == LICENSES
    assert set(about.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])
    assert about.get_all("Project-URL") is None  # until the project has an address


@pytest.mark.slow
def test_a_package_index_shows_no_link_that_leads_nowhere(about: Message) -> None:
    """Relative links work beside the source only; fences stay fences, and links to the web stay links."""
    assert about["Description-Content-Type"] == "text/markdown"
    shown, readme = str(about.get_payload()), (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", shown)
    assert [link for link in links if not link.startswith(("https://", "mailto:"))] == []
    assert shown.count("```") == readme.count("```")
    assert "Aligning (`docs/aligning.md`)" in shown
    assert "(`examples/pictures/demo.png`)" in shown
    assert shown.splitlines()[0] == readme.splitlines()[0]


def _build(kind: str, source: Path, out: Path) -> None:
    """Call setuptools as a build front end does, in a process of its own."""
    call = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    built = subprocess.run([sys.executable, "-c", call], cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


def _only(folder: Path, pattern: str) -> Path:
    [found] = folder.glob(pattern)
    return found


def _about(wheel: zipfile.ZipFile) -> str:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return f"frontalize-{version}.dist-info"
