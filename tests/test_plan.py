"""What `aec` plans to do with many files: pure functions, for which no file is read."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest

from aecodec.cli import options
from aecodec.cli.many.plan import AEC_FILES, Kind, make_plan
from aecodec.cli.options import Batch
from aecodec.errors import InputMissing, OutputUnwritable
from aecodec.picture import opening

PICTURES = Kind("pictures", lambda: frozenset([".png", ".jpg"]))
RECURSIVE = Batch(recursive=True)


def renamed(path: str) -> str:
    return str(Path(path).with_suffix(".aec"))


@pytest.fixture(autouse=True)
def tree(tmp_path, monkeypatch):
    """The working directory: a tree of empty files."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/b.png", "in/a.jpg", "in/notes.txt", "in/.hidden.png", "in/sub/c.PNG", "in/.git/d.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def plan(*sources: str, batch: Batch = RECURSIVE):
    return make_plan(sources, batch, PICTURES, renamed)


def pairs(found) -> dict[str, str | None]:
    return {job.source: job.target for job in found.jobs}


def test_a_folder_is_mirrored():
    found = plan("in", batch=replace(RECURSIVE, folder="out"))
    assert pairs(found) == {
        "in/a.jpg": "out/a.aec",
        "in/b.png": "out/b.aec",
        "in/sub/c.PNG": "out/sub/c.aec",
    }
    assert found.passed_by == {"hidden": 2, "not pictures": 1}
    assert not Path("out").exists()


def test_outputs_are_beside_the_inputs_without_an_output_folder():
    assert pairs(plan("in"))["in/sub/c.PNG"] == "in/sub/c.aec"
    assert pairs(plan("in/b.png")) == {"in/b.png": "in/b.aec"}


def test_only_one_file_by_its_name_is_not_many():
    assert not plan("in/b.png").many and not plan("-").many
    for sources, batch in (
        (("in/a.jpg", "in/b.png"), RECURSIVE),
        (("in/b*",), RECURSIVE),
        (("in/sub",), RECURSIVE),
        (("in/b.png",), Batch(folder="out")),
    ):
        assert plan(*sources, batch=batch).many


def test_a_file_that_is_named_is_taken_whatever_its_ending_and_once():
    assert list(pairs(plan("in/notes.txt"))) == ["in/notes.txt"]
    assert list(pairs(plan("in/b.png", "./in/b.png", os.path.abspath("in/b.png")))) == ["in/b.png"]


def test_patterns_are_expanded_and_keep_the_tree_below_them():
    found = plan("in/**/*.[pP]*", batch=Batch(folder="out"))
    assert pairs(found) == {"in/b.png": "out/b.aec", "in/sub/c.PNG": "out/sub/c.aec"}
    Path("in/[1].png").touch()
    assert list(pairs(plan("in/[1].png"))) == ["in/[1].png"]
    (job,) = plan("in/*.webp").jobs
    assert (job.source, job.fault) == ("in/*.webp", None)  # missing, as reading it will say


def test_links():
    os.symlink("..", "in/sub/up")
    os.symlink("../../in/b.png", "in/sub/link.png")
    os.symlink("nowhere.png", "in/broken.png")
    found = plan("in", batch=replace(RECURSIVE, folder="out"))
    assert {"in/sub/link.png", "in/broken.png"} < set(pairs(found)) and len(found.jobs) == 5
    assert found.passed_by["links to folders"] == 1


def test_what_is_no_file_is_passed_by():
    os.mkfifo("in/pipe.png")
    assert plan("in").passed_by["not files"] == 1


def test_the_output_folder_is_not_searched():
    Path("in/out").mkdir()
    Path("in/out/e.png").touch()
    assert "in/out/e.png" in pairs(plan("in"))
    for folder in ("in/out", "in/../in/out/"):
        assert "in/out/e.png" not in pairs(plan("in", batch=replace(RECURSIVE, folder=folder)))


def test_a_folder_needs_r_and_does_not_stop_the_rest():
    folder, picture = plan("in", "in/b.png", batch=Batch()).jobs
    assert isinstance(folder.fault, InputMissing) and "give -r" in str(folder.fault)
    assert picture.fault is None


def test_a_folder_that_may_not_be_read_is_a_fault_of_its_own(monkeypatch):
    scandir = os.scandir

    def deny(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)  # root may read everything
    found = plan("in")
    assert [str(job.fault) for job in found.jobs if job.fault] == [
        "in/sub: permission denied: name a folder that can be read"
    ]
    assert len(found.jobs) == 3


def test_an_empty_folder_is_said():
    Path("empty").mkdir()
    Path("empty/x.txt").touch()
    with pytest.raises(InputMissing, match=r"empty: there are no pictures in it \(not pictures \(1\)\)"):
        plan("empty")


