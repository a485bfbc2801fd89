"""Rate-distortion on the 24 Kodak pictures: aec beside its rivals and the published curves.

    python benchmarks/kodak.py --data FOLDER [--work FOLDER] [--out benchmarks/results/kodak]

It is `aec bench` on that folder, with two things added: BD-rates against published curves, and whether rate
and PSNR rise with every fifth quality on every picture. Rates count all bytes of the files. Writes
results.csv, results.json, the plots and summary.json; `--work` keeps the coded files and the report, and a
run that was stopped goes on there.
"""

import argparse
import itertools
import json
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from aecodec.bench import outputs, runner
from aecodec.bench.published import published_curves
from aecodec.bench.results import points
from aecodec.bench.worker import Row
from aecodec.errors import BadArgument
from aecodec.measure import bd

EVERY_FIFTH = tuple(range(0, 101, 5))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "kodak")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        plan = runner.plan([arguments.data])
        command = "python benchmarks/kodak.py --data FOLDER"
        found = runner.measure(plan, work, resume=True, command=command, timing=True, progress=say)
        for path in outputs.write(plan, found, work):
            if path.suffix != ".html":
                shutil.copy(path, arguments.out)
        fine = runner.plan([arguments.data], ["aec"], EVERY_FIFTH, ["psnr"])
        rows = runner.measure(fine, work / "every-fifth", resume=True, progress=say)["rows"]
    summary = summarize(found, rows)
    (arguments.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


def say(done: str, count: int, total: int) -> None:
    """Show progress on one line."""
    print(f"\r{count} of {total}: {done}", end="" if count < total else "\n", flush=True)


def summarize(found: dict[str, Any], fine: list[Row]) -> dict[str, Any]:
    """The figures of README: BD-rates of aec in PSNR, its range, times, and whether its curves rise."""
    aec = [row for row in fine if row["codec"] == "aec"]
    middle = [row for row in aec if row["quality"] == 75]
    ends = [[row for row in aec if row["quality"] == quality] for quality in (0, 100)]
    (speed,) = (row for row in found["speed"] if row["codec"] == "aec")
    return {
        "pictures": len(found["pictures"]),
        "model": found["models"][0],
        "bd_rate_percent": measured(found) | against_published(found),
        "bpp_and_psnr_at_both_ends": [[mean(rows, "bpp"), mean(rows, "psnr")] for rows in ends],
        "bpp_and_psnr_at_75": [mean(middle, "bpp"), mean(middle, "psnr")],
        "rising_on_every_picture": rising(aec),
        "encode_median_s": round(speed["encode_s"], 3),
        "decode_median_s": round(speed["decode_s"], 3),
    }


def measured(found: dict[str, Any]) -> dict[str, list[float]]:
    """BD-rate in PSNR of aec against every codec that was run, and the range in dB."""
    return {
        name: delta(found, points(curve, "psnr")) for name, curve in found["curves"].items() if name != "aec"
    }


def against_published(found: dict[str, Any]) -> dict[str, list[float]]:
    """The same against published curves that overlap enough."""
    deltas = {}
    for curve in published_curves(found):
        try:
            deltas[f"{curve['name']}, published"] = delta(found, (curve["bpp"], curve["psnr"]))
        except BadArgument:
            continue
    return deltas


def delta(found: dict[str, Any], anchor: bd.Curve) -> list[float]:
    """BD-rate of aec in per cent, lowest and highest dB."""
    value = bd.bd_rate(anchor, points(found["curves"]["aec"], "psnr"))
    return [round(value.value, 1), round(value.low, 2), round(value.high, 2)]


def mean(rows: list[Row], name: str) -> float:
    """Mean over the pictures."""
    return round(statistics.fmean(row[name] for row in rows), 4)


def rising(rows: list[Row]) -> bool:
    """Whether rate and PSNR rise strictly over the qualities on every picture."""
    rows = sorted(rows, key=lambda row: (row["picture"], row["quality"]))
    return all(
        a["bpp"] < b["bpp"] and a["psnr"] < b["psnr"]
        for a, b in itertools.pairwise(rows)
        if a["picture"] == b["picture"]
    )


if __name__ == "__main__":
    main()
