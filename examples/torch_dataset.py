"""A DataLoader that turns a folder of .aec files into batches of tensors.

python examples/torch_dataset.py FOLDER [SIDE]

The workers read files; the process that trains decodes them, on the GPU if there is one, where the batch is
then. To decode in the workers instead, on CPU cores that would idle, give the Dataset a Codec: it can be
pickled, and every worker loads the model for itself.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn.functional import pad
from torch.utils.data import DataLoader, Dataset

from aecodec import Codec


class Files(Dataset[bytes]):
    """The bytes of the .aec files of a folder."""

    def __init__(self, folder: str | Path) -> None:
        self.paths = sorted(Path(folder).rglob("*.aec"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> bytes:
        return self.paths[index].read_bytes()


def batches(
    folder: str | Path, codec: Codec, side: int, batch_size: int = 8, workers: int = 2
) -> Iterator[torch.Tensor]:
    """Batches float32 [B, 3, side, side], 0..1, in random order, on the codec's device."""
    loader = DataLoader(Files(folder), batch_size, shuffle=True, num_workers=workers, collate_fn=list)
    for files in loader:
        yield torch.stack([square(picture, side) for picture in codec.decode_batch(files)]).float() / 255


def square(picture: torch.Tensor, side: int) -> torch.Tensor:
    """The middle of a picture uint8 [3 or 1, H, W] as [3, side, side], black where the picture is smaller."""
    height, width = picture.shape[1:]
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    cut = picture[:, top : top + side, left : left + side]
    return pad(cut, (0, side - cut.shape[2], 0, side - cut.shape[1])).expand(3, -1, -1)


def main(folder: str, side: str = "128") -> None:
    """Print what the batches of a folder are."""
    for batch in batches(folder, Codec(), int(side)):
        print(f"{tuple(batch.shape)} on {batch.device}, mean {batch.mean():.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
