"""The Python API: encode, decode, info and Codec."""

import io
import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import samples
import torch
import weights_files
from PIL import Image

import aecodec
from aecodec import api, errors
from aecodec import codec as codec_module
from aecodec.codec import Codec
from aecodec.file import container
from aecodec.file.fields import leb, u32, with_crc
from aecodec.networks.load import load
from aecodec.networks.photo.exact import Entropy
from aecodec.picture import pictures
from aecodec.picture.pictures import Picture
from aecodec.weights import open_weights


@pytest.fixture(scope="module")
def codec(tiny_model) -> Codec:
    return Codec(tiny_model, "cpu")


@pytest.fixture
def found_by_id(monkeypatch, tiny_model):
    """Weights are looked for beside the tiny model, as well."""
    monkeypatch.setenv("AECODEC_MODELS", str(tiny_model.parent))


@pytest.fixture(scope="module")
def small(codec) -> bytes:
    """A file of 24 x 20 pixels with metadata."""
    metadata = {"icc": b"profile", "exif": b"MM\0*", "xmp": b"<x/>", "resolution": (300_000, 72_000)}
    return codec.compress(Picture(samples.photo(24, 20), **metadata), 60)


def grey_of(photo: np.ndarray) -> np.ndarray:
    return photo[:, :, 1].copy()


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


# What may be encoded


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_every_form_of_a_colour_picture_gives_the_same_bytes(codec, photo, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(png(photo))
    read_only = photo.copy()
    read_only.setflags(write=False)
    tensor = torch.from_numpy(photo.copy()).permute(2, 0, 1)
    forms = {
        "array": photo,
        "read-only array": read_only,
        "array in another order": np.asfortranarray(photo),
        "view": np.concatenate((photo, photo), 2)[:, :, 3:],
        "mirrored view": photo[::-1, ::-1].copy()[::-1, ::-1],
        "tensor": tensor.contiguous(),
        "tensor in another order": tensor,
        "tensor in channels_last": tensor[None].contiguous(memory_format=torch.channels_last)[0],
        "PIL image": Image.fromarray(photo),
        "path": path,
        "name": str(path),
        "bytes": path.read_bytes(),
        "open file": io.BytesIO(path.read_bytes()),
    }
    before, wanted = photo.copy(), codec.encode(photo)
    assert {name for name, form in forms.items() if codec.encode(form) != wanted} == set()
    assert np.array_equal(photo, before)


def test_every_form_of_a_grey_picture_gives_the_same_bytes(codec, photo):
    grey = grey_of(photo)
    forms = {
        "array": grey,
        "array of one channel": grey[:, :, None],
        "view": photo[:, :, 1],
        "tensor": torch.from_numpy(grey)[None],
        "PIL image": Image.fromarray(grey),
        "bytes": png(grey),
    }
    wanted = codec.encode(grey)
    assert container.read(wanted).header.channels == 1
    assert {name for name, form in forms.items() if codec.encode(form) != wanted} == set()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.int16),
        np.zeros((8, 8, 3), bool),
        np.zeros((8, 8, 5), np.uint8),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros(8, np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 0), np.uint8),
        torch.zeros(3, 8, 8),
        torch.zeros(8, 8, 3, dtype=torch.uint8),
        torch.zeros(8, 8, dtype=torch.uint8),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(3, 0, 8, dtype=torch.uint8),
        None,
        5,
        [[0, 0], [0, 0]],
    ],
    ids=lambda image: f"{type(image).__name__} {getattr(image, 'dtype', '')} {getattr(image, 'shape', '')}",
)
def test_other_arrays_are_refused(codec, image):
    with pytest.raises(errors.BadArgument):
        codec.encode(image)


