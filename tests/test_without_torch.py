"""The codec needs no PyTorch on a CPU: it is not imported, and need not be installed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import TINY, photo

import aecodec
from aecodec import errors

PRELUDE = """
import sys
if sys.argv[1] == "missing":
    sys.modules |= dict.fromkeys(("torch", "scipy", "skimage", "matplotlib"))  # importing one fails
"""
COMMAND = """
from aecodec.cli import main
sys.argv[1:2] = []
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
assert sys.modules.get("torch") is None
"""
PLUGIN = """
import aecodec.pillow
from PIL import Image
with Image.open("photo.png") as image:
    image.save("again.aec")
with Image.open("again.aec") as image:
    image.load()
assert sys.modules.get("torch") is None
"""
PYTHON = """
import aecodec
with open("photo.aec", "rb") as file:
    data = file.read()
codec = aecodec.Codec()
aecodec.encode(aecodec.decode(data), bpp=0.5)
codec.decode(data, "latents")
codec.decode(data, "numpy", region=(3, 4, 50, 60))
codec.salvage(data)
codec.compress_batch([codec.decompress(data)] * 2)
assert sys.modules.get("torch") is None
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run code in a process of its own, with PyTorch installed or missing, in a folder with a picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AECODEC_MODELS", str(TINY.parent))
    Image.fromarray(photo(150, 90)).save("photo.png")
    Path("photo.aec").write_bytes(aecodec.encode(photo(150, 90), model=TINY, device="cpu"))

    def run(torch: str, code: str, *args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PRELUDE + code, torch, *args]
        return subprocess.run(command, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("torch", ["installed", "missing"])
@pytest.mark.parametrize(
    "args",
    [
        ("compress", "photo.png", "-o", "new.aec"),
        ("compress", "photo.png", "-o", "new.aec", "--target-size", "3KB", "--verify"),
        ("compress", "photo.png", "-o", "new.aec", "--fast"),
        ("decompress", "photo.aec", "-o", "new.png"),
        ("decompress", "photo.aec", "-o", "new.png", "--region", "10,20,30,40"),
        ("info", "photo.aec"),
        ("verify", "photo.aec"),
        ("models",),
        ("selftest",),
    ],
    ids=lambda args: " ".join(args),
)
def test_commands_import_no_torch(run, args, torch):
    if "--fast" in args and torch == "installed":
        pytest.skip("it looks there for bfloat16")
    result = run(torch, COMMAND, *args)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("torch", ["installed", "missing"])
def test_salvage_imports_no_torch(run, torch):
    damaged = bytearray(Path("photo.aec").read_bytes())
    damaged[-1] ^= 1
    Path("photo.aec").write_bytes(damaged)
    result = run(torch, COMMAND, "decompress", "photo.aec", "-o", "new.png", "--salvage")
    assert f"AssertionError: {errors.Damaged.exit_code}" in result.stderr  # its only tile is damaged
    assert "torch" not in result.stderr


@pytest.mark.parametrize("torch", ["installed", "missing"])
@pytest.mark.parametrize("code", [PLUGIN, PYTHON], ids=["plugin", "python"])
def test_neither_do_the_plugin_and_python(run, code, torch):
    result = run(torch, code)
    assert result.returncode == 0, result.stderr


def test_what_needs_torch_says_so(run, classic_weights):
    path = classic_weights("dense")
    Path("classic.aec").write_bytes(aecodec.encode(np.zeros((28, 28), np.uint8), model=path, device="cpu"))
    for error, args in (
        (errors.NoTorch, ("compress", "photo.png", "-o", "new.aec", "--model", str(path))),
        (errors.NoTorch, ("decompress", "classic.aec", "-o", "new.png", "--model", str(path))),
        (errors.NoGpu, ("compress", "photo.png", "-o", "new.aec", "--device", "cuda")),
    ):
        result = run("missing", COMMAND, *args)
        assert f"AssertionError: {error.exit_code}" in result.stderr
        assert "pip install 'aecodec[" in result.stderr
