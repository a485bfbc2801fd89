import base64
import copy
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from bench_results import SAVED, Run, as_kodak, frame, photo
from PIL import Image

from aecodec.bench import gallery, plots, report
from aecodec.bench.published import is_kodak, kodak_count, published_curves
from aecodec.errors import OutputUnwritable

HOSTILE = (
    '<img src=x onerror="window.hacked=1">.png',
    "</script><script>window.hacked=1</script>",
    "$data ${x} \u2028",
)


@pytest.fixture(scope="module")
def run() -> Run:
    return Run({"first": photo(), "second": photo(64, 96, left=20)})


@pytest.fixture(scope="module")
def kodak(run) -> dict:
    return as_kodak(run.results)


def shots_of(run: Run, budget: int = gallery.BUDGET) -> list[gallery.Shot]:
    return gallery.prepare(run.results, run.file_of, run.decoders, run.original, budget)


class Scripts(HTMLParser):
    """Collects the text of the script elements of a page by id, as a browser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.by_id: dict[str, str] = {}
        self.tags: list[str] = []
        self._id: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "script":
            self._id = dict(attributes).get("id", "script")
            self.by_id[self._id] = ""

    def handle_endtag(self, tag):
        self._id = None

    def handle_data(self, data):
        if self._id:
            self.by_id[self._id] += data


# Published curves


def test_the_pictures_of_kodak_are_known_by_their_pixels(kodak, run):
    assert is_kodak(kodak) and kodak_count(kodak) == 24 and len(published_curves(kodak)) >= 12
    assert not is_kodak(run.results) and not is_kodak(frame())


def test_published_curves_do_not_compare_with_some_of_the_pictures_or_with_others_among_them(kodak, run):
    some = kodak | {"pictures": kodak["pictures"][:7]}
    assert is_kodak(some) and kodak_count(some) == 7 and published_curves(some) == []
    more = kodak | {"pictures": kodak["pictures"] + run.results["pictures"]}
    assert not is_kodak(more) and published_curves(more) == []


def test_every_published_curve_rises_and_says_where_it_is_from(kodak):
    for curve in published_curves(kodak):
        assert len(curve["bpp"]) == len(curve["psnr"]) >= 4
        assert np.all(np.diff(curve["bpp"]) > 0) and np.all(np.diff(curve["psnr"]) > 0)
        assert len(curve.get("ms_ssim", curve["bpp"])) == len(curve["bpp"])
        assert curve["kind"] in ("classical", "learned") and curve["source"] and curve["psnr_average"]


# Plots


def test_plots_are_pictures_of_the_metrics_that_were_measured(run, tmp_path):
    paths = plots.write(run.results, tmp_path)
    names = ["rd-psnr.png", "rd-psnr.svg", "rd-ssimulacra2.png", "rd-ssimulacra2.svg"]  # no MS-SSIM
    assert [path.name for path in paths] == names
    with Image.open(tmp_path / "rd-psnr.png") as image:
        assert image.width > 800 and len(image.convert("RGB").getcolors(1 << 24)) > 10
    text = "".join(ElementTree.parse(tmp_path / "rd-psnr.svg").getroot().itertext())
    assert "JPEG 4:2:0" in text and "WebP" in text and "bits per pixel" in text and "dB" in text


def test_plots_of_kodak_name_the_published_curves(kodak, tmp_path):
    plots.write(kodak, tmp_path)
    text = "".join(ElementTree.parse(tmp_path / "rd-psnr.svg").getroot().itertext())
    assert all(curve["name"] in text for curve in published_curves(kodak))


def test_the_same_results_give_the_same_plots(run, tmp_path):
    (tmp_path / "again").mkdir()
    for one, other in zip(
        plots.write(run.results, tmp_path), plots.write(run.results, tmp_path / "again"), strict=True
    ):
        assert one.read_bytes() == other.read_bytes()


def test_nothing_measured_is_nothing_plotted(tmp_path):
    assert plots.write(frame(), tmp_path) == []


def test_a_curve_over_fewer_pictures_is_labelled_so(run, tmp_path):
    results = copy.deepcopy(run.results)
    results["curves"]["webp"][-1]["pictures"] = 1
    plots.write(results, tmp_path)
    text = "".join(ElementTree.parse(tmp_path / "rd-psnr.svg").getroot().itertext())
    assert "WebP, 1 of 2 pictures" in text and "JPEG 4:2:0, " not in text


def test_equal_pictures_and_dollars_in_labels_do_not_stop_a_plot(run, tmp_path):
    results = copy.deepcopy(run.results)
    results["curves"]["webp"][-1]["psnr"] = float("inf")
    results["codecs"][0]["label"] = "$x"
    assert plots.write(results, tmp_path)


# Pictures


def test_shots_are_the_codecs_own_files_nearest_to_the_rates(run):
    shots = shots_of(run)
    assert {shot.picture for shot in shots} == {"first", "second"}
    rows = {(r["picture"], r["codec"], r["quality"]): r for r in run.results["rows"]}
    for shot in shots:
        if shot.codec == gallery.ORIGINAL:
            assert not shot.native and shot.mime == "image/avif"
            continue
        row = rows[shot.picture, shot.codec, shot.quality]
        assert shot.native and shot.data == run.file_of(row) and shot.bpp == row["bpp"]
        others = [r["bpp"] for (p, c, _), r in rows.items() if (p, c) == (shot.picture, shot.codec)]
        for rate in shot.rates:
            assert shot.bpp == min(others, key=lambda bpp: max(bpp / rate, rate / bpp))
    for codec in SAVED:
        rates = [rate for s in shots if (s.picture, s.codec) == ("first", codec) for rate in s.rates]
        assert sorted(rates) == sorted(gallery.RATES)


def test_what_no_browser_decodes_is_shown_encoded_again(run):
    hidden = Run(run.pictures)
    hidden.file_of = lambda row: b"own" + run.file_of(row)
    hidden.decoders = dict.fromkeys(SAVED, lambda data: np.asarray(Image.open(io.BytesIO(data[3:]))))
    shots = shots_of(hidden)
    assert not any(shot.native for shot in shots)
    shot = next(s for s in shots if s.codec == "jpeg")
    row = next(r for r in run.results["rows"] if (r["codec"], r["quality"]) == ("jpeg", shot.quality))
    with Image.open(io.BytesIO(shot.data)) as image:
        shown = np.asarray(image.convert("RGB"), float)
    decoded = np.asarray(Image.open(io.BytesIO(run.file_of(row))), float)
    assert 10 * np.log10(255**2 / np.square(shown - decoded).mean()) > 38


def test_a_smaller_budget_drops_rates_then_crops_then_drops_pictures(monkeypatch):
    run = Run({f"p{i}": photo(320, 280, left=10 * i) for i in range(4)})
    monkeypatch.setattr(gallery, "SIDES", (None, 128, 64))
    seen = []
    for budget in (1_000_000, 130_000, 90_000, 20_000, 11_000, 0):
        shots = shots_of(run, budget)
        assert sum(len(shot.data) for shot in shots) <= budget
        seen.append(
            (
                len({shot.picture for shot in shots}),
                len({rate for shot in shots for rate in shot.rates}),
                max((shot.window[2] for shot in shots), default=0),
            )
        )
    assert seen[0] == (4, 3, 320) and seen[-1] == (0, 0, 0)
    assert seen == sorted(seen, key=lambda kept: (kept[2], kept[1], kept[0]), reverse=True)
    assert len({kept[2] for kept in seen}) >= 3 and len({kept[0] for kept in seen}) >= 3


def test_a_window_shows_the_middle_of_the_picture():
    picture = {"name": "p", "width": 300, "height": 100}
    assert gallery._window(picture, 128) == (86, 0, 128, 100)
    assert gallery._window(picture, None) == (0, 0, 300, 100)


# Page


def test_the_page_holds_results_and_pictures_intact(run, tmp_path):
    shots = shots_of(run)
    report.write(run.results, shots, tmp_path / "report.html")
    scripts = Scripts((tmp_path / "report.html").read_text("utf-8")).by_id
    data = json.loads(scripts["data"])
    assert data["results"] == run.results
    assert [s["id"] for s in data["shots"]] == [f"shot-{i}" for i in range(len(shots))]
    assert [base64.b64decode(scripts[f"shot-{i}"]) for i in range(len(shots))] == [s.data for s in shots]


def test_names_that_look_like_html_stay_data():
    run = Run({name: photo() for name in HOSTILE})
    results = run.results | {
        "failures": [{"picture": HOSTILE[0], "codec": "jpeg", "quality": 5, "reason": "<!--<script>"}]
    }
    plain = Scripts(report.render(frame(), []))
    parsed = Scripts(report.render(results, []))
    assert parsed.tags == plain.tags
    data = json.loads(parsed.by_id["data"])["results"]
    assert [picture["name"] for picture in data["pictures"]] == list(HOSTILE)
    assert data["failures"] == results["failures"]


def test_infinite_psnr_and_undecodable_names_make_a_valid_page():
    results = Run({"p\udcff": photo()}).results
    results["rows"][0]["psnr"] = float("inf")
    data = json.loads(Scripts(report.render(results, [])).by_id["data"])
    assert data["results"]["rows"][0]["psnr"] is None and data["results"]["pictures"][0]["name"] == "p\udcff"


def test_the_page_allows_its_own_scripts_alone_and_names_nothing_outside():
    page = report.render(frame(), [])
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe-inline'; img" in policy
    assert not re.findall(r"""(?:src|href)=["']?https?:""", page)


def test_an_unwritable_page_is_an_error_that_names_it(tmp_path):
    with pytest.raises(OutputUnwritable, match="no.*report.html"):
        report.write(frame(), [], tmp_path / "no" / "report.html")