def test_pictures_that_are_refused_by_name(codec, tmp_path):
    with pytest.raises(errors.InputMissing, match=r"nowhere\.png"):
        codec.encode(tmp_path / "nowhere.png")
    with pytest.raises(errors.UnsupportedPicture, match="floating point"):
        codec.encode(Image.new("F", (8, 8)))
    with pytest.raises(errors.NotAnImage):
        codec.encode(b"no picture")


# What comes out


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (1, 16), (16, 16), (17, 64), (65, 33)])
def test_pixels_come_back_in_every_form_and_size(codec, width, height):
    for grey in (False, True):
        pixels = samples.photo(width, height, grey)
        data = codec.encode(pixels)
        array, tensor, image = (codec.decode(data, to=to) for to in ("numpy", "torch", "pil"))
        assert array.dtype == np.uint8 and array.flags.writeable
        assert array.shape == ((height, width) if grey else (height, width, 3))
        assert tensor.dtype == torch.uint8 and tensor.device.type == "cpu"
        assert tensor.shape == (1 if grey else 3, height, width)
        assert image.mode == ("L" if grey else "RGB") and image.size == (width, height)
        assert np.array_equal(tensor.permute(1, 2, 0).numpy().reshape(array.shape), array)
        assert np.array_equal(np.asarray(image), array)
        assert np.array_equal(np.asarray(codec.decode(data)), array)  # PIL unless something else is asked for


def test_every_form_of_a_file_gives_the_same_pixels(codec, small, tmp_path):
    path = tmp_path / "small.aec"
    path.write_bytes(small)
    wanted = codec.decode(small, to="numpy")
    for form in (bytearray(small), memoryview(small), path, str(path), io.BytesIO(small)):
        assert np.array_equal(codec.decode(form, to="numpy"), wanted)
    with pytest.raises(errors.InputMissing, match=r"nowhere\.aec"):
        codec.decode(tmp_path / "nowhere.aec")
    for wrong in (5, io.StringIO("text")):
        with pytest.raises(errors.BadArgument):
            codec.decode(wrong)
    codec.verify(path)
    assert codec.salvage(str(path)).damaged == ()


@pytest.mark.parametrize("to", ["PIL", "jpeg", "", None])
def test_another_form_is_refused(codec, small, to):
    with pytest.raises(errors.BadArgument, match="'pil', 'numpy', 'torch' or 'latents'"):
        codec.decode(small, to=to)


def test_the_picture_is_still_the_picture(codec, photo):
    sizes, likeness = [], []
    for quality in (0, 30, 60, 100):
        data = codec.encode(photo, quality)
        sizes.append(len(data))
        likeness.append(psnr(codec.decode(data, to="numpy"), photo))
    assert sizes == sorted(set(sizes))
    assert min(likeness) > 20 and likeness[-1] > likeness[0]  # a mean colour has 13 dB
    assert psnr(np.full(photo.shape, photo.mean((0, 1))), photo) < 15


def test_a_grey_plane_is_coded_as_three_and_comes_back_as_their_mean(codec, photo):
    grey = grey_of(photo)
    alone, three = (codec.encode(one, 60, effort=0) for one in (grey, np.dstack([grey] * 3)))
    assert container.read(alone).tiles == container.read(three).tiles
    colours = codec.decode(three, to="numpy")
    apart = np.abs(codec.decode(alone, to="numpy") - colours.mean(2))
    inside = ((colours > 0) & (colours < 255)).all(2)  # elsewhere a colour was clamped
    assert inside.mean() > 0.8 and apart[inside].max() <= 1
    assert psnr(codec.decode(alone, to="numpy"), grey) > 20


def test_metadata_comes_back(codec, small):
    picture = codec.decompress(small)
    assert (picture.icc, picture.exif, picture.xmp) == (b"profile", b"MM\0*", b"<x/>")
    assert picture.resolution == (300_000, 72_000)
    info = codec.decode(small).info
    assert (info["icc_profile"], info["exif"], info["xmp"]) == (b"profile", b"Exif\0\0MM\0*", b"<x/>")
    assert info["dpi"] == (300, 72)


