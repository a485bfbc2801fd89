"""Where the time of encoding and decoding goes: the stages of the straight line, each by a stopwatch.

A stopwatch replaces a function of the package while it measures; what its callees of other stages take is
theirs. With several threads the seconds of a stage are those of all threads.
"""

import contextlib
import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from aecodec.coding import rans
from aecodec.file import container
from aecodec.networks.photo import latents
from aecodec.networks.photo.exact import Entropy
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.picture import pictures
from aecodec.tiles import alpha, lossless, neural

STAGES: dict[str, list[tuple[Any, str]]] = {
    "reading": [(pictures, "load")],
    "analysis": [(Hyperprior, "analyse")],
    "hyper-analysis": [(Hyperprior, "encode")],  # what is left of it: the rest is stages below
    "entropy networks": [(Entropy, "parameters")],
    "symbols": [(latents, "cheapest")],
    "tables and sorting": [(rans, "_grouped"), (rans.Encoder, "push"), (rans.Decoder, "pop")],
    "rANS": [(rans.Encoder, "_push_group"), (rans.Encoder, "words"), (rans.Decoder, "_pop_group")],
    "checksums": [(latents, "latents_crc")],
    "synthesis": [(Hyperprior, "synthesise"), (Hyperprior, "scaled")],
    "pixels": [(neural, "edge_padded"), (neural, "_gathered")],
    "container": [
        (container, name) for name in ("write", "read", "read_index", "read_tile", "read_metadata")
    ],
    "alpha and lossless": [(alpha, "filled"), (lossless, "cheaper")],
    "writing": [(pictures, "save")],
}


class Stopwatch:
    """Seconds of each stage, without those of the stages inside it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._running = threading.local()

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, which adds the time that it takes."""

        @functools.wraps(function)
        def wrapped(*args: Any, **options: Any) -> Any:
            inner = self._running.__dict__.setdefault("inner", [0.0])
            inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                spent = time.perf_counter() - start
                self.seconds[stage] += spent - inner.pop()
                inner[-1] += spent

        return wrapped


@contextlib.contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Take the time of all stages while it lasts."""
    watch = Stopwatch()
    with contextlib.ExitStack() as stack:
        for stage, functions in STAGES.items():
            for owner, name in functions:
                original = owner.__dict__[name]
                setattr(owner, name, watch.timed(stage, original))
                stack.callback(setattr, owner, name, original)
        yield watch
