"""Analysis, synthesis and hyper-analysis: the float transforms between pixels, latents and hyper-latents.

Each is a function of an engine and of its weights by name; `*_shapes` tells these names with their shapes.
"""

from aecodec.engines.engine import LEVELS, Engine, Features, Level, Weights
from aecodec.networks.photo.architecture import PATCH, STRIDE, Architecture

PATCH_CHANNELS = 3 * PATCH * PATCH
QUARTER = PATCH // 2
Shapes = dict[str, tuple[int, ...]]


def analysis(e: Engine, w: Weights, a: Architecture, x: Features, linear: bool = False) -> Features:
    """Pixels -> latents before the gain.

    Args:
        e: the engine.
        w: weights.
        a: architecture.
        x: [B, H, W, 3], 0..1, H and W multiples of 16.
        linear: only the path around the blocks, which is what an untrained network computes.

    Returns:
        y [B, H/16, W/16, M].

    """
    fine, coarse = (0, 0) if linear else a.analysis_blocks
    h = _pointwise(e, w, "enter", e.unshuffle(x, PATCH), precise=True)
    h = _blocks(e, w, "fine", fine, h)
    h = _pointwise(e, w, "down", e.unshuffle(h, 2), precise=True)
    return _blocks(e, w, "coarse", coarse, h)


def synthesis(e: Engine, w: Weights, a: Architecture, y_hat: Features, level: Level) -> Features:
    """Latents after the inverse gain -> pixels; the mirror of `analysis`.

    Args:
        e: the engine.
        w: weights.
        a: architecture.
        y_hat: [B, h, w, M].
        level: rate level.

    Returns:
        x_hat [B, 16 h, 16 w, 3], about 0..1, not clamped.

    """
    coarse, fine = a.synthesis_blocks
    h = _blocks(e, w, "coarse", coarse, y_hat, level)
    h = e.shuffle(_pointwise(e, w, "up", h, precise=True), 2)
    h = _blocks(e, w, "fine", fine, h, level)
    x_hat = e.shuffle(_pointwise(e, w, "leave", h, precise=True), PATCH)
    return e.add(_quarter(e, w, a, h, level), x_hat) if a.quarter_blocks else x_hat


def _quarter(e: Engine, w: Weights, a: Architecture, h: Features, level: Level) -> Features:
    """What the synthesis adds at 1/4, where blocks of 8x8 pixels are smoothed.

    Features [B, h, w, C] at 1/8 -> pixels [B, 8 h, 8 w, 3].
    """
    h = e.shuffle(_pointwise(e, w, "quarter.up", h), 2)
    h = _blocks(e, w, "quarter.blocks", a.quarter_blocks, h, level)
    return e.shuffle(_pointwise(e, w, "quarter.leave", h, precise=True), QUARTER)


def hyper_analysis(e: Engine, w: Weights, y: Features, level: Level) -> Features:
    """Gained latents -> hyper-latents before rounding.

    y is companded by asinh: its values span three orders of magnitude over channels and levels.

    Args:
        e: the engine.
        w: weights.
        y: [B, h, w, M], h and w multiples of 4.
        level: rate level that y was gained for.

    Returns:
        z [B, h/4, w/4, N].

    """
    bias = w["enter.bias"] + e.row(w["level.values"], level)
    h = e.hardswish(e.pointwise(e.asinh(y), w["enter.weight"], bias))
    h = _pointwise(e, w, "middle", e.unshuffle(h, 2))
    h = e.hardswish(_block(e, w, "block", h))
    return _pointwise(e, w, "leave", e.unshuffle(h, 2))


# Parts


def _pointwise(e: Engine, w: Weights, name: str, x: Features, precise: bool = False) -> Features:
    return e.pointwise(x, w[f"{name}.weight"], w[f"{name}.bias"], precise)


def _blocks(
    e: Engine, w: Weights, name: str, count: int, x: Features, level: Level | None = None
) -> Features:
    for number in range(count):
        x = _block(e, w, f"{name}.{number}", x, level)
    return x


