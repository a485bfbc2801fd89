"""Pictures of one padded size through the networks together, as on a GPU; here the CPU plays its part."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from samples import TINY, photo

from aecodec import Codec, devices, errors
from aecodec.cli import aec
from aecodec.cli.many import together
from aecodec.file import container
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.picture import pictures
from aecodec.tiles import batches

SIZES = [
    (96, 64),
    (90, 60),
    (96, 64),
    (64, 96),
    (1040, 20),
]  # two are padded to one size; the last has 2 tiles


@pytest.fixture
def codec(monkeypatch) -> Codec:
    monkeypatch.setattr(batches, "pay", lambda device: True)
    return Codec(TINY, "cpu")


@pytest.fixture
def sizes(monkeypatch) -> list[int]:
    """How many pictures each call of a transform has had."""
    seen: list[int] = []
    for name in ("analyse", "synthesise"):
        method = getattr(Hyperprior, name)

        def counted(self, x, *args, method=method, **options):
            seen.append(len(x))
            return method(self, x, *args, **options)

        monkeypatch.setattr(Hyperprior, name, counted)
    return seen


def samples_() -> list[pictures.Picture]:
    some = [pictures.load(photo(*size, left=40 * number)) for number, size in enumerate(SIZES)]
    grey = pictures.load(photo(96, 64, grey=True))
    clear = np.dstack([photo(96, 64, left=9), np.indices((64, 96)).sum(0).astype(np.uint8)])
    return [*some, grey, pictures.load(clear)]


def near(one: bytes, other: bytes) -> bool:
    """Files of the same latents but for a few: a batch may round a float differently."""
    codes = [Codec(TINY, "cpu").decode(data, to="latents").y_hat for data in (one, other)]
    return bool((np.abs(codes[0] - codes[1]) > 1e-6).mean() < 1e-3)


def test_pictures_of_one_padded_size_are_encoded_together_and_are_what_each_is_alone(codec, sizes):
    batch = samples_()
    files = codec.compress_batch(batch, 60, effort=0)
    assert sorted(sizes) == [1, 1, 1, 1, 4]  # (64, 96), two tiles, grey; four of 96 x 64, one with alpha
    for picture, data in zip(batch, files, strict=True):
        alone = Codec(TINY, "cpu").compress(picture, 60, effort=0)
        assert container.read_header(data)[0] == container.read_header(alone)[0]
        assert near(data, alone)


def test_files_of_one_padded_size_are_decoded_together_and_are_what_each_is_alone(codec, sizes):
    files = [Codec(TINY, "cpu").compress(picture, 60) for picture in samples_()]
    files[3:3] = [Codec(TINY, "cpu").compress(samples_()[0], 20)]  # another level
    sizes.clear()
    batch = codec.decompress_batch(files)
    assert sorted(sizes) == [1, 1, 1, 1, 1, 4]
    for picture, data in zip(batch, files, strict=True):
        alone = Codec(TINY, "cpu").decompress(data)
        assert picture.pixels.shape == alone.pixels.shape
        assert np.abs(picture.pixels.astype(int) - alone.pixels).max() <= 1
        assert (picture.alpha is None) == (alone.alpha is None)
        assert picture.alpha is None or np.array_equal(picture.alpha, alone.alpha)


def test_metadata_and_pictures_without_a_model_come_through(monkeypatch):
    monkeypatch.setattr(batches, "pay", lambda device: True)
    monkeypatch.setenv("AECODEC_MODELS", str(TINY.parent))
    codec = Codec(device="cpu")
    flat = pictures.load(np.full((64, 96, 3), 7, np.uint8))
    with_profile = pictures.load(photo(96, 64))
    with_profile = pictures.Picture(with_profile.pixels, resolution=(72000, 72000))
    files = codec.compress_batch([flat, with_profile, with_profile, flat])
    assert not container.read_header(files[0])[0].has_model
    decoded = codec.decompress_batch(files)
    assert np.array_equal(decoded[0].pixels, flat.pixels)
    assert [picture.resolution for picture in decoded] == [None, (72000, 72000), (72000, 72000), None]


def test_groups_stay_below_the_limit_and_those_without_a_key_are_alone(monkeypatch):
    monkeypatch.setattr(batches, "PIXELS", 100)
    assert batches.groups(["a", "b", "a", None, "a", None, "b"], [40] * 7) == [[0, 2], [1, 6], [3], [4], [5]]
    assert batches.groups([], []) == []


def test_a_batch_with_a_bad_file_raises_its_error(codec):
    data = codec.encode(photo(96, 64))
    with pytest.raises(errors.Truncated):
        codec.decompress_batch([data, data[:-1]])
    with pytest.raises(errors.BadQuality):
        codec.compress_batch(samples_(), 101)


def test_latents_that_come_out_differently_are_refused(codec, monkeypatch):
    files = [codec.encode(photo(96, 64, left=left)) for left in (0, 50)]
    decode = Hyperprior.decode

    def different(*args):
        one, other = decode(*args)
        return [one, type(one)(b"", other.latents_crc ^ 1, other.y_hat)]

    monkeypatch.setattr(Hyperprior, "decode", different)
    with pytest.raises(errors.LatentsMismatch, match="aec selftest"):
        codec.decompress_batch(files)


# The command line


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run `aec` as where there is a GPU, in a folder with pictures in `in`; give the result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AECODEC_MODELS", str(TINY.parent))
    monkeypatch.setattr(together, "on_gpu", lambda device: device != "cpu")
    monkeypatch.setattr(together, "TOGETHER", 3)
    monkeypatch.setattr(batches, "pay", lambda device: True)
    for number, size in enumerate(SIZES[:4] * 2):
        path = Path("in", f"{number % 3}", f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(*size, left=9 * number)).save(path)
        os.utime(path, (10**9, 10**9 + number))
    return lambda *args: CliRunner().invoke(aec, args, prog_name="aec")


def test_a_tree_there_and_back_is_what_one_file_at_a_time_gives(run, sizes):
    result = run("compress", "in", "-r", "-O", "out", "--model", "tiny", "--effort", "0", "--verify")
    assert result.exit_code == 0 and "8 of 8 files compressed" in result.stderr
    assert max(sizes) == 2
    alone = run("compress", "in", "-r", "-O", "alone", "--model", "tiny", "--effort", "0", "--jobs", "1")
    assert alone.exit_code == 0
    names = sorted(path.relative_to("out") for path in Path("out").rglob("*.aec"))
    assert len(names) == 8
    for name in names:
        assert near(Path("out", name).read_bytes(), Path("alone", name).read_bytes())
        assert Path("out", name).stat().st_mtime == Path("in", name).with_suffix(".png").stat().st_mtime
    back = run("decompress", "out", "-r", "-O", "back")
    assert back.exit_code == 0 and "8 of 8 files decompressed" in back.stderr
    for name in names:
        with Image.open(Path("back", name).with_suffix(".png")) as image:
            assert image.size == Image.open(Path("in", name).with_suffix(".png")).size
    assert run("verify", "out", "-r").exit_code == 0


def test_bad_files_are_reported_and_the_rest_of_their_batch_goes_on(run):
    Path("in/0/3.png").write_text("no picture")
    result = run("compress", "in", "-r", "-O", "out", "--model", "tiny")
    assert result.exit_code == errors.NotAnImage.exit_code and "7 of 8 files compressed" in result.stderr
    damaged = Path("out/1/4.aec")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    result = run("decompress", "out", "-r", "-O", "back")
    assert result.exit_code == errors.Truncated.exit_code and "6 of 7 files decompressed" in result.stderr
    assert result.stderr.startswith("aec: out/1/4.aec: ")


def test_what_every_file_would_meet_ends_the_run(run, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run("compress", "in", "-r", "-O", "out", "--model", "tiny")
    assert result.exit_code == errors.OutputUnwritable.exit_code
    assert "0 of 8 files compressed; 1 failed; 7 not done" in result.stderr
    assert [path for path in Path("out").rglob("*") if path.is_file()] == []


def test_a_target_is_searched_for_each_picture(run):
    result = run("compress", "in", "-r", "-O", "out", "--model", "tiny", "--bpp", "0.4")
    assert result.exit_code in (0, errors.TargetOutOfReach.exit_code)
    assert "8 of 8" in result.stderr or "failed" in result.stderr


def test_without_a_driver_nobody_asks_torch(monkeypatch):
    monkeypatch.setattr(devices, "DRIVERS", ("no-such-driver.so",))
    assert not together.on_gpu("auto") and not together.on_gpu("cuda")
    monkeypatch.setattr(devices, "DRIVERS", ("libc.so.6",))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert together.on_gpu("auto") and not together.on_gpu("cpu")
