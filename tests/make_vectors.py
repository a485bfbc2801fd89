"""Write the golden files: `python tests/make_vectors.py` makes tests/vectors with the frozen test model.

    decode/NAME.aec  must decode to the latents that expected.json tells and, up to one level, to NAME.png
    encode/NAME.npz  latents that must give exactly the bytes of NAME.aec
    refuse/ERROR-WHAT.aec  must be refused with this error

What is expected comes from examples/reference_decoder.py, which shares no code with the package. Files that
are here must decode for as long as format version 1 lives: add to them, and remake `encode` alone when the
encoder learns to choose other symbols.

`python tests/make_vectors.py --released WEIGHTS` adds a small set for a released model in
tests/vectors/released/NAME-ID.
"""

import argparse
import hashlib
import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from broken_files import refuse_files
from PIL import Image
from samples import (
    PHOTO,
    TESTS,
    TINY,
    Given,
    coded_by_hand,
    given,
    header_for,
    load_model,
    lossless,
    lossless_tile,
    neural_file,
    packed,
    packed_tile,
    palette,
    palette_tile,
    photo,
    spread,
    with_alpha,
    with_section,
)

from aecodec.file import container
from aecodec.file.container import Container, Tile
from aecodec.networks.model import Model
from aecodec.networks.photo import latents

FOLDER = TESTS / "vectors"
ICC = bytes(range(256)) + b"not looked into"
EXIF = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"  # orientation 6
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/">\u00e4\u4e16</x:xmpmeta>'.encode()
UNKNOWN_TAG = 0x41  # ancillary

sys.path.insert(0, str(PHOTO.parent))
import reference_decoder  # noqa: E402


def decode_files(model: Model) -> dict[str, bytes]:
    grid = neural_file(model, photo(530, 300), 40, 256)
    halves = neural_file(model, photo(300, 40), 90, 256)
    mixed = replace(halves, tiles=(halves.tiles[0], lossless_tile(photo(300, 40)[:, 256:])))
    plain = neural_file(model, photo(40, 30), 128)
    files = {
        "1x1": neural_file(model, photo(1, 1), 128),
        "1x500": neural_file(model, photo(1, 500), 128),
        "500x1": neural_file(model, photo(500, 1), 128),
        "15x17": neural_file(model, photo(15, 17), 128),
        "64x64": neural_file(model, photo(64, 64), 200),
        "131x77-highest-level": neural_file(model, photo(131, 77), 255),
        "100x70-lowest-level": neural_file(model, photo(100, 70), 0),
        "grey": neural_file(model, photo(90, 61, grey=True), 128),
        "grey-1x1": neural_file(model, photo(1, 1, grey=True), 77),
        "escapes": neural_file(model, photo(48, 48), 30, outliers=40),
        "tiles": grid,
        "tiles-grey-of-one-pixel": neural_file(model, photo(257, 257, grey=True), 20, 256),
        "metadata": replace(plain, icc=ICC, exif=EXIF, xmp=XMP, resolution=(300_000, 72_000)),
        "exif": replace(neural_file(model, photo(17, 16), 128), exif=EXIF),
        "lossless": lossless(photo(20, 12)),
        "lossless-grey-tiles": lossless(photo(260, 9, grey=True)),
        "alpha": with_alpha(neural_file(model, photo(33, 20), 128)),
        "lossless-and-neural-tiles-with-alpha": with_alpha(mixed),
    } | packed_files(halves, with_alpha(plain))
    written = {name: container.write(file) for name, file in files.items()}
    written["unknown-section"] = with_section(written["metadata"], UNKNOWN_TAG, b"from the future")
    return written


def packed_files(halves: Container, plain: Container) -> dict[str, Container]:
    """Packed tiles alone and among others; flat alpha tiles."""
    slope = with_alpha(lossless(photo(20, 12)))
    samples = np.dstack([photo(260, 9), spread(9, 260, 251)]).astype(np.uint8)
    files = {
        "packed": packed(photo(20, 12)),
        "packed-grey": packed(photo(19, 13, grey=True)),
        "packed-tiles-with-alpha": packed(samples),
        "packed-grey-with-alpha": packed(samples[:, :40, 2:]),
        "packed-with-alpha-tiles": replace(slope, tiles=packed(photo(20, 12)).tiles),
        "packed-and-neural-tiles": replace(
            halves, tiles=(halves.tiles[0], packed_tile(photo(300, 40)[:, 256:]))
        ),
        "flat-alpha": replace(plain, alpha=(b"\x80",)),
    }
    for colours, samples in ((1, 3), (2, 1), (3, 4), (16, 2), (17, 3), (256, 3)):
        indexes, table = spread(21, 35, colours), palette(colours, samples)
        file = packed(table[indexes], (palette_tile(indexes, table),))
        files[f"packed-palette-{colours}-of-{samples}"] = file
    return files


