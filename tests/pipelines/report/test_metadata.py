"""`--metadata`: what Hugging Face's imagefolder reads."""

import json
from pathlib import Path

import pytest

from tests.conftest import Run


@pytest.mark.slow
def test_every_image_is_described(photos: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("align", photos, out, "--metadata", "--format", "png").exit_code == 1  # one photo is damaged
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    images = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert [row["file_name"] for row in rows] == images
    assert {row["input"] for row in rows} == {f"{name}/{number}.jpg" for name in ("ann", "bea") for number in range(3)}
    assert all(abs(row["yaw"]) < 30 and row["sha256"] for row in rows)
    again = ["batch", out, tmp_path / "faces", "--metadata", "--model", "geometric", "--json"]
    assert json.loads(run(*again).stdout)["written"] == len(images)
    assert len((tmp_path / "faces" / "metadata.jsonl").read_text().splitlines()) == len(images)


@pytest.mark.slow
def test_datasets_loads_an_output_folder(photos: Path, run: Run, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    run("align", photos, tmp_path / "out", "--metadata")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert len(loaded["train"]) == 6
    assert loaded["train"][0]["image"].size == (256, 256)
    assert abs(loaded["train"][0]["yaw"]) < 30
