"""A trained model -> a weights file: integers with their proof, tables fitted to counted symbols, ids.

The file also carries float16 masters (`encoder.masters.*`, not hashed), so that training can go on from it.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save_file
from torch import Tensor

from aecodec.coding.tables import Tables, from_masses, gaussian_masses
from aecodec.engines.engine import LEVELS
from aecodec.engines.numpy import NumpyEngine
from aecodec.errors import BadWeights, OutputUnwritable
from aecodec.networks.model import Model
from aecodec.networks.photo.architecture import Architecture
from aecodec.networks.photo.exact import Entropy, engines_beside
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.networks.photo.latents import encode
from aecodec.training.networks import LevelTable
from aecodec.training.objective import TrainedModel
from aecodec.training.quantise import Ranges, quantise
from aecodec.weights import SUFFIX, WEIGHTS_FORMAT, find, open_weights

CALIBRATION_LEVELS = (0, 32, 64, 96, 128, 160, 192, 224, 255)
PRIOR_COUNT = 200.0  # symbols' worth of the parametric shape in each fitted table
MAX_RADIUS = 1023


def export(
    model: TrainedModel,
    pictures: Iterable[Tensor],
    folder: Path,
    name: str,
    version: int,
    card: dict[str, Any],
) -> Path:
    """Write `folder/NAME-ENTROPYID.safetensors` and load it back as proof; returns its path.

    `pictures`: calibration patches [1, 3, H, W], 0..1, sides multiples of 64, from the training data.
    """
    model, pictures = model.float().cpu().eval(), [x.cpu() for x in pictures]
    beside = halves("analysis.", model.analysis.state_dict())
    beside |= halves("hyper_analysis.", _full_tables(model.hyper_analysis))
    beside |= halves("encoder.masters.", model.masters.state_dict())
    beside["encoder.quality_levels"] = _quality_levels()
    entropy, synthesis = _entropy_tensors(model, pictures), _synthesis_tensors(model)
    record = model.architecture.record()
    path = write_weights(Hyperprior, record, entropy, synthesis, beside, folder, name, version, card)
    Hyperprior(open_weights(path), NumpyEngine())
    return path


def halves(prefix: str, state: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Tensors in float16, their names after a prefix."""
    return {f"{prefix}{name}": tensor.half().numpy() for name, tensor in state.items()}


def write_weights(
    family: type[Model],
    record: dict[str, Any],
    entropy: dict[str, np.ndarray],
    synthesis: dict[str, np.ndarray],
    beside: dict[str, np.ndarray],
    folder: Path,
    name: str,
    version: int,
    card: dict[str, Any],
) -> Path:
    """Write `folder/NAME-ENTROPYID.safetensors`, whole or not at all; returns its path.

    `entropy` and `synthesis` are named without these prefixes, `beside` in full. Raises OutputUnwritable.
    """
    entropy_id, synthesis_id = family.ids(record, entropy, synthesis)
    tensors = {f"entropy.{k}": t for k, t in entropy.items()}
    tensors |= {f"synthesis.{k}": t for k, t in synthesis.items()} | beside
    metadata = {
        "format": WEIGHTS_FORMAT,
        "name": name,
        "version": str(version),
        "architecture": json.dumps(record, sort_keys=True, separators=(",", ":")),
        "entropy_id": entropy_id.hex(),
        "synthesis_id": synthesis_id.hex(),
        "card": json.dumps(card),
    }
    path = folder / f"{name}-{entropy_id.hex()}{SUFFIX}"
    part = path.with_suffix(".part")
    try:
        save_file({k: np.ascontiguousarray(t) for k, t in tensors.items()}, part, metadata)
        part.chmod(0o644)  # safetensors leaves it readable to its owner alone
        part.replace(path)
    except (OSError, SafetensorError) as fault:
        part.unlink(missing_ok=True)
        raise OutputUnwritable(
            f"{path}: the weights cannot be written ({fault}): free some space and export with --resume"
        ) from fault
    return path


def import_weights(path: Path, model: TrainedModel) -> None:
    """Load a weights file into a model that is to be trained further.

    The model may have more blocks than the file: these stay as they are made, without effect.

    Raises:
        UnknownModel, BadWeights

    """
    loaded = Hyperprior(find(path), NumpyEngine())

    def floats(prefix: str) -> dict[str, Tensor]:
        return {name: torch.from_numpy(array).float() for name, array in loaded.read(prefix).items()}

    synthesis = floats("synthesis.")
    gain = synthesis.pop("gain")
    parts = {
        "analysis": floats("analysis."),
        "hyper_analysis": _taken(model.hyper_analysis, floats("hyper_analysis.")),
        "synthesis": _taken(model.synthesis, synthesis),
        "masters": floats("encoder.masters."),
    }
    state = {f"{name}.{key}": tensor for name, part in parts.items() for key, tensor in part.items()}
    try:
        model.load_state_dict(model.state_dict() | state)
    except RuntimeError as fault:
        raise BadWeights(
            f"{path} is of another architecture than the recipe: use the recipe it was trained with"
        ) from fault
    model.log_gain.set_table(gain.log())


