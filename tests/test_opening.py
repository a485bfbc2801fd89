"""Pictures that cannot be read: the class of the error says what is the matter."""

import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import picture_files as made
import pytest
from PIL import Image

from aecodec import errors
from aecodec.picture import opening, pictures

COLOUR = Image.fromarray(made.pixels())
JPEG, BMP, DDS = (made.saved(COLOUR, format) for format in ("JPEG", "BMP", "DDS"))
DEEP = made.pixels(12, channels=1).astype(np.uint16) * 257


def framed(marker: int, precision: int = 8, channels: int = 3) -> bytes:
    """A JPEG with another frame header."""
    at = JPEG.index(b"\xff\xc0")
    size = struct.unpack_from(">H", JPEG, at + 2)[0]
    head = struct.pack(">BHHB", precision, 13, 20, channels) + b"\1\x11\0" * channels
    return JPEG[:at] + made.segment(marker, head) + JPEG[at + 2 + size :]


# Kinds that Pillow does not read


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (framed(0xC1, precision=12), "a JPEG of 12 bits a channel"),
        (framed(0xC3), "a JPEG of the lossless kind"),
        (framed(0xC5), "a JPEG of the hierarchical kind"),
        (framed(0xF7), "a JPEG of the JPEG-LS kind"),
        (framed(0xC0, channels=2), "a JPEG of 2 channels"),
        (made.tiff(np.dstack([DEEP, DEEP]), {338: (2,)}), r"grey, 2 x 16 bits, integers"),
        (made.tiff(made.pixels(12), {258: (32,) * 3, 339: (3,) * 3}), "RGB, 3 x 32 bits, floating point"),
        (made.tiff(made.pixels(12), photometric=9), r"ICC L\*a\*b\*"),
        (made.tiff(made.pixels(12, channels=5), {338: (2,)}, photometric=5), "CMYK, 5 x 8 bits"),
        (made.tiff(made.pixels(12), {259: 34712}), "compression 34712"),
        (made.tiff(made.pixels(12, channels=1), {339: 2}), "signed samples of 8 bits"),
        (made.tiff(DEEP, {339: 2}), "signed samples of 16 bits"),
        (made.tiff(made.pixels(12, channels=2), {338: (2,)}, planar=2), "samples in planes"),
        (made.psd(DEEP, mode=1), "a Photoshop file of 16 bits a channel, grey"),
        (b"8BPS\0\2" + made.psd(made.pixels())[6:], r"a large Photoshop file \(PSB\)"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "HEIF .install pillow-heif"),
        (b"\xff\x0a" + bytes(50), "JPEG XL"),
        (b'<?xml version="1.0"?>\n<!-- made -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (made.fits(16), "FITS picture is of more than 8 bits"),
        (made.fits(64), "Unsupported number of bits"),
        (made.with_chunks(made.saved(COLOUR), made.chunk(b"CgBI", bytes(4)), before=b"IHDR"), "CgBI"),
        (made.with_chunks(made.saved(COLOUR), made.chunk(b"QQQQ", b"")), "a kind with QQQQ"),
        (BMP[:30] + b"\4" + BMP[31:], "Unsupported BMP compression"),
        (DDS[:80] + b"\4\0\0\0XYZW" + DDS[88:], "DDS"),
    ],
)  # fmt: skip
def test_a_kind_that_is_not_read_is_unsupported_and_not_damaged(data, words, monkeypatch):
    """Another test may have imported the plugin for JPEG XL, which would read what begins like it."""
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "JXL"])
    with pytest.raises(errors.UnsupportedPicture, match=words) as caught:
        pictures.load(data)
    assert "get it again" not in str(caught.value)


