"""`aec compress` and `aec decompress` on many files, as a user runs them."""

import json
import os
import pty
import resource
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from aecodec import codec, errors
from aecodec.cli import aec, faults
from aecodec.cli.many import batch, work
from aecodec.file import container

ROOT = Path(__file__).parent.parent
NAMES = ("a.png", "deep/b.png", "deep/er/c.jpg")


@pytest.fixture(scope="module")
def pieces() -> list[Image.Image]:
    with Image.open(ROOT / "examples" / "photo.png") as photo:
        return [photo.crop((x, 100, x + 48, 132)) for x in (100, 200, 300)]


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_model, pieces) -> Path:
    """The working directory: three pictures of different age in `in`, and a model that is found by its id."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AECODEC_MODELS", str(tiny_model.parent))
    for days, (name, piece) in enumerate(zip(NAMES, pieces, strict=True)):
        path = Path("in", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        piece.save(path)
        os.utime(path, (10**9, 10**9 + days * 86400.5))
    return tmp_path


@pytest.fixture
def run(folder):
    """Run `aec` in this process, by default with one job and the tiny model; give the result."""

    def run(*args: str):
        jobs = () if "--jobs" in args or args[0] == "verify" else ("--jobs", "1")
        model = ("--model", "tiny") if args[0] == "compress" and "--model" not in args else ()
        return CliRunner().invoke(aec, [*args, *jobs, *model], prog_name="aec")

    return run


def done(result) -> str:
    assert result.exit_code == 0, result.stderr
    return result.stderr


def tree(folder: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def seconds(name: str) -> int:
    return os.stat(name).st_mtime_ns


# Trees


def test_a_tree_there_and_back_in_processes_is_what_one_file_at_a_time_gives(run):
    said = done(run("compress", "in", "-r", "-O", "out/aec", "--jobs", "2"))
    assert said.startswith("aec: 3 of 3 files compressed; 0.0") and said.count("\n") == 1
    assert " MB to 0.00 MB, ratio " in said and " files a second" in said
    assert tree("out/aec") == ["a.aec", "deep/b.aec", "deep/er/c.aec"]
    for name in NAMES:
        output = "out/aec/" + name[:-4] + ".aec"
        assert seconds(output) == seconds(f"in/{name}")
        done(run("compress", f"in/{name}", "-o", "one.aec", "-f"))
        assert Path("one.aec").read_bytes() == Path(output).read_bytes()
    assert done(run("decompress", "out/aec", "-r", "-O", "back")).startswith("aec: 3 of 3 files decompressed")
    assert tree("back") == ["a.png", "deep/b.png", "deep/er/c.png"]
    assert seconds("back/deep/b.png") == seconds("in/deep/b.png")
    assert Image.open("back/a.png").size == (48, 32)


def test_several_files_and_a_pattern_beside_the_inputs(run):
    done(run("compress", "in/a.png", "in/deep/b.png"))
    done(run("compress", "in/**/*.jpg"))
    assert tree("in") == sorted([*NAMES, "a.aec", "deep/b.aec", "deep/er/c.aec"])
    done(run("decompress", "in/*.aec", "in/deep", "-r", "--format", "webp"))
    assert [name for name in tree("in") if name.endswith(".webp")] == [
        "a.aec.webp",
        "deep/b.aec.webp",
        "deep/er/c.aec.webp",
    ]


def test_one_file_keeps_the_time_of_its_making_and_has_no_summary(run):
    assert done(run("compress", "in/a.png")) == ""
    assert seconds("in/a.aec") > seconds("in/a.png") + 10**9


def test_format_of_one_file_and_of_standard_output(run):
    done(run("compress", "in/a.png", "-o", "a.aec"))
    done(run("decompress", "a.aec", "--format", ".JPG"))
    assert Image.open("a.aec.jpg").format == "JPEG"
    assert run("decompress", "a.aec", "-o", "-", "--format", "webp").stdout_bytes[8:12] == b"WEBP"
    result = run("decompress", "a.aec", "--format", "xyz")
    assert result.exit_code == 2 and "Pillow writes no format 'xyz'" in result.stderr
    assert run("decompress", "a.aec", "-o", "a.png", "--format", "png").exit_code == 2


def test_skip_existing_and_shards_resume(run):
    first = run("compress", "in", "-r", "-O", "out", "--shard", "1/2")
    assert done(first).startswith("aec: 2 of 2 files compressed")
    before = seconds("out/a.aec"), os.stat("out/a.aec").st_ino
    said = done(run("compress", "in", "-r", "-O", "out", "--skip-existing"))
    assert said.startswith("aec: 1 of 1 files compressed") and "2 skipped, their outputs exist" in said
    assert (seconds("out/a.aec"), os.stat("out/a.aec").st_ino) == before
    assert done(run("compress", "in", "-r", "-O", "out", "--skip-existing")).startswith("aec: 0 of 0 files")


def test_existing_outputs_need_force(run):
    done(run("compress", "in", "-r", "-O", "out"))
    result = run("compress", "in", "-r", "-O", "out")
    assert result.exit_code == errors.OutputExists.exit_code
    assert result.stderr.count("--skip-existing") == 3
    done(run("compress", "in", "-r", "-O", "out", "-f"))


# What goes wrong


def test_a_bad_file_is_reported_and_the_rest_goes_on(run):
    Path("in/deep/aa.png").write_text("no picture")
    result = run("compress", "in", "-r", "-O", "out", "--jobs", "2")
    assert result.exit_code == errors.NotAnImage.exit_code
    assert "aec: in/deep/aa.png: this is no picture" in result.stderr
    assert "aec: 3 of 4 files compressed; " in result.stderr and "; 1 failed" in result.stderr
    assert tree("out") == ["a.aec", "deep/b.aec", "deep/er/c.aec"]


def test_failures_of_several_kinds_have_a_code_of_their_own(run):
    Path("in/deep/aa.png").write_text("no picture")
    os.symlink("nowhere.png", "in/broken.png")
    os.symlink("round.png", "in/round.png")
    result = run("compress", "in", "-r", "-O", "out")
    assert result.exit_code == errors.SomeFailed.exit_code
    assert "aec: in/broken.png: no such file" in result.stderr
    assert "aec: in/round.png: too many levels of symbolic links" in result.stderr
    assert len(tree("out")) == 3 and "; 3 failed" in result.stderr


def test_a_folder_without_r_names_it(run):
    for args in (
        ["compress", "in"],
        ["compress", ".", "-o", "x.aec"],
        ["decompress", "in"],
        ["verify", "in"],
    ):
        result = run(*args)
        assert result.exit_code == errors.InputMissing.exit_code
        assert ": this is a folder: give -r to take the " in result.stderr and result.stderr.count("\n") == 1


def test_two_inputs_with_one_output_are_refused_before_any_work(run, pieces):
    pieces[0].save("in/deep/b.jpg")
    result = run("compress", "in", "-r", "-O", "out")
    assert result.exit_code == 2
    assert "out/deep/b.aec: in/deep/b.jpg and in/deep/b.png would both become" in result.stderr
    assert not Path("out").exists()


def test_what_every_file_would_meet_is_said_once(run):
    for args, error in (
        (["--model", "nobody"], errors.UnknownModel),
        (["-q", "101"], errors.BadQuality),
        (["-q", "101", "--jobs", "2"], errors.BadQuality),
    ):
        result = run("compress", "in", "-r", "-O", "out", *args)
        assert result.exit_code == error.exit_code
        assert sum("of 3 files" not in line for line in result.stderr.splitlines()) == 1
        assert not Path("out").exists()


def test_a_full_disk_stops_the_run_and_what_is_finished_stays(run):
    Path("out/deep").mkdir(parents=True)
    os.symlink("/dev/full", "out/deep/b.aec")
    result = run("compress", "in", "-r", "-O", "out", "-f")
    assert result.exit_code == errors.OutputUnwritable.exit_code
    assert "aec: out/deep/b.aec: no space left on device: free some space\n" in result.stderr
    assert "aec: 1 of 3 files compressed; " in result.stderr and "; 1 failed; 1 not done" in result.stderr
    assert tree("out") == ["a.aec"] and Path("out/a.aec").read_bytes().startswith(container.MAGIC)


def test_a_file_that_is_too_large_for_the_file_system_does_not_stop_the_run(run):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))  # bytes
    try:
        result = run("compress", "in", "-r", "-O", "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.exit_code == errors.OutputUnwritable.exit_code
    assert result.stderr.count(": file too large: ") == 3 and tree("out") == []


def test_an_output_folder_that_may_not_be_written_to_is_said_once(run, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    result = run("compress", "in", "-r", "-O", "out")
    assert result.exit_code == errors.OutputUnwritable.exit_code
    assert result.stderr.startswith("aec: out: the folder ") and result.stderr.count("\n") == 1


def test_a_fault_of_ours_names_the_file_and_the_rest_goes_on(run, monkeypatch):
    compress = codec.Codec.compress

    def fail(self, picture, *args, **options):
        if np.array_equal(picture.pixels, np.asarray(Image.open("in/a.png"))):
            raise ZeroDivisionError("division by zero")
        return compress(self, picture, *args, **options)

    monkeypatch.setattr(codec.Codec, "compress", fail)
    result = run("compress", "in", "-r", "-O", "out")
    assert result.exit_code == 1 and len(tree("out")) == 2
    assert "aec: in/a.png: a fault in aecodec, please report it: ZeroDivisionError" in result.stderr


class Deadly(work.Work):
    """Dies of the files whose names say so."""

    done = "survived"

    def read(self, job, outcome):
        if job.source.startswith("9"):
            os.kill(os.getpid(), int(job.source))

    def convert(self, items):
        return items

    def write(self, job, outcome, item, made):
        outcome.bytes_in = os.getpid()


def test_a_process_that_dies_loses_its_file_alone():
    jobs = [batch.Job(name, name) for name in ("9", "a", "b", "9.", "c")]
    jobs[3] = batch.Job("9", "x")
    outcomes = list(batch.run(Deadly(model=None, device="cpu"), jobs, 2))
    assert sorted(outcome.file for outcome in outcomes if not outcome.failure) == ["a", "b", "c"]
    lost = [outcome.failure for outcome in outcomes if outcome.failure]
    assert [failure.exit_code for failure in lost] == [errors.TooLarge.exit_code] * 2
    assert lost[0].message.startswith(
        "9: the process that worked on it was killed, perhaps for want of memory"
    )


# For programs


def test_json_has_a_line_for_each_file(run):
    Path("in/deep/aa.png").write_text("no picture")
    result = run("compress", "in", "-r", "-O", "out", "-q", "60", "--json")
    first, bad, *rest = map(json.loads, result.stdout.splitlines())
    assert len(rest) == 2
    size = Path("out/a.aec").stat().st_size
    assert first.pop("seconds") > 0 and first.pop("level") > 0
    assert first.pop("bpp") == pytest.approx(8 * size / (48 * 32), abs=1e-6)
    assert first == {
        "file": "in/a.png",
        "output": "out/a.aec",
        "bytes_in": Path("in/a.png").stat().st_size,
        "bytes_out": size,
        "width": 48,
        "height": 32,
        "quality": 60,
        "warnings": [],
        "error": None,
    }
    assert (bad["file"], bad["bytes_out"]) == ("in/deep/aa.png", None)
    assert (bad["error"]["class"], bad["error"]["exit_code"]) == ("NotAnImage", errors.NotAnImage.exit_code)
    assert bad["error"]["message"].startswith("in/deep/aa.png: ")


def test_json_of_one_file_with_a_warning_and_of_decompression(run, pieces):
    pieces[0].save("note.jpg", comment=b"a note")
    result = run("compress", "note.jpg", "--json")
    (line,) = map(json.loads, result.stdout.splitlines())
    assert line["warnings"] == ["note.jpg: note: the .aec file leaves out a comment"]
    assert result.stderr == "aec: note.jpg: note: the .aec file leaves out a comment\n"
    (line,) = map(json.loads, run("decompress", "note.aec", "--json").stdout.splitlines())
    assert (line["output"], line["width"], line["error"]) == ("note.aec.png", 48, None)
    result = run("decompress", "nowhere.aec", "--json")
    assert json.loads(result.stdout)["error"]["class"] == "InputMissing"
    assert result.exit_code == errors.InputMissing.exit_code


def test_json_and_the_output_do_not_share_standard_output(run):
    result = run("compress", "in/a.png", "-o", "-", "--json")
    assert result.exit_code == 2 and not result.stdout


@pytest.mark.parametrize(
    "args",
    [
        ("--target-size", "20KB", "--bpp", "1"),
        ("--psnr", "38", "-q", "75"),
        ("--bpp", "-1"),
        ("--psnr", "nan"),
        ("--target-size", "much"),
        ("--shard", "3/2"),
        ("--jobs", "0"),
        ("--frame", "-1"),
    ],
)
def test_wrong_options_end_with_2(run, args):
    result = run("compress", "in/a.png", *args)
    assert result.exit_code == 2 and "Error: " in result.stderr and not Path("in/a.aec").exists()


def test_a_region_that_is_none_ends_with_2(run):
    for args in (["--region", "1,2,3"], ["--region", "0,0,8,8", "--salvage"]):
        assert run("decompress", "in/a.aec", *args).exit_code == 2


def test_the_shell_can_complete(folder):
    def complete(shell: str, **words: str) -> str:
        environment = os.environ | {"_AEC_COMPLETE": shell, **words}
        code = "from aecodec.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        return done.stdout

    for shell in ("bash", "zsh", "fish"):
        assert "_AEC_COMPLETE=" in complete(f"{shell}_source")
    assert "decompress" in complete("bash_complete", COMP_WORDS="aec de", COMP_CWORD="1")
    assert "--target-size" in complete("bash_complete", COMP_WORDS="aec compress --ta", COMP_CWORD="2")
    assert "file," in complete("bash_complete", COMP_WORDS="aec compress x", COMP_CWORD="2")


def test_a_terminal_gets_a_progress_bar(folder):
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 120))
    code = "from aecodec.cli import main; main()"
    args = ["compress", "in", "-r", "-O", "out", "--jobs", "1", "--model", "tiny"]
    process = subprocess.Popen([sys.executable, "-c", code, *args], stderr=slave)
    os.close(slave)
    said = b""
    try:
        while part := os.read(master, 4096):
            said += part
    except OSError:  # how a terminal ends
        pass
    assert process.wait(20) == 0
    for words in (
        b"3 of 3 files, ",
        b" MB to ",
        b"ratio ",
        b" files/s",
        b" left",
        b"3 of 3 files compressed",
    ):
        assert words in said, said


# Ctrl-C

SLOW = """
import os, time
from aecodec.cli.many import batch
from aecodec.cli import compress, main

