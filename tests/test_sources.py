"""Input is bounded, whatever it is: files that have no end, grow or shrink, and streams that are none."""

import io
import os
from pathlib import Path

import pytest

import aecodec
from aecodec import errors, output, sources
from aecodec.file import container
from aecodec.picture import opening, pictures


class Endless(io.RawIOBase):
    """A stream of one byte repeated for ever; says how much was asked of it."""

    def __init__(self, begin: bytes, fill: bytes = b"\0") -> None:
        self.begin, self.fill, self.given = begin, fill, 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "read to the end of what has none"
        part = (self.begin + self.fill * size)[:size]
        self.begin = self.begin[size:]
        self.given += size
        return part


@pytest.fixture
def small(monkeypatch) -> int:
    monkeypatch.setattr(sources, "MAX_BYTES", 10_000_000)
    return sources.MAX_BYTES


def test_a_stream_without_an_end_is_refused(small):
    stream = Endless(container.MAGIC)
    with pytest.raises(errors.TooLarge, match="more than"):
        sources.read(stream)
    assert stream.given <= small + sources.PART_BYTES


def test_what_cannot_be_right_is_refused_at_once(small):
    for fits, error in (
        (container.check_beginning, errors.NotAec),
        (opening.check_beginning, errors.NotAnImage),
    ):
        stream = Endless(b"")
        with pytest.raises(error):
            sources.read(stream, fits)
        assert stream.given == sources.HEAD_BYTES


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero")
def test_dev_zero_is_no_file():
    for read in (aecodec.info, lambda path: output.read(path, container.check_beginning)):
        with pytest.raises(errors.NotAec):
            read("/dev/zero")
    with pytest.raises(errors.NotAnImage):
        pictures.load("/dev/zero")


def test_a_file_that_is_too_long_is_not_read(small, tmp_path):
    path = tmp_path / "sparse.png"
    with open(path, "wb") as file:
        file.truncate(small + 1)
    with pytest.raises(errors.TooLarge):
        sources.read(path)


def test_a_file_that_grows_meanwhile_is_read_to_its_end(tmp_path, monkeypatch):
    path = tmp_path / "log"
    path.write_bytes(b"0123456789")
    stat = os.stat

    def earlier(name, *args, **options):
        found = stat(name, *args, **options)
        return os.stat_result((*found[:6], 4, *found[7:10])) if isinstance(name, int) else found

    monkeypatch.setattr(os, "stat", earlier)
    assert sources.read(path) == b"0123456789"


def test_a_beginning_that_is_cut_short_may_be_right(photo):
    from PIL import Image

    for format in ("PNG", "TIFF", "JPEG", "WEBP", "GIF"):
        buffer = io.BytesIO()
        Image.fromarray(photo).save(buffer, format)
        for size in (2000, 200, 30):
            opening.check_beginning(buffer.getvalue()[:size])
        assert sources.read(io.BytesIO(buffer.getvalue()), opening.check_beginning) == buffer.getvalue()


def test_a_pipe_may_begin_slowly(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, container.MAGIC[:2])
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert sources.read(pipe, container.check_beginning) == container.MAGIC[:2]


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"content")
    (entry,) = os.scandir(os.fsencode(tmp_path))
    assert sources.read(entry) == b"content"


@pytest.mark.parametrize("source", [None, 5, object(), io.StringIO("text")])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(errors.BadArgument, match="cannot be read: give a path"):
        sources.read(source)


def test_a_source_that_cannot_be_read_is_missing(tmp_path):
    closed = io.BytesIO()
    closed.close()
    for source in (tmp_path, tmp_path / "nowhere", "zero\0byte", closed):
        with pytest.raises(errors.InputMissing, match="name a file that can be read"):
            sources.read(source)
