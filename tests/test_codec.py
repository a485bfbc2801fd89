"""The Python API: what goes in, what comes out, and what is refused."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

import aecodec
from aecodec import codec as codec_module
from aecodec import container, errors, pictures


@pytest.fixture(scope="module")
def codec(tiny_model):
    return aecodec.Codec(tiny_model)


@pytest.fixture
def data(codec, photo):
    return codec.encode(photo)


def test_every_kind_of_input_gives_the_same_bytes(codec, photo, tmp_path):
    image = Image.fromarray(photo)
    image.save(tmp_path / "photo.png")
    want = codec.encode(photo)
    tensor = torch.from_numpy(photo).permute(2, 0, 1)
    for given in (image, tensor, tmp_path / "photo.png", str(tmp_path / "photo.png")):
        assert codec.encode(given) == want
    assert codec.encode((tmp_path / "photo.png").read_bytes()) == want


def test_every_kind_of_output_holds_the_same_pixels(codec, data, photo, tmp_path):
    image, array, tensor = (codec.decode(data, to) for to in ("pil", "numpy", "torch"))
    assert image.mode == "RGB" and image.size == (104, 72)
    assert array.shape == photo.shape and array.dtype == np.uint8
    assert tensor.shape == (3, 72, 104) and tensor.dtype == torch.uint8
    assert np.array_equal(np.asarray(image), array) and np.array_equal(tensor.permute(1, 2, 0).numpy(), array)
    (tmp_path / "photo.aec").write_bytes(data)
    assert np.array_equal(codec.decode(tmp_path / "photo.aec", "numpy"), array)


def test_what_is_decoded_looks_like_what_was_encoded(codec, data, photo):
    error = codec.decode(data, "numpy").astype(float) - photo
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 20


def test_grey_stays_grey_and_costs_no_more_than_the_same_in_colour(codec, photo):
    grey = photo[:, :, 1]
    data = codec.encode(grey)
    assert codec.decode(data).mode == "L"
    assert codec.decode(data, "numpy").shape == (72, 104)
    assert codec.decode(data, "torch").shape == (1, 72, 104)
    assert len(data) <= len(codec.encode(np.repeat(grey[:, :, None], 3, 2)))
    assert codec.encode(grey[:, :, None]) == codec.encode(torch.from_numpy(grey.copy())[None]) == data


def test_the_functions_do_what_the_codec_does(tiny_model, codec, photo):
    data = aecodec.encode(photo, quality=40, model=tiny_model)
    assert data == codec.encode(photo, 40)
    pixels = aecodec.decode(data, model=tiny_model, to="numpy")
    assert np.array_equal(pixels, codec.decode(data, "numpy"))


def test_info_tells_what_the_file_is(data):
    facts = aecodec.info(data)
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["width"], facts["height"], facts["channels"], facts["tiles"]) == (104, 72, 3, 1)
    assert facts["latents"] == {"channels": 12, "height": 5, "width": 7}
    assert facts["bytes"] == len(data) == sum(s["bytes"] for s in facts["sections"])
    assert facts["bpp"] == pytest.approx(8 * len(data) / (104 * 72))


def test_metadata_come_back(codec, photo):
    exif = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
    picture = pictures.Picture(photo, icc=b"profile", exif=exif, xmp=b"<x/>", resolution=(72000, 96000))
    again = codec.decompress(codec.compress(picture))
    assert (again.icc, again.exif, again.xmp) == (b"profile", exif, b"<x/>")
    assert again.resolution == (72000, 96000)


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


@pytest.mark.parametrize("quality", [-0.1, 100.5, float("nan"), float("inf")])
def test_a_quality_out_of_range_is_refused(codec, photo, quality):
    with pytest.raises(errors.BadQuality, match="0 to 100"):
        codec.encode(photo, quality)


def test_levels_rise_with_quality(tiny_model):
    model = codec_module.Model(codec_module.models.find(tiny_model), torch.device("cpu"))
    levels = [model.level(q) for q in np.arange(0, 100.5, 0.5)]
    assert levels[0] == 0 and levels[-1] == 255
    assert all(a <= b for a, b in zip(levels, levels[1:], strict=False)) and len(set(levels)) > 190


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        torch.zeros(4, 4, 3, dtype=torch.uint8),
        torch.zeros(3, 4, 4),
        None,
        17,
    ],
    ids=str,
)
def test_other_arrays_and_objects_are_refused(codec, image):
    with pytest.raises(errors.BadArgument):
        codec.encode(image)


def test_other_outputs_and_devices_are_refused(codec, data, tiny_model):
    with pytest.raises(errors.BadArgument, match="pil"):
        codec.decode(data, "jpeg")
    with pytest.raises(errors.BadArgument, match="cuda"):
        aecodec.Codec(tiny_model, device="tpu")


def test_cuda_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(errors.NoGpu):
        aecodec.Codec(device="cuda")
    assert aecodec.Codec(device="auto").device.type == "cpu"


def test_too_many_pixels_are_refused_both_ways_and_the_memory_is_said(tiny_model, data, photo):
    small = aecodec.Codec(tiny_model, max_pixels=1000)
    with pytest.raises(errors.TooLarge):
        small.encode(photo)
    with pytest.raises(errors.TooLarge, match=r"104 x 72.*1000.*GB"):
        small.decode(data)
    assert aecodec.info(data)["width"] == 104


def test_one_codec_serves_many_threads(codec, photo):
    jobs = [(photo[: 40 + n], 10 * n) for n in range(8)]
    want = [codec.encode(*job) for job in jobs]
    fresh = aecodec.Codec(codec.model)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda job: fresh.encode(*job), jobs)) == want
        for got, (pixels, _) in zip(pool.map(lambda d: fresh.decode(d, "numpy"), want), jobs, strict=True):
            assert got.shape == pixels.shape


def test_a_file_decodes_only_with_weights_of_its_ids(data, codec, tiny_model):
    with pytest.raises(errors.UnknownModel, match="not installed"):
        aecodec.decode(data)
    file = container.read(data)
    assert file.header.entropy_id.hex() in tiny_model.name


def test_every_single_byte_changed_is_an_error_and_never_a_picture(codec, photo):
    data = codec.encode(photo[:20, :20], 30)
    for at in range(len(data)):
        for change in (1, 0x80):
            spoilt = bytearray(data)
            spoilt[at] ^= change
            with pytest.raises(errors.AecError):
                codec.decode(bytes(spoilt))


def test_every_file_cut_short_says_so(codec, photo):
    data = codec.encode(photo[:20, :20], 30)
    for length in range(len(data)):
        with pytest.raises(errors.Truncated):
            codec.decode(data[:length])


def test_importing_the_package_and_reading_info_bring_no_torch(data, tmp_path):
    (tmp_path / "x.aec").write_bytes(data)
    program = (
        "import sys, aecodec; assert 'torch' not in sys.modules and 'numpy' not in sys.modules; "
        "aecodec.info(sys.argv[1]); aecodec.AecError; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "x.aec")], check=True)


def test_an_unknown_attribute_of_the_package_is_named():
    with pytest.raises(AttributeError, match="'nothing'"):
        aecodec.nothing  # noqa: B018
