"""Finds the .aec files that look most like one of them, by their latents: no pixel is decoded.

python examples/latents_search.py QUERY.aec FOLDER [COUNT]

Mean and spread of every latent channel over the picture are its descriptor, whatever its size and the quality
it was coded at; files of about the same quality compare best. Latents of different models do not compare at
all, so files of another entropy id are left out.
"""

import sys
from pathlib import Path

import numpy as np

from aecodec import AecError, Codec
from aecodec.tiles.neural import Latents


def descriptor(latents: Latents) -> np.ndarray:
    """y_hat [M, h, w] -> float32 [2 M], of length 1."""
    mean, spread = latents.y_hat.mean((1, 2)), latents.y_hat.std((1, 2))
    joined = np.concatenate([mean, spread])
    return joined / np.linalg.norm(joined)


def search(query: str | Path, folder: str | Path, codec: Codec) -> list[tuple[float, Path]]:
    """The other .aec files of the folder with their likeness, -1 to 1, the most alike first."""
    wanted = codec.decode(query, to="latents")
    found = []
    for path in sorted(Path(folder).rglob("*.aec")):
        if path.samefile(query):
            continue
        try:
            latents = codec.decode(path, to="latents")
        except AecError as fault:  # damaged, or of lossless tiles, which have no latents
            print(f"{path} is left out: {fault}", file=sys.stderr)
            continue
        if latents.entropy_id == wanted.entropy_id:
            found.append((float(descriptor(wanted) @ descriptor(latents)), path))
    return sorted(found, reverse=True)


def main(query: str, folder: str, count: str = "5") -> None:
    """Print the files most like the query."""
    for likeness, path in search(query, folder, Codec())[: int(count)]:
        print(f"{likeness:.3f} {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
