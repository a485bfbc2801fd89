"""The pictures of the report, side by side in a real browser."""

import base64
import re

import numpy as np
import pytest
from bench_results import Run, decode, flat_shots, photo, seen

from aecodec.bench import gallery

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Page, expect  # noqa: E402


@pytest.fixture(scope="module")
def opened_flat(open_page) -> Page:
    return open_page(*flat_shots(), viewport={"width": 800, "height": 700})


@pytest.fixture
def flat(opened_flat) -> Page:
    """The report with the pictures of `flat_shots`, as it is when it has just been opened."""
    opened_flat.locator("input[value=divider]").check()
    opened_flat.get_by_role("button", name="Fit").click()
    opened_flat.locator("#divider").fill("50")
    opened_flat.locator("#stage").scroll_into_view_if_needed()
    opened_flat.mouse.move(0, 0)
    return opened_flat


def test_the_divider_follows_the_mouse_and_the_keys(flat):
    page = flat
    slider, stage = page.get_by_role("slider"), page.locator("#stage")
    expect(page.locator("#left-caption")).to_contain_text("JPEG 4:2:0")
    expect(page.locator("#right-caption")).to_contain_text("0.500 bpp · 30.00 dB")
    box = stage.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 5, steps=4)
    page.mouse.up()
    assert float(slider.input_value()) == pytest.approx(25, abs=1)
    assert edge(page) == pytest.approx(0.25, abs=0.02)
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert float(slider.input_value()) == pytest.approx(35, abs=1)
    assert edge(page) == pytest.approx(0.35, abs=0.02)
    assert re.match(r"35 % JPEG 4:2:0, 65 % WebP", slider.get_attribute("aria-valuetext"))
    page.keyboard.press("Home")
    assert edge(page) == 0
    page.keyboard.press("End")
    assert edge(page) == pytest.approx(1, abs=0.02)


def edge(page: Page) -> float:
    """Which part of the stage shows the left, red picture, along its upper edge."""
    row = seen(page)[3].astype(int)
    return float((row[:, 0] > row[:, 2] + 10).mean())


def test_the_wheel_zooms_where_it_points_and_keys_zoom_move_and_reset(flat):
    page = flat
    stage = page.locator("#stage")
    whole = seen(page)
    box = stage.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.375, box["y"] + box["height"] * 0.375)
    page.mouse.wheel(0, -400)
    expect(page.locator("#zoom")).not_to_have_text(f"zoom {round(box['width'] / 4)} %")
    assert gray(seen(page)) > 5 * gray(
        whole
    )  # the square in the middle of which the mouse is, e times as wide
    stage.focus()
    near = offset(page)
    page.keyboard.press("ArrowRight")
    assert offset(page)[0] < near[0]
    page.keyboard.press("ArrowDown")
    assert offset(page)[1] < near[1]
    zoomed = page.locator("#zoom").text_content()
    page.set_viewport_size({"width": 700, "height": 600})
    expect(page.locator("#zoom")).to_have_text(zoomed)
    page.set_viewport_size({"width": 800, "height": 700})
    page.keyboard.press("0")
    assert np.array_equal(seen(page), whole)
    page.keyboard.press("+")
    assert gray(seen(page)) > 1.4 * gray(whole)
    page.keyboard.press("-")
    assert np.array_equal(seen(page), whole)


def gray(picture: np.ndarray) -> int:
    return int((picture.min(-1) == 200).sum())


def offset(page: Page) -> list[float]:
    transform = page.locator("#left-canvas").evaluate("canvas => getComputedStyle(canvas).transform")
    return [float(number) for number in re.findall(r"-?[\d.]+", transform)[-2:]]


def test_a_zoomed_picture_is_dragged_and_never_leaves_the_stage(flat):
    page = flat
    box, start = page.locator("#stage").bounding_box(), offset(page)
    for _ in range(6):
        page.locator("#zoom-in").click()
    before = offset(page)
    drag(page, box, 0.2, 0.15)
    assert offset(page)[0] == pytest.approx(before[0] - 0.05 * box["width"], abs=2)
    for _ in range(8):
        drag(page, box, 0.3, 0.9)
    assert offset(page)[0] == pytest.approx(0, abs=0.5)
    page.get_by_role("button", name="Fit").click()
    assert offset(page) == start


def drag(page: Page, box: dict, start: float, end: float) -> None:
    page.mouse.move(box["x"] + box["width"] * start, box["y"] + box["height"] * 0.8)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, box["y"] + box["height"] * 0.8, steps=3)
    page.mouse.up()


def test_two_fingers_zoom(open_page):
    page = open_page(*flat_shots(), viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#stage").bounding_box()
    whole, touch = gray(seen(page)), page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] * 0.375, box["y"] + box["height"] * 0.375
    for kind, gap in (("touchStart", 20), ("touchMove", 30), ("touchMove", 40), ("touchEnd", None)):
        fingers = [] if gap is None else [{"x": x - gap, "y": y, "id": 0}, {"x": x + gap, "y": y, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    assert gray(seen(page)) > 2.5 * whole


def test_the_difference_map_is_black_where_the_pictures_are_equal(flat):
    page = flat
    page.get_by_label("difference").check()
    expect(page.get_by_role("slider")).to_be_hidden()
    expect(page.locator("#difference-note")).to_contain_text("largest 25 of 255")
    expect(page.locator("#difference-note")).to_contain_text("drawn 8 times as strong")
    url = page.locator("#difference-canvas").evaluate("canvas => canvas.toDataURL()")
    difference = decode(base64.b64decode(url.partition(",")[2]))
    assert np.all(difference[50:100, 100:200] == 0)
    outside = np.ones((200, 400), bool)
    outside[50:100, 100:200] = False
    assert np.all(difference[outside] == [160, 0, 200])
    page.get_by_label("both").check()
    assert edge(page) > 0.4


def test_pairs_rates_and_pictures_are_chosen(open_page):
    run = Run({"first": photo(), "second": photo(64, 96, left=20)})
    shots = gallery.prepare(run.results, run.file_of, run.decoders, run.original)
    page = open_page(run.results, shots)
    page.locator("#shown").select_option("second")
    page.locator("#rate").select_option("about 1 bpp")
    page.locator("#left").select_option("Original")
    page.locator("#right").select_option("WebP")
    shot = next(s for s in shots if (s.picture, s.codec) == ("second", "webp") and 1.0 in s.rates)
    expect(page.locator("#right-caption")).to_contain_text(f"{shot.bpp:.3f} bpp · {shot.psnr:.2f} dB")
    expect(page.locator("#viewer-note")).to_contain_text("AVIF 4:4:4 at quality 80")
    assert canvas_size(page) == [64, 96]
    page.get_by_role("button", name="Next").press("Enter")
    expect(page.locator("#shown")).to_have_value("first")
    expect(page.locator("#left-caption")).to_contain_text("Original")
    expect(page.locator("#left-canvas")).to_have_attribute("width", "96")
    assert canvas_size(page) == [96, 64]


def canvas_size(page: Page) -> list[int]:
    return page.locator("#right-canvas").evaluate("canvas => [canvas.width, canvas.height]")
