"""Weights files: where they are, what they are called, and which bytes they decode. No torch, no numpy.

A weights file is a safetensors file whose metadata holds `format`, `name`, `version`, `architecture`
(canonical JSON), `entropy_id`, `synthesis_id` (hexadecimal) and `card` (JSON for people).
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
from safetensors import SafetensorError, safe_open

from aecodec.errors import BadWeights, SynthesisMismatch, UnknownModel

WEIGHTS_FORMAT = "aecodec-weights-1"
SUFFIX = ".safetensors"
DEFAULT_MODEL = "photo"


@dataclass(frozen=True)
class Weights:
    """A weights file, known by its metadata; nothing of it is loaded or verified yet."""

    path: Path
    name: str
    version: int
    entropy_id: bytes
    synthesis_id: bytes
    architecture: Mapping[str, Any]
    card: Mapping[str, Any]


def folders() -> list[Path]:
    """Where weights are looked for: the package, $AECODEC_MODELS, the user's folder; they need not exist."""
    package = Path(__file__).parent / "weights"
    source = Path(__file__).parent.parent / "weights"  # a checkout keeps them beside the package
    named = [Path(f) for f in os.environ.get("AECODEC_MODELS", "").split(os.pathsep) if f]
    return [package if package.is_dir() else source, *named, Path(click.get_app_dir("aecodec")) / "models"]


def open_weights(path: Path) -> Weights:
    """The metadata of one weights file. Raises BadWeights when it is none."""
    try:
        stat = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return _open_weights(path, stat.st_mtime_ns, stat.st_size)


def _unreadable(path: Path, error: Exception) -> BadWeights:
    return BadWeights(f"{path} cannot be read as a weights file ({error}): get it again")


@lru_cache(64)
def _open_weights(path: Path, time: int, size: int) -> Weights:
    """Read the metadata again only where the file has changed: every picture is decoded by its ids."""
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != WEIGHTS_FORMAT:
            raise BadWeights(f"{path} is not a weights file of aecodec: give one that `aec train` wrote")
        architecture, card = json.loads(metadata["architecture"]), json.loads(metadata["card"])
        if not isinstance(architecture, dict) or not isinstance(card, dict):
            raise ValueError("architecture and card must be JSON objects")
        return Weights(
            path,
            metadata["name"],
            int(metadata["version"]),
            bytes.fromhex(metadata["entropy_id"]),
            bytes.fromhex(metadata["synthesis_id"]),
            architecture,
            card,
        )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _unreadable(path, error) from error


def installed() -> Iterator[Weights]:
    """All weights in all folders, in the order in which they are preferred; other files are passed by."""
    for folder in folders():
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []:
            try:
                yield open_weights(path)
            except BadWeights:
                continue


def find(model: str | os.PathLike[str] | None = None) -> Weights:
    """The weights to encode with: a file, or the newest version of a name (default `photo`).

    Raises UnknownModel, naming the folders that were searched, and BadWeights.
    """
    return _named(model)[0]


def _named(model: str | os.PathLike[str] | None) -> list[Weights]:
    """All that a path or a name stands for, newest first; at least one."""
    name = os.fspath(model) if model is not None else DEFAULT_MODEL
    if Path(name).suffix == SUFFIX or os.sep in name:
        if not Path(name).is_file():
            raise UnknownModel(f"there is no weights file {name}: give the path of a {SUFFIX} file")
        return [open_weights(Path(name))]
    found = [w for w in installed() if w.name == name]
    if not found:
        raise UnknownModel(f"no model named {name} is installed: weights are looked for in {_places()}")
    return sorted(found, key=lambda w: -w.version)


def find_by_id(
    entropy_id: bytes, synthesis_id: bytes, model: str | os.PathLike[str] | None = None
) -> Weights:
    """The weights that decode a file with these ids; `model` names others for the same latents.

    Raises UnknownModel when no weights have the entropy id, SynthesisMismatch when some have it but
    would draw another picture and no model was named.
    """
    if model is not None:
        named = _named(model)
        fitting = [w for w in named if w.entropy_id == entropy_id]
        if not fitting:
            raise UnknownModel(
                f"the file was made with the model of entropy id {entropy_id.hex()}, "
                f"but {named[0].path} has {named[0].entropy_id.hex()}: leave out the model, or name another"
            )
        return next((w for w in fitting if w.synthesis_id == synthesis_id), fitting[0])
    known = [w for w in installed() if w.entropy_id == entropy_id]
    for weights in known:
        if weights.synthesis_id == synthesis_id:
            return weights
    if known:
        raise SynthesisMismatch(
            f"the file was made for synthesis id {synthesis_id.hex()}, but {known[0].path} has "
            f"{known[0].synthesis_id.hex()}: name it as the model to see its picture all the same"
        )
    raise UnknownModel(
        f"the file was made with the model of entropy id {entropy_id.hex()}, which is not installed: "
        f"put its weights into one of {_places()}"
    )


def name_of(entropy_id: bytes) -> str | None:
    """Name of an installed model with this entropy id, None if there is none."""
    return next((w.name for w in installed() if w.entropy_id == entropy_id), None)


def identify(architecture: Mapping[str, Any], fields: Iterable[str], tensors: Mapping[str, Any]) -> bytes:
    """SHA-256 over the named fields of the architecture and over numpy arrays sorted by name.

    FORMAT.md, "Ids", defines the bytes that are hashed.
    """
    record = {"format": 1} | {name: architecture[name] for name in fields}
    digest = hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        array = tensors[name]
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"\n{name} {array.dtype.name} {'x'.join(map(str, array.shape))}\n".encode())
        digest.update(little.tobytes())
    return digest.digest()


def _places() -> str:
    return ", ".join(map(str, folders()))
