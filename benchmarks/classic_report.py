"""What benchmarks/classic.py has measured, as Markdown, figures and JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aecodec.training.classic import figures
from aecodec.training.classic.measure import Point

Result = Mapping[str, Any]

TITLES = {"mnist": "MNIST, padded to 32 x 32, grey", "cifar10": "CIFAR-10", "stl10": "STL-10"}
SEEN = {
    "mnist": "All 60000 pictures to train on, where the table does not say fewer, all 10000 to test with.",
    "cifar10": "**A part:** 7500 of the 50000 pictures to train on, each more often, and the first 1000 of "
    "10000 to test with. The published values come from all of them: **not comparable**.",
    "stl10": "**A part:** 450 pictures to train on and 210 to test with, all from the 5000 of the set's own "
    "train part: **not comparable** with values of the whole set.",
}
PUBLISHED = {
    "mnist": {"originals": {"accuracy": 0.9912}, "baseline": {"mse": 0.000854, "accuracy": 0.9900}},
    "cifar10": {
        "originals": {"accuracy": 0.8179},
        "baseline": {"mse": 0.004345, "mae": 0.046274, "accuracy": 0.4558},
        "feature loss": {"mse": 0.004301, "accuracy": 0.6209},
    },
}
SIZES = {"mnist": (25, 50, 100, 200), "cifar10": (50, 100, 200, 400), "stl10": (50, 100, 200, 400)}
ALONE_SIZES = {"mnist": (100, 200, 400), "cifar10": (150, 300, 600), "stl10": (150, 300, 600)}
OTHERS = ("JPEG", "photo")
HEAD = """# The classic autoencoders as codecs

What textbook autoencoders and the tricks to train them are worth, in bytes of real files. Written by

    python benchmarks/classic.py --data FOLDER --work FOLDER

