"""The golden files of tests/vectors, through the codec and through the second decoder.

make_vectors.py says what they are and makes them.
"""

import json
from pathlib import Path

import broken_files
import exact_worker
import make_vectors
import numpy as np
import pytest
import reference_decoder
import samples
from make_vectors import digest
from PIL import Image

from aecodec import errors
from aecodec.codec import Codec
from aecodec.errors import AecError, FormatError
from aecodec.file import container
from aecodec.networks.photo import latents
from aecodec.tiles.grid import tile_boxes
from aecodec.weights import find_by_id

VECTORS = Path(__file__).parent / "vectors"
DECODE = sorted((VECTORS / "decode").glob("*.aec"))
ENCODE = sorted((VECTORS / "encode").glob("*.aec"))
REFUSE = sorted((VECTORS / "refuse").glob("*.aec"))
RELEASED = sorted((VECTORS / "released").glob("*/*.aec"))
NAME = {"ids": lambda path: path.stem}


@pytest.fixture(autouse=True)
def weights_are_found(request, monkeypatch, tiny_model):
    """The tiny model is found by its id; tests of released models look where a user's would be."""
    if request.node.originalname != "test_released_models_decode_their_files":
        monkeypatch.setenv("AECODEC_MODELS", str(tiny_model.parent))


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(device="cpu")


@pytest.fixture(scope="module")
def model():
    return samples.load_model()


def expected(path: Path) -> dict:
    return json.loads((path.parent / "expected.json").read_text())[path.stem]


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image).reshape(image.height, image.width, -1)


