"""Work spread over the cores, in threads of this process: tiles of a picture, rows of a tile.

Our threads sleep while they wait, and nothing waits for threads that a fork has left behind.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Tiles at a time: each holds its activations. Four are enough to hide what runs on one core alone.
MAX_WORKERS = 4

_local = threading.local()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allowed() -> int:
    """How many threads may work at a time: OMP_NUM_THREADS, which other libraries obey too, or all cores."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(said) if said.isdecimal() and int(said) else cores()


def share() -> int:
    """How many threads may work on what is done in this one."""
    count: int | None = getattr(_local, "share", None)
    return count or allowed()


# Parts of one tile


def spread(work: Callable[[Item], object], items: Sequence[Item]) -> None:
    """Do some work for each item, in this thread and as many others as it may use.

    Raises what the work raises, for one item where it fails for several.
    """
    waiting = deque(items)

    def take() -> None:
        while waiting:
            try:
                item = waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            work(item)

    helpers: list[Future[None]] = []
    try:
        with contextlib.suppress(RuntimeError):  # no thread can be started: this one does it all
            for _ in range(min(share(), len(items)) - 1):
                helpers.append(_helpers().submit(take))
        take()
    finally:
        waiting.clear()
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads that stay, since parts take milliseconds; each is started when it is first needed."""
    return ThreadPoolExecutor(max(allowed(), cores()), "aecodec-rows")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a fork copies the pool without its threads


# Tiles


@contextlib.contextmanager
def workers(tiles: int) -> Iterator[Executor | None]:
    """Threads for so many tiles, or None where this one is enough.

    They share what this one may use: the coder works on one core, so that two tiles at a time with a core
    each are done sooner than one after the other with both.
    """
    count = min(tiles, share(), MAX_WORKERS)
    pool = _started(count, share() // count) if count > 1 else None
    try:
        yield pool
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)


def _started(count: int, each: int) -> Executor | None:
    """Threads that may use so many each, or None if one cannot be started."""

    def start() -> None:
        _local.share = each

    pool = ThreadPoolExecutor(count, "aecodec", start)
    try:
        for _ in range(count):
            pool.submit(bool)  # a pool starts a thread for work alone
    except RuntimeError:
        pool.shutdown(cancel_futures=True)
        return None
    return pool


def in_order(
    pool: Executor | None, work: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """The results of `work` in the order of the items, of which a few are taken in advance."""
    if pool is None:
        yield from map(work, items)
        return
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(pool.submit(work, item))
        if len(pending) > MAX_WORKERS:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
