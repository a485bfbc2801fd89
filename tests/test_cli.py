import io
import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from aecodec import codec, errors, output, weights
from aecodec.cli import aec
from aecodec.file import container
from aecodec.file.fields import leb, with_crc
from aecodec.networks.photo import exact, integer
from aecodec.picture import pictures

PHOTO = Path(__file__).parent.parent / "examples" / "photo.png"


@pytest.fixture(scope="module")
def example(tiny_model) -> bytes:
    """A small .aec file of the tiny model."""
    picture = pictures.load(np.asarray(Image.open(PHOTO).crop((0, 0, 80, 60))))
    return codec.Codec(tiny_model).compress(picture)


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_model, example) -> Path:
    """The working directory: photo.png, and small.aec of the tiny model, whose weights are found by id."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AECODEC_MODELS", str(tiny_model.parent))
    Image.open(PHOTO).crop((200, 100, 300, 170)).save("photo.png", dpi=(300, 300))
    Path("small.aec").write_bytes(example)
    return tmp_path


@pytest.fixture
def run(folder, tiny_model):
    """Run `aec` in this process; `compress` and `selftest` get the tiny model."""

    def run(*args: str, stdin: bytes = b""):
        if args[0] in ("compress", "selftest") and "--model" not in args:
            args = (*args, "--model", str(tiny_model))
        return CliRunner().invoke(aec, args, input=stdin, prog_name="aec")

    return run


def done(result) -> str:
    """Check that a run went well; give what it said on stderr."""
    assert result.exit_code == 0, result.stderr
    return result.stderr


def refused(result, error: type[errors.AecError], *words: str) -> None:
    """Check that a run ended with the exit code of this error and one line, and left nothing new behind."""
    assert result.exit_code == error.exit_code, (result.exit_code, result.stderr)
    assert result.stderr.startswith("aec: ") and result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert not result.stdout_bytes
    assert not list(Path().glob(".aec-*"))


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


# The straight line


def test_there_and_back_under_default_names(run):
    before = Path("photo.png").read_bytes(), Path("photo.png").stat().st_mtime_ns
    assert done(run("compress", "photo.png")) == ""
    assert done(run("decompress", "photo.aec")) == ""
    assert sorted(os.listdir()) == ["photo.aec", "photo.aec.png", "photo.png", "small.aec"]
    assert (Path("photo.png").read_bytes(), Path("photo.png").stat().st_mtime_ns) == before
    decoded = pictures.load("photo.aec.png")
    assert decoded.pixels.shape == (70, 100, 3) and abs(decoded.resolution[0] - 300_000) < 10


def test_named_output_quality_and_verify(run):
    for quality in ("0", "40.5", "100"):
        done(run("compress", "photo.png", "-q", quality, "-o", f"{quality}.aec", "--verify"))
    sizes = [Path(f"{quality}.aec").stat().st_size for quality in ("0", "40.5", "100")]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "avif", "bmp", "ppm"])
def test_the_ending_names_the_format(run, ending):
    done(run("decompress", "small.aec", "-o", f"out.{ending}"))
    assert Image.open(f"out.{ending}").format == Image.registered_extensions()[f".{ending}"]
    assert size_of(Path(f"out.{ending}").read_bytes()) == (80, 60)


def test_a_grey_picture_stays_grey(run):
    Image.open("photo.png").convert("L").save("grey.png")
    done(run("compress", "grey.png"))
    done(run("decompress", "grey.aec"))
    assert Image.open("grey.aec.png").mode == "L"


def test_dashes_are_the_standard_streams(run):
    compressed = run("compress", "-", stdin=Path("photo.png").read_bytes())
    done(compressed)
    assert compressed.stdout_bytes.startswith(container.MAGIC)
    back = run("decompress", "-", stdin=compressed.stdout_bytes)
    done(back)
    assert back.stdout_bytes.startswith(b"\x89PNG") and size_of(back.stdout_bytes) == (100, 70)
    to_stdout = run("compress", "photo.png", "-o", "-")
    assert to_stdout.stdout_bytes == compressed.stdout_bytes
    done(run("decompress", "-", "-o", "out.jpg", stdin=compressed.stdout_bytes))
    assert size_of(Path("out.jpg").read_bytes()) == (100, 70)
    assert sorted(os.listdir()) == ["out.jpg", "photo.png", "small.aec"]


def test_verbose_says_what_was_done(run):
    said = done(run("compress", "photo.png", "-v", "--device", "cpu"))
    size = Path("photo.aec").stat().st_size
    assert f"photo.aec: 100 x 70 pixels, {size} bytes, {8 * size / 7000:.3f} bpp, " in said
    assert " s, model tiny, device cpu\n" in said
    assert "photo.aec: 100 x 70 pixels" in done(run("decompress", "photo.aec", "-v"))


def test_metadata_without_a_place_is_named(run):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open("photo.png").save("turned.jpg", exif=exif, comment=b"a note", quality=98)
    said = done(run("compress", "turned.jpg"))
    assert said == "aec: turned.jpg: note: the .aec file leaves out a comment\n"
    assert done(run("decompress", "turned.aec", "-o", "turned.png")) == ""
    assert pictures.load("turned.png").pixels.shape == (70, 100, 3)
    said = done(run("decompress", "turned.aec", "-o", "turned.ppm"))
    assert said == "aec: turned.ppm: note: PPM has no place for EXIF\n"
    assert pictures.load("turned.ppm").pixels.shape == (100, 70, 3)  # upright


def test_what_is_changed_is_warned_of_and_alpha_needs_a_format_that_holds_it(run):
    image = Image.open("photo.png")
    image.convert("CMYK").save("cmyk.jpg")
    assert "warning: converted CMYK to RGB" in run("compress", "cmyk.jpg").stderr
    image.putalpha(77)
    image.save("clear.png")
    assert run("compress", "clear.png").exit_code == 0
    refused(
        run("decompress", "clear.aec", "-o", "clear.jpg"),
        errors.OutputUnwritable,
        "JPEG has no place for alpha",
    )
    assert run("decompress", "clear.aec", "-o", "clear.webp").exit_code == 0
    assert Image.open("clear.webp").getchannel("A").getextrema() == (77, 77)


def test_a_larger_file_is_warned_of(run):
    Image.new("RGB", (1, 1)).save("dot.ppm")
    said = done(run("compress", "dot.ppm"))
    size = Path("dot.aec").stat().st_size
    assert said.startswith(f"aec: dot.ppm: warning: the .aec file is larger, {size} bytes against 14: ")


def test_info_for_a_person_and_for_a_program(run, example):
    said = run("info", "small.aec", "-", stdin=example)
    done(said)
    assert said.stdout.startswith("small.aec\n  picture  80 x 60 RGB\n")
    assert "\nstandard input\n" in said.stdout
    assert "model    tiny (entropy id" in said.stdout
    listed = run("info", "--json", "small.aec", "small.aec")
    first, second = map(json.loads, listed.stdout.splitlines())
    assert first == second
    assert (first["file"], first["width"], first["height"], first["model"]) == ("small.aec", 80, 60, "tiny")
    assert first["bytes"] == len(example) == sum(part["bytes"] for part in first["sections"])


def test_models_lists_what_is_installed_and_where(run, tiny_model):
    said = run("models").stdout
    assert "tiny, version " in said and str(tiny_model) in said


def test_selftest_shows_each_arithmetic(run):
    said = run("selftest", "--device", "cpu").stdout
    for dtype in ("float32", "float64"):
        assert re.search(rf"  NumPy [\d.]+, {dtype} on cpu: exact in every layer\n", said)
    assert re.search(r"  in use: NumPy [\d.]+, float32 on cpu\n", said)
    assert "decodes to the latents that were encoded" in said


def test_selftest_names_the_layers_that_are_not_exact_and_falls_back(run, monkeypatch):
    exact_on = integer.exact_on

    def half_exact(layers, tensors):
        float32 = layers["hyper.enter"].engine.name.endswith("float32")
        return ["hyper.enter"] if float32 else exact_on(layers, tensors)

    monkeypatch.setattr(integer, "exact_on", half_exact)
    monkeypatch.setattr(exact, "exact_on", half_exact)
    said = run("selftest", "--device", "cpu").stdout
    assert "float32 on cpu: not exact in hyper.enter\n" in said
    assert re.search(r"  in use: NumPy [\d.]+, float64 on cpu\n", said)
    assert "decodes to the latents that were encoded" in said


def test_selftest_fails_where_nothing_is_exact(run, monkeypatch):
    monkeypatch.setattr(integer, "exact_on", lambda *args: ["hyper.enter"])
    result = run("selftest", "--device", "cpu")
    assert result.exit_code == errors.LatentsMismatch.exit_code
    assert "no arithmetic here is exact" in result.stderr


# What is refused


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def patched(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


def with_header_patched(data: bytes, at: int, value: int) -> bytes:
    """Change one byte of the header and mend its CRC-32."""
    _, stop = container.read_header(data)
    header = patched(data, at, value)[: stop - 4]
    return header + zlib.crc32(header).to_bytes(4, "little") + data[stop:]


def with_unknown_section(data: bytes) -> bytes:
    """Make the tile a critical section that nobody knows."""
    start = next(part for part in container.layout(data) if part.name == "tile 0").offset
    section = b"\xc1" + data[start + 1 : -4]
    return data[:start] + section + zlib.crc32(section).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda data: b"some text", errors.NotAec),
        (lambda data: data.replace(b"\r\n", b"\n", 1), errors.NotAec),
        (lambda data: b"", errors.AecError),
        (truncated, errors.Truncated),
        (lambda data: patched(data, len(data) - 9, data[-9] ^ 1), errors.Damaged),
        (lambda data: with_header_patched(data, 6, 2), errors.UnsupportedVersion),
        (lambda data: with_header_patched(data, 7, 0x80), errors.ReservedBits),
        (with_unknown_section, errors.UnknownSection),
        (lambda data: data + b"x", errors.TrailingBytes),
        (lambda data: with_header_patched(data, 8, data[8] ^ 1), errors.UnknownModel),
        (lambda data: with_header_patched(data, 16, data[16] ^ 1), errors.SynthesisMismatch),
    ],
)
def test_bad_aec_files_each_have_their_exit_code(run, example, spoil, error):
    Path("bad.aec").write_bytes(spoil(example))
    result = run("decompress", "bad.aec")
    if error is errors.AecError:
        error = next(e for e in (errors.NotAec, errors.Truncated) if e.exit_code == result.exit_code)
    refused(result, error, "aec: bad.aec: ")
    assert not Path("bad.aec.png").exists()


def test_bad_pictures_each_have_their_exit_code(run):
    Path("text.png").write_text("no picture")
    Path("cut.png").write_bytes(truncated(Path("photo.png").read_bytes()))
    frames = [Image.new("L", (8, 8), shade) for shade in (0, 255)]
    frames[0].save("two.gif", save_all=True, append_images=frames[1:])
    Image.open("photo.png").convert("F").save("float.tif")
    for name, error in (
        ("nowhere.png", errors.InputMissing),
        (".", errors.InputMissing),
        ("text.png", errors.NotAnImage),
        ("cut.png", errors.TruncatedImage),
        ("two.gif", errors.UnsupportedPicture),
        ("float.tif", errors.UnsupportedPicture),
    ):
        refused(run("compress", name, "-o", "out.aec"), error, f"aec: {name}: ")
        assert not Path("out.aec").exists()
    refused(run("compress", "-", stdin=b""), errors.NotAnImage, "aec: standard input: ")
    refused(run("decompress", "nowhere.aec"), errors.InputMissing, "aec: nowhere.aec: ")
    refused(run("info", "nowhere.aec"), errors.InputMissing, "aec: nowhere.aec: ")


def test_info_goes_on_after_a_bad_file(run):
    Path("bad.aec").write_text("no file")
    result = run("info", "nowhere.aec", "small.aec", "bad.aec", "--json")
    assert result.exit_code == errors.SomeFailed.exit_code and result.stderr.count("\n") == 2
    assert json.loads(result.stdout)["file"] == "small.aec"
    refused(run("info", "-", stdin=b"no file"), errors.NotAec, "aec: standard input: ")


@pytest.mark.parametrize("quality", ["-1", "100.1", "nan", "inf"])
def test_quality_out_of_range(run, quality):
    refused(run("compress", "photo.png", "-q", quality), errors.BadQuality, "0 to 100")


def test_models_that_are_none(run, tiny_model):
    Path("weights.safetensors").write_text("no weights")
    refused(
        run("compress", "photo.png", "--model", "nobody"),
        errors.UnknownModel,
        "nobody",
        str(tiny_model.parent),
    )
    refused(run("compress", "photo.png", "--model", "./no.safetensors"), errors.UnknownModel, "no.safe")
    refused(run("compress", "photo.png", "--model", "weights.safetensors"), errors.BadWeights)
    refused(run("decompress", "small.aec", "--model", "weights.safetensors"), errors.BadWeights)


def test_an_unknown_model_names_the_folders(run, monkeypatch):
    monkeypatch.setattr(weights, "folders", lambda: [Path("/first/folder"), Path("/second/folder")])
    refused(run("decompress", "small.aec"), errors.UnknownModel, "/first/folder", "/second/folder")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(run):
    refused(run("compress", "photo.png", "--device", "cuda"), errors.NoGpu)
    refused(run("decompress", "small.aec", "--device", "cuda"), errors.NoGpu)


def test_too_many_pixels_are_refused_with_the_memory_they_would_take(run, example):
    header, _ = container.read_header(example)
    side, latent_side, channels, tile_size, sections = 2**31 - 1, 2**27, header.latent_channels, 65536, 2**30
    numbers = leb(side) + leb(side) + b"\3" + leb(latent_side) + leb(latent_side) + leb(channels)
    start = example[: example.index(header.synthesis_id) + 4]
    Path("huge.aec").write_bytes(with_crc(start, numbers, b"\x80", leb(tile_size), leb(sections)))
    refused(run("decompress", "huge.aec"), errors.TooLarge, "huge.aec: ", "2147483647 x 2147483647", "GB")


@pytest.mark.parametrize(
    "args",
    [
        ("shrink", "photo.png"),
        ("compress",),
        ("compress", "photo.png", "-q", "good"),
        ("compress", "photo.png", "--device", "abacus"),
        ("decompress", "small.aec", "--speed"),
        ("info",),
        ("train",),
    ],
)
def test_wrong_usage_ends_with_2_and_points_to_help(run, args):
    result = run(*args)
    assert result.exit_code == 2 and "--help" in result.stderr


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (MemoryError(), 9, "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 9, "not enough memory"),
        (ZeroDivisionError("division by zero"), 1, "report it: ZeroDivisionError: division by zero"),
        (OSError(5, "Input/output error"), 1, "Input/output error"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_other_fault_is_one_line_too(run, monkeypatch, fault, code, words):
    def fail(*args, **options):
        raise fault

    monkeypatch.setattr(codec.Codec, "compress", fail)
    result = run("compress", "photo.png")
    assert result.exit_code == code
    assert result.stderr.count("\n") == 1 and words in result.stderr and "Traceback" not in result.stderr


# Output


def test_existing_output_needs_force(run):
    Path("photo.aec").write_text("precious")
    refused(run("compress", "photo.png"), errors.OutputExists, "photo.aec", "--force")
    refused(run("decompress", "small.aec", "-o", "photo.aec"), errors.OutputExists)
    assert Path("photo.aec").read_text() == "precious"
    done(run("compress", "photo.png", "--force"))
    assert Path("photo.aec").read_bytes().startswith(container.MAGIC)


def test_the_input_is_never_the_output(run):
    os.symlink("photo.png", "link.png")
    os.link("photo.png", "twin.png")
    before = Path("photo.png").read_bytes()
    for target in ("photo.png", "./photo.png", "link.png", "twin.png"):
        refused(run("compress", "photo.png", "-o", target, "--force"), errors.OutputExists, "input itself")
    refused(run("compress", "small.aec", "--force"), errors.OutputExists, "input itself")
    assert Path("photo.png").read_bytes() == before


def test_outputs_that_cannot_be(run, monkeypatch):
    refused(run("compress", "photo.png", "-o", "no/photo.aec"), errors.OutputUnwritable, "create it first")
    refused(run("compress", "photo.png", "-o", "."), errors.OutputUnwritable, "this is a folder")
    refused(run("decompress", "small.aec", "-o", "photo.xyz"), errors.OutputUnwritable, ".xyz", "xyz.png")
    refused(run("decompress", "small.aec", "-o", "photo"), errors.OutputUnwritable, "no ending")
    refused(run("decompress", "small.aec", "-o", "photo.xbm"), errors.OutputUnwritable, "XBM cannot hold")
    refused(run("compress", "photo.png", "-o", "x" * 300), errors.OutputUnwritable, "too long")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    refused(run("compress", "photo.png"), errors.OutputUnwritable, "may not be written to")


def test_a_full_disk_leaves_nothing_behind(run):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))  # bytes: a write beyond them fails
    try:
        result = run("compress", "photo.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    refused(result, errors.OutputUnwritable, "photo.aec: file too large")
    assert sorted(os.listdir()) == ["photo.png", "small.aec"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_device_is_written_to_and_not_replaced(run):
    result = run("compress", "photo.png", "-o", "/dev/full")
    refused(result, errors.OutputUnwritable, "/dev/full: no space left on device: free some space")
    done(run("compress", "photo.png", "-o", "/dev/null"))
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode) and stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="there is no /dev/fd")
def test_a_pipe_by_its_name_is_written_to(run):
    reading, writing = os.pipe()
    done(run("compress", "photo.png", "-q", "0", "-o", f"/dev/fd/{writing}"))
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read().startswith(container.MAGIC)


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_a_name_that_is_no_text_is_printed(run):
    name = os.fsdecode(b"\xff.aec")
    os.rename("small.aec", name)
    command = [sys.executable, "-m", "aecodec", "info", name]
    result = subprocess.run(
        command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    )
    assert result.returncode == 0 and result.stdout.startswith(rb"\udcff.aec") and not result.stderr


def test_links_stay_and_what_they_point_to_is_replaced(run):
    Path("real.aec").write_text("old")
    os.symlink("real.aec", "link.aec")
    done(run("compress", "photo.png", "-o", "link.aec", "--force"))
    assert os.path.islink("link.aec") and Path("real.aec").read_bytes().startswith(container.MAGIC)


def test_permissions_follow_the_umask_or_the_file_that_was_there(run):
    before = os.umask(0o027)
    try:
        done(run("compress", "photo.png"))
        assert stat.S_IMODE(os.stat("photo.aec").st_mode) == 0o640
        os.chmod("photo.aec", 0o604)
        done(run("compress", "photo.png", "--force"))
        assert stat.S_IMODE(os.stat("photo.aec").st_mode) == 0o604
    finally:
        os.umask(before)


def test_a_failed_rename_leaves_nothing_behind(run, monkeypatch):
    def fail(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(Path, "touch", fail)
    refused(run("compress", "photo.png"), errors.OutputUnwritable, "photo.aec: permission denied")
    assert sorted(os.listdir()) == ["photo.png", "small.aec"]


# The process


def python(code: str, *args: str, **options) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", code, *args], **(pipes | options))


QUICK = """
import sys, types
sys.modules["aecodec.codec"] = types.SimpleNamespace(Codec=lambda *args, **options: types.SimpleNamespace(
    compress=lambda *args, **options: bytes(1_000_000), device="cpu"))  # a codec that needs no torch
