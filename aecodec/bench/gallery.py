"""The pictures of the report: which are shown, at which rates, how much of them, and their bytes."""

import io
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]  # [H, W, 3]
Row = dict[str, Any]
Window = tuple[int, int, int, int]  # left, top, width, height

ORIGINAL = "original"
RATES = (0.5, 0.25, 1.0)  # bits per pixel, the most wanted first
SIDES = (None, 2048, 1024, 768, 512, 384, 256)  # of the window that is shown; None: whole pictures
BUDGET = 9_000_000  # bytes of pictures: 12 MB as base64, which leaves 3 MB of 15 for charts and data

# Other formats than browsers show, and windows, are stored as AVIF near 42 dB of what the codec decoded: the
# difference, two levels of 255, is not seen beside that of any codec at one bit per pixel or less.
REENCODED: dict[str, Any] = {
    "format": "AVIF",
    "quality": 80,
    "subsampling": "4:4:4",
    "speed": 6,
    "advanced": {"tune": "psnr"},
}
REENCODED_BPP = 1.6  # what that takes of a photograph, about; decides only what is tried first


@dataclass(frozen=True)
class Shot:
    """One picture of the page: what one codec made of it, or the original.

    Attributes:
        picture, codec: names as in `results`; codec is "original" for the picture itself.
        quality, bpp, psnr: of the codec's whole file, as measured; None for the original. psnr is None too
            where it was not measured and where the pictures are equal.
        rates: the rates of RATES that this file is the codec's nearest to; empty for the original.
        window: the part of the picture that is shown.
        native: whether `data` are the codec's own file; else they were encoded again (REENCODED).
        data, mime: bytes of a picture file that browsers decode, and its type.

    """

    picture: str
    codec: str
    quality: float | None
    bpp: float | None
    psnr: float | None
    rates: tuple[float, ...]
    window: Window
    native: bool
    data: bytes
    mime: str


