"""Finding, identifying and refusing weights."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from weights_files import of, read, rewrite, with_a_bit_flipped

from aecodec import weights
from aecodec.engines.numpy import NumpyEngine
from aecodec.errors import BadWeights, SynthesisMismatch, UnknownModel
from aecodec.networks.photo.hyperprior import Hyperprior

FIELDS = {"latent_channels": 3, "synthesis_blocks": [1, 2], "width": 9}


@pytest.fixture
def place(tmp_path, monkeypatch, tiny_model):
    """A folder of weights that is searched, and the only one that holds any."""
    monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
    monkeypatch.setattr(weights, "folders", lambda: [tmp_path / "nowhere", tmp_path])
    shutil.copy(tiny_model, tmp_path)
    return tmp_path


def rewritten(path, target, tensors=None, **metadata):
    """A copy with some tensors and metadata replaced."""
    with safe_open(path, framework="np") as file:
        kept = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        about = file.metadata()
    save_file(kept | (tensors or {}), target, about | metadata)
    return target


def test_the_environment_adds_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("AECODEC_MODELS", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert weights.folders()[1:3] == [tmp_path / "a", tmp_path / "b"]
    monkeypatch.setenv("AECODEC_MODELS", "")
    assert len(weights.folders()) == 2 and Path() not in weights.folders()
    monkeypatch.delenv("AECODEC_MODELS")
    assert len(weights.folders()) == 2 and weights.folders()[0].name == "weights"


def test_weights_are_found_by_name_path_and_id(place, tiny_model):
    by_path = weights.find(tiny_model)
    assert by_path.name == "tiny" and by_path.path == tiny_model
    assert weights.find("tiny").path == place / tiny_model.name
    found = weights.find_by_id(by_path.entropy_id, by_path.synthesis_id)
    assert found.path == place / tiny_model.name
    assert weights.name_of(by_path.entropy_id) == "tiny" and weights.name_of(bytes(8)) is None


def test_the_newest_version_of_a_name_encodes(place, tiny_model):
    rewritten(tiny_model, place / "tiny-next.safetensors", version="2")
    assert weights.find("tiny").version == 2


def test_unknown_names_paths_and_ids_are_refused_and_the_folders_named(place, tiny_model):
    known = weights.open_weights(tiny_model)
    with pytest.raises(UnknownModel, match=str(place)):
        weights.find("huge")
    with pytest.raises(UnknownModel, match="no weights file"):
        weights.find(place / "none.safetensors")
    with pytest.raises(UnknownModel, match=f"{'07' * 8}.*{place}"):
        weights.find_by_id(b"\7" * 8, known.synthesis_id)
    with pytest.raises(UnknownModel, match="name another"):
        weights.find_by_id(b"\7" * 8, known.synthesis_id, "tiny")


def test_another_synthesis_is_refused_unless_named(place, tiny_model):
    known = weights.open_weights(tiny_model)
    with pytest.raises(SynthesisMismatch, match=known.synthesis_id.hex()):
        weights.find_by_id(known.entropy_id, b"\7" * 4)
    assert weights.find_by_id(known.entropy_id, b"\7" * 4, "tiny").name == "tiny"


def test_the_synthesis_that_the_file_asks_for_is_preferred(place, tiny_model):
    def brighter(tensors, metadata):
        tensors["synthesis.leave.bias"] = tensors["synthesis.leave.bias"] + 0.1

    other = weights.open_weights(rewrite(tiny_model, place / "a-brighter.safetensors", brighter))
    known = weights.open_weights(tiny_model)
    assert other.entropy_id == known.entropy_id and other.synthesis_id != known.synthesis_id
    for wanted in (known, other):
        for model in (None, "tiny"):
            found = weights.find_by_id(wanted.entropy_id, wanted.synthesis_id, model)
            assert found.path.name == wanted.path.name
    assert weights.find_by_id(known.entropy_id, known.synthesis_id, other.path) == other  # a file is meant


def test_a_name_stands_for_all_its_versions_when_a_file_is_decoded(place, tiny_model):
    def other_tables(tensors, metadata):
        tensors["entropy.z_index"] = tensors["entropy.z_index"][::-1]
        metadata["version"] = "2"

    newer = weights.open_weights(rewrite(tiny_model, place / "tiny-2.safetensors", other_tables))
    older = weights.open_weights(tiny_model)
    assert weights.find("tiny") == newer
    for wanted in (older, newer):
        found = weights.find_by_id(wanted.entropy_id, wanted.synthesis_id, "tiny")
        assert (found.entropy_id, found.version) == (wanted.entropy_id, wanted.version)
    with pytest.raises(UnknownModel, match=f"{newer.path}.*name another"):
        weights.find_by_id(b"\7" * 8, older.synthesis_id, "tiny")


def test_folders_are_searched_in_their_order(tmp_path, monkeypatch, tiny_model):
    places = [tmp_path / name for name in ("package", "second", "first", "user")]
    for place in places[1:]:
        place.mkdir()
        shutil.copy(tiny_model, place)
    known = weights.open_weights(tiny_model)
    monkeypatch.setattr(weights, "folders", lambda: [places[0], places[2], places[1], places[3]])
    assert [w.path.parent.name for w in weights.installed()] == ["first", "second", "user"]
    assert weights.find("tiny").path.parent.name == "first"
    assert weights.find_by_id(known.entropy_id, known.synthesis_id).path.parent.name == "first"


def test_a_path_is_told_from_a_name_by_its_ending_or_a_separator(place, tiny_model, monkeypatch):
    monkeypatch.chdir(place)
    for path in (tiny_model.name, f".{os.sep}{tiny_model.name}", place / tiny_model.name):
        assert weights.find(path).name == "tiny"
    os.rename(tiny_model.name, "weights")
    assert weights.find(f".{os.sep}weights").name == "tiny"
    with pytest.raises(UnknownModel, match="no model named weights"):
        weights.find("weights")
    with pytest.raises(UnknownModel, match="there is no weights file"):
        weights.find(place)  # a folder


def test_files_that_are_no_weights_are_passed_by_and_refused_when_named(place):
    bad = place / "bad.safetensors"
    bad.write_bytes(b"\xff" * 40)
    save_file({"x": np.zeros(1)}, place / "foreign.safetensors")
    assert [w.name for w in weights.installed()] == ["tiny"]
    with pytest.raises(BadWeights, match="bad.safetensors cannot be read"):
        weights.find(bad)
    with pytest.raises(BadWeights, match="not a weights file of aecodec"):
        weights.find(place / "foreign.safetensors")


def test_ids_change_with_every_tensor_name_shape_type_and_field():
    tensors = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "b": np.zeros(2, np.float16)}
    variants = [
        (FIELDS, tensors),
        (FIELDS | {"latent_channels": 4}, tensors),
        (FIELDS | {"synthesis_blocks": []}, tensors),
        (FIELDS, {"a": tensors["a"], "c": tensors["b"]}),
        (FIELDS, tensors | {"a": tensors["a"].reshape(3, 2)}),
        (FIELDS, tensors | {"a": tensors["a"].astype(np.int32)}),
        (FIELDS, tensors | {"b": np.array([0, 1], np.float16)}),
    ]
    ids = {weights.identify(fields, ("latent_channels", "synthesis_blocks"), t) for fields, t in variants}
    assert len(ids) == len(variants)
    same = weights.identify(
        FIELDS | {"width": 1}, ("latent_channels", "synthesis_blocks"), dict(reversed(tensors.items()))
    )
    assert same == weights.identify(FIELDS, ("latent_channels", "synthesis_blocks"), tensors)


def test_each_id_covers_its_half_of_the_model_and_no_more(tiny_model):
    """On the real tensors and fields, one changed at a time."""
    tensors, metadata = read(tiny_model)
    halves = {prefix: of(tensors, f"{prefix}.") for prefix in ("entropy", "synthesis")}
    plain = Hyperprior.ids(metadata["architecture"], *halves.values())
    assert [identity.hex() for identity in plain] == [metadata["entropy_id"], metadata["synthesis_id"]]
    for prefix, half in halves.items():
        for name, tensor in half.items():
            changed = halves | {prefix: half | {name: with_a_bit_flipped(tensor, 0)}}
            ids = Hyperprior.ids(metadata["architecture"], *changed.values())
            assert (ids[0] != plain[0], ids[1] != plain[1]) == (prefix == "entropy", prefix == "synthesis")
    for field in metadata["architecture"]:
        ids = Hyperprior.ids(metadata["architecture"] | {field: "other"}, *halves.values())
        covered = field in Hyperprior.entropy_fields, field in Hyperprior.synthesis_fields
        assert (ids[0] != plain[0], ids[1] != plain[1]) == covered
    assert set(Hyperprior.entropy_fields) == {
        "latent_channels",
        "hyper_channels",
        "hyper_width",
        "scales",
    }
    assert set(Hyperprior.synthesis_fields) == {
        "latent_channels",
        "width",
        "synthesis_blocks",
        "quarter_width",
        "quarter_blocks",
    }


@pytest.mark.parametrize("name", ["entropy.z_index", "entropy.pass0.mu.weight", "synthesis.gain"])
def test_a_changed_tensor_does_not_match_the_hash(place, tiny_model, name):
    with safe_open(tiny_model, framework="np") as file:
        tensor = file.get_tensor(name).copy()
    tensor.reshape(-1)[0] += 1
    path = rewritten(tiny_model, place / "changed.safetensors", {name: tensor})
    with pytest.raises(BadWeights, match="does not match its own hash"):
        Hyperprior(weights.open_weights(path), NumpyEngine())


def test_what_belongs_to_the_encoder_is_in_no_hash(place, tiny_model):
    levels = np.linspace(0, 200, 21, dtype=np.float32)
    path = rewritten(
        tiny_model, place / "other.safetensors", {"encoder.quality_levels": levels}, card='{"a": 1}'
    )
    assert Hyperprior(weights.open_weights(path), NumpyEngine()).level(100) == 200


def test_an_unknown_architecture_is_refused(place, tiny_model):
    record = dict(weights.open_weights(tiny_model).architecture) | {"synthesis_blocks": 3}
    path = rewritten(tiny_model, place / "other.safetensors", architecture=json.dumps(record))
    with pytest.raises(BadWeights, match="architecture"):
        Hyperprior(weights.open_weights(path), NumpyEngine())
