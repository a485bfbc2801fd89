"""The report: one HTML page that holds everything it shows and opens without a network.

The page's parts are in `page/`: report.html is the frame, report.css its looks, the scripts draw it from the
results, which lie in it as JSON. No text of a user (names of files, reasons of failures) is ever part of the
HTML itself, and a content security policy allows no script but the page's own and no connection.
"""

import base64
import gzip
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from plotly.offline import get_plotlyjs

from aecodec import output as output
from aecodec.bench.gallery import REENCODED, Shot
from aecodec.bench.published import is_kodak, kodak_count, published_curves
from aecodec.measure.style import METRICS, looks

SCRIPTS = ("base.js", "tables.js", "chart.js", "viewer.js", "start.js")


def write(results: dict[str, Any], shots: Sequence[Shot], path: Path) -> None:
    """Write the page of a run, whole or not at all.

    Raises:
        OutputUnwritable: `path` cannot be written.

    """
    output.write(str(path), render(results, shots).encode())


def render(results: dict[str, Any], shots: Sequence[Shot]) -> str:
    """Give the page as text: `results` as in results.json, `shots` as gallery.prepare chooses them."""
    script = "\n".join(_part(name) for name in SCRIPTS)
    plotly = get_plotlyjs()
    return Template(_part("report.html")).substitute(
        policy=_policy(script, plotly),
        style=_part("report.css"),
        data=_json(_data(results, shots)),
        plotly=_base64(gzip.compress(plotly.encode(), mtime=0)),
        shots="\n".join(
            f'<script type="text/plain" id="shot-{i}">{_base64(shot.data)}</script>'
            for i, shot in enumerate(shots)
        ),
        script=script,
    )


def _part(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text("utf-8")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _policy(*scripts: str) -> str:
    """Allow these scripts, by hash, and nothing from elsewhere."""
    hashes = " ".join(f"'sha256-{_base64(hashlib.sha256(script.encode()).digest())}'" for script in scripts)
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:"


def _data(results: dict[str, Any], shots: Sequence[Shot]) -> dict[str, Any]:
    """What the scripts draw from."""
    size = {picture["name"]: (picture["width"], picture["height"]) for picture in results["pictures"]}
    return {
        "results": results,
        "looks": {name: asdict(look) for name, look in looks(results).items()},
        "metrics": [asdict(metric) | {"axis": metric.axis} for metric in METRICS],
        "kodak": {"only": is_kodak(results), "count": kodak_count(results)},
        "published": published_curves(results),
        "reencoded": f"{REENCODED['format']} {REENCODED['subsampling']} at quality {REENCODED['quality']}",
        "shots": [
            {
                "id": f"shot-{i}",
                "picture": shot.picture,
                "codec": shot.codec,
                "quality": shot.quality,
                "bpp": shot.bpp,
                "psnr": shot.psnr,
                "rates": shot.rates,
                "native": shot.native,
                "cropped": shot.window[2:] != size[shot.picture],
                "mime": shot.mime,
            }
            for i, shot in enumerate(shots)
        ],
    }


def _json(data: Any) -> str:
    """JSON that no HTML parser ends early; infinities (PSNR of equal pictures) become null."""
    return json.dumps(_finite(data), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
