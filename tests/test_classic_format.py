"""FORMAT.md, "Models of the family classic": latents and pixels by nothing but the text of that section."""

import json
import math
import zlib

import numpy as np
import pytest
import rans_reference as reference
import torch
import torch.nn.functional as F
from classic_samples import TINY, picture
from safetensors import safe_open

from aecodec import Codec
from aecodec.file import container


class Reader:
    """A weights file, and the layers of its synthesis by their numbers."""

    def __init__(self, path):
        with safe_open(path, "pt") as file:
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self.record = json.loads(file.metadata()["architecture"])

    def entropy(self, name):
        return self.tensors[f"entropy.{name}"].numpy()

    def get(self, name):
        return self.tensors[f"synthesis.{name}"].float()

    def weights(self, layer):
        bias = f"synthesis.{layer}.bias"
        return self.get(f"{layer}.weight"), self.get(f"{layer}.bias") if bias in self.tensors else None

    def linear(self, layer, h):
        return F.linear(h, *self.weights(layer))

    def conv(self, layer, h):
        weight, bias = self.weights(layer)
        return F.conv2d(h, weight, bias, padding=weight.shape[-1] // 2)

    def transposed(self, layer, h, stride=1):
        """The sum that the page writes down, one weight position after the other."""
        weight, bias = self.weights(layer)
        batch, _, rows, columns = h.shape
        out = torch.zeros(batch, weight.shape[1], stride * rows + 4, stride * columns + 4)  # from -2 on
        for a in range(weight.shape[2]):
            for b in range(weight.shape[3]):
                part = torch.einsum("nirq,io->norq", h, weight[:, :, a, b])
                top, left = a + 1, b + 1
                out[:, :, top : top + stride * rows : stride, left : left + stride * columns : stride] += part
        return out[:, :, 2:-2, 2:-2] + (0 if bias is None else bias[:, None, None])

    def norm(self, layer, h):
        mean, variance = self.get(f"{layer}.running_mean"), self.get(f"{layer}.running_var")
        weight, bias = self.weights(layer)
        shape = (-1, 1, 1)
        scaled = (h - mean.view(shape)) / (variance.view(shape) + 1e-5).sqrt()
        return scaled * weight.view(shape) + bias.view(shape)

    def residual(self, layer, h):
        inner = leaky(self.norm(f"{layer}.branch.1", self.conv(f"{layer}.branch.0", h)))
        return leaky(h + self.norm(f"{layer}.branch.5", self.conv(f"{layer}.branch.4", inner)))

    def attention(self, layer, h):
        batch, channels, rows, columns = h.shape
        x = h.flatten(2).transpose(1, 2)
        x = (x - x.mean(2, keepdim=True)) / (x.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()
        x = x * self.get(f"{layer}.norm.weight") + self.get(f"{layer}.norm.bias")
        inner = F.linear(
            x, self.get(f"{layer}.attention.in_proj_weight"), self.get(f"{layer}.attention.in_proj_bias")
        )
        queries, keys, values = (
            t.view(batch, -1, 4, channels // 4).transpose(1, 2) for t in inner.split(channels, 2)
        )
        scores = (queries @ keys.transpose(2, 3) / math.sqrt(channels / 4)).softmax(3)
        seen = self.linear(f"{layer}.attention.out_proj", (scores @ values).transpose(1, 2).flatten(2))
        return h + seen.transpose(1, 2).view(batch, channels, rows, columns)


def leaky(h):
    return torch.where(h < 0, h / 10, h)


def double(h):
    return h.repeat_interleave(2, 2).repeat_interleave(2, 3)


def shuffle(h):
    return F.pixel_shuffle(h, 2)


def dense(m, y):
    for layer in ("0.0", "0.3", "0.6", "0.9"):
        y = leaky(m.linear(layer, y))
    return m.linear("0.12", y).view(-1, m.record["channels"], m.record["side"], m.record["side"])


def stl10(m, y):
    low = m.record["side"] // 8
    h = leaky(m.linear("0", y)).view(len(y), -1, low, low)
    for number in range(3, 27, 3):
        h = m.transposed(str(number), h, 2 if number in (6, 12, 18) else 1)
        h = h if number == 24 else leaky(h)
    return h


def fold(m, y, stride):
    n = m.record["side"] // stride
    return y.view(len(y), -1, n, n)


def baseline32(m, y):
    h = fold(m, y, 16)
    for conv, norm in (("2", "3"), ("7", "8"), ("12", "13")):
        h = leaky(m.norm(norm, m.conv(conv, double(h))))
    return m.conv("17", double(h))


def pixelshuffle32(m, y):
    h = fold(m, y, 16)
    for conv, norm in (("1", "3"), ("6", "8"), ("11", "13")):
        h = leaky(m.norm(norm, shuffle(m.conv(conv, h))))
    return shuffle(m.conv("16", h))


def resattention(m, y):
    h = m.conv("1", fold(m, y, 8))
    h = m.residual("4", m.attention("3", m.residual("2", h)))
    for conv, norm in (("5", "6"), ("9", "10")):
        h = leaky(m.norm(norm, m.transposed(conv, h, 2)))
    return m.transposed("13", h, 2)


SYNTHESES = {
    "dense": dense,
    "stl10": stl10,
    "baseline32": baseline32,
    "pixelshuffle32": pixelshuffle32,
    "resnet32": baseline32,
    "resattention": resattention,
}


def latents(m, header, tile):
    """Symbols [M, h, w] of the only tile."""
    radius, frequencies = m.entropy("tables.radius"), m.entropy("tables.frequencies")
    tables = [[], *(t.tolist() for t in np.split(frequencies, np.cumsum(2 * radius + 2)[:-1]))]
    coder = reference.Decoder(np.frombuffer(tile.payload, "<u4").tolist())
    planes = header.latent_channels // m.record["latents"]
    shape = header.latent_channels, header.latent_height, header.latent_width
    index = np.repeat(np.tile(m.entropy("index")[header.level], planes), shape[1] * shape[2])
    symbols = np.array(coder.pop(index.tolist(), tables), np.int32).reshape(shape)
    assert coder.finished() and symbols.any()
    assert zlib.crc32((16 * symbols).astype("<i4").tobytes()) == tile.latents_crc
    return symbols


def pixels(m, header, symbols):
    """uint8 [H, W, C]."""
    _, rows, columns = symbols.shape
    count, side, planes = m.record["latents"], m.record["side"], m.record["channels"]
    y = torch.from_numpy(symbols).float().view(-1, count, rows, columns)
    y = y / m.get("gain")[header.level].view(-1, 1, 1) + m.get("mean").view(-1, 1, 1)
    h = SYNTHESES[m.record["kind"]](m, y.permute(0, 2, 3, 1).reshape(-1, count))
    x = (torch.tanh(h) + 1) / 2 if m.record["normalize"] else 1 / (1 + torch.exp(-h))
    x = x.view(-1, rows, columns, planes, side, side).permute(0, 3, 1, 4, 2, 5)
    x = x.reshape(-1, rows * side, columns * side)[:, : header.height, : header.width]
    x = x if len(x) == header.channels else x.mean(0, keepdim=True)
    return (255 * x).round().clamp(0, 255).permute(1, 2, 0).numpy().astype(np.uint8)


@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_section_is_enough_to_decode_a_file(classic_weights, kind, mode):
    path = classic_weights(kind)
    m, codec = Reader(path), Codec(path)
    data = codec.encode(picture(mode, (70, 50)), 60)
    file = container.read(data)
    header, (tile,) = file.header, file.tiles
    side, planes = m.record["side"], 3 if mode == "RGB" and m.record["channels"] == 1 else 1
    assert header.latent_channels == planes * m.record["latents"]
    assert (header.latent_height, header.latent_width) == (-(-50 // side), -(-70 // side))
    assert header.tile_size % side == 0
    decoded = pixels(m, header, latents(m, header, tile))
    expected = codec.decode(data, to="numpy").reshape(decoded.shape)
    assert np.abs(decoded.astype(int) - expected).max() <= 1
