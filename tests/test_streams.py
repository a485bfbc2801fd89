"""Standard streams that are full, closed, slow or gone: all bytes arrive, or there is an error."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from samples import TINY

from aecodec import errors
from aecodec.cli import streams

SIZE = 1_000_000
# A codec that needs no torch: each picture takes SIZE bytes.
QUICK = f"""
import sys, types
sys.modules["aecodec.codec"] = types.SimpleNamespace(Codec=lambda *args, **options: types.SimpleNamespace(
    compress=lambda *args, **options: bytes({SIZE}), device="cpu"))
from aecodec.cli import main
main()
"""
FULL, CLOSED = errors.OutputUnwritable.exit_code, "standard output: it is closed"
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AECODEC_MODELS", str(TINY.parent))
    Image.new("RGB", (8, 8)).save("dot.png")
    return tmp_path


def start(*args: str, **options) -> subprocess.Popen:
    settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | options.pop("env", {})
    return subprocess.Popen([sys.executable, "-c", QUICK, *args], env=environment, **(settings | options))


def run(*args: str, **options) -> tuple[int, str]:
    process = start(*args, **options)
    said = process.communicate(timeout=60)[1]
    return process.returncode, (said or b"").decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("env", [{}, UNBUFFERED], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["info", "--help"], ["models"], ["compress", "dot.png", "-o", "-"]]
)
def test_a_full_standard_output_is_an_error_of_its_own(folder, args, env):
    with open("/dev/full", "wb") as full:
        code, said = run(*args, stdout=full, env=env)
    assert (code, said) == (FULL, "aec: standard output: no space left on device: free some space\n")


@pytest.mark.parametrize("args", [["--help"], ["models"], ["compress", "dot.png", "-o", "-"]])
def test_a_closed_standard_output_is_said(folder, args):
    code, said = run(*args, stdout=None, preexec_fn=lambda: os.close(1))
    assert (code, said) == (FULL, f"aec: {CLOSED}: name a file with -o\n")


def test_streams_that_are_closed_and_not_needed_do_not_matter(folder):
    def close():
        for number in range(3):
            os.close(number)

    code, _ = run("compress", "dot.png", stdin=None, stdout=None, stderr=None, preexec_fn=close)
    assert code == errors.NotAec.exit_code  # what the codec above gives is none
    assert Path("dot.aec").read_bytes() == bytes(SIZE)  # nothing else was written into it


def test_a_closed_standard_input_is_missing(folder):
    for args in (["compress", "-", "-o", "x.aec"], ["info", "-"]):
        code, said = run(*args, stdin=None, preexec_fn=lambda: os.close(0))
        assert code == errors.InputMissing.exit_code
        assert said == "aec: standard input: it is closed: name a file, or send one into the program\n"


def test_messages_that_cannot_be_written_leave_the_exit_code(folder):
    with open("/dev/full", "wb") as full:
        assert run("info", "nowhere.aec", stderr=full)[0] == errors.InputMissing.exit_code
    assert run("info", "nowhere.aec", stderr=None, preexec_fn=lambda: os.close(2))[0] == 3


def test_a_reader_that_goes_away_is_no_fault(folder):
    writing = ["compress", "dot.png", "-o", "-"]
    for args, env in ((writing, {}), (writing, UNBUFFERED), (["--help"], {}), (["bench", "--help"], {})):
        process = start(*args, env=env)
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == (b"", 141)


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, SIZE // 2))


@pytest.mark.parametrize("env", [{}, UNBUFFERED], ids=["buffered", "unbuffered"])
def test_an_output_that_is_cut_short_is_an_error(folder, env):
    with open("out", "wb") as out:
        code, said = run("compress", "dot.png", "-o", "-", stdout=out, env=env, preexec_fn=limit)
    assert code == FULL and said.startswith("aec: standard output: file too large")


@pytest.mark.parametrize("env", [{}, UNBUFFERED], ids=["buffered", "unbuffered"])
def test_a_pipe_that_takes_a_part_at_a_time_gets_all(folder, env):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # as a parent may leave it
    process = start("compress", "dot.png", "-o", "-", stdout=writing, env=env)
    os.close(writing)
    received = 0
    while part := os.read(reading, 50_000):
        received += len(part)
        time.sleep(0.001)
    os.close(reading)
    assert received == SIZE and b"fault" not in process.communicate()[1]


def test_names_cannot_break_a_message():
    assert streams.one_line("no\nsuch\x1b[31m file é €") == r"no\nsuch\x1b[31m file é €"


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_a_message_about_a_strange_name_is_one_line(folder):
    for name in ("two\nlines.png", "esc\x1b[2J.png", os.fsdecode(b"\xff\n.png")):
        code, said = run("compress", f"{name}")
        assert code == errors.InputMissing.exit_code and said.count("\n") == 1 and "\x1b" not in said
    code, said = run("compress", "a\nb.png", "a\nb.jpg", "-O", "x")
    assert code == 2 and r"a\nb.jpg and a\nb.png would both become" in said
