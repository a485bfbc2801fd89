import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TESTS = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60_000  # milliseconds: a busy machine opens a page slowly
BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """The frozen test model, made by `aec train tests/data/tiny.toml`: it never changes."""
    (path,) = (TESTS / "data").glob("tiny-*.safetensors")
    return path


@pytest.fixture(scope="session")
def classic_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The weights file of a tiny classic autoencoder of a kind, trained when it is first asked for."""
    made: dict[str, Path] = {}

    def of(kind: str) -> Path:
        import torchvision_operators  # not above: a run without such tests may need no torch
        from classic_samples import trained

        torchvision_operators.declare()
        if kind not in made:
            made[kind] = trained(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return of


@pytest.fixture
def photo() -> np.ndarray:
    """A piece of a photograph, uint8 [72, 104, 3]: neither side a multiple of 16."""
    with Image.open(TESTS.parent / "examples" / "photo.png") as image:
        return np.array(image.crop((230, 130, 334, 202)))


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium without a window; skips where it or playwright is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if chromium is None:
        pytest.skip("Chromium is not installed")
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_page(browser, tmp_path_factory) -> Iterator[Callable[..., "Page"]]:
    """Write a report and open it; in the end it must have said nothing and asked for nothing but itself."""
    from aecodec.bench import report

    said: list[str] = []
    requests: list[str] = []
    opened: set[str] = set()

    def open_page(results, shots=(), **settings) -> "Page":
        path = tmp_path_factory.mktemp("report") / "report.html"
        report.write(results, shots, path)
        page = browser.new_context(**settings).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        opened.add(path.as_uri())
        page.goto(path.as_uri())
        page.wait_for_selector("head script", state="attached")  # Plotly, unpacked
        return page

    yield open_page
    assert said == []
    assert set(requests) == opened


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `gpu` where there is none."""
    needy = [item for item in items if item.get_closest_marker("gpu")]
    if needy:
        import torch  # not above: a run without such tests may need none

        if not torch.cuda.is_available():
            for item in needy:
                item.add_marker(pytest.mark.skip(reason="there is no GPU"))
