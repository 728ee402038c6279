"""File names that somebody chose to do harm, or that are merely odd: nothing lands outside OUT, nothing is lost."""

import json
import os
from pathlib import Path

import pytest

from pipelines.commands.terminal.console import printable
from pipelines.runtime.plan import Job, plan_photos
from pipelines.runtime.run import run_bulk
from tests.conftest import Run, tree
from toolkit.errors import ConfigError
from toolkit.photos.files import write_atomic
from toolkit.records.ledger import Ledger, Outcome, read_ledger
from toolkit.records.subject_rules import subject_rule

ODD = (
    b"-rf.jpg",
    b"a\nb.jpg",
    b"tab\there.jpg",
    b"\x1b]0;title\x07.jpg",
    b"\xff\xfe no unicode.jpg",
    "e\u0301 and \u202egnp.jpg".encode(),
    b"<script>alert(1)</script>.jpg",
    b"'\"><img src=x onerror=alert(1)>.jpg",
    b"[red]x[/red].jpg",
    b"javascript:alert(1).jpg",
    b"a\\..\\b.jpg",
    b"{{rows}}$(touch x).jpg",
    b"a...jpg",
    b"n" * 251 + b".jpg",
)


@pytest.fixture
def odd(tmp_path: Path, photos: Path) -> Path:
    """A portrait under each of the names."""
    root = tmp_path / "odd"
    (root / "ann").mkdir(parents=True)
    data = (photos / "ann" / "0.jpg").read_bytes()
    for name in ODD:
        path = root / "ann" / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return root


@pytest.mark.slow
def test_every_name_is_aligned_paired_and_shown(odd: Path, tmp_path: Path, run: Run) -> None:
    crops, pairs, page = tmp_path / "crops", tmp_path / "pairs", tmp_path / "page.html"
    result = run("align", odd, crops, "--no-retries", "--workers", 1)
    assert result.exit_code == 0, result.output
    names = {f"ann/{os.fsdecode(name)}" for name in ODD}
    assert {row.input for row in read_ledger(crops)} == names
    assert set(tree(crops)) == names

    assert run("pairs", "build", crops, pairs, "--subjects", "folders").exit_code == 0
    assert len(tree(pairs)) == len(ODD) + 2  # and labels.csv, README.md
    assert run("pairs", "verify", pairs, "--no-faces", "--json").exit_code == 1  # the same photo many times

    assert run("report", crops, page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "alert(1)</script>" not in text
    policy = text.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crops", "odd", "page.html", "pairs"]


def test_failures_with_odd_names_are_told_on_one_line_without_escapes(tmp_path: Path, run: Run) -> None:
    root = tmp_path / "odd"
    root.mkdir()
    for name in ODD:
        path = root / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no photo")
    result = run("align", root, tmp_path / "out", "--workers", 1)
    assert result.exit_code == 1
    told = [line for line in result.stderr.splitlines() if line.startswith("failed")]
    assert len(told) == len(ODD)
    assert "\x1b]" not in result.output and "\u202e" not in result.output


def test_control_characters_are_shown_not_obeyed() -> None:
    assert printable("a\x1b[2J\u202eb\udcffü\n漢") == "a\\x1b[2J\\u202eb\\udcffü\n漢"


def test_links_are_no_way_out(tmp_path: Path, photos: Path, run: Run) -> None:
    source, secret = tmp_path / "source", tmp_path / "secret"
    (source / "deep").mkdir(parents=True)
    secret.mkdir()
    (secret / "b.jpg").write_bytes((photos / "ann" / "0.jpg").read_bytes())
    (source / "up").symlink_to(source)
    (source / "deep" / "elsewhere").symlink_to(secret)
    (source / "round.jpg").symlink_to(source / "round.jpg")
    (source / "dead.jpg").symlink_to(source / "nowhere")
    (source / "device.jpg").symlink_to("/dev/zero")
    os.mkfifo(source / "pipe.jpg")
    (source / "piped.jpg").symlink_to(source / "pipe.jpg")
    before = tree(secret)
    assert run("align", source, tmp_path / "out", "--workers", 1).exit_code == 1
    rows = {row.input: row.reason for row in read_ledger(tmp_path / "out")}
    assert rows.keys() == {"round.jpg", "dead.jpg", "device.jpg", "piped.jpg"}
    assert all(reason.startswith("unreadable: ") for reason in rows.values())
    assert tree(secret) == before


def test_a_link_in_out_is_not_written_through(tmp_path: Path, photos: Path, run: Run) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "ann").symlink_to(elsewhere)
    result = run("align", photos, out)
    assert result.exit_code == 2 and "is a link to another place" in result.stderr.replace("\n", " ")
    assert not tree(elsewhere)