def test_metadata_of_a_file_goes_from_picture_to_picture(codec, photo):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"
    file = io.BytesIO()
    options = {"icc_profile": b"a profile", "exif": exif, "xmp": b"<x/>", "dpi": (300, 300), "quality": 95}
    Image.fromarray(photo).save(file, "JPEG", **options)
    before = pictures.load(file.getvalue())
    after = codec.decompress(codec.encode(file.getvalue()))
    for field in ("icc", "exif", "xmp", "resolution"):
        assert getattr(after, field) == getattr(before, field) is not None, field
    assert after.pixels.shape == photo.shape  # an orientation stays metadata
    again = codec.decompress(codec.encode(codec.decode(codec.encode(file.getvalue()))))
    assert (again.icc, again.exif, again.xmp) == (before.icc, before.exif, before.xmp)


def test_an_orientation_stays_metadata_in_an_image_and_is_applied_to_arrays(codec, photo):
    image = Image.fromarray(photo)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to view
    image.info["exif"] = exif.tobytes()
    data = codec.encode(image)
    decoded = codec.decode(data)
    assert decoded.size == (104, 72) and decoded.getexif()[0x0112] == 6
    turned = np.rot90(np.asarray(decoded), -1)
    assert np.array_equal(codec.decode(data, "numpy"), turned)
    assert np.array_equal(codec.decode(data, "torch").permute(1, 2, 0).numpy(), turned)


# Alpha, and what encode is told


@pytest.mark.parametrize("grey", [True, False])
def test_alpha_goes_in_and_comes_out_in_every_form(codec, photo, grey):
    alpha = np.arange(72 * 104).reshape(72, 104).astype(np.uint8)
    colour = photo[:, :, :1] if grey else photo
    samples = np.concatenate([colour, alpha[:, :, None]], axis=2)
    tensor = torch.from_numpy(samples).permute(2, 0, 1)
    image = Image.fromarray(samples)
    data = codec.encode(samples, 60)
    assert all(codec.encode(form, 60) == data for form in (tensor, tensor.contiguous(), image, png(samples)))
    picture, array = codec.decompress(data), codec.decode(data, to="numpy")
    assert np.array_equal(picture.alpha, alpha) and picture.pixels.shape == colour.shape
    assert array.shape == samples.shape and np.array_equal(array[:, :, -1], alpha)
    assert np.array_equal(codec.decode(data, to="torch").permute(1, 2, 0).numpy(), array)
    decoded = codec.decode(data)
    assert decoded.mode == ("LA" if grey else "RGBA") and np.array_equal(np.asarray(decoded), array)
    assert aecodec.info(data)["alpha"]


def test_strip_turns_upright_and_leaves_metadata_out(codec, photo):
    image = Image.fromarray(photo)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif, icc_profile=b"profile", dpi=(300, 300))
    data = codec.encode(file.getvalue(), strip=True)
    assert [part["name"] for part in aecodec.info(data)["sections"]] == ["header", "index", "tile 0"]
    assert data == codec.encode(np.rot90(photo, -1))


def test_strict_and_frame_reach_the_reader(codec, tiny_model, photo):
    deep = Image.fromarray(photo[:, :, 0].astype(np.uint16) * 257)
    assert codec.encode(deep) == codec.encode(photo[:, :, 0])
    with pytest.raises(errors.UnsupportedPicture, match="16 bits a channel to 8"):
        codec.encode(deep, strict=True)
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "TIFF", save_all=True, append_images=[Image.fromarray(255 - photo)])
    assert codec.encode(file.getvalue(), frame=1, strip=True) == codec.encode(255 - photo)
    function = aecodec.encode(file.getvalue(), frame=1, strip=True, device="cpu", model=tiny_model)
    assert function == codec.encode(255 - photo)
    with pytest.raises(errors.UnsupportedPicture, match="would be changed"):
        aecodec.encode(deep, strict=True, device="cpu", model=tiny_model)