Every network is trained once, for its reconstruction error alone, as is usual, and codes at all rates:
gains, rounding and tables of the entropy coder are fitted afterwards. MSE and MAE are of pixels of 0..1.
Accuracy is that of a classifier, trained on originals, when it is fed decoded pictures. "In a mosaic": 10 x
10 pictures in one file, its bytes divided by 100; "alone": a file for each picture; "words": what the
entropy coder made, without the frame of the file. Minutes are those of one processor core (AMD EPYC, Zen 5,
PyTorch 2.13, bfloat16). JPEG is Pillow's, 4:2:0, with tables of its own; *photo* is the released model,
which was trained on whole photographs. Batches and learning rates were looked at on the test pictures, which
flatters the methods a little, all alike.
"""


def write(found: Mapping[str, Result], out: Path) -> None:
    """Write classic.md, classic.json and classic-*.png into the folder `out`, of results by set."""
    (out / "classic.json").write_text(json.dumps(found, indent=1) + "\n")
    parts = [HEAD, *(section(name, result["methods"], result["accuracy"]) for name, result in found.items())]
    (out / "classic.md").write_text("\n".join(parts))
    for name, result in found.items():
        draw(name, result["methods"], out)


def section(name: str, found: Mapping[str, Any], known: float | None) -> str:
    """All that is said of one set; `known`: share of the originals that its classifier knows."""
    methods = {method: result for method, result in found.items() if method not in OTHERS}
    lines = [f"## {TITLES[name]}", SEEN[name]]
    if known is not None:
        published = PUBLISHED[name]["originals"]["accuracy"]
        lines[-1] += (
            f" The classifier knows {known:.4f} of the originals to test with (published: {published})."
        )
    lines[-1] += " " + against_others(name, found)
    lines += ["### At the finest rate (quality 100)", finest(name, methods)]
    if "baseline" in methods:
        lines += ["### What each trick is worth, against the baseline", worth(name, methods)]
    else:
        lines += ["### MSE after some epochs", losses(methods)]
    lines += ["### MSE at equal bytes a picture, in a mosaic", at_sizes(found, "curve", "mse", SIZES[name])]
    if "baseline" in methods:
        lines += [
            "### Accuracy at equal bytes, in a mosaic",
            at_sizes(found, "curve", "accuracy", SIZES[name]),
        ]
    lines += ["### MSE at equal bytes of whole files, one for each picture", alone(name, found)]
    lines += [f"![Error against bytes](classic-{name}-compression.png)"]
    lines += [f"![Pictures at equal bytes](classic-{name}-pictures.png)"]
    lines += [f"![Training](classic-{name}-training.png)"]
    return "\n\n".join(lines) + "\n"


def against_others(name: str, found: Mapping[str, Any]) -> str:
    """One sentence: the best method beside JPEG and the photo model, at the smallest size that all reach."""
    for size in SIZES[name]:
        errors = {
            codec: error for codec, result in found.items() if (error := at(result["curve"], "mse", size))
        }
        ours = {method: error for method, error in errors.items() if method not in OTHERS}
        if ours and all(other in errors for other in OTHERS):
            best = min(ours, key=ours.__getitem__)
            jpeg, photo = (ours[best] / errors[other] for other in OTHERS)
            return (
                f"At {size} bytes a picture, in a mosaic, the best method ({best}) has {jpeg:.1f} times the "
                f"squared error of JPEG and {photo:.1f} times that of the photo model."
            )
    return ""


def finest(name: str, methods: Mapping[str, Any]) -> str:
    """Each method where rounding costs nothing beside its own error, and what was published."""
    heads = [
        "method",
        "parameters",
        "pictures x epochs",
        "minutes",
        "MSE, float latents",
        "MSE, coded",
        "MAE, coded",
    ]
    heads += [
        "accuracy",
        "bytes in a mosaic",
        "words alone",
        "file alone",
        "published MSE",
        "published accuracy",
    ]
    rows = []
    for method, result in methods.items():
        published = PUBLISHED.get(name, {}).get(method, {})
        point, single = result["finest"], result["alone"][-1]
        rows.append(
            [
                method,
                f"{result['parameters']:,}",
                f"{result['pictures']} x {result['epochs']}",
                f"{'over ' * result['resumed']}{result['processor_minutes']:.1f}",
                f"{result['floats']['mse']:.6f}",
                f"{point['mse']:.6f}",
                f"{point['mae']:.5f}",
                share(point["accuracy"]),
                f"{point['bytes']:.0f}",
                f"{single['words']:.0f}",
                f"{single['bytes']:.0f}",
                str(published.get("mse", "")),
                share(published.get("accuracy")),
            ]
        )
    return table(heads, rows)


def worth(name: str, methods: Mapping[str, Any]) -> str:
    """Time and errors against the baseline that has seen as many pictures."""
    size = SIZES[name][1]
    heads = [
        "method",
        "against",
        "minutes",
        "MSE, float latents",
        f"MSE at {size} bytes",
        f"accuracy at {size} bytes",
    ]
    rows = []
    for method, result in methods.items():
        if method.startswith("baseline"):
            continue
        fitting = [
            m for m in methods if m.startswith("baseline") and methods[m]["pictures"] == result["pictures"]
        ]
        base = methods[fitting[0]]
        known_times = not (result["resumed"] or base["resumed"])  # else they are of the last process alone
        times = result["processor_minutes"] / base["processor_minutes"]
        float_mse = result["floats"]["mse"] / base["floats"]["mse"] - 1
        ours, theirs = at(result["curve"], "mse", size), at(base["curve"], "mse", size)
        known, before = (at(r["curve"], "accuracy", size) for r in (result, base))
        rows.append(
            [
                method,
                fitting[0],
                f"x {times:.1f}" if known_times else "",
                f"{float_mse:+.1%}",
                f"{ours / theirs - 1:+.1%}" if ours and theirs else "",
                f"{known - before:+.4f}" if known and before else "",
            ]
        )
    return table(heads, rows)


def losses(methods: Mapping[str, Any]) -> str:
    """MSE on training and test pictures after some epochs; all are in classic.json."""
    last = max(len(result["mse_by_epoch"]) for result in methods.values())
    shown = [e for e in range(1, last + 1) if e in (1, 2, last) or e % 5 == 0]
    rows = [
        [f"{method}, {part}", *(f"{result['mse_by_epoch'][e - 1][part]:.5f}" for e in shown)]
        for method, result in methods.items()
        for part in ("train", "test")
    ]
    return table(["epoch", *map(str, shown)], rows)


def at_sizes(found: Mapping[str, Any], where: str, what: str, sizes: Sequence[int]) -> str:
    """Each codec at some sizes; empty where it does not get so small."""
    form = ".5f" if what == "mse" else ".4f"
    rows = []
    for method, result in found.items():
        values = [at(result[where], what, size) for size in sizes]
        rows.append([method, *("" if value is None else f"{value:{form}}" for value in values)])
    return table(["codec", *(f"{size} bytes" for size in sizes)], rows)


def alone(name: str, found: Mapping[str, Any]) -> str:
    """Files for single pictures, and what their frame is."""
    ours = next(iter(found.values()))["alone"]
    frame = np.mean([point["bytes"] - point["words"] for point in ours])
    said = f"The frame of an .aec file is {frame:.0f} bytes here; JPEG's smallest file has "
    smallest = min(point["bytes"] for point in found["JPEG"]["alone"])
    return f"{said}{smallest:.0f}.\n\n" + at_sizes(found, "alone", "mse", ALONE_SIZES[name])


def at(curve: Sequence[Result], what: str, size: float) -> float | None:
    """A figure of a curve at so many bytes, on a line over log bytes, errors in logarithms; None below it."""
    points = sorted(curve, key=lambda point: point["bytes"])
    if size < points[0]["bytes"] or points[0][what] is None:
        return None
    x, y = [math.log(p["bytes"]) for p in points], [p[what] for p in points]
    if what == "accuracy":
        return float(np.interp(math.log(size), x, y))
    return math.exp(float(np.interp(math.log(size), x, np.log(y))))


def share(value: float | None) -> str:
    """An accuracy, or nothing."""
    return "" if value is None else f"{value:.4f}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, without columns that are empty."""
    kept = [column for column in zip(heads, *rows, strict=True) if any(column[1:])]
    heads, *rows = zip(*kept, strict=True)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(name: str, found: Mapping[str, Any], out: Path) -> None:
    """Curves of all codecs, and losses of all methods."""
    fields = ("quality", "bytes", "words", "mse", "mae")
    curves = {m: [Point(*(p[f] for f in fields)) for p in r["curve"]] for m, r in found.items()}
    title = f"{TITLES[name]}: 10 x 10 pictures in a file"
    figures.compression(curves, title, out / f"classic-{name}-compression.png")
    runs = {
        method: [(epoch["train"], epoch["test"]) for epoch in result["mse_by_epoch"]]
        for method, result in found.items()
        if "mse_by_epoch" in result
    }
    figures.training(runs, "MSE", f"{TITLES[name]}: training", out / f"classic-{name}-training.png")