def _block(e: Engine, w: Weights, name: str, x: Features, level: Level | None = None) -> Features:
    """1x1 -> hardswish -> depthwise 3x3 -> 1x1, residual; then 1x1 -> hardswish -> 1x1, residual.

    With a level, the first 1x1 has a second bias from a table. Hardswish takes a quarter of GELU's time.
    """
    bias = w[f"{name}.enter.bias"]
    if level is not None:
        bias = bias + e.row(w[f"{name}.level.values"], level)

    def part(e: Engine, x: Features) -> Features:
        h = e.hardswish(e.pointwise(x, w[f"{name}.enter.weight"], bias))
        h = e.depthwise(h, w[f"{name}.spatial.weight"], w[f"{name}.spatial.bias"])
        x = e.add(_pointwise(e, w, f"{name}.leave", h), x)
        h = e.hardswish(_pointwise(e, w, f"{name}.expand", x))
        return e.add(_pointwise(e, w, f"{name}.contract", h), x)

    return e.in_rows(part, x, halo=1)


# Shapes of the weights


def analysis_shapes(a: Architecture) -> Shapes:
    """Names and shapes of the weights of `analysis`."""
    fine, coarse = a.analysis_blocks
    shapes = _pointwise_shapes("enter", PATCH_CHANNELS, a.width)
    shapes |= _pointwise_shapes("down", 4 * a.width, a.latent_channels)
    return (
        shapes | _blocks_shapes("fine", fine, a.width) | _blocks_shapes("coarse", coarse, a.latent_channels)
    )


def synthesis_shapes(a: Architecture) -> Shapes:
    """Names and shapes of the weights of `synthesis`."""
    coarse, fine = a.synthesis_blocks
    shapes = _pointwise_shapes("up", a.latent_channels, 4 * a.width)
    shapes |= _pointwise_shapes("leave", a.width, PATCH_CHANNELS)
    shapes |= _blocks_shapes("coarse", coarse, a.latent_channels, leveled=True)
    shapes |= _blocks_shapes("fine", fine, a.width, leveled=True)
    return shapes | (_quarter_shapes(a) if a.quarter_blocks else {})


def _quarter_shapes(a: Architecture) -> Shapes:
    width = a.quarter_width
    shapes = _pointwise_shapes("quarter.up", a.width, 4 * width)
    shapes |= _blocks_shapes("quarter.blocks", a.quarter_blocks, width, leveled=True)
    return shapes | _pointwise_shapes("quarter.leave", width, 3 * QUARTER**2)


def hyper_analysis_shapes(a: Architecture) -> Shapes:
    """Names and shapes of the weights of `hyper_analysis`."""
    width = a.hyper_width
    shapes = _pointwise_shapes("enter", a.latent_channels, width) | {"level.values": (LEVELS, width)}
    shapes |= _pointwise_shapes("middle", 4 * width, width) | _block_shapes("block", width, leveled=False)
    return shapes | _pointwise_shapes("leave", 4 * width, a.hyper_channels)


def _pointwise_shapes(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _blocks_shapes(name: str, count: int, channels: int, leveled: bool = False) -> Shapes:
    shapes: Shapes = {}
    for number in range(count):
        shapes |= _block_shapes(f"{name}.{number}", channels, leveled)
    return shapes


def _block_shapes(name: str, channels: int, leveled: bool) -> Shapes:
    shapes = _pointwise_shapes(f"{name}.enter", channels, channels)
    shapes |= _pointwise_shapes(f"{name}.leave", channels, channels)
    shapes |= _pointwise_shapes(f"{name}.expand", channels, 2 * channels)
    shapes |= _pointwise_shapes(f"{name}.contract", 2 * channels, channels)
    shapes |= {f"{name}.spatial.weight": (channels, 1, 3, 3), f"{name}.spatial.bias": (channels,)}
    return shapes | ({f"{name}.level.values": (LEVELS, channels)} if leveled else {})


# How far they see


def analysis_halo(a: Architecture) -> int:
    """Pixels, a multiple of the stride: one 3x3 step for each block."""
    fine, coarse = a.analysis_blocks
    return -(-fine * PATCH // STRIDE) * STRIDE + coarse * STRIDE


def synthesis_halo(a: Architecture) -> int:
    """Latents: one for each coarse block, one for every two fine ones, or four at 1/4."""
    coarse, fine = a.synthesis_blocks
    return coarse + -(-(fine * PATCH + a.quarter_blocks * QUARTER) // STRIDE)
