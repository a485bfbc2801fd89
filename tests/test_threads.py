"""Tiles over the cores: the same bytes and pixels, and PyTorch's settings stay the caller's."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from samples import TINY, photo

from aecodec import Codec, errors, threads
from aecodec.networks.photo.hyperprior import Hyperprior

PIXELS = photo(560, 530)  # 3 x 3 tiles


@pytest.fixture(autouse=True)
def tiled(monkeypatch):
    monkeypatch.setattr(Hyperprior, "tile_size", 256)


@pytest.fixture
def allow():
    """Set the number of intra-op threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def threads_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_bytes_and_pixels_do_not_depend_on_the_threads(allow):
    results = []
    for count in (1, 2, 5):
        allow(count)
        data = Codec(TINY, "cpu").encode(PIXELS, 60)
        results.append((data, Codec(TINY, "cpu").decode(data, "numpy")))
    assert {data for data, _ in results} == {results[0][0]}
    assert all(np.abs(pixels.astype(int) - results[0][1]).max() <= 1 for _, pixels in results)


@pytest.mark.parametrize("count", [1, 2, 6])
def test_the_callers_setting_stays(count, allow):
    allow(count)
    coder = Codec(TINY, "cpu")
    data = coder.encode(PIXELS, bpp=0.25)
    coder.decode(data)
    coder.verify(data)
    assert torch.get_num_threads() == count
    assert threads_of_a_new_thread() == count


def test_a_tile_that_fails_leaves_no_thread_behind(allow):
    allow(2)
    coder = Codec(TINY, "cpu")
    data = coder.encode(PIXELS, 60)
    before = threading.active_count()

    def broken(number: int) -> None:
        raise errors.Damaged(f"tile {number}")

    with pytest.raises(errors.Damaged, match="tile 0"), threads.workers(9) as pool:
        list(threads.in_order(pool, broken, range(9)))
    parts = threads.in_order(None, lambda item: item, range(3))
    assert list(parts) == [0, 1, 2]
    coder.decode(data)
    assert threading.active_count() == before


def test_cores_are_shared_and_one_tile_or_one_core_needs_no_thread(allow):
    allow(6)
    with threads.workers(3) as pool:
        counts = list(threads.in_order(pool, lambda _: torch.get_num_threads(), range(6)))
    assert counts == [2] * 6
    with threads.workers(1) as pool:
        assert pool is None
    allow(1)
    with threads.workers(9) as pool:
        assert pool is None


def test_several_codecs_at_a_time(allow):
    allow(2)
    coder = Codec(TINY, "cpu")
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda quality: coder.encode(PIXELS, quality), [60] * 6))
    assert len(set(files)) == 1
    assert threads_of_a_new_thread() == 2


def test_the_callers_settings_of_autograd_and_autocast_do_not_matter(allow):
    allow(2)
    coder = Codec(TINY, "cpu")
    data = coder.encode(PIXELS, 60)
    with torch.autocast("cpu", torch.bfloat16), torch.enable_grad():
        assert coder.encode(PIXELS, 60) == data