from aecodec.cli import main
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_while_the_output_is_written_leave_nothing_behind(folder, number):
    heard = "import signal as s; s.signal(s.SIGHUP, s.SIG_DFL); s.signal(s.SIGINT, s.default_int_handler)\n"
    slow = heard + "import os, time; os.fsync = lambda file: time.sleep(60)\n" + QUICK + "main()"
    process = python(slow, "compress", "photo.png")  # whatever nohup or a shell's & has made it ignore
    deadline = time.monotonic() + 20
    while not list(folder.glob(".aec-*.part")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(folder.glob(".aec-*.part"))
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert said in (b"aec: interrupted\n", b"aec: terminated\n")
    assert sorted(os.listdir()) == ["photo.png", "small.aec"]


def test_a_reader_that_goes_away_is_no_fault(folder):
    for process in (
        python(QUICK + "main()", "compress", "photo.png", "-o", "-"),
        python("from aecodec.cli import main; main()", "info", *["small.aec"] * 2000),
    ):
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(timeout=20) == 141


@pytest.mark.parametrize(
    ("args", "allowed"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["compress", "--help"], set()),
        (["decompress", "--help"], set()),
        (["train", "--help"], set()),
        (["compress", "nowhere.png"], set()),
        (["info", "small.aec"], {"numpy", "PIL"}),
    ],
)
def test_what_needs_no_torch_imports_none(folder, args, allowed):
    code = """
import sys
from aecodec.cli import aec
try:
    aec(sys.argv[1:])
finally:
    print({"torch", "numpy", "PIL", "constriction", "skimage", "scipy"} & sys.modules.keys(), file=sys.stderr)
"""
    _, said = python(code, *args).communicate(timeout=20)
    heavy = eval(said.decode().splitlines()[-1])
    assert heavy <= allowed


def test_the_module_is_the_command(folder):
    program = [sys.executable, "-m", "aecodec"]
    done = subprocess.run([*program, "--version"], capture_output=True, text=True)
    assert done.stdout == f"aec, version {__import__('aecodec').__version__}\n"
    failed = subprocess.run([*program, "info", "photo.png"], capture_output=True, text=True)
    assert failed.returncode == errors.NotAec.exit_code and failed.stderr.startswith("aec: photo.png: ")


def test_writing_over_a_stream_tells_its_name(monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Full()))
    with pytest.raises(errors.OutputUnwritable, match="standard output: no space left on device: free"):
        output.write("-", b"x")
