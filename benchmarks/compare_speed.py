"""Two commits against each other: encode and decode, as ratios within one run.

    python benchmarks/compare_speed.py --picture kodim19.png BEFORE [AFTER]

Each commit is unpacked into a folder of its own (without AFTER it is this checkout, as it stands). Processes
of both take turns, so that whatever else the machine does meets both; each loads the model and takes the
median of some calls. Prints the median of the ratios AFTER / BEFORE, and their range.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROUNDS = 7
ONE = """
import json, sys, time
from statistics import median
from aecodec import Codec
from aecodec.picture import pictures
codec, picture = Codec(device="cpu"), pictures.load(sys.argv[1])
data = codec.compress(picture, 75)
calls = {"encode": lambda: codec.compress(picture, 75), "decode": lambda: codec.decompress(data)}
result = {}
for name, call in calls.items():
    spent = []
    for _ in range(9):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    result[name] = median(spent)
print(json.dumps(result))
"""


def main() -> None:
    """Check out, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("before")
    parser.add_argument("after", nargs="?")
    arguments = parser.parse_args()
    here = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        before = checkout(here, arguments.before, Path(folder) / "before")
        after = checkout(here, arguments.after, Path(folder) / "after") if arguments.after else here
        pairs = [
            (measure(before, arguments.picture), measure(after, arguments.picture)) for _ in range(ROUNDS)
        ]
    for name in ("encode", "decode"):
        ratios = sorted(new[name] / old[name] for old, new in pairs)
        seconds = [median(run[name] for run in runs) for runs in zip(*pairs, strict=True)]
        print(
            f"{name}: {seconds[0]:.4f} s before, {seconds[1]:.4f} s after, "
            f"ratio {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        )


def checkout(repository: Path, commit: str, folder: Path) -> Path:
    """The files of a commit, weights among them."""
    folder.mkdir()
    archive = subprocess.run(
        ["git", "-C", str(repository), "archive", commit], check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def measure(package: Path, picture: Path) -> dict[str, float]:
    """Seconds in a process that takes the package from a folder."""
    environment = os.environ | {"PYTHONPATH": str(package)}
    command = [sys.executable, "-c", ONE, str(picture)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    result: dict[str, float] = json.loads(run.stdout)
    return result


if __name__ == "__main__":
    main()