@pytest.mark.parametrize("data", [made.tiff(made.pixels(12), photometric=9)[:-200], framed(0xC0)[:-30]])
def test_a_kind_that_is_cut_short_is_damaged(data):
    cut = data[: len(data) // 2] if data[:2] != b"II" else data[:300]
    with pytest.raises(errors.TruncatedImage, match="get it again"):
        pictures.load(cut)


def test_the_checksum_of_pixels_in_a_png_is_looked_at():
    """Of the pixels of a stored block nobody else would see that one has changed."""
    data = bytearray(made.saved(COLOUR, "PNG", compress_level=0))
    data[data.index(b"IDAT") + 30] ^= 1
    with pytest.raises(errors.TruncatedImage, match=r"the chunk IDAT at byte \d+ is damaged"):
        pictures.load(bytes(data))


# Later pictures


def two_pages(**second) -> bytes:
    grey = made.pixels(12, channels=1)
    return made.tiff_of_pages([(grey, {}, {}), (255 - grey, second.pop("tags", {}), second)])


@pytest.mark.parametrize("second", [{"photometric": 4}, {"tags": {259: 34712}}, {"tags": {258: (64,)}}])
def test_a_page_of_a_kind_that_is_not_read_hinders_none_of_the_others(second):
    data = two_pages(**second)
    assert np.array_equal(pictures.load(data, frame=0).pixels, made.pixels(12, channels=1))
    with pytest.raises(errors.UnsupportedPicture, match="2 pictures: take one"):
        pictures.load(data)
    with pytest.raises(
        errors.UnsupportedPicture, match="frame 1 cannot be read: the picture is a TIFF file with"
    ):
        pictures.load(data, frame=1)
    with pytest.raises(errors.BadArgument, match="no frame 2, the file holds 2 pictures"):
        pictures.load(data, frame=2)


def animation() -> bytes:
    frames = [Image.fromarray(made.pixels()[:, ::step]).resize((20, 13)).quantize(8) for step in (1, -1, 2)]
    return made.saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def test_of_an_animation_that_is_cut_the_frames_before_the_cut_are_read():
    data = animation()
    whole = pictures.load(data, frame=0)
    cut = data[: data.index(b"!\xf9\4") + 12]  # within the header of the second frame
    assert np.array_equal(pictures.load(cut, frame=0).pixels, whole.pixels)
    with pytest.raises(errors.TruncatedImage, match="what follows the first picture of the GIF file"):
        pictures.load(cut)
    with pytest.raises(errors.TruncatedImage, match="frame 1 cannot be read"):
        pictures.load(cut, frame=1)


def test_a_palette_that_is_missing_is_said_to_be():
    image = Image.fromarray(made.pixels(channels=1)[:, :, 0])
    image = image.convert("P")
    image.palette = None
    with pytest.raises(
        errors.UnsupportedPicture, match=r"mode P\) cannot be converted to RGB \(it has no palette"
    ):
        pictures.load(image)


def test_the_merged_picture_of_a_photoshop_file_is_its_frame_0():
    data = made.psd(made.pixels())
    assert np.array_equal(pictures.load(data, frame=0).pixels, made.pixels())
    with pytest.raises(errors.BadArgument, match="the file holds 1 picture: give 0 to 0"):
        pictures.load(data, frame=1)


# Closed images


def test_a_closed_image_is_said_to_be_closed(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(made.saved(COLOUR))
    with Image.open(path) as left:
        pass
    closed = Image.open(path)
    closed.close()
    file = path.open("rb")
    without_file = Image.open(file)
    file.close()
    for image in (left, closed, without_file):
        with pytest.raises(errors.BadArgument, match="closed before its pixels were read"):
            pictures.load(image)
    with Image.open(path) as loaded:
        loaded.load()
    assert np.array_equal(pictures.load(loaded).pixels, made.pixels())


# What libraries say


def damaged_tiffs() -> dict[str, bytes]:
    """Strips of LZW and of JPEG with other bytes in the middle."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8))
    out = {}
    for name in ("tiff_lzw", "jpeg"):
        data = bytearray(made.saved(noise, "TIFF", compression=name))
        middle = data.index(b"\xff\xda") + 30 if name == "jpeg" else len(data) // 2
        data[middle : middle + 40] = b"\xff\x84" * 20
        out[name] = bytes(data)
    return out


@pytest.mark.parametrize("name", ["tiff_lzw", "jpeg"])
def test_damage_that_libtiff_sees_is_an_error_with_its_words(name, capfd):
    with pytest.raises(errors.TruncatedImage, match=r"\([A-Z][\w ]+"):
        pictures.load(damaged_tiffs()[name])
    assert capfd.readouterr() == ("", "")


def test_no_line_reaches_stderr_but_our_own(tmp_path):
    sources = damaged_tiffs() | {"many": made.tiff(made.pixels(12), {277: 60_000})}
    for name, data in sources.items():
        (tmp_path / f"{name}.tif").write_bytes(data)
    (tmp_path / "note.jpg").write_bytes(made.with_segments(JPEG, made.segment(0xE1, b"FLIR\0\1")))
    files = sorted(map(str, tmp_path.iterdir()))
    command = [sys.executable, "-m", "aecodec", "compress", *files, "--effort", "0", "--json", "-O", "out"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert all(line.startswith("aec: ") for line in run.stderr.splitlines())
    told = {Path(line["file"]).name: line for line in map(json.loads, run.stdout.splitlines())}
    assert [told[f"{name}.tif"]["error"]["class"] for name in damaged_tiffs()] == ["TruncatedImage"] * 2
    assert told["note.jpg"]["warnings"][0].endswith("the .aec file leaves out thermal data (FLIR)")


# Fuzz


def test_the_fuzzer_of_picture_files_finds_nothing_in_a_few():
    script = Path(__file__).parent.parent / "benchmarks" / "fuzz_pictures.py"
    command = [sys.executable, str(script), "--count", "25", "--seed", "7"]
    paths = {"PYTHONPATH": str(script.parent)}  # PYTHONSAFEPATH keeps a script's folder out
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | paths)
    assert run.returncode == 0, run.stderr
    known = len(made.files())
    assert run.stdout.count("slowest") == known


def test_the_fuzzer_knows_every_format_that_is_read():
    Image.init()
    same = {"MPO": "JPEG"}
    assert {same.get(name, name) for name in made.files()} == {
        name.replace("XVTHUMB", "XVThumb") for name in Image.ID if name not in opening._PASSED_BY
    } - {"HEIF", "FPX", "MIC", "JXL"}


def test_files_of_every_format_are_read_as_that_format():
    for name, files in made.files().items():
        for data in files:
            image = opening.open_file(data)
            assert image.format.upper() == name.upper(), name
            with io.BytesIO(data) as file, Image.open(file) as again:
                assert again.size == image.size