def expected(data: bytes, weights: Path) -> tuple[reference_decoder.Decoded, dict[str, Any]]:
    """What the reference decoder makes of a file: all of it, and what expected.json says of it."""
    decoded = reference_decoder.decode(data, weights.read_bytes())
    entry = {
        "tiles": [tile and digest(*tile) for tile in decoded.tiles],
        "icc": decoded.icc and decoded.icc.hex(),
        "exif": decoded.exif and decoded.exif.hex(),
        "xmp": decoded.xmp and decoded.xmp.decode(),
        "resolution": decoded.resolution,
    }
    return decoded, entry


def digest(z: np.ndarray, y_hat: np.ndarray) -> dict[str, Any]:
    """Shapes and hashes of the latents of a tile, int32 little-endian: z, then y_hat."""
    content = z.astype("<i4").tobytes() + y_hat.astype("<i4").tobytes()
    return {
        "z": list(z.shape),
        "y_hat": list(y_hat.shape),
        "crc32": zlib.crc32(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def write_decode(folder: Path, files: dict[str, bytes], weights: Path, in_full: tuple[str, ...] = ()) -> None:
    """Write files with what is expected of them; `in_full`: with all their latents, not just hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for name, data in files.items():
        (folder / f"{name}.aec").write_bytes(data)
        decoded, entries[name] = expected(data, weights)
        save_png(decoded.pixels, folder / f"{name}.png")
        if decoded.alpha is not None:
            save_png(decoded.alpha[:, :, None], folder / f"{name}.alpha.png")
        if name in in_full:
            ((z, y_hat),) = decoded.tiles
            np.savez_compressed(folder / f"{name}.npz", z=z.astype(np.int32), y_hat=y_hat.astype(np.int32))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    (folder / "expected.json").write_text(f"{{\n{lines}\n}}\n")


def save_png(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]).save(path, optimize=True)


def encode_inputs(model: Model) -> dict[str, Given]:
    wild = given(model, 6, 7, 128, 300)
    far = wild.y.reshape(-1)[::17]
    far[:] = 40_000 * np.sign(far)  # clipped
    wild.z.reshape(-1)[:4] = 60, -90, 127.25, -1000  # escapes, and one beyond all that z may be
    z = given(model, 5, 7, 128, 3).z.round()
    words = [coded_by_hand(model, z.astype(int), 5, 7).payload]
    (coded,) = latents.decode(model.entropy, words, 5, 7, 128)
    settled = Given((coded.y_hat / 16).astype(np.float32), z, 128)
    return {
        "one-position": given(model, 1, 1, 128, 3),
        "plain": given(model, 5, 4, 128, 3),
        "lowest-level": given(model, 4, 4, 0, 1),
        "highest-level": given(model, 9, 2, 255, 30),
        "zeros": Given(np.zeros((12, 3, 3), np.float32), np.zeros((4, 1, 1), np.float32), 128),
        "settled": settled,  # y that the symbols hit exactly: any encoder should choose them
        "escapes-and-clipping": wild,
    }


def encode_file(model: Model, inputs: Given) -> bytes:
    """The file of one tile with these latents, of a picture without a pixel more than they need."""
    y, z = inputs.y, inputs.z
    (coded,) = latents.encode(model.entropy, y[None], z[None], inputs.level)
    header = header_for(model, 16 * y.shape[2], 16 * y.shape[1], 3, inputs.level, 1024)
    return container.write(Container(header, (Tile(container.NEURAL, coded.latents_crc, coded.words),)))


def write_encode(folder: Path, model: Model) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, inputs in encode_inputs(model).items():
        np.savez_compressed(folder / f"{name}.npz", **inputs._asdict())
        (folder / f"{name}.aec").write_bytes(encode_file(model, inputs))


def write_released(weights: Path, folder: Path) -> Path:
    """Write the set of one released model into `folder`/NAME-ID; under 40 kB."""
    model = load_model(weights)
    files = {
        "1x1": neural_file(model, photo(1, 1), 128),
        "80x64": neural_file(model, photo(80, 64, left=230, top=130), 200),
        "65x33": neural_file(model, photo(65, 33, left=330, top=200), 60),
        "grey": neural_file(model, photo(31, 40, grey=True, left=300, top=130), 255),
    }
    target = folder / f"{model.weights.name}-{model.weights.entropy_id.hex()}"
    write_decode(target, {name: container.write(file) for name, file in files.items()}, weights)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the golden files.")
    parser.add_argument(
        "--released", type=Path, metavar="WEIGHTS", help="only the set of this released model"
    )
    released = parser.parse_args().released
    if released is not None:
        print(write_released(released, FOLDER / "released"))
        return
    model = load_model()
    write_decode(FOLDER / "decode", decode_files(model), TINY, in_full=("15x17", "grey-1x1"))
    write_encode(FOLDER / "encode", model)
    (FOLDER / "refuse").mkdir(exist_ok=True)
    for name, data in refuse_files(model).items():
        (FOLDER / "refuse" / f"{name}.aec").write_bytes(data)


if __name__ == "__main__":
    main()
