"""Files that must be refused, one fault in each. Their names begin with the error."""

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
from samples import (
    chunk,
    coded_by_hand,
    filtered,
    header_for,
    lossless,
    packed,
    packed_tile,
    palette,
    palette_tile,
    photo,
    png,
    section,
    spread,
    stored,
    with_alpha,
)

from aecodec.file import container
from aecodec.file.container import Container, Tile
from aecodec.file.fields import leb, u32, with_crc
from aecodec.networks.model import Model

Z = np.array([3, -2, 0, 1])[:, None, None]  # hyper-latents of a tile of up to 4 x 4 latents


def build(
    file: Container, *metadata: bytes, tiles: Any = None, index: bytes | None = None, **fields: bytes
) -> bytes:
    """A file like `file`, wrong where the caller wants it: other header fields, tiles, index or metadata."""
    header = file.header
    if tiles is None:
        tiles = [section(0x81, bytes([t.kind]) + u32(t.latents_crc) + t.payload) for t in file.tiles]
    sections = tiles + [section(0x83 if len(stream) == 1 else 0x82, stream) for stream in file.alpha]
    default = {
        "magic": container.MAGIC,
        "version": b"\1",
        "flags": bytes([4 if header.alpha_in_tiles else header.alpha]),
        "entropy_id": header.entropy_id,
        "synthesis_id": header.synthesis_id,
        "width": leb(header.width),
        "height": leb(header.height),
        "channels": bytes([header.channels]),
        "latent_height": leb(header.latent_height),
        "latent_width": leb(header.latent_width),
        "latent_channels": leb(header.latent_channels),
        "level": bytes([header.level]),
        "tile_size": leb(header.tile_size),
        "sections": leb(len(sections) + len(metadata)),
    }
    assert fields.keys() <= default.keys()
    index = with_crc(*(leb(len(part)) for part in sections)) if index is None else index
    return b"".join([with_crc(*(default | fields).values()), index, *sections, *metadata])


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def refuse_files(model: Model) -> dict[str, bytes]:
    """Of a picture of 24 x 20 pixels; every fault is alone in its file."""
    file = Container(header_for(model, 24, 20, 3, 128, 1024), (coded_by_hand(model, Z),))
    resolution = section(0x06, leb(72_000) + leb(72_000))
    good = build(file, resolution)
    assert good == container.write(replace(file, resolution=(72_000, 72_000)))
    parts = {part.name: part.offset + part.length for part in container.layout(good)}
    return (
        _refuse_bytes(good, parts, file)
        | _refuse_header(file, resolution)
        | _refuse_sections(file, resolution)
        | _refuse_lossless(file)
        | _refuse_packed(file)
        | _refuse_model(model, file)
    )


def _refuse_bytes(good: bytes, ends: dict[str, int], file: Container) -> dict[str, bytes]:
    """Bytes that were changed, lost or added on the way."""
    return {
        "NotAec-text": b"a text\n",
        "NotAec-png": png(photo(3, 2)),
        "NotAec-line-endings": good.replace(b"\r\n", b"\n", 1),
        "Truncated-nothing": b"",
        "Truncated-magic": good[:5],
        "Truncated-header": good[: ends["header"] - 1],
        "Truncated-index": good[: ends["index"] - 1],
        "Truncated-tile": good[: ends["tile 0"] - 9],
        "Truncated-metadata": good[:-1],
        "Damaged-header": flipped(good, 20),
        "Damaged-index": flipped(good, ends["index"] - 3),
        "Damaged-tile": flipped(good, ends["tile 0"] - 9),
        "Damaged-metadata": flipped(good, len(good) - 6),
        "TrailingBytes-zero": good + b"\0",
        "TrailingBytes-twice-the-file": good + good,
    }


