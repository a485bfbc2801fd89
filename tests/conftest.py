from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TESTS = Path(__file__).parent


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """The frozen test model, made by `aec train tests/data/tiny.toml`: it never changes."""
    (path,) = (TESTS / "data").glob("tiny-*.safetensors")
    return path


@pytest.fixture
def photo() -> np.ndarray:
    """A piece of a photograph, uint8 [72, 104, 3]: neither side a multiple of 16."""
    with Image.open(TESTS.parent / "examples" / "photo.png") as image:
        return np.array(image.crop((230, 130, 334, 202)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `gpu` where there is none."""
    needy = [item for item in items if item.get_closest_marker("gpu")]
    if needy:
        import torch  # not above: a run without such tests may need none

        if not torch.cuda.is_available():
            for item in needy:
                item.add_marker(pytest.mark.skip(reason="there is no GPU"))
