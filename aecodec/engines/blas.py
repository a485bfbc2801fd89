"""One BLAS thread while NumPy multiplies here.

OpenBLAS's own threads wait busily for each other, so that a product takes several times as long when another
program needs a core; and called from several threads they take turns.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_limits: list[AbstractContextManager[object]] = []  # the limit that is set now, if there is one
_users = 0


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS libraries that are loaded, NumPy's among them."""
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS to one thread in the whole process; the caller's number is back when the last user leaves."""
    global _users
    with _lock:
        if not _users:
            _limits.append(_libraries().limit(limits=1))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _limits.pop().__exit__(None, None, None)
