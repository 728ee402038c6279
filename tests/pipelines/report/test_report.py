"""The page about an output folder: what is on it, and that nothing in a file's name can run."""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines.report.config import ReportConfig
from pipelines.report.report import MAX_OUTPUTS, THUMBNAIL_SIDES, Report
from tests.conftest import Run

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome-headless-shell")
EVIL = [
    "</script><script>window.hacked=1</script>.jpg",
    '<img src=x onerror="window.hacked=2">.jpg',
    "javascript:window.hacked=3.jpg",
    "{{policy}} 100% #1?.jpg",
]


def rows_of(page: Path) -> dict[str, dict[str, Any]]:
    """What the page's script will read, by input; and each input's thumbnails with it."""
    text = page.read_text(encoding="utf-8")
    rows = json.loads(re.findall(r'<script type="application/json" id="rows">(.*)</script>', text)[0])["rows"]
    blocks = dict(re.findall(r'<script type="text/plain" id="t(\d+)">(.*)</script>', text))
    return {row["input"]: row | {"thumbnails": blocks[str(place)].split(" ")} for place, row in enumerate(rows)}


def image_of(thumbnail: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(thumbnail)))


def write_ledger(folder: Path, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"status": "written", "outputs": [], **row}) + "\n" for row in rows)
    (folder / "ledger.jsonl").write_text("".join(lines))


def write_page(folder: Path, page: Path, most: int = 10_000) -> None:
    report = Report(folder, page, ReportConfig(most=most))
    assert len(list(report.draw(1, lambda: False))) == len(report)
    report.write()


