"""Every example, run as its first lines say."""

import io
import os
import re
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from aecodec import Codec
from aecodec.training.trainer import Logged

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec()


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run an example in an empty folder; gives the lines it prints."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *args: object) -> list[str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, args)])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


def crop(left: int, top: int, side: int = 100) -> Image.Image:
    with Image.open(EXAMPLES / "photo.png") as image:
        return image.crop((left, top, left + side, top + side))


def test_every_example_is_listed_and_says_how_to_run_it():
    listed = set(re.findall(r"^\| `(\w+\.\w+)`", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    assert listed == {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    for path in EXAMPLES.glob("*.py"):
        assert path.name in path.read_text().split('"""')[1] + (EXAMPLES / "README.md").read_text()


def test_python_api_runs(run):
    lines = run("python_api")
    assert lines[0].startswith("531 x 379, ")
    sizes, likeness = zip(*(re.findall(r"\d+\.\d|\d{3,}", line) for line in lines[1:4]), strict=True)
    assert list(map(int, sizes)) == sorted(map(int, sizes))
    assert list(map(float, likeness)) == sorted(map(float, likeness)) and float(likeness[-1]) > 30
    assert lines[4].startswith("cut short: ")


def test_pillow_plugin_runs(run, tmp_path):
    assert run("pillow_plugin") == ["AEC, RGB, (531, 379), 300 dpi", "thumbnail of 160 x 114"]
    with Image.open(tmp_path / "photo.thumbnail.png") as image:
        assert image.size == (160, 114)


def test_imageio_skimage_runs(run):
    first, second = run("imageio_skimage")
    assert first.startswith("imageio: (379, 531, 3), 3") and second.startswith("scikit-image: (379, 531)")


def test_torch_dataset_runs(run, tmp_path, codec):
    (tmp_path / "pictures").mkdir()
    for number in range(9):
        picture = crop(20 * number, 0, 60 + 10 * number)
        picture = picture.convert("L") if number == 3 else picture
        (tmp_path / "pictures" / f"{number}.aec").write_bytes(codec.encode(picture))
    lines = run("torch_dataset", tmp_path / "pictures", 96)
    device = "cpu" if codec.device == "cpu" else "cuda:0"
    assert [line.split(", mean")[0] for line in lines] == [
        f"({count}, 3, 96, 96) on {device}" for count in (8, 1)
    ]


def test_latents_search_runs(run, tmp_path, codec):
    for name, left, top in (("spoon", 300, 40), ("table", 0, 0), ("cup", 230, 130), ("edge", 420, 270)):
        for quality in (60, 80):
            (tmp_path / f"{name}-{quality}.aec").write_bytes(codec.encode(crop(left, top), quality))
    (tmp_path / "broken.aec").write_bytes(b"no .aec file")
    for name in ("spoon", "table", "cup", "edge"):
        likeness, path = run("latents_search", tmp_path / f"{name}-60.aec", tmp_path, 1)[0].split()
        assert Path(path).name == f"{name}-80.aec" and 0.8 < float(likeness) <= 1


# Ray


def shard(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as file:
        return {member.name: file.extractfile(member).read() for member in file}


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def ray(*args: object, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / "ray_dataset.py", *args, "--workers", "2"]
    quiet = {
        "HOME": str(home),
        "RAY_USAGE_STATS_ENABLED": "0",
    }  # nothing goes to the network or stays at home
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=os.environ | quiet, timeout=300
    )


@pytest.mark.slow
def test_ray_dataset_runs(tmp_path, codec):
    pytest.importorskip("ray", reason="Ray is not installed: pip install aecodec[ray]")
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "a").mkdir(parents=True)
    pictures = {f"a/{n}.png" if n % 2 else f"{n}.png": png(crop(20 * n, 0, 64)) for n in range(6)}
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    (folder / "notes.txt").write_text("no picture")
    (folder / "bad.png").write_bytes(b"no picture")
    content = {"0.png": pictures["0.png"], "0.cls": b"7", "1.png": b"no picture", "1.cls": b"8"}
    shard(folder / "shard.tar", content)
    after_one = 512 + -(-len(pictures["0.png"]) // 512) * 512  # where a cut is easily missed
    (folder / "cut.tar").write_bytes((folder / "shard.tar").read_bytes()[:after_one])
    out.mkdir()
    (out / "0.png.aec").write_bytes(b"finished before")

    first = ray(folder, out, home=tmp_path)
    assert first.returncode == 1, first.stderr
    *faults, summary = first.stdout.splitlines()
    assert sorted(re.findall(r"in/([\w.]+: (?:[\w.]+:)?)", "\n".join(faults))) == [
        "bad.png: ",
        "cut.tar: ",
        "shard.tar: 1.png:",
    ]
    assert summary.startswith("6 pictures, ") and summary.endswith(", 3 bad")
    made = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert made == {f"{name}.aec" for name in pictures} | {"shard.tar"}
    assert (out / "0.png.aec").read_bytes() == b"finished before"
    assert (out / "a/1.png.aec").read_bytes() == codec.encode(pictures["a/1.png"])
    wanted = {"0.png.aec": codec.encode(pictures["0.png"]), **dict(list(content.items())[1:])}
    assert members(out / "shard.tar") == wanted

    for name in ("bad.png", "cut.tar"):
        (folder / name).unlink()
    second = ray(folder, out, home=tmp_path)
    assert (second.returncode, second.stdout) == (0, "0 pictures, 0 bytes in, 0 bytes out, 0 bad\n")


def test_ray_dataset_refuses_to_write_into_what_it_reads(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install aecodec[ray]")
    answer = ray(tmp_path, tmp_path / "out", home=tmp_path)
    assert answer.returncode == 2 and "OUT lies in FOLDER" in answer.stderr


def test_specialize_says_what_it_leaves_out_and_needs_two_pictures(run, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    crop(0, 0, 260).save(tmp_path / "in" / "one.png")
    (tmp_path / "in" / "two.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit):
        run("specialize", "in")
    said = capsys.readouterr()
    assert "left out: two" in said.out and "in holds one picture" in said.err


@pytest.mark.slow
def test_specialize_runs(run, tmp_path, capsys):
    """A training of a second: it must change little, and measure what it changed."""
    (tmp_path / "in").mkdir()
    for number in range(6):
        crop(40 * number, 10 * number, 260).save(tmp_path / "in" / f"{number}.png")
    lines = run("specialize", "in", "--minutes", "0.02", "--out", tmp_path / "out")
    gain, low, high = map(
        float, re.search(r"2 pictures held back: (\S+) %.*, (\S+) to (\S+) dB", lines[-1]).groups()
    )
    assert abs(gain) < 10 and 20 < low < high < 50
    module = runpy.run_path(str(EXAMPLES / "specialize.py"))  # a second is too short for a row of the log
    module["show"](Logged(100, 1.0, {"loss": 1.5, "bpp": 1.0, "psnr": 30.0}, 1.0, 1.0), 0.25)
    assert capsys.readouterr().out == "25% loss 1.5000\n"
    (weights,) = (tmp_path / "out").glob("special-*.safetensors")
    assert Codec(weights).decode(Codec(weights).encode(crop(0, 0))).size == (100, 100)
