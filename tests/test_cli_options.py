"""Options of `aec compress`, `decompress` and `verify` that say what of a picture is kept and how large."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from aecodec import errors
from aecodec.cli import aec
from aecodec.file import container
from aecodec.picture import pictures

PHOTO = Path(__file__).parent.parent / "examples" / "photo.png"


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_model) -> Path:
    """The working directory: photo.png, and the tiny model, whose weights are found by id and by name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AECODEC_MODELS", str(tiny_model.parent))
    Image.open(PHOTO).crop((200, 100, 300, 170)).save("photo.png", dpi=(300, 300))
    return tmp_path


@pytest.fixture
def run(folder):
    def run(*args: str, stdin: bytes = b""):
        # refinement counts on a trained model; this one is none
        model = ("--model", "tiny", "--effort", "0") if args[0] == "compress" else ()
        return CliRunner().invoke(aec, [*args, *model], input=stdin, prog_name="aec")

    return run


def done(result) -> str:
    assert result.exit_code == 0, result.stderr
    return result.stderr


def psnr(first: str, second: str) -> float:
    one, two = (np.asarray(Image.open(name), np.float64) for name in (first, second))
    return float(10 * np.log10(255**2 / np.mean((one - two) ** 2)))


# The size


def sizes(run) -> tuple[int, int]:
    """The smallest and the largest size of the photograph."""
    for quality in ("0", "100"):
        done(run("compress", "photo.png", "-q", quality, "-o", f"{quality}.aec"))
    return Path("0.aec").stat().st_size, Path("100.aec").stat().st_size


def test_a_target_size_is_reached_and_never_passed(run):
    least, most = sizes(run)
    target = (least + most) // 2
    done(run("compress", "photo.png", "--target-size", str(target)))
    assert 0.9 * target < Path("photo.aec").stat().st_size <= target
    done(run("compress", "photo.png", "--target-size", f"{target / 1024:.6f} KiB", "-o", "same.aec"))
    assert abs(Path("same.aec").stat().st_size - Path("photo.aec").stat().st_size) <= 0.02 * target


def test_bits_per_pixel_and_psnr_are_reached(run):
    least, most = sizes(run)
    bpp = 4 * (least + most) / 7000
    done(run("compress", "photo.png", "--bpp", f"{bpp}"))
    assert 8 * Path("photo.aec").stat().st_size / 7000 == pytest.approx(bpp, rel=0.1)
    for name in ("0", "100"):
        done(run("decompress", f"{name}.aec"))
    middle = (psnr("photo.png", "0.aec.png") + psnr("photo.png", "100.aec.png")) / 2
    done(run("compress", "photo.png", "--psnr", f"{middle:.2f}", "-f"))
    done(run("decompress", "photo.aec"))
    assert psnr("photo.png", "photo.aec.png") == pytest.approx(middle, abs=0.3)


def test_the_quality_stays_in_its_bounds(run):
    least, most = sizes(run)
    done(run("compress", "photo.png", "-q", "40", "-o", "40.aec"))
    result = run("compress", "photo.png", "--target-size", str(most), "--max-quality", "40", "--json")
    if result.exit_code == 0:
        assert Path("photo.aec").stat().st_size <= Path("40.aec").stat().st_size
        assert json.loads(result.stdout)["quality"] is None
    else:
        assert result.exit_code == errors.TargetOutOfReach.exit_code


def test_what_is_out_of_reach_names_the_file_and_writes_nothing(run):
    result = run("compress", "photo.png", "--target-size", "100")
    assert result.exit_code == errors.TargetOutOfReach.exit_code
    assert result.stderr.startswith("aec: photo.png: ") and result.stderr.count("\n") == 1
    assert not Path("photo.aec").exists()


# The picture


def test_strip_leaves_metadata_out_and_turns_the_picture(run):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open("photo.png").save("turned.jpg", exif=exif, dpi=(300, 300))
    done(run("compress", "turned.jpg", "--strip"))
    done(run("decompress", "turned.aec"))
    picture = pictures.load("turned.aec.png")
    assert picture.pixels.shape == (100, 70, 3)
    assert (picture.exif, picture.resolution) == (None, None)


def test_a_conversion_is_said_and_strict_refuses_it(run):
    Image.fromarray(np.full((20, 30), 40000, np.uint16)).save("deep.png")
    said = done(run("compress", "deep.png"))
    assert said.startswith("aec: deep.png: warning: converted 16 bits") and said.count("\n") == 1
    result = run("compress", "deep.png", "--strict", "-f")
    assert result.exit_code == errors.UnsupportedPicture.exit_code
    assert result.stderr.startswith("aec: deep.png: ") and "16 bits" in result.stderr
    done(run("compress", "photo.png", "--strict"))