def _refuse_header(file: Container, resolution: bytes) -> dict[str, bytes]:
    huge = {name: leb(2**31 - 1) for name in ("width", "height")}
    huge |= {name: leb(2**27) for name in ("latent_height", "latent_width")}
    large = {"width": leb(2**14), "latent_width": leb(2**10)}
    large |= {"height": leb(2**14 + 1), "latent_height": leb(2**10 + 1)}
    entropy_id, synthesis_id = file.header.entropy_id, file.header.synthesis_id
    faults = {
        "UnsupportedVersion-0": {"version": b"\0"},
        "UnsupportedVersion-2": {"version": b"\2"},
        "ReservedBits-lowest": {"flags": b"\2"},
        "ReservedBits-highest": {"flags": b"\x80"},
        "Damaged-width-0": {"width": b"\0"},
        "Damaged-height-of-32-bits": {"height": leb(2**31)},
        "Damaged-width-in-two-bytes": {"width": b"\x98\0"},
        "Damaged-width-in-six-bytes": {"width": b"\x98\x80\x80\x80\x80\0"},
        "Damaged-channels-2": {"channels": b"\2"},
        "Damaged-latent-height": {"latent_height": leb(3)},
        "Damaged-latent-width": {"latent_width": leb(1)},
        "Damaged-latent-channels": {"latent_channels": leb(11)},
        "Damaged-tile-size-192": {"tile_size": leb(192)},
        "Damaged-tile-size-1000": {"tile_size": leb(1000)},
        "Damaged-no-sections": {"sections": b"\0"},
        "Damaged-200-sections": {"sections": leb(200)},
        "TooLarge-2-to-the-62": huge | {"tile_size": leb(65536), "sections": leb(2**30)},
        "TooLarge-by-one-row": large | {"tile_size": leb(65536), "sections": leb(1)},
        "UnknownModel-other-id": {"entropy_id": flipped(entropy_id, 7)},
        "SynthesisMismatch-other-id": {"synthesis_id": flipped(synthesis_id, 3)},
    }
    return {name: build(file, resolution, **fields) for name, fields in faults.items()}


def _refuse_sections(file: Container, resolution: bytes) -> dict[str, bytes]:
    (tile,) = file.tiles
    payload = bytes([tile.kind]) + u32(tile.latents_crc) + tile.payload
    whole = section(0x81, payload)
    return {
        "Damaged-index-longer-than-tile": build(file, resolution, index=with_crc(leb(len(whole) + 1))),
        "Damaged-index-shorter-than-tile": build(file, resolution, index=with_crc(leb(len(whole) - 1))),
        "Damaged-alpha-tag-on-a-tile": build(file, resolution, tiles=[section(0x82, payload)]),
        "Damaged-icc-tag-on-a-tile": build(file, resolution, tiles=[section(0x03, payload)]),
        "Damaged-tile-tag-on-metadata": build(file, section(0x81, payload)),
        "Damaged-empty-metadata": build(file, section(0x03, b"")),
        "Damaged-tags-fall": build(file, resolution, section(0x05, b"<x/>")),
        "Damaged-tag-twice": build(file, resolution, resolution),
        "Damaged-unknown-tags-fall": build(file, section(0x41, b"a"), section(0x40, b"b")),
        "Damaged-resolution-of-one-number": build(file, section(0x06, leb(72_000))),
        "Damaged-resolution-of-three-numbers": build(file, section(0x06, 3 * leb(72_000))),
        "Damaged-tile-of-four-bytes": build(file, tiles=[section(0x81, payload[:4])]),
        "Damaged-words-not-whole": build(file, tiles=[section(0x81, payload[:-1])]),
        "Damaged-last-word-0": build(file, tiles=[section(0x81, payload + bytes(4))]),
        "UnknownSection-tile": build(file, tiles=[section(0xC1, payload)]),
        "UnknownSection-metadata": build(file, resolution, section(0xC1, b"from the future")),
        "UnknownSection-kind-of-tile": build(file, tiles=[section(0x81, b"\2" + payload[1:])]),
    }


def _refuse_lossless(file: Container) -> dict[str, bytes]:
    pixels = photo(24, 20)
    plain, crc = lossless(pixels), zlib.crc32(pixels.tobytes())

    def with_stream(stream: bytes) -> bytes:
        return build(replace(plain, tiles=(Tile(container.LOSSLESS, crc, stream),)))

    stream = png(pixels)
    transparent = png(pixels, chunk(b"tRNS", bytes(6)))
    alpha = replace(with_alpha(file), alpha=(png(photo(24, 21, grey=True)),))
    no_model = {"entropy_id": bytes(8), "synthesis_id": bytes(4), "level": b"\0"}
    no_model |= {name: b"\0" for name in ("latent_height", "latent_width", "latent_channels")}
    ids = {"entropy_id": file.header.entropy_id, "synthesis_id": file.header.synthesis_id}
    return {
        "Damaged-model-without-neural-tiles": build(
            plain, **ids, latent_height=leb(2), latent_width=leb(2), latent_channels=leb(12)
        ),
        "Damaged-neural-tile-without-model": build(file, **no_model),
        "Damaged-level-without-model": build(plain, level=b"\1"),
        "Damaged-png-cut-short": with_stream(stream[:-13]),
        "Damaged-png-and-more": with_stream(stream + b"\0"),
        "Damaged-png-checksum": with_stream(flipped(stream, 60)),
        "Damaged-png-of-another-size": with_stream(png(photo(20, 24))),
        "Damaged-png-of-another-type": with_stream(png(photo(24, 20, grey=True))),
        "Damaged-png-transparent": with_stream(transparent),
        "Damaged-alpha-of-another-size": build(alpha),
        "LatentsMismatch-lossless": with_stream(png(255 - pixels)),
    }


