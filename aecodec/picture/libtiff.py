"""What libtiff says of a damaged file, collected instead of printed: Pillow lets it write to stderr."""

import contextlib
import ctypes
import functools
import threading
from collections.abc import Iterator

from PIL import _imaging

_LENGTH = 500  # bytes of a message
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_local = threading.local()


@contextlib.contextmanager
def messages(said: list[str]) -> Iterator[None]:
    """Collect in `said` the errors that libtiff reports in this thread; none where it cannot be reached."""
    _install()
    before, _local.said = getattr(_local, "said", None), said
    try:
        yield
    finally:
        _local.said = before


@functools.cache
def _install() -> object:
    """Replace libtiff's handler of errors, once for the process. What is returned must be kept."""
    try:
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        form = ctypes.pythonapi.PyOS_vsnprintf
    except (AttributeError, OSError):  # linked in another way: its lines go to stderr as before
        return None
    form.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]

    def handle(module: bytes | None, template: bytes, arguments: int) -> None:
        buffer = ctypes.create_string_buffer(_LENGTH)
        form(buffer, _LENGTH, template, arguments)
        said = getattr(_local, "said", None)
        if said is not None:
            said.append(" ".join(buffer.value.decode("utf-8", "replace").split()))

    handler = _HANDLER(handle)
    set_handler.argtypes, set_handler.restype = [_HANDLER], ctypes.c_void_p
    set_handler(handler)
    return handler