def _quality_levels() -> np.ndarray:
    """Levels of the qualities 0, 5, ..., 100: quality 75 is where photographs take about 0.9 bits a pixel."""
    quality = np.linspace(0, 1, 21, dtype=np.float32)
    levels: np.ndarray = (LEVELS - 1) * (0.55 * quality + 0.45 * quality**3)
    return levels


def _tables(module: torch.nn.Module) -> dict[str, LevelTable]:
    """The level tables of a network by the names of their tensors."""
    return {f"{name}.values": part for name, part in module.named_modules() if isinstance(part, LevelTable)}


def _full_tables(module: torch.nn.Module) -> dict[str, Tensor]:
    """State dict in which every level table has all its 256 rows."""
    return module.state_dict() | {k: part.table().detach() for k, part in _tables(module).items()}


def _taken(module: torch.nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inverse of `_full_tables`; tables that the state lacks stay as they are."""
    tables = _tables(module)
    return state | {k: part.rows_of(state[k]) for k, part in tables.items() if k in state}


def _synthesis_tensors(model: TrainedModel) -> dict[str, np.ndarray]:
    gain = model.log_gain.table().exp().detach()
    return halves("", _full_tables(model.synthesis) | {"gain": gain})


def _entropy_tensors(model: TrainedModel, pictures: list[Tensor]) -> dict[str, np.ndarray]:
    ranges = Ranges(model.masters)
    with torch.no_grad():
        for number, x in enumerate(pictures):
            model(x, torch.tensor([float(CALIBRATION_LEVELS[number % len(CALIBRATION_LEVELS)])]), "round")
    ranges.close()
    tensors = quantise(model.masters, ranges.largest)
    tensors["z_index"] = _z_index(model)
    tables = _fit_tables(model, tensors, pictures, parametric_masses(model.architecture))
    tensors["tables.radius"], tensors["tables.frequencies"] = tables.radius, tables.frequencies
    return tensors


def parametric_masses(a: Architecture) -> list[np.ndarray]:
    """Masses of the tables before anything is counted: Gaussians of the scales that the indexes stand for."""
    return [gaussian_masses(_scale(a, k), _radius(a, k)) for k in range(1, a.scales)]


def _scale(a: Architecture, index: int) -> float:
    return float(a.scale_first * a.scale_ratio ** (index - 1))


def _radius(a: Architecture, index: int) -> int:
    return min(MAX_RADIUS, max(3, math.ceil(7 * _scale(a, index))))


@torch.no_grad()
def _z_index(model: TrainedModel) -> np.ndarray:
    """The scale index nearest to the trained scale of each hyper-latent channel at each level."""
    a = model.architecture
    index = (model.masters.z_log_scale.table() - math.log(a.scale_first)) / math.log(a.scale_ratio) + 1
    array: np.ndarray = index.round().clamp(0, a.scales - 1).to(torch.uint8).numpy()
    return array


@torch.no_grad()
def _fit_tables(
    model: TrainedModel, tensors: dict[str, np.ndarray], pictures: list[Tensor], parametric: list[np.ndarray]
) -> Tables:
    """Tables from the symbols that the integer model meets on the calibration pictures.

    Real tails are not Gaussian. Counts are made symmetric and smoothed by the parametric shape.
    """
    engines = engines_beside(NumpyEngine())
    entropy = Entropy(model.architecture, tensors, from_masses(parametric), tensors["z_index"], engines)
    counts = [np.zeros_like(mass) for mass in parametric]
    for x in pictures:
        y = model.analysis(x)
        for level in CALIBRATION_LEVELS:
            at = torch.tensor([float(level)])
            gained = y * model.gain(at)
            z = model.hyper_analysis(gained, at)
            (coded,) = encode(entropy, gained.contiguous().numpy(), z.numpy(), level)
            for indexes, symbols in coded.groups:
                _count(counts, indexes, symbols)
    return from_masses([_smoothed(c, mass) for c, mass in zip(counts, parametric, strict=True)])


def _count(counts: list[np.ndarray], indexes: np.ndarray, symbols: np.ndarray) -> None:
    for index in np.unique(indexes[indexes > 0]):
        count = counts[index - 1]
        radius = len(count) // 2 - 1
        chosen = symbols[indexes == index]
        entries = np.where(np.abs(chosen) > radius, 2 * radius + 1, chosen + radius)
        count += np.bincount(entries, minlength=len(count))


def _smoothed(count: np.ndarray, mass: np.ndarray) -> np.ndarray:
    symmetric = count.copy()
    symmetric[:-1] = (count[:-1] + count[-2::-1]) / 2
    smoothed: np.ndarray = symmetric + PRIOR_COUNT * np.maximum(mass, 1e-7)
    return smoothed
