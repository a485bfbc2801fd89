"""The report in a real browser, by clicking and typing."""

import copy
from importlib.resources import files
from pathlib import Path

import pytest
from bench_results import Run, as_kodak, flat_shots, frame, photo, seen

from aecodec.bench import gallery, report
from aecodec.bench.gallery import Shot

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect  # noqa: E402

HOSTILE = "<img src=x onerror=window.hacked=1>.png"


@pytest.fixture(scope="module")
def run() -> Run:
    return Run({"first": photo(), "second": photo(64, 96, left=20)})


@pytest.fixture(scope="module")
def shots(run) -> list[Shot]:
    return gallery.prepare(run.results, run.file_of, run.decoders, run.original)


@pytest.fixture(scope="module")
def opened_run(open_page, run, shots) -> Page:
    return open_page(run.results, shots, color_scheme="light")


@pytest.fixture
def page(opened_run) -> Page:
    """The report of a usual run, as it is when it has just been opened."""
    opened_run.locator("#metric").select_option("psnr")
    opened_run.locator("#picture").select_option("")
    opened_run.get_by_label("linear").check()
    return opened_run


@pytest.fixture(scope="module")
def kodak(run) -> dict:
    return as_kodak(run.results)


def curves(page: Page) -> list[str]:
    """The lines drawn, as the paths in the chart's SVG."""
    return page.locator("#chart .scatterlayer .js-line").evaluate_all(
        "all => all.map(p => p.getAttribute('d'))"
    )


def column(page: Page, table: str, number: int) -> list[str]:
    return page.locator(f"{table} tbody tr td:nth-child({number})").all_inner_texts()


def axis_title(page: Page) -> str:
    return page.locator("#chart .ytitle").text_content()


# Chart


def test_hover_tells_codec_quality_rate_and_value(page, run):
    page.locator("#chart .scatterlayer .trace:last-child .points path").nth(2).hover(force=True)
    hover = page.locator("#chart .hoverlayer .hovertext")
    expect(hover).to_contain_text("WebP")
    point = run.results["curves"]["webp"][2]
    expect(hover).to_contain_text("quality 60")
    expect(hover).to_contain_text(f"{point['bpp']:.3f} bpp")
    expect(hover).to_contain_text(f"{point['psnr']:.2f} dB")


def test_the_metric_and_the_picture_that_are_chosen_are_drawn(page, run):
    means = curves(page)
    assert len(means) == 2 and axis_title(page) == "PSNR (RGB), dB"
    page.get_by_label("Metric").select_option("SSIMULACRA2")
    assert axis_title(page) == "SSIMULACRA2" and curves(page) != means
    page.get_by_label("Metric").select_option("PSNR (RGB)")
    assert curves(page) == means
    page.locator("#picture").select_option("second")
    assert curves(page) != means
    rates = page.evaluate("document.querySelector('#chart').data[0].x")
    assert rates == [
        r["bpp"] for r in run.results["rows"] if (r["picture"], r["codec"]) == ("second", "jpeg")
    ]


def test_only_measured_metrics_are_offered_and_gaps_are_left_out(page):
    options = page.locator("#metric option").all_inner_texts()
    assert options == ["PSNR (RGB)", "PSNR of the mean MSE", "SSIMULACRA2", "MSE on [0, 1]"]
    page.locator("#metric").select_option("SSIMULACRA2")
    assert page.evaluate("document.querySelector('#chart').data[0].x.length") == 3  # one of four not measured


def test_the_rate_axis_becomes_logarithmic_and_back(page):
    linear = curves(page)
    page.get_by_label("log", exact=True).check()
    assert page.evaluate("document.querySelector('#chart').layout.xaxis.type") == "log"
    assert curves(page) != linear
    page.get_by_label("log", exact=True).press("ArrowLeft")
    assert curves(page) == linear


def test_codecs_are_switched_off_and_on_by_the_keyboard(page):
    both = curves(page)
    page.get_by_role("checkbox", name="JPEG 4:2:0").press("Space")
    assert len(curves(page)) == 1
    page.get_by_role("checkbox", name="WebP").press("Space")
    expect(page.get_by_text("Every codec is switched off.")).to_be_visible()
    page.get_by_role("checkbox", name="WebP").press("Space")
    page.get_by_role("checkbox", name="JPEG 4:2:0").press("Space")
    assert curves(page) == both


def test_published_curves_are_drawn_for_kodak_and_can_be_switched_off(open_page, kodak):
    page = open_page(kodak)
    assert len(curves(page)) >= 14
    page.get_by_role("checkbox", name="published curves").uncheck()
    assert len(curves(page)) == 2
    page.get_by_role("checkbox", name="published curves").check()
    page.locator("#picture").select_option("kodim05")  # published are means only
    expect(page.get_by_role("checkbox", name="published curves")).to_be_disabled()
    expect(page.locator("#summary")).to_contain_text("the 24 of Kodak")


def test_some_pictures_of_kodak_say_how_many_and_draw_no_published_curves(open_page, kodak):
    page = open_page(kodak | {"pictures": kodak["pictures"][:7]})
    expect(page.get_by_role("checkbox", name="published curves")).to_be_hidden()
    expect(page.locator("#chart-note")).to_contain_text("here are 7")
    assert len(curves(page)) == 2


