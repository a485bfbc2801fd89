"""The Python API: a picture to bytes and back, as image, array and tensor.

python examples/python_api.py [PHOTO]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import aecodec

PHOTO = Path(__file__).parent / "photo.png"


def main(photo: str | Path = PHOTO) -> None:
    """Encode and decode the photo in every way."""
    data = aecodec.encode(photo, quality=60)  # bytes: what `aec compress` writes into a file
    facts = aecodec.info(data)
    print(f"{facts['width']} x {facts['height']}, {facts['bytes']} bytes, {facts['bpp']:.2f} bits a pixel")

    codec = aecodec.Codec()  # for many pictures: holds the model, may be shared between threads
    pixels = np.asarray(Image.open(photo).convert("RGB"))
    for quality in (20, 50, 80):
        data = codec.encode(pixels, quality)
        decoded = codec.decode(data, to="numpy")  # uint8 [H, W, 3]; to="torch": [3, H, W], to="pil": an image
        error = np.mean((pixels.astype(float) - decoded) ** 2)
        print(f"quality {quality}: {len(data)} bytes, {10 * np.log10(255**2 / error):.1f} dB")

    try:
        codec.decode(data[:-1])
    except aecodec.AecError as fault:  # every error of the package has this base and one sentence
        print(f"cut short: {fault}")


if __name__ == "__main__":
    main(*sys.argv[1:])
