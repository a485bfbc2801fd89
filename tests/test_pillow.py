"""The Pillow plugin, used as people use Pillow."""

import copy
import gc
import io
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import samples
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

import aecodec.pillow  # noqa: F401 - registers the format
from aecodec import api, errors
from aecodec.codec import Codec
from aecodec.file import container
from aecodec.picture import metadata, pictures

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


@pytest.fixture(autouse=True)
def found_by_id(monkeypatch, tiny_model):
    monkeypatch.setenv("AECODEC_MODELS", str(tiny_model.parent))


@pytest.fixture(scope="module")
def codec(tiny_model) -> Codec:
    return Codec(tiny_model, "cpu")


@pytest.fixture(scope="module")
def data(codec) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    return codec.compress(pictures.Picture(samples.photo(40, 24), ICC, block, XMP, (300_000, 72_000)), 60)


@pytest.fixture
def path(data, tmp_path) -> Path:
    path = tmp_path / "photo.aec"
    path.write_bytes(data)
    return path


@pytest.fixture
def image(photo) -> Image.Image:
    return Image.fromarray(photo)


def saved(image: Image.Image, tiny_model: Path, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "AEC", model=tiny_model, device="cpu", **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_pillow_knows_the_format():
    assert Image.registered_extensions()[".aec"] == "AEC"
    assert Image.MIME["AEC"] == "image/x-aec"
    assert "AEC" in Image.OPEN and "AEC" in Image.SAVE


# Opening


def test_open_by_name_path_and_stream(path, data, codec):
    wanted = codec.decode(data, to="pil")
    for source in (str(path), path, io.BytesIO(data), path.open("rb")):
        with Image.open(source) as image:
            assert (image.format, image.mode, image.size) == ("AEC", "RGB", (40, 24))
            assert image.get_format_mimetype() == "image/x-aec"
            assert np.array_equal(np.asarray(image), np.asarray(wanted))
        if hasattr(source, "close"):
            assert not source.closed  # it is the caller's
            source.close()


def test_grey(codec):
    with opened(codec.encode(samples.photo(20, 20, grey=True))) as image:
        assert image.mode == "L"
        image.load()
        assert image.getbands() == ("L",)


@pytest.mark.parametrize(("grey", "mode"), [(True, "LA"), (False, "RGBA")])
def test_a_header_with_alpha_tells_its_mode(grey, mode):
    file = samples.with_alpha(samples.lossless(samples.photo(20, 20, grey)))
    assert opened(container.write(file)).mode == mode


def test_metadata_is_there_before_the_pixels(path):
    with Image.open(path) as image:
        assert image.info["icc_profile"] == ICC and image.info["xmp"] == XMP
        assert image.info["dpi"] == (300, 72)
        assert image.getexif()[0x0112] == 6
        assert image._im is None  # nothing was decoded for this


def test_to_open_a_file_brings_no_torch(path):
    code = (
        "import sys, aecodec.pillow; from PIL import Image\n"
        f"image = Image.open({str(path)!r}); image.verify()\n"
        "print(image.size, image.mode, len(image.info), 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "(40, 24) RGB 4 False"


def test_without_the_import_pillow_does_not_know_the_format(path):
    code = f"import aecodec; from PIL import Image; Image.open({str(path)!r})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "UnidentifiedImageError" in answer.stderr


def test_what_is_done_with_an_opened_image(path, codec, data):
    wanted = codec.decode(data, to="pil")
    same = [
        Image.open(path).copy(),
        copy.copy(Image.open(path)),
        pickle.loads(pickle.dumps(Image.open(path))),
    ]
    for image in same:
        assert image.tobytes() == wanted.tobytes()
    assert pickle.loads(pickle.dumps(Image.open(path))).info == wanted.info
    assert Image.open(path).convert("L").tobytes() == wanted.convert("L").tobytes()
    assert Image.open(path).crop((3, 2, 9, 9)).tobytes() == wanted.crop((3, 2, 9, 9)).tobytes()
    with Image.open(path) as image:
        image.thumbnail((10, 10))
        assert image.size == (10, 6)
    with Image.open(path) as image:
        assert image.draft("L", (10, 10)) is None  # there is no cheaper picture in the file
        image.putpixel((0, 0), (1, 2, 3))
        assert image.getpixel((0, 0)) == (1, 2, 3)


def test_one_frame_to_seek(path):
    with Image.open(path) as image:
        image.seek(0)
        assert image.tell() == 0 and getattr(image, "n_frames", 1) == 1
        with pytest.raises(EOFError):
            image.seek(1)


def test_no_file_stays_open(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        image = Image.open(path)
        file = image.fp
        image.load()
        assert file.closed
        with Image.open(path) as unread:
            file = unread.fp
        assert file.closed
        del image, unread
        gc.collect()


def test_a_huge_picture_meets_the_limit_of_pillow_before_it_is_decoded(path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 24 // 2 - 1)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 24 - 1)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path).close()


def test_a_picture_that_pillow_has_let_by_is_decoded_and_saved(path, monkeypatch, codec, tiny_model):
    """Pillow's limit stands for the codec's own."""
    monkeypatch.setattr(pictures, "MAX_PIXELS", 40 * 24 - 1)
    monkeypatch.setattr(api, "_codec", lambda model, device: Codec(model, device, 40 * 24 - 1))
    with Image.open(path) as image:
        assert image.tobytes() == codec.decode(path).tobytes()
        assert opened(saved(image, tiny_model)).size == (40, 24)


# Broken files


def test_what_is_no_aec_file_is_not_identified(tmp_path):
    for data in (b"", b"no picture at all", container.MAGIC[:-1] + b" but nearly"):
        with pytest.raises(UnidentifiedImageError):
            opened(data)


def test_a_broken_header_says_what_is_wrong(data):
    later = data[:6] + bytes([container.VERSION + 1]) + data[7:]
    with pytest.raises(UnidentifiedImageError, match="version") as caught:
        opened(later)
    assert isinstance(caught.value.__cause__, errors.UnsupportedVersion)
    with pytest.raises(UnidentifiedImageError, match="cut short"):
        opened(data[:20])


@pytest.mark.parametrize("part", ["cut", "tile", "metadata"])
def test_a_broken_file_is_an_oserror_when_its_pixels_are_asked_for(data, part):
    places = {piece.name: piece for piece in container.layout(data)}
    at = {"cut": 0, "tile": places["tile 0"].offset + 20, "metadata": places["icc"].offset + 20}[part]
    broken = data[:-1] if part == "cut" else data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    image = opened(broken)
    assert image.size == (40, 24) and image.info == {}
    for _ in range(2):  # the second time is no better
        with pytest.raises(OSError, match=r"\w+") as caught:
            image.load()
        assert isinstance(caught.value.__cause__, errors.FormatError)
    with pytest.raises(OSError, match=r"\w+"):
        opened(broken).verify()


def test_a_file_of_another_model_is_an_oserror_and_its_size_is_known(data, monkeypatch, tmp_path):
    monkeypatch.setenv("AECODEC_MODELS", str(tmp_path))
    image = opened(data)
    image.verify()
    with pytest.raises(OSError, match="not installed"):
        opened(data).load()


def test_verify_leaves_the_file_closed(path):
    image = Image.open(path)
    file = image.fp
    image.verify()
    assert file.closed


# Saving


def test_save_to_path_and_stream_gives_what_the_codec_gives(image, tmp_path, tiny_model, codec):
    wanted = codec.encode(image, 40)
    image.save(tmp_path / "out.aec", quality=40, model=tiny_model, device="cpu")
    assert (tmp_path / "out.aec").read_bytes() == wanted
    image.save(str(tmp_path / "OUT.AEC"), quality=40, model=str(tiny_model), device="cpu")
    assert (tmp_path / "OUT.AEC").read_bytes() == wanted
    assert saved(image, tiny_model, quality=40) == wanted
    assert saved(image, tiny_model) == codec.encode(image)  # the default quality


def test_save_over_the_file_that_is_open(path, tiny_model, codec, data):
    with Image.open(path) as image:
        image.save(path, quality=10, model=tiny_model, device="cpu")
    assert path.read_bytes() == codec.encode(codec.decode(data), 10)


def test_metadata_goes_along(data, tiny_model):
    again = opened(saved(opened(data), tiny_model))
    assert again.info == opened(data).info and len(again.info) == 4


def test_metadata_goes_through_png_and_back(data, tiny_model, tmp_path):
    with opened(data) as image:
        image.save(tmp_path / "p.png", exif=image.info["exif"], dpi=image.info["dpi"])
    with Image.open(tmp_path / "p.png") as image:
        info = opened(saved(image, tiny_model)).info
    assert info["icc_profile"] == ICC and Image.open(tmp_path / "p.png").getexif()[0x0112] == 6


def test_options_go_before_what_the_image_has(data, tiny_model):
    exif = Image.Exif()
    exif[0x010E] = "a description"
    given = {"icc_profile": b"another", "exif": exif, "xmp": "<other/>", "dpi": (96, 96)}
    info = opened(saved(opened(data), tiny_model, **given)).info
    assert (info["icc_profile"], info["xmp"], info["dpi"]) == (b"another", b"<other/>", (96, 96))
    assert opened(saved(opened(data), tiny_model, **given)).getexif() == exif
    block = exif.tobytes()
    assert opened(saved(opened(data), tiny_model, exif=block)).info["exif"] == block


@pytest.mark.parametrize("nothing", [None, b""])
def test_nothing_as_an_option_drops_what_the_image_has(data, tiny_model, nothing):
    names = "icc_profile", "exif", "xmp", "dpi"
    assert opened(saved(opened(data), tiny_model, **dict.fromkeys(names, nothing))).info == {}
    assert opened(saved(opened(data), tiny_model, exif=Image.Exif())).info.keys() == {
        "icc_profile",
        "xmp",
        "dpi",
    }


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 101},
        {"quality": "best"},
        {"device": "tpu"},
        {"exif": 5},
        {"icc_profile": "sRGB"},
        {"dpi": 300},
        {"dpi": (0, 300)},
    ],
)
def test_options_out_of_range_are_a_valueerror_and_leave_no_file(image, tmp_path, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        image.save(tmp_path / "out.aec", **options)
    assert not list(tmp_path.iterdir())


def test_an_image_that_cannot_be_saved_is_an_oserror_and_leaves_no_file(tmp_path, image):
    with pytest.raises(OSError, match="floating point"):
        Image.new("F", (8, 8)).save(tmp_path / "out.aec")
    with pytest.raises(OSError, match="no model named nothing"):
        image.save(tmp_path / "out.aec", model="nothing")
    assert not list(tmp_path.iterdir())


def test_options_of_other_formats_are_passed_by(image, tiny_model, codec):
    assert saved(image, tiny_model, optimize=True, progressive=True) == codec.encode(image)


def test_of_an_animation_the_frame_that_is_shown(tmp_path, tiny_model, codec):
    frames = [Image.fromarray(samples.photo(24, 24, left=left)) for left in (0, 200)]
    frames[0].save(tmp_path / "two.png", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "two.png") as image:
        for number, frame in enumerate(frames):
            image.seek(number)
            assert saved(image, tiny_model) == codec.encode(frame)


def test_options_of_a_picture_are_read_back(data):
    """What to_options() hands to Image.save(), from_options() takes back."""
    file = container.read(data)
    fields = {name: getattr(file, name) for name in ("icc", "exif", "xmp", "resolution")}
    for format in ("JPEG", "AVIF", "WEBP"):
        assert metadata.from_options(metadata.to_options(file, format)) == fields


def test_the_codec_takes_the_same_files_with_and_without_the_plugin(path, image, tiny_model):
    with pytest.raises(errors.NotAnImage):
        pictures.load(path)
    assert pictures.load(opened(saved(image, tiny_model))).pixels.shape == (image.height, image.width, 3)


def test_a_rate_may_be_asked_for_in_place_of_a_quality(image, tiny_model, codec):
    size = len(codec.encode(image, 50))
    for option in ({"target_size": size}, {"bpp": 8 * size / image.width / image.height}, {"psnr": 24.3}):
        data = saved(image, tiny_model, **option)
        assert data == codec.encode(image, **option) and data != codec.encode(image), option


def test_options_that_exclude_each_other_are_a_valueerror(image, tiny_model):
    with pytest.raises(ValueError, match="only one"):
        saved(image, tiny_model, bpp=1, psnr=30)


def test_what_is_intact_of_a_broken_file_is_shown_if_that_was_asked_for(tiny_model, monkeypatch):
    pixels = samples.photo(300, 30)
    file = samples.neural_file(samples.load_model(tiny_model), pixels, level=150, tile_size=256)
    broken = container.write(file)[:-10]
    with pytest.raises(OSError, match="cut short"):
        opened(broken).load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = np.asarray(opened(broken))
    assert (image[:, 256:] == 128).all() and image[:, :256].std() > 10