# Quality


@pytest.mark.parametrize(
    "quality", [-1, -1e-9, 100.001, 1e9, float("nan"), float("inf"), -float("inf"), "high", None]
)
def test_a_quality_out_of_range_is_refused(codec, photo, quality):
    with pytest.raises(errors.BadQuality, match="0 to 100"):
        codec.encode(photo, quality)


def test_quality_names_a_level(codec, photo):
    levels = [container.read(codec.encode(photo[:8, :8], q)).header.level for q in range(101)]
    assert levels[0] == 0 and levels[-1] == 255 and levels == sorted(levels) and len(set(levels)) == 101
    assert levels[1] == 1 and levels[7] == 10  # small steps at first
    for quality in (40, 40.0, np.float32(40), np.int64(40)):
        assert codec.encode(photo, quality) == codec.encode(photo, 40)
    assert codec.encode(photo) == codec.encode(photo, 75)


# Models


def test_files_find_their_model_by_its_id(found_by_id, codec, small):
    assert np.array_equal(Codec(device="cpu").decode(small, to="numpy"), codec.decode(small, to="numpy"))


def test_a_model_is_named_or_is_a_file(found_by_id, tiny_model, codec, photo):
    for model in ("tiny", tiny_model, str(tiny_model)):
        assert Codec(model, "cpu").encode(photo) == codec.encode(photo)


def test_an_unknown_model_is_named_with_the_folders(monkeypatch, tmp_path, photo, small):
    monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
    entropy_id = container.read_header(small)[0].entropy_id.hex()
    with pytest.raises(errors.UnknownModel) as caught:
        Codec(device="cpu").decode(small)
    assert entropy_id in str(caught.value) and str(tmp_path) in str(caught.value)
    with pytest.raises(errors.UnknownModel) as caught:
        Codec("nobody", "cpu").encode(photo)
    assert "nobody" in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.fixture
def other_synthesis(tmp_path, tiny_model):
    """Weights for the same latents that draw a brighter picture."""

    def change(tensors, metadata):
        bias = tensors["synthesis.leave.bias"]
        tensors["synthesis.leave.bias"] = bias + 0.1

    return weights_files.rewrite(tiny_model, tmp_path / "brighter.safetensors", change)


def test_another_synthesis_must_be_asked_for(monkeypatch, codec, small, other_synthesis):
    monkeypatch.setenv("AECODEC_MODELS", str(other_synthesis.parent))
    synthesis_id = container.read_header(small)[0].synthesis_id.hex()
    with pytest.raises(errors.SynthesisMismatch, match=f"{synthesis_id}.*name it as the model"):
        Codec(device="cpu").decode(small)
    brighter = Codec(other_synthesis, "cpu").decode(small, to="numpy").astype(int)
    gain = (brighter - codec.decode(small, to="numpy"))[brighter < 255]
    assert gain.min() >= 24 and gain.max() <= 27  # a tenth of 255


def test_a_model_is_a_name_or_a_path():
    with pytest.raises(errors.BadArgument, match="model 5: give a name"):
        Codec(5)


def test_weights_that_are_replaced_under_their_name_are_loaded_anew(
    tmp_path, tiny_model, photo, other_synthesis
):
    path = shutil.copy(tiny_model, tmp_path / "mine.safetensors")
    codec = Codec(path, "cpu")
    first = codec.encode(photo)
    shutil.copy(other_synthesis, path)
    os.utime(path, ns=(1, 1))
    second = codec.encode(photo)
    assert container.read_header(first)[0].synthesis_id != container.read_header(second)[0].synthesis_id


def test_a_file_of_another_model_is_not_decoded_with_the_named_one(tmp_path, tiny_model, small):
    def change(tensors, metadata):
        tensors["entropy.z_index"] = tensors["entropy.z_index"][::-1]

    other = weights_files.rewrite(tiny_model, tmp_path / "other.safetensors", change)
    with pytest.raises(errors.UnknownModel, match="leave out the model"):
        Codec(other, "cpu").decode(small)


