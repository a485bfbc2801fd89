"""Rate control: a size, bits a pixel or PSNR in place of a quality."""

import math

import numpy as np
import pytest
from samples import photo

import aecodec
from aecodec import Codec, codec, errors
from aecodec.encoder import rate
from aecodec.file import container
from aecodec.networks.photo.hyperprior import Hyperprior
from aecodec.picture.pictures import Picture
from aecodec.tiles import neural

PIXELS = photo(320, 280)
SIZE = PIXELS.shape[0] * PIXELS.shape[1]
SIZES = [1600, 2000, 2600, 3500]
GOALS = [{"target_size": size} for size in SIZES]
GOALS += [{"bpp": bpp} for bpp in (0.145, 0.2, 0.32)] + [{"psnr": psnr} for psnr in (23.8, 24.0, 24.1)]


@pytest.fixture(scope="module")
def coder(tiny_model):
    return Codec(tiny_model, "cpu")


@pytest.fixture
def tiled(monkeypatch):
    monkeypatch.setattr(Hyperprior, "tile_size", 256)


def psnr(pixels: np.ndarray, decoded: np.ndarray) -> float:
    return 10 * math.log10(255**2 / np.mean((pixels.astype(float) - decoded) ** 2))


def level(data: bytes) -> int:
    return container.read_header(data)[0].level


def files_made(monkeypatch, coder, **goal) -> tuple[bytes, int]:
    made, write = [], codec._write

    def counted(picture, header, tiles):
        made.append(header.level)
        return write(picture, header, tiles)

    monkeypatch.setattr(codec, "_write", counted)
    data = coder.encode(PIXELS, **goal)
    return data, len(made) - 1  # one is made to see what a file without words takes


# What is reached


@pytest.mark.parametrize("goal", GOALS, ids=str)
def test_a_goal_is_reached_with_few_files(goal, coder, tiled, monkeypatch):
    data, made = files_made(monkeypatch, coder, **goal)
    ((name, value),) = goal.items()
    if name == "target_size":
        assert 0.98 * value <= len(data) <= value
    elif name == "bpp":
        assert 8 * len(data) / SIZE == pytest.approx(value, rel=0.02)
    else:
        assert psnr(PIXELS, coder.decode(data, "numpy")) == pytest.approx(value, abs=0.1)
    assert made <= 8


def test_the_released_model_reaches_goals_far_from_each_other():
    pixels, coder = photo(200, 150, left=230, top=130), Codec(device="cpu")
    for value in (28, 37):
        decoded = coder.decode(coder.encode(pixels, psnr=value), "numpy")
        assert psnr(pixels, decoded) == pytest.approx(value, abs=0.1)
    for size in (1_500, 8_000):
        assert 0.97 * size <= len(coder.encode(pixels, target_size=size)) <= size


@pytest.mark.parametrize("goal", [{"bpp": 0.3}, {"psnr": 24.1}], ids=str)
def test_the_file_is_that_of_its_quality(goal, coder, tiled, monkeypatch):
    data = coder.encode(PIXELS, **goal)
    (model,) = coder._loaded.values()
    quality = np.interp(level(data), model.quality_levels, np.linspace(0, 100, len(model.quality_levels)))
    assert coder.encode(PIXELS, float(quality)) == data


def test_the_analysis_runs_once(coder, tiled, monkeypatch):
    boxes, analyse = [], neural.analyse

    def counted(model, pixels, box):
        boxes.append(box)
        return analyse(model, pixels, box)

    monkeypatch.setattr(neural, "analyse", counted)
    coder.encode(PIXELS, target_size=3000)
    assert len(boxes) == len(set(boxes)) == 4


def test_the_size_is_that_of_the_whole_file(coder):
    picture = Picture(PIXELS, exif=b"II*\0" + bytes(700), xmp=b"<x/>", resolution=(72000, 72000))
    data = coder.compress(picture, target_size=3500)
    assert 0.98 * 3500 <= len(data) <= 3500
    assert coder.decompress(data).exif == picture.exif
    assert 8 * len(coder.compress(picture, bpp=0.35)) / SIZE == pytest.approx(0.35, rel=0.02)


def test_grey_reaches_its_goals_too(coder):
    grey = photo(160, 120, grey=True)
    data = coder.encode(grey, psnr=26.4)
    assert psnr(grey[:, :, 0], coder.decode(data, "numpy")) == pytest.approx(26.4, abs=0.1)


@pytest.mark.parametrize("goal", [{"target_size": 20_000}, {"psnr": 24.5}], ids=str)
def test_of_many_tiles_a_sample_is_coded_first(goal, coder, tiled, monkeypatch):
    """A huge picture comes to its goal with fewer files than there were trials."""
    pixels = photo(1050, 780)  # 5 x 4 tiles
    sampled, guess = [], rate._Trials.guess
    monkeypatch.setattr(
        rate._Trials, "guess", lambda *arguments: sampled.append(arguments[1]) or guess(*arguments)
    )
    data = coder.encode(pixels, **goal)
    assert sampled
    if "psnr" in goal:
        assert psnr(pixels, coder.decode(data, "numpy")) == pytest.approx(24.5, abs=0.1)
    else:
        assert 0.98 * 20_000 <= len(data) <= 20_000


