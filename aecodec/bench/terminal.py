"""Results as plain tables for a terminal."""

from collections.abc import Sequence

from aecodec.bench.results import Results
from aecodec.measure import metrics
from aecodec.measure.style import METRICS

NAMES = {metric.key: metric.short or metric.label for metric in METRICS}


def tables(results: Results) -> str:
    """Means over the pictures, BD-rates, times; what was left out."""
    parts = [_means(results), _deltas(results), _speed(results)]
    return "\n\n".join(part for part in parts if part)


def _means(results: Results) -> str:
    points = [point for curve in results["curves"].values() for point in curve]
    columns = [metric for metric in METRICS if any(point.get(metric.key) is not None for point in points)]
    count = len(results["pictures"])
    fewer = any(point["pictures"] < count for point in points)
    lines = [["codec", "quality", *["pictures"] * fewer, "bpp", *(NAMES[m.key] for m in columns)]]
    for codec, curve in results["curves"].items():
        for point in curve:
            over = [str(point["pictures"])] * fewer
            values = [_said(point.get(metric.key), metric.digits) for metric in columns]
            lines.append([codec, f"{point['quality']:g}", *over, f"{point['bpp']:.3f}", *values])
    heading = f"Means over {count} picture{'s' * (count != 1)}, PSNR in dB"
    unlike = "; those over fewer pictures do not compare with the others" * fewer
    return f"{heading}{unlike}\n{_aligned(lines)}"


def _deltas(results: Results) -> str:
    if not results["bd"]:
        return ""
    lines = [["codec", "metric", "BD-rate %", "BD-quality", "range", "points", "pictures"]]
    refused = []
    for row in results["bd"]:
        if row["reason"]:
            refused.append(f"{row['codec']}, {NAMES[row['metric']]}: {row['reason']}")
            continue
        span = f"{row['low']:.2f} to {row['high']:.2f}{' dB' * (row['metric'] != metrics.SLOW)}"
        points = " and ".join(str(count) for count in row["points"])
        rate, quality = f"{row['bd_rate']:+.1f}", f"{row['bd_quality']:+.2f}"
        pictures = str(row["pictures"])
        lines.append([row["codec"], NAMES[row["metric"]], rate, quality, span, points, pictures])
    heading = f"Against {results['anchor']}: rate at equal quality, quality at equal rate"
    return "\n".join([heading, _aligned(lines), *refused])


def _speed(results: Results) -> str:
    if not results["speed"]:
        return ""
    times = ("encode s", "decode s", "cold encode s", "cold decode s", "peak MB")
    lines = [["codec", "quality", "bpp", "pictures", "megapixels", *times]]
    for row in results["speed"]:
        seconds = [f"{row[name]:.3f}" for name in ("encode_s", "decode_s", "cold_encode_s", "cold_decode_s")]
        peak = f"{row['encode_peak_mb']:.0f}, {row['decode_peak_mb']:.0f}"
        size = [str(row["pictures"]), f"{row['megapixels']:.2f}"]
        lines.append([row["codec"], f"{row['quality']:g}", f"{row['bpp']:.3f}", *size, *seconds, peak])
    heading = "Time, one codec after the other: medians over the pictures; cold: a new process"
    return f"{heading}\n{_aligned(lines)}"


def _said(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


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
