"""Results as plain tables for a terminal."""

from collections.abc import Sequence

from aecodec.bench import metrics
from aecodec.bench.results import Results

SHOWN = {  # metric: heading and format
    "mse": ("MSE", ".6f"),
    "mae": ("MAE", ".5f"),
    "mse_255": ("MSE 255", ".2f"),
    "mae_255": ("MAE 255", ".3f"),
    "psnr": ("PSNR", ".2f"),
    "psnr_pooled": ("pooled", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "ms_ssim": ("MS-SSIM", ".4f"),
    "ssimulacra2": ("SSIMULACRA2", ".1f"),
}
NAMES = {name: heading for name, (heading, _) in SHOWN.items()}


def tables(results: Results) -> str:
    """Means over the pictures, BD-rates, times; what was left out."""
    parts = [_means(results), _deltas(results), _speed(results)]
    return "\n\n".join(part for part in parts if part)


def _means(results: Results) -> str:
    points = [point for curve in results["curves"].values() for point in curve]
    columns = [name for name in SHOWN if any(point.get(name) is not None for point in points)]
    lines = [["codec", "quality", "bpp", *(SHOWN[name][0] for name in columns)]]
    for codec, curve in results["curves"].items():
        for point in curve:
            values = [_said(point.get(name), SHOWN[name][1]) for name in columns]
            lines.append([codec, f"{point['quality']:g}", f"{point['bpp']:.3f}", *values])
    count = len(results["pictures"])
    return f"Means over {count} picture{'s' * (count != 1)}, PSNR in dB\n{_aligned(lines)}"


def _deltas(results: Results) -> str:
    if not results["bd"]:
        return ""
    lines = [["codec", "metric", "BD-rate %", "BD-quality", "range", "points"]]
    refused = []
    for row in results["bd"]:
        if row["reason"]:
            refused.append(f"{row['codec']}, {NAMES[row['metric']]}: {row['reason']}")
            continue
        span = f"{row['low']:.2f} to {row['high']:.2f}{' dB' * (row['metric'] != metrics.SLOW)}"
        points = " and ".join(str(count) for count in row["points"])
        rate, quality = f"{row['bd_rate']:+.1f}", f"{row['bd_quality']:+.2f}"
        lines.append([row["codec"], NAMES[row["metric"]], rate, quality, span, points])
    heading = f"Against {results['anchor']}: rate at equal quality, quality at equal rate"
    return "\n".join([heading, _aligned(lines), *refused])


def _speed(results: Results) -> str:
    if not results["speed"]:
        return ""
    lines = [["codec", "quality", "bpp", "encode s", "decode s", "cold encode s", "cold decode s", "peak MB"]]
    for row in results["speed"]:
        seconds = [f"{row[name]:.3f}" for name in ("encode_s", "decode_s", "cold_encode_s", "cold_decode_s")]
        peak = f"{row['encode_peak_mb']:.0f}, {row['decode_peak_mb']:.0f}"
        lines.append([row["codec"], f"{row['quality']:g}", f"{row['bpp']:.3f}", *seconds, peak])
    row = results["speed"][0]
    pictures = f"median of {row['pictures']} pictures of {row['megapixels']:.2f} megapixels"
    return f"Time, one codec after the other: {pictures}; cold: a new process\n{_aligned(lines)}"


def _said(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be; the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