def test_one_frame_of_several(run):
    frames = [Image.new("L", (24, 16), shade) for shade in (0, 255)]
    frames[0].save("two.tif", save_all=True, append_images=frames[1:])
    result = run("compress", "two.tif")
    assert result.exit_code == errors.UnsupportedPicture.exit_code and "--frame" in result.stderr
    for number, least, most in (("0", 0, 60), ("1", 195, 255)):
        done(run("compress", "two.tif", "--frame", number, "-f"))
        done(run("decompress", "two.aec", "-f"))
        assert least <= np.asarray(Image.open("two.aec.png")).mean() <= most
    result = run("compress", "two.tif", "--frame", "2", "-f")
    assert result.exit_code and result.stderr.startswith("aec: two.tif: ")


# A part of it


def test_a_region(run):
    done(run("compress", "photo.png"))
    done(run("decompress", "photo.aec"))
    result = run("decompress", "photo.aec", "--region", "10,20,30,40", "-o", "part.png", "--json")
    done(result)
    facts = json.loads(result.stdout)
    assert (facts["width"], facts["height"]) == (30, 40)
    whole = np.asarray(Image.open("photo.aec.png"), np.int16)[20:60, 10:40]
    assert np.abs(np.asarray(Image.open("part.png"), np.int16) - whole).max() <= 1


def test_a_region_outside_the_picture_is_refused(run):
    done(run("compress", "photo.png"))
    for region in ("90,0,11,10", "0,70,1,1"):
        result = run("decompress", "photo.aec", "--region", region)
        assert result.exit_code == errors.BadArgument.exit_code
        assert result.stderr.startswith("aec: photo.aec: ") and not Path("photo.aec.png").exists()


# Damage


@pytest.fixture
def damaged(run) -> str:
    """A file of two tiles, of which the second is damaged, 1030 x 20 pixels."""
    Image.open(PHOTO).resize((1030, 20)).save("wide.png")
    done(run("compress", "wide.png"))
    data = bytearray(Path("wide.aec").read_bytes())
    tile = next(part for part in container.layout(bytes(data)) if part.name == "tile 1")
    data[tile.offset + tile.length // 2] ^= 1
    Path("bad.aec").write_bytes(data)
    return "bad.aec"


def test_salvage_writes_what_is_intact_and_names_the_damage(run, damaged):
    result = run("decompress", damaged, "--salvage", "--json")
    assert result.exit_code == errors.Incomplete.exit_code
    assert result.stderr.startswith("aec: bad.aec: ") and "tile 1" in result.stderr
    assert result.stderr.count("\n") == 1
    facts = json.loads(result.stdout)
    assert (
        facts["error"]["class"] == "Incomplete" and facts["bytes_out"] == Path("bad.aec.png").stat().st_size
    )
    done(run("decompress", "wide.aec"))
    got, wanted = (np.asarray(Image.open(name))[:, :900] for name in ("bad.aec.png", "wide.aec.png"))
    assert np.array_equal(got, wanted)
    assert done(run("decompress", "wide.aec", "--salvage", "-f")) == ""


def test_salvage_of_a_folder_goes_on(run, damaged):
    result = run("decompress", "wide.aec", damaged, "--salvage", "-O", "out", "--jobs", "1")
    assert result.exit_code == errors.Incomplete.exit_code
    assert sorted(path.name for path in Path("out").iterdir()) == ["bad.png", "wide.png"]


def test_verify_says_ok_or_what_is_wrong(run, damaged):
    said = run("verify", "wide.aec")
    assert done(said) == "" and said.stdout == "wide.aec: ok\n"
    result = run("verify", "-r", ".")
    assert result.exit_code == errors.Damaged.exit_code
    assert result.stdout == "./wide.aec: ok\n" and result.stderr.startswith("aec: ./bad.aec: ")
    assert "\naec: 1 of 2 files intact; " in result.stderr and "; 1 failed" in result.stderr
    lines = run("verify", damaged, "wide.aec", "--json").stdout.splitlines()  # as they are done
    bad, good = sorted(map(json.loads, lines), key=lambda line: line["file"])
    assert bad["error"]["class"] == "Damaged" and good["error"] is None and good["width"] == 1030
    piped = run("verify", "-", "--json", stdin=Path("wide.aec").read_bytes())
    assert json.loads(piped.stdout)["file"] == "standard input" and piped.exit_code == 0


def test_alpha_comes_back(run):
    image = Image.open("photo.png").convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save("alpha.png")
    compressed = run("compress", "-", stdin=Path("alpha.png").read_bytes())
    done(compressed)
    back = run("decompress", "-", stdin=compressed.stdout_bytes)
    done(back)
    decoded = Image.open(io.BytesIO(back.stdout_bytes))
    assert decoded.mode == "RGBA" and np.array_equal(decoded.getchannel("A"), image.getchannel("A"))
