"""What is written is whole or not there, and of two that write one file one wins."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aecodec import output
from aecodec.errors import OutputExists, OutputUnwritable


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    output._sweep.cache_clear()
    return tmp_path


def test_of_two_that_write_one_file_one_wins(monkeypatch):
    both, fsync = threading.Barrier(2), os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (both.wait(10), fsync(file)))  # all is written but the name
    ends = []

    def write(data: bytes) -> None:
        try:
            output.write("out.aec", data, replace=False)
            ends.append(data)
        except OutputExists as refusal:
            ends.append(str(refusal))

    threads = [threading.Thread(target=write, args=(data,)) for data in (b"one", b"two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [end for end in ends if isinstance(end, bytes)]
    (loser,) = [end for end in ends if isinstance(end, str)]
    assert Path("out.aec").read_bytes() == winner and loser.startswith("out.aec: the file exists: ")
    assert os.listdir() == ["out.aec"]


def test_where_there_are_no_hard_links_nothing_is_replaced_either(monkeypatch):
    def refuse(*names):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    output.write("out.aec", b"one", replace=False)
    with pytest.raises(OutputExists):
        output.write("out.aec", b"two", replace=False)
    assert Path("out.aec").read_bytes() == b"one" and os.listdir() == ["out.aec"]


def test_without_that_wish_the_last_one_wins():
    output.write("out.aec", b"one")
    output.write("out.aec", b"two")
    assert Path("out.aec").read_bytes() == b"two" and os.listdir() == ["out.aec"]


KILLED = """
import os, signal
from aecodec import output
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
output.write("killed.aec", b"half")
"""


@pytest.mark.skipif(output.fcntl is None, reason="there are no locks")
def test_what_a_killed_process_has_left_is_removed_by_the_next_one():
    subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert [Path(name).suffix for name in os.listdir()] == [".part"]
    Path(".aec-mine.part").touch()  # not of ours: its name is of another kind
    output.write("out.aec", b"whole")
    assert sorted(os.listdir()) == [".aec-mine.part", "out.aec"]


@pytest.mark.skipif(output.fcntl is None, reason="there are no locks")
def test_what_a_living_process_is_writing_stays(folder):
    with output._part(folder) as (part, file):
        output.write("out.aec", b"whole")
        assert part.exists()
    assert os.listdir() == ["out.aec"]


def test_a_part_that_was_swept_away_too_early_is_made_anew(folder, monkeypatch):
    lock, stolen = output._lock, []

    def steal(file, wait=True):
        if not stolen:
            stolen.append(os.unlink(file.name))
        return lock(file, wait)

    monkeypatch.setattr(output, "_lock", steal)
    output.write("out.aec", b"whole", replace=False)
    assert stolen and Path("out.aec").read_bytes() == b"whole" and os.listdir() == ["out.aec"]


def test_a_folder_is_no_file():
    os.mkdir("folder")
    with pytest.raises(OutputUnwritable, match="folder: this is a folder: write into it with -O folder"):
        output.check_output("x.png", "folder", force=False)
    with pytest.raises(OutputUnwritable, match="no such folder: make and fill it with -O new/"):
        output.check_output("x.png", "new/", force=True)


def test_a_name_of_255_bytes_is_written():
    name = "x" * 251 + ".aec"
    output.write(name, b"whole", replace=False)
    assert os.listdir() == [name]
