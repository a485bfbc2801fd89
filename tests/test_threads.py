"""Work over the cores: the same bytes and pixels, the callers' settings stay theirs, and nothing hangs."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import threadpoolctl
from samples import TINY, photo

from aecodec import Codec, errors, threads
from aecodec.engines.blas import one_thread
from aecodec.networks.photo.hyperprior import Hyperprior

PIXELS = photo(560, 530)  # 3 x 3 tiles


@pytest.fixture(autouse=True)
def tiled(monkeypatch):
    monkeypatch.setattr(Hyperprior, "tile_size", 256)


@pytest.fixture
def allow(monkeypatch):
    """Set the number of threads for one test."""
    return lambda count: monkeypatch.setenv("OMP_NUM_THREADS", str(count))


def blas_threads() -> list[int]:
    return [blas["num_threads"] for blas in threadpoolctl.threadpool_info() if blas["user_api"] == "blas"]


def test_bytes_and_pixels_do_not_depend_on_the_threads(allow):
    results = []
    for count in (1, 2, 5):
        allow(count)
        data = Codec(TINY, "cpu").encode(PIXELS, 60)
        results.append((data, Codec(TINY, "cpu").decode(data, "numpy")))
    assert {data for data, _ in results} == {results[0][0]}
    assert all(np.abs(pixels.astype(int) - results[0][1]).max() <= 1 for _, pixels in results)


def test_openmp_says_how_many_threads_and_nonsense_means_all_cores(allow):
    for said, count in (
        ("3", 3),
        ("4,2", 4),
        ("", threads.cores()),
        ("0", threads.cores()),
        ("x", threads.cores()),
    ):
        allow(said)
        assert threads.allowed() == threads.share() == count


def test_cores_are_shared_and_one_tile_or_one_core_needs_no_thread(allow):
    allow(6)
    with threads.workers(3) as pool:
        counts = list(threads.in_order(pool, lambda _: threads.share(), range(6)))
    assert counts == [2] * 6
    with threads.workers(1) as pool:
        assert pool is None
    allow(1)
    with threads.workers(9) as pool:
        assert pool is None


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
    assert threading.active_count() <= before + 1  # one for rows may have started, which stays


def test_several_codecs_at_a_time(allow):
    allow(2)
    coder = Codec(TINY, "cpu")
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda quality: coder.encode(PIXELS, quality), [60] * 6))
    assert len(set(files)) == 1


# Parts


def test_a_failure_in_any_thread_is_raised(allow):
    allow(3)

    def fail(item):
        if item == 5:
            raise IndexError("five")

    with pytest.raises(IndexError, match="five"):
        threads.spread(fail, range(9))
    done = []
    threads.spread(done.append, range(9))
    assert sorted(done) == list(range(9))


def test_where_no_thread_can_be_started_one_does_it_all(allow, monkeypatch):
    allow(3)
    threads._helpers.cache_clear()

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    done = []
    threads.spread(done.append, range(9))
    assert done == list(range(9))
    with threads.workers(5) as pool:
        assert list(threads.in_order(pool, abs, range(5))) == list(range(5))
    threads._helpers.cache_clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_works_on(allow):
    """It has none of the threads that the codec had in the first one."""
    allow(2)
    coder = Codec(TINY, "cpu")
    data = coder.encode(PIXELS, 60)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        decoded = pool.apply_async(coder.decode, (data, "numpy")).get(timeout=60)
    assert np.array_equal(decoded, coder.decode(data, "numpy"))


# BLAS


def test_blas_has_one_thread_meanwhile_and_the_callers_number_afterwards():
    with threadpoolctl.threadpool_limits(2, "blas"):
        before = blas_threads()
        with one_thread():
            assert set(blas_threads()) == {1}
            with one_thread():
                assert set(blas_threads()) == {1}
            assert set(blas_threads()) == {1}
        assert blas_threads() == before
        with pytest.raises(ValueError), one_thread():
            raise ValueError
        assert blas_threads() == before


def test_of_users_that_overlap_the_last_one_gives_back_the_number():
    with threadpoolctl.threadpool_limits(2, "blas"):
        before = blas_threads()
        first, second = one_thread(), one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert set(blas_threads()) == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == before


def test_the_command_line_starts_no_threads_of_blas(tmp_path):
    """They would be started, and wait busily, as soon as NumPy is imported."""
    code = """
import sys, threadpoolctl
from aecodec.cli import main
sys.argv = ["aec", "selftest", "--device", "cpu"]
try:
    main()
except SystemExit:
    print([lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"])
"""
    variables = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    variables["AECODEC_MODELS"] = str(TINY.parent)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables
    )
    assert set(eval(run.stdout.splitlines()[-1])) == {1}
