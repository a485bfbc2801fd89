"""Compresses a folder of pictures, or of WebDataset shards (*.tar), with Ray Data. Needs `aecodec[ray]`.

python examples/ray_dataset.py FOLDER OUT [--workers N] [--gpus-per-worker G] [--quality Q]

FOLDER/a/photo.png becomes OUT/a/photo.png.aec. A shard becomes a shard: 000.jpg in it becomes 000.jpg.aec,
all else is copied. What is in OUT is finished, for it gets its name when it is whole: run the command again
and it goes on where it was stopped. Bad pictures are reported at the end; a shard keeps them as they were.

Ray moves names alone: each actor reads, compresses and writes its files itself, so memory does not grow with
the data set. FOLDER and OUT must be seen by all machines. On a cluster, set RAY_ADDRESS.
"""

import argparse
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import ray
from PIL import Image

from aecodec import AecError, Codec

STORE_BYTES = 200_000_000  # Ray's shared memory on one machine: names and counts are all it holds


class Compressor:
    """An actor: holds one codec and turns each source of a batch into its target."""

    def __init__(self, codec: Codec, quality: float) -> None:
        self.codec, self.quality = codec, quality

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """Columns of names in, columns of the report out."""
        rows = [self.work(Path(s), Path(t)) for s, t in zip(batch["source"], batch["target"], strict=True)]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def work(self, source: Path, target: Path) -> dict[str, Any]:
        """Compress one file; gives a row of the report."""
        nothing = {"pictures": 0, "bytes_in": 0, "bytes_out": 0}
        row: dict[str, Any] = {**nothing, "faults": []}
        part = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            (self.shard if source.suffix == ".tar" else self.picture)(source, part, row)
            os.replace(part, target)
        except (AecError, OSError, tarfile.TarError) as fault:
            part.unlink(missing_ok=True)
            row = {**nothing, "faults": [f"{source}: {fault}"]}
        return row

    def picture(self, source: Path, part: Path, row: dict[str, Any]) -> None:
        """Compress one picture."""
        part.write_bytes(self.encode(source.read_bytes(), row))

    def shard(self, source: Path, part: Path, row: dict[str, Any]) -> None:
        """Copy a shard, its pictures compressed."""
        with tarfile.open(source) as members, tarfile.open(part, "w") as output:
            for member in members:
                content = members.extractfile(member)
                data = content.read() if content else b""
                if is_picture(member.name):
                    try:
                        data = self.encode(data, row)
                        member.name += ".aec"
                    except AecError as fault:
                        row["faults"].append(f"{source}: {member.name}: {fault}")
                member.size = len(data)
                output.addfile(member, io.BytesIO(data))
            members.fileobj.seek(members.offset)
            if members.fileobj.read(tarfile.BLOCKSIZE) != bytes(
                tarfile.BLOCKSIZE
            ):  # what a tar file ends with
                raise tarfile.ReadError("the shard is cut short: get it again")

    def encode(self, data: bytes, row: dict[str, Any]) -> bytes:
        """Encode one picture and count it."""
        encoded = self.codec.encode(data, self.quality)
        row["pictures"] += 1
        row["bytes_in"] += len(data)
        row["bytes_out"] += len(encoded)
        return encoded


def is_picture(name: str) -> bool:
    """Whether Pillow reads files with such an ending."""
    return Image.registered_extensions().get(Path(name).suffix.lower()) in Image.OPEN


def left_to_do(folder: Path, out: Path) -> Iterator[dict[str, str]]:
    """Source and target of each picture and shard that has no target yet."""
    for source in sorted(folder.rglob("*")):
        target = out / source.relative_to(folder)
        if source.suffix != ".tar":
            target = target.with_name(f"{target.name}.aec")
        if source.is_file() and (source.suffix == ".tar" or is_picture(source.name)) and not target.exists():
            yield {"source": str(source.absolute()), "target": str(target.absolute())}


def compress(
    folder: Path, out: Path, workers: int, gpus_per_worker: float, quality: float
) -> tuple[dict[str, int], list[str]]:
    """Compress what is left to do. Gives the sums of pictures, bytes_in and bytes_out, and the faults."""
    sums = dict.fromkeys(("pictures", "bytes_in", "bytes_out"), 0)
    faults: list[str] = []
    work = list(left_to_do(folder, out))
    if not work:
        return sums, faults
    reports = ray.data.from_items(work, override_num_blocks=min(len(work), 100 * workers)).map_batches(
        Compressor,
        fn_constructor_args=(Codec(), quality),
        batch_size=8,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=gpus_per_worker,
    )
    for row in reports.iter_rows():
        faults += row["faults"]
        sums = {name: sums[name] + row[name] for name in sums}
    return sums, faults


def main() -> int:
    """Start Ray, compress, print the report; 1 if something was bad."""
    parser = argparse.ArgumentParser(description="Compresses pictures or WebDataset shards with Ray Data.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--gpus-per-worker", type=float, default=0)
    parser.add_argument("--quality", type=float, default=75)
    options = parser.parse_args()
    if options.out.resolve().is_relative_to(options.folder.resolve()):
        parser.error("OUT lies in FOLDER: the next run would compress what this one wrote")
    if "RAY_ADDRESS" not in os.environ:
        ray.init(num_cpus=options.workers, object_store_memory=STORE_BYTES, include_dashboard=False)
    sums, faults = compress(**vars(options))
    for fault in faults:
        print(fault)
    print("{pictures} pictures, {bytes_in} bytes in, {bytes_out} bytes out, ".format(**sums), end="")
    print(f"{len(faults)} bad")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