def test_a_link_in_place_of_an_output_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "a.jpg").symlink_to(tmp_path / "victim")
    write_atomic(tmp_path / "a.jpg", b"new")
    assert (tmp_path / "a.jpg").read_bytes() == b"new" and not (tmp_path / "a.jpg").is_symlink()
    (tmp_path / ".b.jpg.part").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        write_atomic(tmp_path / "b.jpg", b"new")
    assert (tmp_path / "victim").read_text() == "mine"


@pytest.mark.parametrize("path", ["../victim.jpg", "/tmp/victim.jpg", "a/../../victim.jpg", "", "a\0b.jpg"])
def test_a_ledger_cannot_have_files_outside_removed(path: str, tmp_path: Path, photos: Path) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim.jpg"
    victim.write_bytes(b"mine")
    out.mkdir()
    path = path.replace("/tmp", str(tmp_path))
    row = {"input": "ann/0.jpg", "status": "written", "outputs": [path], "settings": "old"}
    (out / "ledger.jsonl").write_text(json.dumps(row) + "\n")
    assert not read_ledger(out)
    done = [Outcome(input="ann/0.jpg", status="written", outputs=["ann/0.jpg"])]
    list(run_bulk(plan_photos(photos, out), lambda jobs: iter(done), "new", overwrite=False))
    assert victim.read_bytes() == b"mine"


@pytest.mark.parametrize("path", ["coffee.jpg/x.png", "folder.jpg", "link/victim.jpg"])
def test_an_output_of_before_that_is_no_file_of_out_is_left_alone(path: str, tmp_path: Path, photos: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (out / "folder.jpg").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "victim.jpg").write_bytes(b"mine")
    (out / "link").symlink_to(elsewhere)
    (out / "coffee.jpg").write_bytes(b"in place of a folder")
    row = {"input": "coffee.png", "status": "written", "outputs": [path], "settings": "old"}
    (out / "ledger.jsonl").write_text(json.dumps(row) + "\n")
    done = [Outcome(input="coffee.png", status="written", outputs=["coffee.jpg"])]
    [new] = run_bulk(plan_photos(photos, out), lambda jobs: iter(done), "new", overwrite=False)
    assert new == done[0]
    assert (elsewhere / "victim.jpg").read_bytes() == b"mine" and (out / "folder.jpg").is_dir()


@pytest.mark.parametrize(
    ("named", "folder"),
    [
        ("../up", "-up"),
        ("/etc/x", "-etc-x"),
        ("..", "-"),
        ("a/../../b", "a-..-..-b"),
        ("nul\0", "nul-"),
        (".hid", "hid"),
    ],
)
def test_a_table_of_subjects_names_no_folder_outside(named: str, folder: str, tmp_path: Path) -> None:
    table = tmp_path / "who.csv"
    table.write_text(f"file,subject\na.jpg,{named}\n/abs/b.jpg,x\nshort\n", encoding="utf-8")
    assert subject_rule(str(table))("a.jpg") == folder.lstrip(".")


def test_names_that_differ_in_case_alone_collide_where_the_disk_is_blind_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A.jpg", "a.jpg", "é.jpg", "e\u0301.jpg", "b.jpg"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()

    def work(jobs: list[Job]) -> list[Outcome]:
        return [Outcome(input=job.input, status="written") for job in jobs]

    plan = plan_photos(tmp_path / "in", tmp_path / "out")
    seeing = [row.status for row in run_bulk(plan, lambda jobs: iter(work(list(jobs))), "", overwrite=True)]
    assert seeing == ["written"] * 5
    monkeypatch.setattr("pipelines.runtime.run._is_case_insensitive", lambda ledger: True)
    blind = {row.input: row.reason for row in run_bulk(plan, lambda jobs: iter(work(list(jobs))), "", overwrite=True)}
    assert [name for name, reason in blind.items() if not reason] == ["b.jpg"]
    assert blind["A.jpg"] == "collision: on this disk the same output as a.jpg; rename one of them"


def test_another_run_on_the_same_folder_is_refused(tmp_path: Path, photos: Path, run: Run) -> None:
    with Ledger(tmp_path / "out"):
        result = run("align", photos, tmp_path / "out")
    assert result.exit_code == 2 and "another run is writing here" in result.stderr.replace("\n", " ")
    with pytest.raises(ConfigError, match="another run"), Ledger(tmp_path / "out"), Ledger(tmp_path / "out"):
        pass
