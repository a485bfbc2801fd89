"""Classic autoencoders as models: files, latents by FORMAT.md, every kind of picture, damage."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision_operators
from classic_samples import TINY, picture, pictures
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from aecodec import Codec
from aecodec.engines.numpy import NumpyEngine
from aecodec.engines.torch import TorchEngine
from aecodec.errors import AecError, BadWeights, Damaged, LatentsMismatch
from aecodec.file import container
from aecodec.networks.classic.model import ClassicModel
from aecodec.networks.load import load
from aecodec.weights import open_weights

torchvision_operators.declare()


def mse(image, other):
    return float(np.square(np.asarray(image, float) - np.asarray(other, float)).mean()) / 255**2


@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_kind_compresses_any_picture_and_gives_it_back_alike(classic_weights, kind, mode):
    image = picture(mode)
    codec = Codec(classic_weights(kind))
    data = codec.encode(image, 100)
    assert len(data) < image.width * image.height * len(mode) / 2
    decoded = codec.decode(data)
    assert (decoded.mode, decoded.size) == (mode, image.size)
    flat = np.asarray(image, float)
    assert mse(decoded, image) < float(flat.var((0, 1)).mean()) / 255**2


@pytest.mark.parametrize("kind", ["dense", "baseline32"])
def test_one_network_has_all_rates(classic_weights, kind):
    image, codec = picture(), Codec(classic_weights(kind))
    files = [codec.encode(image, quality) for quality in (0, 25, 50, 75, 100)]
    sizes, errors = [len(data) for data in files], [mse(codec.decode(data), image) for data in files]
    assert sizes == sorted(sizes) and sizes[-1] > 3 * sizes[0]
    assert errors[0] > errors[2] > errors[4]


def test_at_the_finest_level_rounding_costs_next_to_nothing(classic_weights):
    path = classic_weights("baseline32")
    cut = pictures(TINY["baseline32"], 64).pixels
    mosaic = cut.reshape(8, 8, 32, 32, 3).swapaxes(1, 2).reshape(256, 256, 3)
    codec, network = Codec(path), ClassicModel(open_weights(path), TorchEngine()).network
    coded = mse(codec.decode(codec.encode(mosaic, 100)), mosaic)
    with torch.no_grad():
        x = torch.from_numpy(cut).permute(0, 3, 1, 2).float() / 255
        floats = float((network(x) - x).square().mean())
    assert coded < 1.05 * floats


def test_the_words_are_about_as_long_as_the_tables_say(classic_weights):
    model = load(open_weights(classic_weights("baseline32")), NumpyEngine())
    y = model.analyse(np.array(picture(size=(160, 128)))[None])
    for level in (0, 100, 255):
        (coded,) = model.encode(y, level)
        ((indexes, symbols),) = coded.groups
        assert 8 * len(coded.words) <= model.tables.ideal_bits(symbols, indexes) * 1.01 + 64


def test_a_picture_of_several_tiles_is_decoded_by_regions(classic_weights):
    image = picture(size=(400, 300)).resize((1100, 825))
    codec = Codec(classic_weights("dense"))
    data = codec.encode(image, 50)
    assert len(container.read(data).tiles) > 1
    whole = codec.decode(data, to="numpy")
    part = codec.decode(data, to="numpy", region=(1000, 700, 90, 80))
    assert np.abs(part.astype(int) - whole[700:780, 1000:1090]).max() <= 1


def test_alpha_and_palette_come_through(classic_weights):
    codec = Codec(classic_weights("stl10"))
    image = picture("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    decoded = codec.decode(codec.encode(image, 50))
    assert decoded.mode == "RGBA" and mse(decoded.getchannel("A"), image.getchannel("A")) == 0
    assert codec.decode(codec.encode(picture().quantize(16), 50)).mode == "RGB"


def test_a_target_size_is_kept(classic_weights):
    codec, image = Codec(classic_weights("baseline32")), picture(size=(320, 240))
    data = codec.encode(image, target_size=2500)
    assert 2200 < len(data) <= 2500


def test_the_command_line_takes_the_file_of_a_model(classic_weights, tmp_path):
    path = classic_weights("baseline32")
    picture().save(tmp_path / "photo.png")

    def aec(*arguments):
        run = subprocess.run(
            [sys.executable, "-m", "aecodec", *map(str, arguments)], capture_output=True, text=True
        )
        return run.returncode, run.stdout + run.stderr

    files = tmp_path / "photo.png", "-o", tmp_path / "photo.aec"
    assert aec("compress", "--model", path, "--verify", *files)[0] == 0
    code, said = aec("decompress", tmp_path / "photo.aec", "-o", tmp_path / "out.png")
    assert code == 21 and path.stem.rpartition("-")[2] in said  # not installed: the file names its model
    assert aec("decompress", "--model", path, tmp_path / "photo.aec", "-o", tmp_path / "out.png")[0] == 0
    assert Image.open(tmp_path / "out.png").size == picture().size
    code, said = aec("info", tmp_path / "photo.aec")
    assert code == 0 and "150" in said


def test_a_pretrained_decoder_is_enough_to_decode(classic_weights, tmp_path):
    """Without the encoder's tensors, and where torchvision is missing."""
    data = Codec(classic_weights("resnet32")).encode(picture(), 50)
    path = rewritten(
        classic_weights("resnet32"), tmp_path, lambda t, m: drop(t, "analysis.", "encoder."), rehash=False
    )
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from aecodec import Codec\n"
        f"codec = Codec({str(path)!r})\n"
        f"assert codec.decode({data!r}).size == (150, 110)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_torchvision_resnet_cannot_encode_and_says_so(classic_weights):
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from aecodec import Codec; from PIL import Image\n"
        f"Codec({str(classic_weights('resnet32'))!r}).encode(Image.new('RGB', (40, 40)))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "BadArgument: the kind resnet32 needs torchvision" in run.stderr