def test_shards_are_the_whole_and_do_not_depend_on_what_is_done():
    everything = pairs(plan("in"))
    parts = [pairs(plan("in", batch=replace(RECURSIVE, shard=(i, 2)))) for i in (1, 2)]
    assert [len(part) for part in parts] == [2, 1] and parts[0] | parts[1] == everything
    Path("in/a.aec").touch()
    skipping = [plan("in", batch=replace(RECURSIVE, shard=(i, 2), skip_existing=True)) for i in (1, 2)]
    assert [found.skipped for found in skipping] == [1, 0]
    assert pairs(skipping[0]) == {"in/sub/c.PNG": "in/sub/c.aec"} and pairs(skipping[1]) == parts[1]
    assert plan("in/b.png", batch=Batch(shard=(2, 2))).jobs == []


def test_shards_are_the_same_from_wherever_they_are_seen(monkeypatch):
    def shard():
        jobs = plan(os.path.relpath(tree), batch=replace(RECURSIVE, shard=(1, 2), folder="out")).jobs
        return [job.relative for job in jobs]

    tree = os.path.abspath("in")
    first = shard()
    monkeypatch.chdir("in/sub")
    assert shard() == first


@pytest.mark.parametrize("others", [(), ("out",)])
def test_two_inputs_with_one_output_are_named(others):
    Path("in/a.png").touch()
    with pytest.raises(click.UsageError, match="a.aec: in/a.jpg and in/a.png would both become this file"):
        plan("in", batch=Batch(recursive=True, folder=others[0] if others else None))


def test_an_output_must_not_be_the_input_of_another():
    Path("b.aec").touch()
    with pytest.raises(click.UsageError, match="b.aec: in/b.png would overwrite this, another input"):
        names = {"b.png": "b.aec", "b.aec": "x.aec"}
        make_plan(("in/b.png", "b.aec"), Batch(folder="."), PICTURES, names.__getitem__)


@pytest.mark.parametrize(
    ("sources", "batch", "words"),
    [
        (("-", "in/b.png"), Batch(), "give it alone"),
        (("",), Batch(), "is empty"),
        (("in/b.png",), Batch(""), "is empty"),
        (("-",), Batch(folder="out"), "use -o"),
        (("in/b.png",), Batch("x.aec", "out"), "only one of them"),
        (("in/b.png", "in/a.jpg"), Batch("x.aec"), "-O FOLDER"),
        (("in",), Batch("x.aec", recursive=True), "-O FOLDER"),
        (("in/b.png",), Batch("-", as_json=True), "--json"),
        (("-",), Batch(as_json=True), "--json"),
        (("in/b.png",), Batch(skip_existing=True, force=True), "--skip-existing"),
    ],
)
def test_options_that_do_not_go_together(sources, batch, words):
    with pytest.raises(click.UsageError, match=words):
        plan(*sources, batch=batch)


def test_json_and_standard_input_go_together_where_nothing_is_written():
    assert make_plan(("-",), Batch(as_json=True), AEC_FILES).jobs[0].target is None


def test_an_output_folder_that_cannot_be(monkeypatch):
    with pytest.raises(OutputUnwritable, match="there is no folder"):
        plan("in", batch=replace(RECURSIVE, folder="in/notes.txt/out"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(OutputUnwritable, match="out/deep: the folder .* may not be written to"):
        plan("in", batch=replace(RECURSIVE, folder="out/deep"))


def test_a_plan_needs_no_torch():
    code = """
import sys
from aecodec.cli.many.plan import *
make_plan(["in"], Batch(recursive=True), Kind("x", lambda: frozenset([".png"])), str.upper)
print({"torch", "numpy", "PIL"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_readable_endings_are_those_of_pictures():
    endings = opening.readable_endings()
    assert {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".bmp", ".gif", ".ppm"} < endings
    assert not {".aec", ".pdf", ".mpg", ".eps", ".txt", ".h5", ""} & endings


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("200", 200),
        ("200B", 200),
        ("200KB", 200_000),
        ("200 kb", 200_000),
        ("1.5KiB", 1536),
        (".5MB", 500_000),
        ("2MiB", 2 << 20),
    ],
)
def test_sizes(text, count):
    assert options.size(text) == count


@pytest.mark.parametrize(
    "text", ["", "KB", "0", "-1", "-1KB", "0.1B", "1e3", "5 apples", "1GB2", "nan", "9" * 400]
)
def test_what_is_no_size(text):
    with pytest.raises(click.BadParameter, match="no size"):
        options.size(text)


def test_numbers_above_nought():
    assert options.positive("dB")("38.5") == 38.5
    for text in ("-1", "0", "nan", "inf", "high"):
        with pytest.raises(click.BadParameter, match=f"{text} dB cannot be: give a number above 0"):
            options.positive("dB")(text)


def test_regions_and_shards():
    assert options.region("0,1,20,30") == (0, 1, 20, 30)
    assert options.shard("1/1") == (1, 1) and options.shard("7/8") == (7, 8)
    for text in ("", "1,2,3", "1,2,3,4,5", "-1,0,5,5", "0,0,0,5", "0,0,5,0", "a,b,c,d", "1.5,0,1,1"):
        with pytest.raises(click.BadParameter, match="no region"):
            options.region(text)
    for text in ("", "0/3", "4/3", "3", "1/0", "a/b", "-1/3"):
        with pytest.raises(click.BadParameter, match="no shard"):
            options.shard(text)