def test_a_decoder_that_computes_differently_says_so_and_draws_nothing(codec, small, monkeypatch):
    """All checksums of bytes are right, the latents are not."""
    parameters = Entropy.parameters

    def different(*args):
        mu, indexes = parameters(*args)
        return mu + (mu == mu.max()), indexes

    monkeypatch.setattr(Entropy, "parameters", different)
    with pytest.raises(errors.LatentsMismatch, match="aec selftest"):
        codec.decode(small)


# Devices


def test_without_a_gpu_cuda_is_refused_and_auto_is_the_cpu(tiny_model, photo, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for call in (lambda: Codec(device="cuda"), lambda: aecodec.encode(photo, device="cuda")):
        with pytest.raises(errors.NoGpu, match="cpu or auto"):
            call()
    assert Codec(tiny_model).device == Codec(tiny_model, "auto").device == "cpu"


@pytest.mark.parametrize("device", ["abacus", "", "cuda:0", "CPU"])
def test_another_device_is_refused(device):
    with pytest.raises(errors.BadArgument, match="auto, cpu or cuda"):
        Codec(device=device)


@pytest.mark.gpu
def test_auto_is_the_gpu_if_there_is_one(tiny_model):
    assert Codec(tiny_model).device.type == "cuda"


# Threads


def test_threads_share_a_codec_and_load_its_model_once(tiny_model, codec, monkeypatch):
    loads = []
    monkeypatch.setattr(codec_module, "load", lambda *args: loads.append(args) or load(*args))
    jobs = [(samples.photo(50 + 9 * n, 40, grey=n % 3 == 0), 15 * n) for n in range(6)]
    wanted = [codec.encode(*job) for job in jobs]
    drawn = [codec.decode(data, to="numpy") for data in wanted]
    shared, barrier = Codec(tiny_model, "cpu"), threading.Barrier(4)

    def work(offset):
        barrier.wait()  # all four find the model not loaded yet
        results = {}
        for n in range(len(jobs)):
            job = (n + offset) % len(jobs)
            data = shared.encode(*jobs[job])
            results[job] = data, shared.decode(data, to="numpy")
        return results

    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(work, range(4)):
            for job, (data, pixels) in results.items():
                assert data == wanted[job] and np.array_equal(pixels, drawn[job])
    assert len(loads) == 1


# Sizes


def huge_file(data: bytes) -> bytes:
    """A header that claims 2^31 - 1 pixels a side, and nothing after it."""
    header, _ = container.read_header(data)
    sides = leb(2**31 - 1) + leb(2**31 - 1) + b"\3" + leb(2**27) + leb(2**27) + leb(header.latent_channels)
    return with_crc(data[:20], sides, bytes([header.level]), leb(65536), leb(2**30))


def test_a_picture_above_the_limit_is_refused_by_its_header_alone(codec, small, monkeypatch):
    for name in ("read", "read_index"):
        monkeypatch.setattr(container, name, lambda *args: pytest.fail("more than the header was read"))
    monkeypatch.setattr(codec, "_load", lambda *args: pytest.fail("a model was loaded"))
    with pytest.raises(errors.TooLarge, match=r"2147483647 x 2147483647 .*268435456.* GB"):
        codec.decode(huge_file(small))


def test_a_picture_in_one_huge_tile_is_refused_for_the_memory_of_the_tile(codec, small):
    header, _ = container.read_header(small)
    sides = leb(16000) + leb(16000) + b"\3" + leb(1000) + leb(1000) + leb(header.latent_channels)
    huge_tile = with_crc(small[:20], sides, bytes([header.level]), leb(16384), leb(1))
    with pytest.raises(errors.TooLarge, match=r"16000 x 16000 pixels in tiles of 16384.* 31\.2 GB"):
        codec.decode(huge_tile)


def test_the_limit_can_be_set_and_is_the_last_size_that_passes(tiny_model, small):
    for limit in (24 * 20 - 1, 1):
        strict = Codec(tiny_model, "cpu", max_pixels=limit)
        with pytest.raises(errors.TooLarge, match=f"24 x 20 .*{limit}"):
            strict.decode(small)
        with pytest.raises(errors.TooLarge, match=f"{limit}"):
            strict.encode(samples.photo(24, 20))
    exact = Codec(tiny_model, "cpu", max_pixels=24 * 20)
    assert exact.decode(exact.encode(samples.photo(24, 20))).size == (24, 20)


# Damage


def refused(codec: Codec, data: bytes) -> str | None:
    """Name of the error, None if there was a picture; anything but an AecError fails the test."""
    try:
        codec.decode(data)
    except errors.AecError as error:
        return type(error).__name__
    return None


def test_a_file_with_any_changed_byte_is_refused(codec, small):
    kinds = set()
    for position in range(len(small)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            data = bytearray(small)
            data[position] ^= change
            kind = refused(codec, bytes(data))
            assert kind is not None, (position, change)
            kinds.add(kind)
    assert kinds <= {"NotAec", "UnsupportedVersion", "Truncated", "Damaged"} and "Damaged" in kinds


def test_a_file_that_is_cut_short_anywhere_is_truncated(codec, small):
    assert {refused(codec, small[:size]) for size in range(len(small))} == {"Truncated"}


def test_a_file_with_bytes_after_its_end_is_refused(codec, small):
    assert {refused(codec, small + more) for more in (b"\0", b"\n", small)} == {"TrailingBytes"}


def test_changed_words_under_a_right_checksum_never_give_a_picture(codec, small):
    """What a decoder meets that computes differently, or that somebody wrote on purpose."""
    part = next(part for part in container.layout(small) if part.name == "tile 0")
    start, stop = part.offset, part.offset + part.length - 4
    first = start + 2  # of the payload: kind, checksum of latents, words
    assert small[first] == container.NEURAL
    kinds = {}
    for position in range(first, stop):
        data = bytearray(small)
        data[position] ^= 1 << position % 8
        data[stop : stop + 4] = with_crc(bytes(data[start:stop]))[-4:]
        kinds.setdefault(refused(codec, bytes(data)), []).append(position)
    assert kinds.keys() <= {"UnknownSection", "LatentsMismatch", "Damaged"}, kinds
    assert len(kinds["LatentsMismatch"]) >= stop - first - 2


# Functions of the package


def test_the_functions_do_what_the_codec_does(found_by_id, tiny_model, codec, photo, small):
    data = aecodec.encode(photo, quality=40, device="cpu", model=tiny_model)
    assert data == codec.encode(photo, 40)
    assert aecodec.encode(photo, device="cpu", model=tiny_model) == codec.encode(photo, 75)
    for to in ("pil", "numpy", "torch"):
        one, other = aecodec.decode(data, to=to), codec.decode(data, to=to)
        assert type(one) is type(other) and np.array_equal(np.asarray(one), np.asarray(other))
    assert np.array_equal(
        aecodec.decode(data, device="cpu", model=tiny_model, to="numpy"), codec.decode(data, to="numpy")
    )
    with pytest.raises(TypeError):
        aecodec.encode(photo, 40)  # by name alone, so that none is taken for another


def test_the_functions_keep_their_model_loaded(monkeypatch, tiny_model, photo):
    loads = []
    monkeypatch.setattr(codec_module, "load", lambda *args: loads.append(args) or load(*args))
    api._codec.cache_clear()
    for _ in range(3):
        aecodec.decode(aecodec.encode(photo, device="cpu", model=tiny_model), device="cpu", model=tiny_model)
    api._codec.cache_clear()
    assert len(loads) == 1


def test_the_package_shows_what_it_has():
    for name in aecodec.__all__:
        assert getattr(aecodec, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'compress'"):
        aecodec.compress  # noqa: B018
    assert issubclass(aecodec.AecError, Exception) and aecodec.AecError is errors.AecError


# info


def test_info_tells_all_that_is_in_a_file(found_by_id, tiny_model, small, tmp_path):
    path = tmp_path / "small.aec"
    path.write_bytes(small)
    weights = open_weights(tiny_model)
    parts = [(part.name, part.offset, part.length) for part in container.layout(small)]
    info = aecodec.info(small)
    sections = info.pop("sections")
    assert info == {
        "format_version": 1,
        "width": 24,
        "height": 20,
        "channels": 3,
        "alpha": False,
        "level": 109,
        "tile_size": 1024,
        "tiles": 1,
        "latents": {"channels": 12, "height": 2, "width": 2},
        "entropy_id": weights.entropy_id.hex(),
        "synthesis_id": weights.synthesis_id.hex(),
        "model": "tiny",
        "lossless": False,
        "bytes": len(small),
        "bpp": 8 * len(small) / 480,
    }
    assert [(part["name"], part["offset"], part["bytes"]) for part in sections] == parts
    assert [name for name, *_ in parts] == ["header", "index", "tile 0", "icc", "exif", "xmp", "resolution"]
    assert json.loads(json.dumps(aecodec.info(str(path)))) == aecodec.info(path) == aecodec.info(small)


def test_info_knows_what_the_codec_does_not_decode_or_find(monkeypatch, tmp_path, small, codec):
    monkeypatch.setattr("aecodec.weights.folders", lambda: [tmp_path])
    assert aecodec.info(small)["model"] is None
    vectors = Path(__file__).parent / "vectors" / "decode"
    mixed = aecodec.info(vectors / "lossless-and-neural-tiles-with-alpha.aec")
    assert mixed["alpha"] and mixed["tiles"] == 2
    lossless = aecodec.info(vectors / "lossless-grey-tiles.aec")
    assert (lossless["model"], lossless["channels"], lossless["entropy_id"]) == (None, 1, 16 * "0")
    assert lossless["lossless"] and not mixed["lossless"]
    assert aecodec.info(vectors / "packed-tiles-with-alpha.aec")["alpha"]
    names = [part["name"] for part in aecodec.info(vectors / "unknown-section.aec")["sections"]]
    assert names[-1] == "unknown 0x41"
    with pytest.raises(errors.NotAec):
        aecodec.info(b"no file of ours")
    with pytest.raises(errors.Truncated):
        aecodec.info(huge_file(small))  # it does not ask for the memory that decoding would


def test_import_and_info_bring_no_torch(tmp_path, small, found_by_id):
    path = tmp_path / "small.aec"
    path.write_bytes(small)
    code = """
import sys
import aecodec
print(*{"torch", "numpy", "PIL", "click", "constriction"} & sys.modules.keys(), aecodec.__version__)
print(aecodec.info(sys.argv[1])["model"], "torch" in sys.modules, "constriction" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [f" {aecodec.__version__}".strip(), "tiny False False"]


def test_decoding_brings_no_compiler(tmp_path, small, found_by_id):
    """PyTorch's takes a second to import, as long as all else together."""
    path = tmp_path / "small.aec"
    path.write_bytes(small)
    code = """
import sys
import aecodec
aecodec.encode(aecodec.decode(sys.argv[1], device="cpu"), device="cpu", model="tiny")
print({"torch._dynamo", "sympy"} & sys.modules.keys())
"""
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["set()"]


def test_crc_helpers_of_this_file_are_those_of_the_format(small):
    """Else the tests of damage under right checksums would show nothing."""
    assert with_crc(b"123456789")[-4:] == u32(0xCBF43926)
    assert container.read_header(huge_file(small))[0].width == 2**31 - 1