def mime_of(data: bytes) -> str | None:
    """Give the MIME type of a file if browsers decode it, by its first bytes; else None."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/avif" if data[4:12] == b"ftypavif" else None


@dataclass(frozen=True)
class _Plan:
    """How much of a run the page shows."""

    rates: tuple[float, ...]
    side: int | None
    pictures: int


def prepare(
    results: dict[str, Any],
    file_of: Callable[[Row], bytes],
    decoders: Mapping[str, Callable[[bytes], Pixels]],
    original: Callable[[str], Pixels],
    budget: int = BUDGET,
) -> list[Shot]:
    """Choose the pictures of the page and prepare their bytes, `budget` of them at most.

    As much as fits is shown: every picture whole, at all of RATES; else at fewer rates, else a window in the
    middle of each picture, else fewer pictures, the first of the run.

    Args:
        results: what a run measured.
        file_of: the codec's file that a row of `results` is about.
        decoders: from the name of a codec to what decodes its files.
        original: from the name of a picture to its pixels.
        budget: bytes of all shots together, before base64.

    """
    maker = _Maker(results, file_of, decoders, original)
    for plan in _plans(len(maker.pictures)):
        if maker.estimate(plan) <= budget and (shots := maker.shots(plan, budget)) is not None:
            return shots
    return []


def _plans(pictures: int) -> Iterator[_Plan]:
    """Yield from the most that can be shown to the least."""
    for count in range(len(RATES), 0, -1):
        yield _Plan(RATES[:count], None, pictures)
    for side in SIDES[1:]:
        yield _Plan(RATES[:1], side, pictures)
    while pictures > 1:
        pictures = pictures * 3 // 4
        yield _Plan(RATES[:1], SIDES[-1], pictures)


class _Maker:
    """Makes the shots of a plan; keeps what plans have in common."""

    def __init__(
        self,
        results: dict[str, Any],
        file_of: Callable[[Row], bytes],
        decoders: Mapping[str, Callable[[bytes], Pixels]],
        original: Callable[[str], Pixels],
    ) -> None:
        self.file_of, self.decoders, self.original = file_of, decoders, original
        self.rows: dict[str, dict[str, list[Row]]] = {}  # picture -> codec -> rows
        for row in results["rows"]:
            self.rows.setdefault(row["picture"], {}).setdefault(row["codec"], []).append(row)
        self.pictures = [p for p in results["pictures"] if p["name"] in self.rows]
        self.native: dict[str, bool] = {}
        for by_codec in self.rows.values():
            for codec, rows in by_codec.items():
                if codec not in self.native:
                    self.native[codec] = mime_of(file_of(rows[0])) is not None
        self.encoded: dict[tuple[str, str, float | None, Window], bytes] = {}

    def estimate(self, plan: _Plan) -> float:
        """Guess the bytes of a plan without decoding anything."""
        total = 0.0
        for picture in self.pictures[: plan.pictures]:
            window = _window(picture, plan.side)
            again = REENCODED_BPP / 8 * window[2] * window[3]
            total += again
            for row, _ in self.chosen(picture["name"], plan.rates):
                own = self.native[row["codec"]] and _whole(picture, window)
                total += row["bytes"] if own else again
        return total

    def chosen(self, picture: str, rates: tuple[float, ...]) -> Iterator[tuple[Row, tuple[float, ...]]]:
        """Yield, for every codec, the rows nearest to the rates on a log scale, each once with its rates."""
        for rows in self.rows[picture].values():
            nearest = [(rate, min(rows, key=lambda r: abs(math.log(r["bpp"] / rate)))) for rate in rates]
            for row in {id(row): row for _, row in nearest}.values():
                yield row, tuple(rate for rate, r in nearest if r is row)

    def shots(self, plan: _Plan, budget: int) -> list[Shot] | None:
        """Make all shots of a plan; None as soon as they exceed the budget."""
        shots, total = [], 0
        for picture in self.pictures[: plan.pictures]:
            window = _window(picture, plan.side)
            made = [self.shot_of_original(picture, window)]
            made += [
                self.shot(picture, window, *choice) for choice in self.chosen(picture["name"], plan.rates)
            ]
            shots += made
            total += sum(len(shot.data) for shot in made)
            if total > budget:
                return None
        return shots

    def shot_of_original(self, picture: dict[str, Any], window: Window) -> Shot:
        """The picture itself, encoded again: the page has no room for lossless files."""
        name = picture["name"]
        data = self.again((name, ORIGINAL, None, window), lambda: self.original(name))
        return Shot(name, ORIGINAL, None, None, None, (), window, False, data, "image/avif")

    def shot(self, picture: dict[str, Any], window: Window, row: Row, rates: tuple[float, ...]) -> Shot:
        """What a codec made of it: its own file if browsers decode it and all of it is shown."""
        data, codec = self.file_of(row), row["codec"]
        mime = mime_of(data) if _whole(picture, window) else None
        if native := mime is not None:
            shown = data
        else:
            key = (row["picture"], codec, row["quality"], window)
            shown = self.again(key, lambda: self.decoders[codec](data))
        return Shot(
            row["picture"],
            codec,
            row["quality"],
            row["bpp"],
            row.get("psnr"),
            rates,
            window,
            native,
            shown,
            mime or "image/avif",
        )

    def again(self, key: tuple[str, str, float | None, Window], pixels: Callable[[], Pixels]) -> bytes:
        """Encode the window of a picture as AVIF, once for all plans."""
        if key not in self.encoded:
            self.encoded[key] = _encode(pixels(), key[-1])
        return self.encoded[key]


def _window(picture: dict[str, Any], side: int | None) -> Window:
    """The middle of a picture, at most `side` pixels wide and high."""
    width, height = (min(picture[axis], side or picture[axis]) for axis in ("width", "height"))
    return (picture["width"] - width) // 2, (picture["height"] - height) // 2, width, height


def _whole(picture: dict[str, Any], window: Window) -> bool:
    return window[2:] == (picture["width"], picture["height"])


def _encode(pixels: Pixels, window: Window) -> bytes:
    left, top, width, height = window
    file = io.BytesIO()
    part = np.ascontiguousarray(pixels[top : top + height, left : left + width])
    Image.fromarray(part).save(file, **REENCODED)
    return file.getvalue()
