"""Every kind of picture, compressed and decompressed: the table behind results/every_picture.csv.

    python benchmarks/every_picture.py [--quality 75]

One row for each picture of the stress set (tests/stress.py): modes, bytes of the file, of its PNG (Pillow,
optimize) and of the .aec file, the latter two without metadata, and PSNR of the colours that can be seen.
"""

import argparse
import csv
import dataclasses
import sys
from pathlib import Path

from aecodec.codec import Codec

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "every_picture.csv"

sys.path.insert(0, str(ROOT / "tests"))
import picture_report  # noqa: E402
import stress  # noqa: E402


def main() -> None:
    """Print the table and write it."""
    parser = argparse.ArgumentParser(description="Compress and decompress every kind of picture.")
    parser.add_argument("--quality", type=float, default=75)
    quality = parser.parse_args().quality
    codec = Codec(device="cpu")
    rows = [picture_report.row(case, codec, quality) for case in stress.files()]
    print(f"{'picture':<36} {'in':<5} {'out':<5} {'bytes in':>9} {'PNG':>8} {'aec':>7}  PSNR")
    for row in rows:
        sizes = f"{row.bytes_in:>9} {row.png:>8} {row.aec:>7}"
        print(f"{row.name:<36} {row.mode_in:<5} {row.mode_out:<5} {sizes} {row.psnr:>5.1f}")
    worst = max(row.aec - row.png for row in rows)
    kept = sum(row.lossless for row in rows)
    print(f"{len(rows)} pictures, {kept} of them without loss; at worst {worst:+d} bytes against PNG")
    with open(RESULT, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(field.name for field in dataclasses.fields(picture_report.Row))
        table.writerows(dataclasses.astuple(row) for row in rows)


if __name__ == "__main__":
    main()
