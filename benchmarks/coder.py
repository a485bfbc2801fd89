"""The entropy coder alone: symbols a second through our API, and bytes over the ideal length.

    python benchmarks/coder.py [--model NAME|FILE] [--out benchmarks/results]

Symbols are drawn from the model's own tables, all of them equally often, in random order; one thread. Writes
coder.json.
"""

import argparse
import json
import platform
import time
from pathlib import Path
from statistics import median

import numpy as np

from aecodec.coding.rans import Decoder, Encoder
from aecodec.coding.tables import TOTAL, Tables
from aecodec.engines.numpy import NumpyEngine
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.weights import find

COUNTS = (10_000, 100_000, 1_000_000)
REPEATS = 9


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    tables = Hyperprior(find(arguments.model), NumpyEngine()).entropy.tables
    rows = [measure(tables, count) for count in COUNTS]
    report = {"python": platform.python_version(), "tables": tables.count - 1, "rows": rows}
    (arguments.out / "coder.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def measure(tables: Tables, count: int) -> dict[str, float]:
    """Median over the repeats for `count` symbols."""
    symbols, indexes = draw(tables, count)
    encoding, decoding = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        encoder = Encoder()
        encoder.push(symbols, indexes, tables)
        words = encoder.words()
        middle = time.perf_counter()
        decoder = Decoder(words)
        decoded = decoder.pop(indexes, tables)
        decoder.finish()
        decoding.append(time.perf_counter() - middle)
        encoding.append(middle - start)
        assert (decoded == symbols).all()
    return {
        "symbols": count,
        "encode_megasymbols_per_second": round(count / median(encoding) / 1e6, 1),
        "decode_megasymbols_per_second": round(count / median(decoding) / 1e6, 1),
        "bytes_over_ideal_percent": round(
            100 * (8 * len(words) / tables.ideal_bits(symbols, indexes) - 1), 4
        ),
    }


def draw(tables: Tables, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols int32 and scale indexes uint8 [count], as the tables expect them; an escape is r + 1."""
    random = np.random.default_rng(0)
    indexes = random.integers(1, tables.count, count).astype(np.uint8)
    symbols = np.zeros(count, np.int32)
    for k in range(1, tables.count):
        frequencies = tables.frequencies[tables.starts[k] : tables.starts[k + 1]]
        at = np.flatnonzero(indexes == k)
        entries = random.choice(len(frequencies), len(at), p=frequencies / TOTAL)
        symbols[at] = entries - tables.radius[k - 1]
    return symbols, indexes


if __name__ == "__main__":
    main()
