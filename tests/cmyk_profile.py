"""The smallest ICC profile of CMYK that a colour engine takes."""

import numpy as np
from PIL import Image, ImageCms


def cmyk_profile() -> bytes:
    """A version 2 output profile: a table of two steps a channel to L*a*b*, which says what Pillow assumes.

    Its 16 corners are the colours (255 - C)(255 - K) / 255 and so on, as sRGB.
    """
    corners = np.indices((2, 2, 2, 2)).reshape(4, -1).T  # C slowest, K fastest, as in the table
    rgb = ((1 - corners[:, :3]) * (1 - corners[:, 3:]) * 255).astype(np.uint8)[None]
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = np.array(ImageCms.applyTransform(Image.fromarray(rgb), transform))[0]
    lab[:, 1:] ^= 0x80  # Pillow has a and b signed, the table from 0
    ramp = bytes(range(256))
    matrix = b"".join((65536 * (row == column)).to_bytes(4, "big") for row in range(3) for column in range(3))
    corners = lab.tobytes()
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + 4 * ramp + corners + 3 * ramp
    text = b"desc" + bytes(4) + (5).to_bytes(4, "big") + b"CMYK\0" + bytes(79)
    white = b"XYZ " + bytes(4) + bytes.fromhex("0000F6D6 00010000 0000D32D")
    tags = {b"desc": text, b"A2B0": table, b"wtpt": white, b"cprt": b"text" + bytes(4) + b"none\0"}
    at, directory, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        directory += name + at.to_bytes(4, "big") + len(content).to_bytes(4, "big")
        body += content
        at += len(content)
    version = bytes(4) + bytes.fromhex("02400000")
    header = at.to_bytes(4, "big") + version + b"prtrCMYKLab " + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + bytes.fromhex("0000F6D6 00010000 0000D32D")
    return header.ljust(128, b"\0") + len(tags).to_bytes(4, "big") + directory + body
