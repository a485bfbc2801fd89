"""Measuring codecs: metrics, rate-distortion curves, BD-rates, times."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aecodec.bench.runner import run as run


def __getattr__(name: str) -> Any:
    """Import `run` when it is asked for: training takes BD-rates from here and needs nothing else."""
    if name != "run":
        raise AttributeError(name)
    from aecodec.bench.runner import run

    return run
