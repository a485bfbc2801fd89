"""Everything that a run leaves in its folder beside the coded files: rows, plots, the report."""

from pathlib import Path

from aecodec.bench import gallery, inputs, plots, report, results, worker
from aecodec.bench.results import Results
from aecodec.bench.runner import FILES, Plan
from aecodec.bench.worker import Row
from aecodec.errors import OutputUnwritable


def write(plan: Plan, found: Results, out: Path) -> list[Path]:
    """Write results.json, results.csv, rd-METRIC.png and .svg and report.html; returns their paths.

    Raises OutputUnwritable.
    """
    codecs = {codec.name: codec for codec in plan.codecs}
    paths = {picture.name: picture.path for picture in plan.pictures}

    def file_of(row: Row) -> bytes:
        codec = codecs[row["codec"]]
        return worker.file_of(out / FILES, row["picture"], codec, row["quality"]).read_bytes()

    try:
        written = [*results.write(found, out), *plots.write(found, out)]
        decoders = {name: codec.decode for name, codec in codecs.items()}
        shots = gallery.prepare(found, file_of, decoders, lambda name: inputs.load(paths[name]))
    except OSError as fault:
        raise OutputUnwritable(f"{out}: {fault.strerror or fault}: free some space, then --resume") from fault
    report.write(found, shots, out / "report.html")
    return [*written, out / "report.html"]
