"""imageio and scikit-image read .aec files through the Pillow plugin.

python examples/imageio_skimage.py [PHOTO [OUT.aec]]
"""

import sys
from pathlib import Path

import imageio.v3 as imageio
import skimage.io
from skimage.filters import sobel
from skimage.metrics import peak_signal_noise_ratio

import aecodec.pillow  # noqa: F401 - the import is what teaches Pillow the format

PHOTO = Path(__file__).parent / "photo.png"


def main(photo: str | Path = PHOTO, target: str | Path = "photo.aec") -> None:
    """Write the photo with imageio, read it with both libraries."""
    original = imageio.imread(photo)
    imageio.imwrite(target, original, plugin="pillow", quality=60)  # keywords are those of Image.save()

    pixels = imageio.imread(target, plugin="pillow")  # uint8 [H, W, 3], or [H, W] for grey
    print(f"imageio: {pixels.shape}, {peak_signal_noise_ratio(original, pixels):.1f} dB")

    edges = sobel(skimage.io.imread(target, as_gray=True))
    print(f"scikit-image: {edges.shape}, {(edges > 0.1).mean():.1%} edges")


if __name__ == "__main__":
    main(*sys.argv[1:])