@pytest.fixture(scope="module")
def crops(photos: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Aligned twice: in the second run all but the damaged one are skipped."""
    out = tmp_path_factory.mktemp("crops") / "out"
    for _ in range(2):
        run("align", photos, out, "--quiet")
    return out


def test_every_input_is_there_before_and_after(crops: Path, run: Run) -> None:
    result = run("report", crops, "--json", "--workers", 1)
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert (printed["out"], printed["shown"]) == (str(crops / "report.html"), 8)
    assert (printed["written"], printed["rejected"], printed["failed"]) == (6, 1, 1)
    rows = rows_of(crops / "report.html")
    one = rows["ann/1.jpg"]
    assert one["status"] == "written"
    assert one["face"].keys() == {"yaw", "pitch", "roll", "score", "sharpness"}
    before, after = map(image_of, one["thumbnails"])
    assert (max(before.size), before.format) == (THUMBNAIL_SIDES[0][0], "WEBP")
    assert after.size == (THUMBNAIL_SIDES[0][0], THUMBNAIL_SIDES[0][0])
    assert [(crops / file).exists() for file in (one["photo"], *one["outputs"])] == [True, True]


def test_the_rejected_show_their_photo_and_reason_and_the_damaged_no_picture(crops: Path, run: Run) -> None:
    assert run("report", crops, crops.parent / "page.html", "--workers", 1).exit_code == 0
    rows = rows_of(crops.parent / "page.html")
    cup, cut = rows["coffee.png"], rows["cut.jpg"]
    assert cup["status"] == "rejected"
    assert cup["reason"].startswith("no-face: ")
    assert image_of(*cup["thumbnails"]).size == (160, 107)
    assert (crops.parent / cup["photo"]).exists()
    assert (cut["status"], cut["thumbnails"]) == ("failed", [""])


def test_photos_that_were_moved_are_found_with_the_option(crops: Path, photos: Path, run: Run, tmp_path: Path) -> None:
    out, page = tmp_path / "deep" / "er" / "out", tmp_path / "page.html"
    shutil.copytree(crops, out)
    assert run("report", out, page, "--workers", 1).exit_code == 0
    assert {(row["photo"], row["thumbnails"][0]) for row in rows_of(page).values()} == {("", "")}
    assert run("report", out, page, "--photos", photos, "--workers", 1).exit_code == 0
    assert image_of(rows_of(page)["ann/1.jpg"]["thumbnails"][0]).format == "WEBP"
    assert run("report", out, page, "--photos", tmp_path / "none").exit_code == 2


def test_of_too_many_inputs_a_share_is_shown_and_the_page_says_so(tmp_path: Path) -> None:
    write_ledger(tmp_path, [{"input": f"{number:03d}.jpg", "outputs": ["a.jpg"]} for number in range(90)])
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.writelines(
            json.dumps({"input": f"x{n}", "status": "rejected", "reason": "no-face"}) + "\n" for n in range(30)
        )
    write_page(tmp_path, tmp_path / "page.html", most=20)
    kinds = [row["status"] for row in rows_of(tmp_path / "page.html").values()]
    assert (kinds.count("written"), kinds.count("rejected")) == (10, 10)
    assert '"total":120' in (tmp_path / "page.html").read_text()


def test_the_confidence_of_a_network_is_on_the_page(tmp_path: Path) -> None:
    """Only numbers get there; a line with anything else in its place is no row."""
    faces = [{"yaw": 40.0, "confidence": 0.612, "presence": 1.0}]
    write_ledger(tmp_path, [{"input": "a.jpg", "faces": faces}, {"input": "b.jpg", "faces": [{"confidence": "<b>"}]}])
    write_page(tmp_path, tmp_path / "page.html")
    rows = rows_of(tmp_path / "page.html")
    assert {name: row["face"] for name, row in rows.items()} == {"a.jpg": {"yaw": 40.0, "confidence": 0.612}}
    assert "confidence, lowest" in (tmp_path / "page.html").read_text()


def test_inputs_with_many_outputs_show_some(tmp_path: Path) -> None:
    write_ledger(tmp_path, [{"input": "a.jpg", "outputs": [f"a/{number}.jpg" for number in range(40)]}])
    write_page(tmp_path, tmp_path / "page.html")
    row = rows_of(tmp_path / "page.html")["a.jpg"]
    assert (len(row["outputs"]), row["more"]) == (MAX_OUTPUTS, 40 - MAX_OUTPUTS)


def test_folders_without_a_ledger_and_pages_that_are_folders_are_refused(crops: Path, run: Run, tmp_path: Path) -> None:
    for words, message in (
        ((tmp_path,), "no ledger"),
        ((crops, tmp_path), "is a folder"),
        ((crops, crops / "ann" / "0.jpg"), "end it in .html"),
        ((crops, crops / "ann" / "0.jpg" / "page.html"), "nothing can be written to"),
        ((crops, "--photos", tmp_path / "none"), "no such folder"),
        ((crops, "--workers", 0), "workers=0"),
        ((crops, "--most", 0), "most=0"),
    ):
        result = run("report", *words)
        assert result.exit_code == 2
        assert message in result.stderr.replace("\n", " ")


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A page about files whose names are made to run."""
    root = tmp_path_factory.mktemp("evil")
    source, out, page = root / "s%rc", root / "<b>{{rows}}", root / "page.html"
    for name in EVIL:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / "ann" / "0.jpg", source / name)
    reason = "no-face: <script>window.hacked=4</script>"
    write_ledger(out, [{"input": name, "status": "rejected", "reason": reason, "source": "../s%rc"} for name in EVIL])
    write_page(out, page)
    return page


def test_the_policy_allows_the_script_and_the_style_of_the_page_only(evil: Path) -> None:
    text = evil.read_text(encoding="utf-8")
    scripts, styles = (re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("script", "style"))
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert (len(scripts), len(styles)) == (1, 1)
    for directive, inline in (("script-src", scripts[0]), ("style-src", styles[0])):
        allowed = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{directive} 'sha256-{allowed}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "<title>&lt;b&gt;{{rows}}</title>" in text
    assert set(rows_of(evil)) == set(EVIL)
    assert not re.search(r"https?://|\.innerHTML|eval\(", text)  # nothing is fetched, no text becomes markup


@pytest.mark.slow
def test_a_browser_shows_names_as_text_and_runs_none(evil: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)}")
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    result = subprocess.run([browser, *words, evil.as_uri()], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    body = result.stdout.partition("<main>")[2].partition("</main>")[0]
    assert body.count("<article") == body.count('<img src="data:image/webp;base64,') == len(EVIL)
    assert body.count("<img") == len(EVIL)
    assert "<script" not in body
    assert "&lt;script&gt;window.hacked=4&lt;/script&gt;" in body
    links = re.findall(r'href="([^"]*)"', body)
    assert len(links) == len(EVIL)
    assert all(link.startswith("./s%25rc/") for link in links)