# Damage


def drop(tensors, *prefixes):
    for name in [name for name in tensors if name.startswith(prefixes)]:
        del tensors[name]


def rewritten(source, folder, change, rehash=True):
    """The weights after change(tensors, record); `rehash`: with the ids that this gives."""
    with safe_open(source, "np") as file:
        tensors, metadata = {k: file.get_tensor(k) for k in file.keys()}, dict(file.metadata())  # noqa: SIM118
    record = json.loads(metadata["architecture"])
    change(tensors, record)
    if rehash:
        halves = [
            {k.removeprefix(p): t for k, t in tensors.items() if k.startswith(p)}
            for p in ("entropy.", "synthesis.")
        ]
        entropy_id, synthesis_id = ClassicModel.ids(record, *halves)
        metadata |= {"entropy_id": entropy_id.hex(), "synthesis_id": synthesis_id.hex()}
    metadata["architecture"] = json.dumps(record)
    path = folder / "changed.safetensors"
    save_file(tensors, path, metadata)
    return path


def change(name, value):
    return lambda tensors, record: tensors.update({name: value(tensors[name])})


BAD = {
    "a family from the future": (lambda t, r: r.update(family="future"), "'future'"),
    "an unknown kind": (lambda t, r: r.update(kind="vgg"), "architecture"),
    "no side": (lambda t, r: r.pop("side") and r.update(side=-1), "architecture"),
    "another width": (lambda t, r: r.update(width=24), "another architecture"),
    "no index": (lambda t, r: drop(t, "entropy.index"), "index is missing"),
    "no decoder": (lambda t, r: drop(t, "synthesis.2."), "another architecture"),
    "an index too large": (change("entropy.index", lambda t: t + 64), "index"),
    "frequencies that do not sum": (change("entropy.tables.frequencies", lambda t: t + 1), "frequency"),
    "a gain of zero": (change("synthesis.gain", lambda t: t * 0), "gain"),
    "gains of float32": (change("synthesis.gain", lambda t: t.astype(np.float32)), "float16"),
}


@pytest.mark.parametrize("fault", BAD)
def test_weights_that_cannot_be_are_refused_in_a_sentence(classic_weights, tmp_path, fault):
    do, said = BAD[fault]
    with pytest.raises(BadWeights, match=said):
        load(open_weights(rewritten(classic_weights("baseline32"), tmp_path, do)), NumpyEngine())


def test_weights_with_a_changed_value_do_not_match_their_hash(classic_weights, tmp_path):
    path = rewritten(
        classic_weights("dense"), tmp_path, change("synthesis.mean", lambda t: t + 1), rehash=False
    )
    with pytest.raises(BadWeights, match="hash"):
        load(open_weights(path), NumpyEngine())


def test_another_record_is_another_model(classic_weights, tmp_path):
    """Quantities that decide what latents mean are under the ids, dropout is not."""
    path = classic_weights("dense")
    same = rewritten(path, tmp_path, lambda t, r: r.update(dropout=0.5))
    assert open_weights(same).entropy_id == open_weights(path).entropy_id
    assert open_weights(same).synthesis_id == open_weights(path).synthesis_id
    (tmp_path / "other").mkdir()
    other = rewritten(path, tmp_path / "other", lambda t, r: r.update(normalize=True))
    assert open_weights(other).synthesis_id != open_weights(path).synthesis_id


def test_damaged_files_are_refused(classic_weights):
    codec = Codec(classic_weights("dense"))
    data = codec.encode(picture(size=(64, 48)), 50)
    for position in range(0, len(data), 7):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(AecError):
            codec.decode(bytes(changed))


def test_a_header_with_other_latents_is_damaged(classic_weights):
    codec = Codec(classic_weights("dense"))
    file = container.read(codec.encode(picture(size=(64, 48)), 50))
    for changed in ({"latent_channels": 24}, {"latent_width": 5}):
        header = replace(file.header, **changed)
        with pytest.raises(Damaged):
            codec.decode(container.write(replace(file, header=header)))


def test_words_of_other_latents_are_a_mismatch(classic_weights):
    codec = Codec(classic_weights("dense"))
    one, other = (container.read(codec.encode(picture(size=(64, 48)), quality)) for quality in (50, 80))
    swapped = container.write(replace(one, tiles=other.tiles))
    with pytest.raises(LatentsMismatch):
        codec.decode(swapped)
