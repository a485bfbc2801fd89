"""What weights files are refused, and that loading proves the bound."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import weights_files
from samples import TINY
from weights_files import rewrite, with_a_bit_flipped

from aecodec.codec import Codec
from aecodec.engines.numpy import NumpyEngine
from aecodec.errors import BadWeights
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.entropy import layer_specs
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.networks.photo.integer import BOUND, reach
from aecodec.weights import open_weights

TENSORS, METADATA = weights_files.read(TINY)
DECODER = sorted(name for name in TENSORS if name.startswith(("entropy.", "synthesis.")))
SPECS = {spec.name: spec for spec in layer_specs(Architecture.from_record(METADATA["architecture"]))}


@pytest.fixture
def load(tmp_path):
    """Load the test model after a change to its tensors and metadata, each from a file of its own."""

    def load(change, rehash=True) -> Hyperprior:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        path = rewrite(TINY, folder / "changed.safetensors", change, rehash)
        return Hyperprior(open_weights(path), NumpyEngine())

    return load


def test_the_model_loads_unchanged_and_rewritten(load):
    model = load(lambda tensors, metadata: None)
    assert model.weights.entropy_id.hex() == METADATA["entropy_id"]
    assert {name.removeprefix("entropy.").rpartition(".")[0] for name in DECODER} >= SPECS.keys()


# The bound


@pytest.mark.parametrize("name", SPECS)
def test_a_sum_of_2_to_the_24_is_exact_and_one_more_is_refused(load, name):
    bias_name, weight = f"entropy.{name}.bias", TENSORS[f"entropy.{name}.weight"]
    slack = BOUND - int(reach(weight, np.zeros((1, len(weight))), SPECS[name].limit)[-1])

    def with_bias(value):
        def change(tensors, metadata):
            tensors[bias_name] = tensors[bias_name].copy()
            tensors[bias_name][-1, -1] = value  # the last channel, at the last level

        return change

    for sign in (1, -1):
        model = load(with_bias(sign * slack))
        stored = model.entropy.tensors[f"{name}.weight"], model.entropy.tensors[f"{name}.bias"]
        assert int(reach(*stored, SPECS[name].limit)[-1]) == BOUND
        with pytest.raises(BadWeights, match=rf"{name} can reach {BOUND + 1}, above 2\^24"):
            load(with_bias(sign * (slack + 1)))


# What is stored


def replaced(name, value):
    return lambda tensors, metadata: tensors.update({name: value(tensors[name])})


def removed(name):
    return lambda tensors, metadata: tensors.pop(name)


@pytest.mark.parametrize("name", DECODER)
def test_a_tensor_that_is_missing_or_of_another_shape_is_refused(load, name):
    for change in (removed(name), replaced(name, lambda t: t[:-1]), replaced(name, lambda t: t[None])):
        with pytest.raises(BadWeights, match="changed.safetensors"):
            load(change)


@pytest.mark.parametrize("name", DECODER)
def test_a_tensor_of_another_type_is_refused(load, name):
    for dtype in (np.float32, np.int64):
        with pytest.raises(BadWeights, match="changed.safetensors"):
            load(replaced(name, lambda t, dtype=dtype: t.astype(dtype)))


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("entropy.pass0.mu.shift", 0, 25),
        ("entropy.z_index", (255, 3), 24),
        ("entropy.tables.radius", 0, -1),
        ("entropy.tables.frequencies", 0, 0),
        ("entropy.tables.frequencies", 0, 2**24),
    ],
)
def test_values_out_of_range_are_refused(load, name, at, value):
    def change(tensors, metadata):
        tensors[name] = tensors[name].copy()
        tensors[name][at] = value

    with pytest.raises(BadWeights, match="changed.safetensors"):
        load(change)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scales", 25),
        ("scales", 23),
        ("hyper_width", 17),
        ("hyper_channels", 5),
        ("latent_channels", 13),
        ("width", 17),
        ("synthesis_blocks", [1, 2]),
        ("quarter_width", 9),
        ("quarter_blocks", 0),
        ("synthesis_blocks", [2, 2]),
        ("scales", "24"),
    ],
)
def test_another_architecture_is_refused_though_its_ids_are_right(load, field, value):
    with pytest.raises(BadWeights, match="changed.safetensors"):
        load(lambda tensors, metadata: metadata["architecture"].update({field: value}))


@pytest.mark.parametrize("field", [*Hyperprior.entropy_fields, *Hyperprior.synthesis_fields])
def test_an_architecture_that_lacks_a_field_is_refused(load, field):
    with pytest.raises(BadWeights, match="changed.safetensors"):
        load(lambda tensors, metadata: metadata["architecture"].pop(field), rehash=False)


@pytest.mark.parametrize("record", [[], "photo", 5, None, {}])
def test_an_architecture_that_is_none_is_refused(load, record):
    with pytest.raises(BadWeights, match="changed.safetensors"):
        load(lambda tensors, metadata: metadata.update(architecture=record), rehash=False)


@pytest.mark.parametrize("field", ["architecture", "card"])
def test_metadata_that_is_no_object_is_refused(load, field):
    with pytest.raises(BadWeights, match="must be JSON objects"):
        load(lambda tensors, metadata: metadata.update({field: "5"}), rehash=False)


def test_fields_and_tensors_that_a_decoder_does_not_know_are_ignored(load):
    def change(tensors, metadata):
        metadata["architecture"]["attention"] = "none"
        tensors["teacher.weight"] = np.zeros(3)

    assert load(change).weights.entropy_id.hex() == METADATA["entropy_id"]


# Hashes


@pytest.mark.parametrize("name", DECODER)
def test_a_single_bit_that_changed_is_found_by_the_hash(load, name):
    size = TENSORS[name].nbytes
    for position in {0, size - 1}:
        with pytest.raises(BadWeights, match="does not match its own hash"):
            load(replaced(name, lambda t, at=position: with_a_bit_flipped(t, at)), rehash=False)


@pytest.mark.parametrize("name", ["entropy_id", "synthesis_id"])
def test_ids_of_other_weights_are_found_by_the_hash(load, name):
    with pytest.raises(BadWeights, match="does not match its own hash"):
        load(lambda tensors, metadata: metadata.update({name: metadata[name][::-1]}), rehash=False)


def test_the_encoder_is_in_no_hash(load):
    def change(tensors, metadata):
        for name in set(tensors) - set(DECODER):
            tensors[name] = with_a_bit_flipped(tensors[name], 0)

    load(change, rehash=False)


# The encoder's half


def test_weights_without_an_encoder_decode_all_the_same(tmp_path, photo):
    data = Codec(TINY, "cpu").encode(photo)
    for name in ("analysis.enter.weight", "hyper_analysis.leave.bias", "encoder.quality_levels"):
        decoder = Codec(rewrite(TINY, tmp_path / "decoder.safetensors", removed(name)), "cpu")
        pixels = decoder.decode(data, to="numpy")
        assert np.array_equal(pixels, Codec(TINY, "cpu").decode(data, to="numpy"))
        with pytest.raises(BadWeights, match=r"decoder\.safetensors"):
            decoder.encode(photo)


# Files that are none


@pytest.mark.parametrize("size", [0, 7, 8, 100, 5000, -1])
def test_a_file_that_is_cut_short_is_refused(tmp_path, size):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(TINY.read_bytes()[:size])
    with pytest.raises(BadWeights, match="cut.safetensors"):
        Hyperprior(open_weights(path), NumpyEngine())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "aecodec-weights-2"),
        ("format", None),
        ("name", None),
        ("version", None),
        ("version", "one"),
        ("entropy_id", None),
        ("entropy_id", "no hex"),
        ("card", None),
        ("card", "{"),
    ],
)
def test_metadata_that_is_wrong_or_missing_is_refused(load, key, value):
    def change(tensors, metadata):
        del metadata[key]
        metadata.update({key: value} if value is not None else {})

    with pytest.raises(BadWeights, match="changed.safetensors"):
        load(change, rehash=False)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "text.safetensors"
    path.write_text("no weights")
    for wrong in (path, tmp_path):
        with pytest.raises(BadWeights, match=str(wrong)):
            open_weights(wrong)
