"""Work on tiles, spread over the cores, in a few threads of this process."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


# A thread holds the activations of one tile, 115 MB, or those of a part of it for a slope, as many; four are
# enough to hide what runs on one core alone.
MAX_WORKERS = 4

_starting = threading.Lock()


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """No autograd, and no autocast that the caller may have set."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        yield


@contextlib.contextmanager
def workers(tiles: int) -> Iterator[Executor | None]:
    """Threads for so many tiles, or None where this one is enough.

    They share what torch.set_num_threads allows: convolutions are but 60 % of the work on a tile, so two
    tiles at a time with a core each are done sooner than one after the other with both.
    """
    allowed = torch.get_num_threads()
    count = min(tiles, allowed, MAX_WORKERS)
    if count <= 1:
        yield None
        return
    pool = _started(count, allowed)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _started(count: int, allowed: int) -> Executor:
    """Threads that have set their own number of intra-op threads.

    PyTorch takes that as the default of later threads too, so it is set back as soon as all have started.
    """
    all_set = threading.Barrier(count + 1)

    def start() -> None:
        torch.set_num_threads(allowed // count)
        torch.get_num_threads()  # the first look would else take over the default of then
        all_set.wait()

    with _starting:
        pool = ThreadPoolExecutor(count, "aecodec", start)
        for _ in range(count):
            pool.submit(bool)  # a pool starts a thread for work alone
        all_set.wait()
        torch.set_num_threads(allowed)
    return pool


def in_order(
    pool: Executor | None, work: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """The results of `work` in the order of the items, of which a few are taken in advance."""

    def run(item: Item) -> Result:
        with exact():  # holds for one thread alone
            return work(item)

    if pool is None:
        yield from map(run, items)
        return
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(run, item))
        if len(waiting) > MAX_WORKERS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
