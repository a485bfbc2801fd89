"""aecodec: a learned image codec whose files open on any machine.

`import aecodec` is quick; the codec is loaded when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aecodec.api import decode, encode, info
    from aecodec.codec import Codec
    from aecodec.errors import AecError

__version__ = "0.1.0"
__all__ = ["AecError", "Codec", "decode", "encode", "info"]

_HOMES = {
    "AecError": "errors",
    "Codec": "codec",
    "decode": "api",
    "encode": "api",
    "info": "api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'aecodec' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"aecodec.{_HOMES[name]}"), name)