def same_but_for_rounding(pixels: np.ndarray, path: Path) -> bool:
    """At most one level apart, and that seldom: rounding the wrong way would be one level apart, too."""
    wanted = picture(path.with_suffix(".png"))
    apart = np.abs(pixels.astype(int) - wanted)
    seldom = np.count_nonzero(apart) <= max(1, apart.size // 100)
    return pixels.shape == wanted.shape and apart.max() <= 1 and seldom


def neural_tiles(data: bytes):
    """Number, words, latent height and width of each neural tile."""
    file = container.read(data)
    boxes = tile_boxes(file.header.width, file.header.height, file.header.tile_size)
    for number, (tile, box) in enumerate(zip(file.tiles, boxes, strict=True)):
        if tile.kind == container.NEURAL:
            yield number, tile.payload, -(-box.height // 16), -(-box.width // 16)


def has_png(path: Path) -> bool:
    """Whether a file has lossless tiles or alpha tiles, which are PNG streams."""
    file = container.read(path.read_bytes())
    return any(map(len, file.alpha)) or any(tile.kind == container.LOSSLESS for tile in file.tiles)


# Files that must decode


@pytest.mark.parametrize("path", DECODE, **NAME)
def test_the_codec_decodes_the_picture_and_its_metadata(path, codec):
    decoded, wanted = codec.decompress(path.read_bytes()), expected(path)
    assert same_but_for_rounding(decoded.pixels, path)
    alpha = path.with_suffix(".alpha.png")
    assert (decoded.alpha is not None) == alpha.exists()
    if decoded.alpha is not None:
        assert np.array_equal(decoded.alpha[:, :, None], picture(alpha))
    assert decoded.icc == (wanted["icc"] and bytes.fromhex(wanted["icc"]))
    assert decoded.exif == (wanted["exif"] and bytes.fromhex(wanted["exif"]))
    assert decoded.xmp == (wanted["xmp"] and wanted["xmp"].encode())
    assert decoded.resolution == (wanted["resolution"] and tuple(wanted["resolution"]))


@pytest.mark.parametrize("path", DECODE, **NAME)
def test_lossless_tiles_are_exact_and_neural_neighbours_do_not_touch_them(path, codec):
    data = path.read_bytes()
    file, decoded, wanted = container.read(data), codec.decompress(data), picture(path.with_suffix(".png"))
    boxes = tile_boxes(file.header.width, file.header.height, file.header.tile_size)
    for tile, box in zip(file.tiles, boxes, strict=True):
        if tile.kind != container.NEURAL:
            assert np.array_equal(decoded.pixels[box.slices], wanted[box.slices])


@pytest.mark.parametrize("engine", exact_worker.ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("path", DECODE, **NAME)
def test_every_engine_decodes_every_latent(path, engine, model, monkeypatch):
    entropy = exact_worker.forced(model.entropy, engine)
    seen = []
    crc = latents.latents_crc
    monkeypatch.setattr(latents, "latents_crc", lambda z, y_hat: seen.append((z, y_hat)) or crc(z, y_hat))
    data = path.read_bytes()
    level = container.read(data).header.level
    tiles = expected(path)["tiles"]
    numbers = []
    for number, words, height, width in neural_tiles(data):
        (coded,) = latents.decode(entropy, [words], height, width, level)
        assert digest(*seen[-1]) == tiles[number]
        assert coded.latents_crc == tiles[number]["crc32"] == container.read(data).tiles[number].latents_crc
        numbers.append(number)
    assert numbers == [number for number, tile in enumerate(tiles) if tile]


@pytest.mark.parametrize("path", DECODE, **NAME)
def test_the_reference_decoder_agrees_in_every_latent_and_pixel(path, tiny_model):
    decoded = reference_decoder.decode(path.read_bytes(), tiny_model.read_bytes())
    wanted = expected(path)
    assert [tile and digest(*tile) for tile in decoded.tiles] == wanted["tiles"]
    assert same_but_for_rounding(decoded.pixels, path)
    assert decoded.icc == (wanted["icc"] and bytes.fromhex(wanted["icc"]))
    assert decoded.exif == (wanted["exif"] and bytes.fromhex(wanted["exif"]))
    assert decoded.xmp == (wanted["xmp"] and wanted["xmp"].encode())
    assert decoded.resolution == (wanted["resolution"] and tuple(wanted["resolution"]))
    alpha = path.with_suffix(".alpha.png")
    assert (decoded.alpha is not None) == alpha.exists() == container.read(path.read_bytes()).header.alpha
    if decoded.alpha is not None:
        assert np.array_equal(decoded.alpha[:, :, None], picture(alpha))


@pytest.mark.parametrize("path", sorted((VECTORS / "decode").glob("*.npz")), **NAME)
def test_two_small_files_tell_their_latents_in_full(path, tiny_model):
    arrays = np.load(path)
    decoded = reference_decoder.decode(path.with_suffix(".aec").read_bytes(), tiny_model.read_bytes())
    ((z, y_hat),) = decoded.tiles
    assert np.array_equal(z, arrays["z"]) and np.array_equal(y_hat, arrays["y_hat"])
    assert [digest(arrays["z"], arrays["y_hat"])] == expected(path)["tiles"]


@pytest.mark.parametrize("path", [path for path in DECODE if has_png(path)], **NAME)
def test_png_streams_are_such_as_other_programs_read(path, tmp_path):
    """Pillow decodes lossless and alpha tiles to what is expected, bit for bit."""
    file = container.read(path.read_bytes())
    header = file.header
    pixels = picture(path.with_suffix(".png"))
    for number, box in enumerate(tile_boxes(header.width, header.height, header.tile_size)):
        if file.tiles[number].kind == container.LOSSLESS:
            (tmp_path / "tile.png").write_bytes(file.tiles[number].payload)
            assert np.array_equal(picture(tmp_path / "tile.png"), pixels[box.slices])
        if header.alpha and len(file.alpha[number]) > 1:
            (tmp_path / "tile.png").write_bytes(file.alpha[number])
            alpha = picture(path.with_suffix(".alpha.png"))
            assert np.array_equal(picture(tmp_path / "tile.png"), alpha[box.slices])


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_released_models_decode_their_files(path):
    data = path.read_bytes()
    header, _ = container.read_header(data)
    weights = find_by_id(header.entropy_id, header.synthesis_id)
    assert path.parent.name == f"{weights.name}-{weights.entropy_id.hex()}"
    assert same_but_for_rounding(Codec(device="cpu").decompress(data).pixels, path)
    decoded = reference_decoder.decode(data, weights.path.read_bytes())
    assert [tile and digest(*tile) for tile in decoded.tiles] == expected(path)["tiles"]
    assert same_but_for_rounding(decoded.pixels, path)


# Latents that must encode to these bytes


@pytest.mark.parametrize("path", ENCODE, **NAME)
def test_latents_encode_to_exactly_these_bytes(path, model):
    given = samples.Given(**np.load(path.with_suffix(".npz")))
    assert make_vectors.encode_file(model, given._replace(level=int(given.level))) == path.read_bytes()


@pytest.mark.parametrize("path", ENCODE, **NAME)
def test_what_was_encoded_decodes(path, codec, tiny_model):
    data = path.read_bytes()
    decoded = reference_decoder.decode(data, tiny_model.read_bytes())
    assert np.abs(decoded.pixels.astype(int) - codec.decode(data, to="numpy")).max() <= 1


def test_the_wild_latents_escape_and_are_clipped(model, tiny_model, monkeypatch):
    escapes = count_calls(monkeypatch, reference_decoder.Coder, "escape")
    wild = VECTORS / "encode" / "escapes-and-clipping.aec"
    ((z, y_hat),) = reference_decoder.decode(wild.read_bytes(), tiny_model.read_bytes()).tiles
    given = np.load(wild.with_suffix(".npz"))
    assert len(escapes) > 20
    assert z.ravel()[:4].tolist() == [60, -90, 127, -127]
    beyond = np.abs(given["y"]) == 40_000
    clipped = beyond & (np.abs(y_hat) > 16 * 1000)  # the others have scale index 0
    assert clipped.sum() > 20 and (np.sign(y_hat) == np.sign(given["y"]))[clipped].all()
    radius = model.entropy.tables.radius
    reached = np.abs(y_hat[clipped]) / 16
    assert (reached > radius.min() + 1900).all() and (reached < radius.max() + 2048 + 1024).all()
    assert np.median(np.abs(y_hat / 16 - given["y"])[~beyond]) < 0.5


def test_the_settled_latents_are_met_exactly(tiny_model):
    """Whatever an encoder weighs, here it has nothing to gain by other symbols."""
    settled = VECTORS / "encode" / "settled.aec"
    ((z, y_hat),) = reference_decoder.decode(settled.read_bytes(), tiny_model.read_bytes()).tiles
    given = np.load(settled.with_suffix(".npz"))
    assert np.array_equal(z, given["z"]) and np.array_equal(y_hat / 16, given["y"]) and y_hat.any()


def test_many_escapes_are_decoded(tiny_model, monkeypatch):
    escapes = count_calls(monkeypatch, reference_decoder.Coder, "escape")
    reference_decoder.decode((VECTORS / "decode" / "escapes.aec").read_bytes(), tiny_model.read_bytes())
    assert len(escapes) >= 30


def count_calls(monkeypatch, owner, name):
    calls, method = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args: calls.append(args) or method(*args))
    return calls


# Files that must be refused


def error_named(path: Path) -> type[AecError]:
    return getattr(errors, path.stem.split("-")[0])


@pytest.mark.parametrize("path", REFUSE, **NAME)
def test_the_codec_refuses_with_this_error(path, codec):
    data, wanted = path.read_bytes(), error_named(path)
    with pytest.raises(AecError) as caught:
        codec.decompress(data)
    assert type(caught.value) is wanted, caught.value


@pytest.mark.parametrize("path", REFUSE, **NAME)
def test_the_reference_decoder_refuses_with_this_error(path, tiny_model):
    with pytest.raises(reference_decoder.Refused) as caught:
        reference_decoder.decode(path.read_bytes(), tiny_model.read_bytes())
    assert caught.value.kind == error_named(path).__name__, caught.value.why


# The vectors themselves


def test_every_error_that_lies_in_a_file_has_one():
    wanted = {*FormatError.__subclasses__(), errors.LatentsMismatch, errors.TooLarge}
    wanted |= {errors.UnknownModel, errors.SynthesisMismatch}
    assert {error_named(path) for path in REFUSE} == wanted


def test_the_files_to_decode_show_all_of_the_format():
    files = [container.read(path.read_bytes()) for path in DECODE]
    headers = [file.header for file in files]
    for field in ("icc", "exif", "xmp", "resolution", "alpha"):
        assert any(getattr(file, field) for file in files), field
    assert any("unknown" in part.name for path in DECODE for part in container.layout(path.read_bytes()))
    kinds = {container.NEURAL, container.LOSSLESS, container.PACKED}
    assert {tile.kind for file in files for tile in file.tiles} == kinds
    assert {header.alpha_in_tiles for header in headers if header.alpha} == {True, False}
    assert {header.channels for header in headers} == {1, 3}
    assert {0, 255} <= {header.level for header in headers if header.has_model}
    grids = {container.tile_grid(h.width, h.height, h.tile_size) for h in headers}
    assert any(rows > 1 and columns > 2 for rows, columns in grids)
    sizes = {(header.width, header.height) for header in headers}
    assert {(1, 1), (1, 500), (500, 1), (15, 17), (64, 64)} <= sizes


def test_the_script_makes_these_files(model):
    """What no analysis in floating point had a hand in comes out the same to the byte, on any machine."""
    refused = broken_files.refuse_files(model)
    assert refused == {path.stem: path.read_bytes() for path in REFUSE}
    encoded = make_vectors.encode_inputs(model)
    assert encoded.keys() == {path.stem for path in ENCODE}
    for name, given in encoded.items():
        stored = np.load(VECTORS / "encode" / f"{name}.npz")
        assert all(np.array_equal(stored[field], value) for field, value in given._asdict().items())
    decoded = make_vectors.decode_files(model)
    assert {name: container.read(data).header for name, data in decoded.items()} == {
        path.stem: container.read(path.read_bytes()).header for path in DECODE
    }


def test_a_set_for_another_model_is_small_and_decodes(tmp_path, tiny_model, codec):
    folder = make_vectors.write_released(tiny_model, tmp_path)
    assert folder.name == tiny_model.stem and len(list(folder.glob("*.aec"))) == 4
    assert sum(path.stat().st_size for path in folder.iterdir()) < 40_000
    for path in folder.glob("*.aec"):
        assert same_but_for_rounding(codec.decompress(path.read_bytes()).pixels, path)


def test_they_are_small():
    sizes = {path: path.stat().st_size for path in VECTORS.rglob("*") if path.is_file()}
    assert sum(size for path, size in sizes.items() if "released" not in path.parts) < 600_000
    assert all(size < 40_000 for path, size in sizes.items() if "released" in path.parts)