def _refuse_packed(file: Container) -> dict[str, bytes]:
    """Packed tiles of 24 x 20 pixels, and alpha in tiles or flat."""
    pixels = photo(24, 20)
    plain, under = packed(pixels), palette_tile(spread(20, 24, 5), palette(5, 3)).payload
    (tile,), (neural,) = plain.tiles, file.tiles

    def with_body(body: bytes) -> bytes:
        return build(replace(plain, tiles=(replace(tile, payload=body),)))

    def with_alpha_section(alpha: bytes) -> bytes:
        whole = section(0x81, b"\0" + u32(neural.latents_crc) + neural.payload)
        return build(file, flags=b"\1", tiles=[whole, alpha])

    transparent = packed(np.dstack([pixels, pixels[:, :, :1]]))
    return {
        "Damaged-packed-empty": with_body(b""),
        "Damaged-packed-of-another-kind": with_body(b"\2" + tile.payload[1:]),
        "Damaged-packed-cut-short": with_body(tile.payload[:-1]),
        "Damaged-packed-and-more": with_body(tile.payload + b"\0"),
        "Damaged-packed-a-row-too-few": with_body(packed_tile(pixels[:-1]).payload),
        "Damaged-packed-a-row-too-many": with_body(packed_tile(photo(24, 21)).payload),
        "Damaged-packed-filter-5": with_body(b"\0" + stored(b"\5" + filtered(pixels)[1:])),
        "Damaged-packed-palette-without-its-size": with_body(b"\1"),
        "Damaged-packed-palette-cut-short": with_body(under[:-5]),
        "Damaged-packed-palette-of-more-colours": with_body(b"\1\5" + under[2:]),
        "Damaged-packed-index-beyond": with_body(b"\1\4" + stored(bytes(15) + b"\5" + bytes(12 * 20 - 1))),
        "LatentsMismatch-packed": with_body(packed_tile(255 - pixels).payload),
        "Damaged-alpha-in-neural-tiles": build(file, flags=b"\4"),
        "Damaged-alpha-in-tiles-and-beside": build(transparent, flags=b"\5"),
        "Damaged-flat-alpha-of-two-bytes": with_alpha_section(section(0x83, b"\1\1")),
        "Damaged-alpha-of-one-byte": with_alpha_section(section(0x82, b"\1")),
    }


def _refuse_model(model: Model, file: Container) -> dict[str, bytes]:
    """Intact files whose words are not those of the latents that the file tells of, or are no encoder's."""
    (good,) = file.tiles
    words = good.payload
    beyond = Z.copy()
    beyond[1] = 128
    tiles = {
        "checksum": replace(good, latents_crc=good.latents_crc ^ 1),
        "no-words": replace(good, payload=b""),
        "a-word-too-few": replace(good, payload=words[4:]),
        "a-word-too-many": replace(good, payload=b"\1\0\0\0" + words),
        "other-symbols": replace(good, payload=coded_by_hand(model, Z, last=2).payload),
        # All is well with the rest, the checksum of the latents included, but
        "the-coder-does-not-end": coded_by_hand(model, Z, state=5),
        "z-of-128": coded_by_hand(model, beyond),
        "z-of-minus-128": coded_by_hand(model, -beyond),
        "escape-of-12-zeros": coded_by_hand(model, Z, last=3000),
    }
    files = {f"LatentsMismatch-{name}": build(replace(file, tiles=(tile,))) for name, tile in tiles.items()}
    return files | {"LatentsMismatch-other-level": build(file, level=bytes([file.header.level + 64]))}
