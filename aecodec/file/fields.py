"""The fields an .aec file is made of: bytes, LEB128 numbers and CRC-32s, and a cursor that reads them."""

from zlib import crc32

from aecodec.errors import Damaged, Truncated

MAX_NUMBER = 2**32 - 1  # of an LEB128 number
MAX_LEB_BYTES = 5
CRC_BYTES = 4

AGAIN = "copy or download the file again"


def u32(value: int) -> bytes:
    """Four bytes, little-endian."""
    return value.to_bytes(4, "little")


def leb(value: int) -> bytes:
    """Unsigned LEB128 in its shortest form; OverflowError outside 0 to MAX_NUMBER."""
    if not 0 <= value <= MAX_NUMBER:
        raise OverflowError(f"{value} is not from 0 to {MAX_NUMBER}")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def with_crc(*parts: bytes) -> bytes:
    """The parts joined, and their CRC-32 after them."""
    crc = 0
    for part in parts:
        crc = crc32(part, crc)
    return b"".join([*parts, u32(crc)])


class Cursor:
    """Reads `view` from byte `at` to `stop`; its errors name the section, the field and the offset."""

    def __init__(self, view: memoryview, section: str, at: int = 0, stop: int | None = None) -> None:
        """Start at byte `at` of the file; `stop`, by default the file's end, bounds every field."""
        self.view = view
        self.section = section
        self.at = at
        self.stop = len(view) if stop is None else stop
        self.offsets: dict[str, int] = {}  # where each field that was read starts

    def require(self, size: int, field: str) -> None:
        """Raise unless `size` more bytes are there: Truncated at the file's end, Damaged at the section's."""
        self.offsets[field] = self.at
        if self.at + size > len(self.view):
            raise Truncated(
                f"{self.section}: {field} at byte {self.at} takes {size} bytes or more, but the file ends at "
                f"byte {len(self.view)}: it is cut short, {AGAIN}"
            )
        if self.at + size > self.stop:
            raise self.damaged(field, f"takes {size} bytes, but must end by byte {self.stop}")

    def take(self, size: int, field: str) -> memoryview:
        """The next `size` bytes, not copied."""
        self.require(size, field)
        self.at += size
        return self.view[self.at - size : self.at]

    def byte(self, field: str) -> int:
        """The next byte."""
        return self.take(1, field)[0]

    def u32(self, field: str) -> int:
        """The next four bytes, little-endian."""
        return int.from_bytes(self.take(4, field), "little")

    def number(self, field: str) -> int:
        """An LEB128 number; Damaged unless in its shortest form and at most MAX_NUMBER."""
        start, value = self.at, 0
        for position in range(MAX_LEB_BYTES):
            byte = self.byte(field)
            value |= (byte & 0x7F) << 7 * position
            if byte < 0x80:
                break
        self.offsets[field] = start
        if byte >= 0x80 or value > MAX_NUMBER:
            raise self.damaged(field, f"is over {MAX_NUMBER}")
        if byte == 0 and position > 0:
            raise self.damaged(field, f"takes {position + 1} bytes for {value}, more than it needs")
        return value

    def check_crc(self, start: int) -> None:
        """Compare the CRC-32 that comes next with that of the bytes from `start` to it."""
        computed = crc32(self.view[start : self.at])
        if (stored := self.u32("CRC-32")) != computed:
            raise self.damaged("CRC-32", f"is 0x{stored:08X}, but the bytes give 0x{computed:08X}")

    def damaged(self, field: str, reason: str) -> Damaged:
        """The error for a field that was read: `reason` goes on after its name and offset."""
        where = f"{self.section}: {field} at byte {self.offsets[field]}"
        return Damaged(f"{where} {reason}: the file is damaged, {AGAIN}")