def test_the_quality_stays_between_its_bounds(coder):
    free = coder.encode(PIXELS, bpp=0.25)
    within = coder.encode(PIXELS, bpp=0.25, min_quality=30, max_quality=90)
    assert abs(level(within) - level(free)) <= 1  # both are near enough
    with pytest.raises(errors.TargetOutOfReach, match="at qualities 0 to 10:"):
        coder.encode(PIXELS, bpp=0.25, max_quality=10)
    with pytest.raises(errors.TargetOutOfReach, match="at qualities 90 to 100:"):
        coder.encode(PIXELS, bpp=0.25, min_quality=90)


def test_the_function_of_the_package_takes_goals(tiny_model):
    data = aecodec.encode(PIXELS, target_size=3000, device="cpu", model=tiny_model)
    assert 0.98 * 3000 <= len(data) <= 3000


# What is not


@pytest.mark.parametrize(
    ("goal", "unit"),
    [({"target_size": 300}, "bytes"), ({"target_size": 10**6}, "bytes"), ({"bpp": 20}, "bpp")]
    + [({"bpp": 0.001}, "bpp"), ({"psnr": 3}, "dB"), ({"psnr": 99}, "dB")],
    ids=str,
)
def test_what_no_level_reaches_is_refused_with_the_range(goal, unit, coder):
    with pytest.raises(errors.TargetOutOfReach) as caught:
        coder.encode(PIXELS, **goal)
    words = str(caught.value).split()
    least, most = (
        float(words[words.index("has") + 1]),
        float(words[words.index("to", words.index("has")) + 1]),
    )
    ends = [coder.encode(PIXELS, quality) for quality in (0, 100)]
    value = {
        "bytes": len,
        "bpp": lambda data: 8 * len(data) / SIZE,
        "dB": lambda data: psnr(PIXELS, coder.decode(data, "numpy")),
    }[unit]
    assert [least, most] == pytest.approx([value(data) for data in ends], abs=0.01)


def test_metadata_that_leaves_no_room_is_named(coder):
    picture = Picture(PIXELS, exif=b"II*\0" + bytes(20_000))
    with pytest.raises(errors.TargetOutOfReach, match=r"takes 20\d\d\d bytes: .* leave metadata out"):
        coder.compress(picture, target_size=16_000)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "200", True], ids=repr)
@pytest.mark.parametrize("name", ["target_size", "bpp", "psnr"])
def test_what_is_no_target_is_refused(name, value, coder):
    with pytest.raises(errors.BadArgument, match="above 0"):
        coder.encode(PIXELS, **{name: value})


def test_goals_that_contradict_are_refused(coder):
    with pytest.raises(errors.BadArgument, match="only one"):
        coder.encode(PIXELS, target_size=3000, bpp=0.3)
    with pytest.raises(errors.BadArgument, match="give one of them"):
        coder.encode(PIXELS, 50, max_quality=80)
    with pytest.raises(errors.BadQuality, match="is above max_quality"):
        coder.encode(PIXELS, bpp=0.3, min_quality=60, max_quality=50)
    for name in ("min_quality", "max_quality"):
        for quality in (-1, 101, math.nan, "50"):
            with pytest.raises(errors.BadQuality, match=name):
                coder.encode(PIXELS, bpp=0.3, **{name: quality})


# The search alone


@pytest.mark.parametrize("unit", ["bytes", "bpp", "dB"])
@pytest.mark.parametrize("shape", ["line", "bend", "noise", "flat"])
def test_the_search_finds_the_nearest_level_in_ten_trials(unit, shape):
    """On bent and rough curves too, from every start, for targets inside and outside of the range."""
    rng = np.random.default_rng(3)
    steps = {
        "line": np.full(256, 1.0),
        "bend": np.linspace(0.3, 2.0, 256),
        "noise": rng.normal(1, 0.6, 256),
        "flat": np.where(np.arange(256) < 60, 0.3, 1.2),
    }[shape]
    curve = 10 + rate.STEP[unit] * np.cumsum(steps)
    for target in np.linspace(curve[0] - 0.1, curve[255] + 0.1, 41):
        for start in (0, 90, 255):
            trials = []

            def measure(level, trials=trials):
                trials.append(level)
                return rate.Trial(level, float(curve[level]))

            below, above = rate.search(measure, target, unit, 0, 255, start)
            assert len(trials) == len(set(trials)) and len(trials) <= 10
            assert below is None or below.value <= target
            assert above is None or above.value > target
            near = min(abs(trial.value - target) for trial in (below, above) if trial)
            neighbours = below and above and above.level == below.level + 1
            assert neighbours or near <= rate.NEAR[unit] or below is None or above is None


def test_an_exact_picture_has_a_psnr():
    """Where nothing is lost PSNR is infinite, which no line can be drawn through."""
    trials = rate._Trials.__new__(rate._Trials)
    trials.unit = "dB"
    assert trials._value(100, 0, 300) == rate.LOSSLESS