def test_a_codec_that_lacks_a_picture_is_named_under_the_chart(open_page, run):
    results = copy.deepcopy(run.results)
    results["curves"]["webp"][-1]["pictures"] = 1
    note = open_page(results).locator("#chart-note")
    expect(note).to_contain_text("not comparable with the others: WebP (1 of 2)")


# Tables


def test_tables_sort_both_ways_by_click_and_by_key(page):
    head = page.locator("#speed th", has_text="Decode, s").first
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert column(page, "#speed", 6) == ["0.001", "0.006", "0.051"]
    head.get_by_role("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    assert column(page, "#speed", 6) == ["0.051", "0.006", "0.001"]
    page.locator("#speed th", has_text="Codec").get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "none")
    assert column(page, "#speed", 1) == ["JPEG 4:2:0", "JPEG 4:2:0", "WebP"]


def test_refused_bd_rates_stay_last_with_their_reason(page):
    button = page.locator("#bd th", has_text="BD-rate").get_by_role("button")
    button.click()
    assert column(page, "#bd", 3) == ["−21.5", "+3.3", "refused"]
    button.click()
    assert column(page, "#bd", 3) == ["+3.3", "−21.5", "refused"]
    assert column(page, "#bd", 7)[0] == "2" and column(page, "#bd", 8)[-1] == "the curves share too little"
    assert column(page, "#bd", 5)[1] == "26.00 to 38.50" and column(page, "#bd", 6)[0] == "4 and 4"
    expect(page.locator("#bd-note")).to_contain_text("Against JPEG 4:2:0")


# The whole page


def test_the_theme_button_restyles_page_and_chart(page):
    look = "() => [getComputedStyle(document.body).color, document.querySelector('#chart').layout.font.color]"
    light, bright = page.evaluate(look), seen(page, "#chart").mean()
    page.get_by_role("button", name="Dark theme").press("Enter")
    dark = page.evaluate(look)
    assert light[0] == light[1] != dark[0] == dark[1]
    assert seen(page, "#chart").mean() < 60 < 200 < bright
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate(look) == light


def test_a_dark_system_opens_a_dark_page(open_page, run):
    page = open_page(run.results, color_scheme="dark")
    assert seen(page, "#chart").mean() < 60


def test_nothing_is_wider_than_a_phone(open_page):
    results, shots = flat_shots("x" * 150)
    page = open_page(results, shots, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for selector in ("#picture", "#shown", "#stage", "#speed .scroll"):
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360


def test_names_that_look_like_html_are_shown_as_they_are(open_page):
    run = Run({HOSTILE: photo()})
    results = copy.deepcopy(run.results)
    results["codecs"][1]["label"] = "</script><b>WebP</b>"
    results["failures"] = [{"picture": HOSTILE, "codec": "webp", "quality": 5, "reason": HOSTILE}]
    results["command"] = f"aec bench '{HOSTILE}'"
    shots = gallery.prepare(results, run.file_of, run.decoders, run.original)
    page = open_page(results, shots)
    page.locator("#picture").select_option(HOSTILE)
    page.locator("#chart .scatterlayer .trace:last-child .points path").nth(2).hover(force=True)
    expect(page.locator("#chart .hoverlayer .hovertext")).to_contain_text("</script><b>WebP</b>")
    expect(page.locator("#how")).to_contain_text(HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


def test_a_run_of_failures_alone_says_so(open_page):
    failed = [{"picture": "first", "codec": "jpeg", "quality": 5, "reason": "16 bits a channel"}]
    page = open_page(frame() | {"failures": failed, "bd": [], "speed": []})
    expect(page.get_by_text("Nothing was measured")).to_be_visible()
    expect(page.get_by_text("16 bits a channel")).to_be_visible()
    expect(page.get_by_text("No pictures are in this page.")).to_be_visible()
    expect(page.get_by_text("There is nothing to compare")).to_be_visible()


def test_one_codec_is_compared_with_the_original(open_page, run, shots):
    results = copy.deepcopy(run.results) | {"bd": []}
    results["codecs"] = results["codecs"][:1]
    results["curves"] = {"jpeg": results["curves"]["jpeg"]}
    results["rows"] = [row for row in results["rows"] if row["codec"] == "jpeg"]
    page = open_page(results, [shot for shot in shots if shot.codec != "webp"])
    expect(page.locator("#left-caption")).to_contain_text("Original")
    expect(page.locator("#right-caption")).to_contain_text("JPEG 4:2:0")
    assert len(curves(page)) == 1


def test_every_control_is_named_and_reached_by_the_keyboard(page):
    page.locator("h1").click()
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    wanted = {
        "theme",
        "metric",
        "picture",
        "shown",
        "previous",
        "next",
        "rate",
        "left",
        "right",
        "stage",
        "divider",
    }
    assert wanted <= reached and {"zoom-in", "zoom-out", "zoom-fit", "Decode,\u00a0s"} <= reached
    unnamed = page.evaluate(
        "[...document.querySelectorAll('select, input, button')]"
        ".filter(e => !e.labels?.length && !e.ariaLabel && !e.textContent).map(e => e.id)"
    )
    assert unnamed == []


def test_the_report_stands_beside_its_parts_in_the_package():
    names = {path.name for path in files("aecodec.bench").joinpath("page").iterdir()}
    assert {"report.html", "report.css", *report.SCRIPTS} == names
    assert Path(str(files("aecodec.bench").joinpath("published.json"))).is_file()
