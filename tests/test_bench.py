"""`aec bench` and aecodec.bench: metrics, BD-rates, runs that are stopped, broken or resumed."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import photo

import aecodec.bench
from aecodec.bench import codecs, inputs, outputs, results, runner, terminal, worker
from aecodec.errors import BadArgument, BadData, InputMissing, OutputExists, OutputUnwritable
from aecodec.measure import bd, metrics

# Published Kodak points (bits per pixel, PSNR in dB).
VTM = (  # CompressAI, results/image/kodak/vtm.json
    [0.048245, 0.112495, 0.245817, 0.490545, 0.87481, 1.43085, 2.324607, 3.632609],
    [26.144845, 28.493022, 31.199874, 34.261533, 37.419793, 40.424444, 43.505767, 46.59176],
)
HPCM_LARGE = (  # lyq133/LIC-HPCM, README.md
    [0.0951, 0.1537, 0.2438, 0.3778, 0.5516, 0.7843],
    [28.9135, 30.449, 32.1219, 33.9923, 35.8511, 37.748],
)
HYPERPRIOR = (  # CompressAI, results/image/kodak/compressai-bmshj2018-hyperprior_mse_cuda.json
    [0.131293, 0.208893, 0.319858, 0.478356, 0.668688, 0.938826, 1.259172, 1.660224],
    [27.581537, 29.196703, 30.972162, 32.838183, 34.526264, 36.743348, 38.583848, 40.556866],
)


@pytest.mark.parametrize(("curve", "percent"), [(HPCM_LARGE, -20.0), (HYPERPRIOR, 30.5)])
def test_bd_rates_are_those_that_were_published(curve, percent):
    delta = bd.bd_rate(VTM, curve)
    assert delta.value == pytest.approx(percent, abs=0.3)
    assert (delta.low, delta.high) == (max(VTM[1][0], curve[1][0]), min(VTM[1][-1], curve[1][-1]))


def test_half_the_rate_is_minus_fifty_per_cent_and_two_decibels_are_two_decibels():
    rate, quality = [0.1, 0.3, 0.9, 1.7], [25.0, 30.0, 34.0, 38.0]
    half = bd.bd_rate((rate, quality), ([r / 2 for r in rate], quality))
    assert half.value == pytest.approx(-50) and (half.low, half.high) == (25, 38)
    better = bd.bd_quality((rate, quality), (rate[::-1], [q + 2 for q in quality[::-1]]))
    assert better.value == pytest.approx(2) and better.low == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("test", "why"),
    [
        (([0.1, 0.2], [39.0, 45.0]), "share"),
        (([0.1, 0.2], [45.0, 50.0]), "share 0%"),
        (([0.1], [30.0]), "two points"),
        (([0.1, 0.2, 0.3], [30.0, 29.0, 35.0]), "does not rise"),
        (([0.1, 0.1], [30.0, 35.0]), "does not rise"),
    ],
)
def test_curves_that_cannot_be_compared_are_refused(test, why):
    with pytest.raises(BadArgument, match=why):
        bd.bd_rate(([0.1, 0.4, 1.0], [26.0, 33.0, 40.0]), test)


def test_metrics_are_what_their_names_say():
    x = photo(200, 180)
    y = np.clip(x.astype(int) + np.where(np.indices(x.shape).sum(0) % 2, 5, -5), 0, 255).astype(np.uint8)
    found = metrics.measure(x, y, list(metrics.METRICS))
    difference = x.astype(float) - y
    assert found["mse_255"] == pytest.approx(np.square(difference).mean())
    assert found["mae_255"] == pytest.approx(np.abs(difference).mean())
    assert found["mse"] == pytest.approx(found["mse_255"] / 255**2)
    assert found["mae"] == pytest.approx(found["mae_255"] / 255)
    assert found["psnr"] == pytest.approx(10 * math.log10(255**2 / found["mse_255"]))
    assert 0 < found["ssim"] < 1 and 0 < found["ms_ssim"] < 1 and found["ssimulacra2"] < 100
    same = metrics.measure(x, x, list(metrics.METRICS))
    assert same["mse"] == same["mae"] == 0 and same["psnr"] is None  # infinite
    assert same["ssim"] == pytest.approx(1) and same["ms_ssim"] == pytest.approx(1)
    assert same["ssimulacra2"] == pytest.approx(100)


def test_metrics_of_a_single_pixel_are_left_out_where_they_need_more():
    x = np.zeros((1, 1, 3), np.uint8)
    found = metrics.measure(x, x + 51, list(metrics.METRICS))
    assert found["mae"] == pytest.approx(0.2)
    assert found["ssim"] is found["ms_ssim"] is found["ssimulacra2"] is None


def test_the_pooled_psnr_is_not_the_mean_of_psnrs():
    rows = [{"codec": "a", "quality": 1, "bytes": 1, "bpp": 1.0, "mse": m} for m in (0.01, 0.0001)]
    rows = [row | {"psnr": metrics.psnr_of(row["mse"])} for row in rows]
    (point,) = results.curves(rows)["a"]
    assert point["psnr"] == pytest.approx(30) and point["psnr_pooled"] == pytest.approx(22.967, abs=1e-3)


def two_codecs(missing: set[tuple[str, str, int]]) -> list[dict]:
    """Rows of two codecs that do the same on an easy and on a hard picture, but for what is missing."""
    cost = {"easy": 0.4, "hard": 2.0}
    return [
        {"picture": p, "codec": c, "quality": q, "bytes": 1, "bpp": cost[p] * q / 90, "psnr": 25 + q / 10}
        for p in cost
        for c in ("jpeg", "x")
        for q in (10, 50, 90)
        if (p, c, q) not in missing
    ]


@pytest.mark.parametrize("missing", [{("hard", "x", q) for q in (10, 50, 90)}, {("hard", "x", 90)}])
def test_bd_rates_are_over_the_pictures_that_both_codecs_have_at_all_qualities(missing):
    (row,) = results.bd_table(two_codecs(missing), "jpeg")
    assert row["bd_rate"] == pytest.approx(0) and row["bd_quality"] == pytest.approx(0)
    assert row["pictures"] == 1 and row["points"] == [3, 3] and row["reason"] is None


def test_codecs_without_a_picture_in_common_are_not_compared():
    rows = two_codecs({("hard", "x", 90), ("easy", "jpeg", 10)})
    (row,) = results.bd_table(rows, "jpeg")
    assert row["bd_rate"] is None and row["reason"] == "measured on other pictures than the anchor"
    assert results.bd_table(rows, "webp") == []


def test_tables_say_which_means_are_over_fewer_pictures():
    def table(missing):
        rows = two_codecs(missing)
        found = {"rows": rows, "curves": results.curves(rows), "bd": [], "speed": []}
        return terminal.tables(found | {"pictures": [{}, {}]})

    assert "fewer" not in table(set()) and "pictures" not in table(set()).splitlines()[1]
    said = table({("hard", "x", 90)}).splitlines()
    assert "fewer pictures do not compare" in said[0]
    assert [line.split()[:3] for line in said[-2:]] == [["x", "50", "2"], ["x", "90", "1"]]


def test_rows_of_another_synthesis_are_not_taken_for_those_of_this_one():
    aec = codecs.choose(["aec"], "cpu")[0][0]
    other = codecs.Aec("aec", replace(aec.weights, synthesis_id=b"else"), "cpu")
    assert other.settings != aec.settings  # part of the key that --resume finds rows by


def test_a_name_stands_for_its_variants_and_unknown_names_are_said():
    chosen, _ = codecs.choose(["jpeg", "avif-psnr"], "cpu")
    assert [codec.name for codec in chosen] == ["jpeg", "jpeg-444", "avif-psnr"]
    assert codecs.choose(["aec"], "cpu")[0][0].name == "aec"
    with pytest.raises(BadArgument, match="'gif': choose from aec.*jpeg-444"):
        codecs.choose(["gif"], "cpu")


def test_a_codec_whose_library_is_missing_is_named_and_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    found, left_out = codecs.choose(["webp", "jxl"], "cpu")
    assert [c.name for c in found] == ["webp"]
    assert left_out[0].codec == "jxl" and "pip install" in left_out[0].reason


@pytest.mark.parametrize("name", ["jpeg", "jpeg-444", "webp", "avif", "avif-psnr", "jxl", "aec"])
def test_every_codec_writes_its_format_and_rate_and_quality_rise(name):
    codec = next(c for c in codecs.choose([name], "cpu")[0] if c.name == name)
    x, marks = photo(96, 64), {"jpeg": b"\xff\xd8", "jxl": b"\xff\x0a", "webp": b"RIFF", "aec": b"\x8eAEC"}
    files = [codec.encode(x, quality) for quality in codec.qualities[::3]]
    errors = [metrics.mse(x, codec.decode(data)) for data in files]
    assert files[0].startswith(marks.get(name.removesuffix("-444"), b"\0\0\0"))
    assert [len(f) for f in files] == sorted({len(f) for f in files})
    assert errors == sorted(set(errors), reverse=True)


def test_pictures_of_one_name_get_names_of_their_own(tmp_path):
    for name in ("a.png", "a.bmp", "b.png"):
        Image.fromarray(photo(9, 8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.new("I;16", (9, 8)).save(tmp_path / "deep.png")
    Image.new("RGBA", (9, 8), (0, 0, 0, 7)).save(tmp_path / "glass.png")
    found, failures = inputs.gather([tmp_path, tmp_path / "b.png"])
    assert sorted(p.name for p in found) == ["a", "a.png", "b", "b.png"]
    reasons = {failure.picture: failure.reason for failure in failures}
    assert reasons.keys() == {"broken", "deep", "glass"}
    assert "16 bits" in reasons["deep"] and "transparent" in reasons["glass"]
    assert len({p.sha256 for p in found}) == 1


def test_where_there_is_no_picture_it_is_said(tmp_path):
    with pytest.raises(InputMissing, match="the folder holds none"):
        inputs.gather([tmp_path])
    with pytest.raises(InputMissing, match="nowhere: there is no such file"):
        inputs.gather([tmp_path / "nowhere"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(2):
        Image.fromarray(photo(90, 70, left=20 * number)).save(folder / f"p{number}.png")
    return folder


def test_rows_become_a_data_frame_in_one_call(folder):
    pandas = pytest.importorskip("pandas")
    rows = aecodec.bench.run([folder], codecs=["jpeg", "webp"], qualities=[20, 80], metrics=["psnr"], jobs=1)
    table = pandas.DataFrame(rows)
    assert len(table) == 2 * 3 * 2 and set(table.codec) == {"jpeg", "jpeg-444", "webp"}
    assert (8 * table.bytes / (90 * 70) == table.bpp).all() and (table.psnr > 20).all()


def test_from_python_missing_rows_are_warned_of_and_no_rows_are_an_error(tmp_path):
    Image.fromarray(np.zeros((2, 16400, 3), np.uint8)).save(tmp_path / "wide.png")  # WebP ends at 16383
    Image.fromarray(photo(9, 8)).save(tmp_path / "small.png")
    wishes = {"codecs": ["webp"], "qualities": [50], "metrics": ["mse"], "jobs": 1}
    with pytest.warns(UserWarning, match="1 missing among the rows, the first: wide, webp, 50.*WebP limit"):
        assert [row["picture"] for row in aecodec.bench.run([tmp_path], **wishes)] == ["small"]
    with pytest.raises(BadData, match="nothing could be measured: .*WebP limit"):
        aecodec.bench.run([tmp_path / "wide.png"], **wishes)


class Fragile:
    """A codec for tests, as small as one can be: raises on one picture, kills its process on another."""

    name, label, settings, suffix, qualities = "fragile", "Fragile", "none", ".raw", (10.0, 90.0)

    def missing(self):
        return None

    def encode(self, pixels, quality):
        if pixels[0, 0, 0] == 1:
            raise RuntimeError("no such luck")
        if pixels[0, 0, 0] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return pixels.tobytes()

    def decode(self, data):
        return np.frombuffer(data, np.uint8).reshape(8, 8, 3)


def start_fragile(words, device):
    worker._codecs["fragile"] = Fragile()


def test_a_codec_that_raises_or_dies_costs_only_its_own_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "start", start_fragile)
    for value in range(4):
        Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(tmp_path / f"{value}.png")
    found, _ = inputs.gather([tmp_path])
    plan = runner.Plan(found, [Fragile()], (), (), None, ("mse",), "cpu", None, 2, "fragile")
    measured = runner.measure(plan, tmp_path / "out", resume=False, timing=True)
    assert [(row["picture"], row["mse"]) for row in measured["rows"]] == [("0", 0.0)] * 2 + [("3", 0.0)] * 2
    reasons = {(f["picture"], f["reason"]) for f in measured["failures"]}
    (timing,) = (f["reason"] for f in measured["failures"] if f["picture"] == "0")
    assert reasons - {("0", timing)} == {
        ("1", "RuntimeError: no such luck"),
        ("2", "the codec ended its process"),
    }
    assert "there is no codec 'fragile'" in timing  # a new process knows none of tests; "1" was passed by
    assert measured["speed"] == []
    assert outputs.write(plan, measured, tmp_path / "out")[-1].exists()  # and that without PSNR


AEC = (sys.executable, "-m", "aecodec")


def aec(*arguments, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*AEC, *arguments], text=True, capture_output=True, **options)


def test_the_command_writes_tables_rows_and_files_and_resumes_without_work(folder, tmp_path):
    out = tmp_path / "out"
    arguments = ["bench", str(folder), "--codecs", "aec,webp", "--qualities", "10,50,90", "--out", str(out)]
    first = aec(*arguments)
    assert first.returncode == 0, first.stderr
    assert "Means over 2 pictures" in first.stdout and "Against aec" in first.stdout
    found = json.loads((out / "results.json").read_text())
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert len(rows) == len(found["rows"]) == 2 * 2 * 3
    for row in rows:
        file = out / "files" / row["picture"] / f"{row['codec']}-{float(row['quality']):g}"
        (file,) = file.parent.glob(file.name + ".*")
        assert file.stat().st_size == int(row["bytes"])
    assert {s["codec"] for s in found["speed"]} == {"aec", "webp"}
    by_codec = {s["codec"]: s for s in found["speed"]}
    assert by_codec["webp"]["encode_peak_mb"] < by_codec["aec"]["encode_peak_mb"]  # no torch for WebP
    assert found["models"][0]["name"] == "photo" and len(found["models"][0]["sha256"]) == 64
    assert found["command"].startswith("aec bench") and found["machine"]["cores"]

    again = aec(*arguments)
    assert again.returncode == OutputExists.exit_code and "--resume" in again.stderr
    log = (out / runner.FINISHED).read_text()
    (out / runner.FINISHED).write_text(log[: len(log) - 40])  # as a kill in the middle of a line leaves it
    assert aec(*arguments, "--resume").returncode == 0
    resumed = json.loads((out / "results.json").read_text())
    assert resumed["rows"] == found["rows"]
    assert (out / runner.FINISHED).read_text().count('{"key"') == len(rows) + 1  # one row was made again
    assert len(runner._finished(out / runner.FINISHED, resume=True)) == len(rows)


@pytest.mark.parametrize(("number", "kill"), [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)])
def test_a_run_that_is_stopped_keeps_its_rows_and_leaves_no_process(folder, tmp_path, number, kill):
    """As by Ctrl-C, of which every process hears, or by kill, of which the first one alone does."""
    out = tmp_path / "out"
    slow = ["--codecs", "jpeg,avif,webp,jpeg-444", "--qualities", ",".join(map(str, range(1, 100)))]
    command = [*AEC, "bench", str(folder), *slow, "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    log = out / runner.FINISHED
    for _ in range(600):
        if log.exists() and log.stat().st_size:
            break
        time.sleep(0.1)
    kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "Traceback" not in said, said
    assert all(json.loads(line)["row"]["bytes"] for line in log.read_text().splitlines())
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.killpg(process.pid, 0)
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (["--codecs", "gif"], BadArgument, "choose from"),
        (["--codecs", ","], BadArgument, "no codec is named: give one or more of aec"),
        (["--metrics", ","], BadArgument, "no metric is named: give one or more of mse"),
        (["--metrics", "beauty"], BadArgument, "choose from"),
        (["--qualities", "120"], BadArgument, "0 to 100"),
        (["--codecs", "webp", "--anchor", "jpeg"], BadArgument, "not measured"),
        (["--jobs", "0"], BadArgument, "one or more"),
        (["--codecs", "webp", "--out", "/proc/nowhere"], OutputUnwritable, "another folder"),
    ],
)
def test_wrong_wishes_are_said_in_a_sentence(folder, tmp_path, arguments, error, said):
    run = aec("bench", str(folder), *arguments, cwd=tmp_path)
    assert run.returncode == error.exit_code and said in run.stderr and run.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
