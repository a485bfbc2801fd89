"""What a codec gives to programs that learn or search: latents, batches, and itself in another process."""

import ctypes.util
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import samples
import torch

import aecodec
from aecodec import devices, errors
from aecodec.codec import Codec
from aecodec.file import container
from aecodec.networks.model import Model
from aecodec.networks.photo import latents
from aecodec.tiles import neural


@pytest.fixture(scope="module")
def codec(tiny_model) -> Codec:
    return Codec(tiny_model, "cpu")


@pytest.fixture(scope="module")
def model() -> Model:
    return samples.load_model()


# Latents


def test_latents_are_those_of_the_file_in_units_of_the_analysis(codec, model, photo):
    data = codec.encode(photo, 60)
    code = codec.decode(data, to="latents")
    file = container.read(data)
    height, width = -(-photo.shape[0] // 16), -(-photo.shape[1] // 16)
    words = [file.tiles[0].payload]
    (coded,) = latents.decode(model.entropy, words, height, width, file.header.level)
    wanted = coded.y_hat / 16 / model.gain[file.header.level][:, None, None]
    assert code.y_hat.dtype == np.float32
    assert code.y_hat.shape == (model.architecture.latent_channels, height, width)
    assert np.allclose(code.y_hat, wanted, rtol=1e-6, atol=0)
    assert (code.level, code.entropy_id) == (file.header.level, file.header.entropy_id)


def test_latents_of_two_levels_differ_by_rounding_alone(codec, model, photo):
    box = next(iter(neural.tile_boxes(photo.shape[1], photo.shape[0], 1024)))
    y = np.moveaxis(neural.analyse(model, photo, box), -1, 0)
    for quality in (20, 90):
        code = codec.decode(codec.encode(photo, quality, effort=0), to="latents")
        step = 1 / model.gain[code.level][:, None, None]  # one symbol
        assert code.y_hat.std() > 0
        assert (
            np.quantile(np.abs(code.y_hat - y) / step, 0.999) <= 1.01
        )  # rounded, or one step nearer to zero


def test_latents_of_tiles_lie_where_the_tiles_do(codec, model):
    pixels = samples.photo(600, 300)
    file = samples.neural_file(model, pixels, level=120, tile_size=256)
    code = codec.decode(container.write(file), to="latents")
    assert code.y_hat.shape[1:] == (19, 38)
    for number, box in enumerate(neural.tile_boxes(600, 300, 256)):
        area, words = box.latents(16), file.tiles[number].payload
        (coded,) = latents.decode(model.entropy, [words], area.height, area.width, 120)
        tile = coded.y_hat / 16 / model.gain[120][:, None, None]
        assert np.allclose(code.y_hat[:, *box.latents(16).slices], tile, rtol=1e-6, atol=0), number


def test_a_network_may_be_trained_on_latents(codec, photo):
    y_hat = torch.from_numpy(codec.decode(codec.encode(photo), to="latents").y_hat)
    weight = torch.zeros(len(y_hat), requires_grad=True)
    (weight @ y_hat.mean((1, 2))).backward()
    assert weight.grad.abs().sum() > 0


def test_lossless_tiles_have_no_latents(codec, model, photo):
    mixed = samples.neural_file(model, samples.photo(300, 20), level=90, tile_size=256)
    mixed = container.Container(
        mixed.header, (mixed.tiles[0], samples.lossless_tile(samples.photo(44, 20, left=256)))
    )
    for number, file in ((0, samples.lossless(photo)), (1, mixed)):
        with pytest.raises(errors.BadArgument, match=f"tile {number} is lossless and has no latents"):
            codec.decode(container.write(file), to="latents")


def test_latents_of_broken_files_are_refused_like_their_pixels(codec, photo, tiny_model):
    data = codec.encode(photo)
    with pytest.raises(errors.Truncated):
        codec.decode(data[:-1], to="latents")
    with pytest.raises(errors.TooLarge):
        Codec(tiny_model, "cpu", max_pixels=100).decode(data, to="latents")


def test_the_function_of_the_package_gives_latents_too(codec, photo, tiny_model):
    data = codec.encode(photo)
    code = aecodec.decode(data, model=tiny_model, device="cpu", to="latents")
    assert np.array_equal(code.y_hat, codec.decode(data, to="latents").y_hat)


# Batches


def test_a_batch_is_what_its_items_are_one_by_one(codec, tmp_path):
    sizes = [(40, 24), (40, 24), (17, 90), (1, 1)]
    files = [codec.encode(samples.photo(*size), 50) for size in sizes] + [
        codec.encode(samples.photo(9, 9, True))
    ]
    path = tmp_path / "photo.aec"
    path.write_bytes(files[0])
    batch = codec.decode_batch([*files, path])
    assert [tuple(tensor.shape) for tensor in batch] == [
        *((3, height, width) for width, height in sizes),
        (1, 9, 9),
        (3, 24, 40),
    ]
    for tensor, item in zip(batch, [*files, path], strict=True):
        assert tensor.dtype == torch.uint8 and tensor.device.type == codec.device
        assert torch.equal(tensor, codec.decode(item, to="torch"))
    assert codec.decode_batch([]) == []


def test_the_first_item_that_cannot_be_decoded_is_the_error(codec, photo):
    data = codec.encode(photo)
    with pytest.raises(errors.Truncated):
        codec.decode_batch([data, data[:-1], b"no file", data])


# Other processes


def test_a_pickled_codec_is_what_it_was_made_from(codec, tiny_model, photo):
    codec.encode(photo)  # its model is loaded now
    data = pickle.dumps(codec)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert (again.model, again.device, again.max_pixels) == (codec.model, codec.device, codec.max_pixels)
    assert again.encode(photo, 30) == codec.encode(photo, 30)


def test_auto_is_decided_where_a_codec_arrives(tiny_model, monkeypatch):
    monkeypatch.setattr(devices, "DRIVERS", (ctypes.util.find_library("c"),))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    auto = pickle.dumps(Codec(tiny_model, "auto"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    forced = pickle.dumps(Codec(tiny_model, "cuda"))
    assert pickle.loads(auto).device == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(errors.NoGpu):
        pickle.loads(forced)


def test_a_codec_works_in_another_process(codec, photo):
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as workers:
        assert workers.submit(codec.encode, photo, 30).result() == codec.encode(photo, 30)
        decoded = workers.submit(codec.decode, codec.encode(photo), "numpy").result()
    assert np.array_equal(decoded, codec.decode(codec.encode(photo), "numpy"))


def test_an_error_comes_back_from_another_process(codec):
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=spawn) as workers,
        pytest.raises(errors.NotAec, match="no .aec file"),
    ):
        workers.submit(codec.decode, b"something else entirely").result()
