"""Pillow reads and writes .aec files once `aecodec.pillow` has been imported.

python examples/pillow_plugin.py [PHOTO [OUT.aec]]
"""

import sys
from pathlib import Path

from PIL import Image

import aecodec.pillow  # noqa: F401 - the import is what teaches Pillow the format

PHOTO = Path(__file__).parent / "photo.png"


def main(photo: str | Path = PHOTO, target: str | Path = "photo.aec") -> None:
    """Save the photo as .aec, open that, and make a thumbnail of it."""
    with Image.open(photo) as image:
        image.save(target, quality=60, dpi=(300, 300))  # profile, EXIF and XMP of the image go along

    with Image.open(target) as image:  # reads no pixels yet, and needs no torch for what follows
        print(f"{image.format}, {image.mode}, {image.size}, {image.info['dpi'][0]:.0f} dpi")
        image.thumbnail((160, 160))  # decodes
        image.save(Path(target).with_suffix(".thumbnail.png"))
        print(f"thumbnail of {image.width} x {image.height}")


if __name__ == "__main__":
    main(*sys.argv[1:])