class Slow(compress.Compression):
    def write(self, job, *rest):
        if job.source != "in/a.png":
            os.fsync = lambda file: time.sleep(60)  # hangs with a file half written
        super().write(job, *rest)

compress.Compression = Slow
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(("number", "group"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_signals_leave_finished_files_and_no_process(folder, tmp_path, number, group):
    Path("slow.py").write_text(SLOW)
    args = ["compress", "in", "-r", "-O", "out", "--jobs", "2", "--model", "tiny"]
    process = subprocess.Popen(
        [sys.executable, "slow.py", *args], stderr=subprocess.PIPE, start_new_session=True, text=True
    )
    deadline = time.monotonic() + 60
    while not (Path("out/a.aec").exists() and len(list(Path("out").rglob(".aec-*"))) == 2):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if group:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert said.startswith("aec: 1 of 3 files compressed; ") and "; 2 not done\naec: " in said
    assert said.count("\n") == 2
    assert [path.name for path in Path("out").rglob("*") if path.is_file()] == ["a.aec"]
    while running(process.pid):  # Python's own helper ends a moment after the process that it helps
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(group: int) -> list[str]:
    """The processes of a group that are not zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state != "Z":
            found.append(stat.parent.name)
    return found


def test_a_second_signal_does_not_stop_the_cleaning_up():
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}  # nohup ignores one
    try:
        faults.prepare_process()
        with pytest.raises(faults.Terminated):
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
