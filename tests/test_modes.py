"""Modes of Pillow, and the alpha, orientation and metadata of what is made of them."""

import io
import sys
import types

import numpy as np
import pytest
import stress
from cmyk_profile import cmyk_profile
from PIL import Image, ImageCms, PngImagePlugin
from samples import chunk, photo

from aecodec import errors
from aecodec.picture import pictures
from aecodec.picture.pictures import Picture

COLOUR = photo(40, 30, left=230, top=130)
SLOPE = stress.gradient(lambda x, y: x, 40)[:30]


def image_of(mode: str) -> Image.Image:
    if mode.endswith("a"):  # premultiplied
        return image_of(mode.upper()).convert(mode)
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.applyTransform(
            Image.fromarray(COLOUR), ImageCms.buildTransform(*profiles, "RGB", "LAB")
        )
    image = Image.fromarray(COLOUR)
    if mode in ("LA", "RGBA", "PA"):
        image = image.quantize(200) if mode == "PA" else image
        image = image.convert(mode)
        image.putalpha(Image.fromarray(SLOPE))
        return image
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "wanted", "said"),
    [
        ("1", "L", ()),
        ("L", "L", ()),
        ("P", "RGB", ()),
        ("LA", "LA", ()),
        ("PA", "RGBA", ()),
        ("RGB", "RGB", ()),
        ("RGBA", "RGBA", ()),
        ("RGBX", "RGB", ()),
        ("La", "LA", ("premultiplied grey to LA",)),
        ("RGBa", "RGBA", ("premultiplied RGB to RGBA",)),
        ("CMYK", "RGB", ("CMYK to RGB without a profile",)),
        ("YCbCr", "RGB", ("YCbCr to RGB",)),
        ("LAB", "RGB", ("L*a*b* to RGB",)),
        ("HSV", "RGB", ("HSV to RGB",)),
    ],
)
def test_every_mode_becomes_grey_or_rgb_with_or_without_alpha(mode, wanted, said):
    image = image_of(mode)
    assert image.mode == mode
    picture = pictures.load(image)
    again = pictures.to_pil(picture)
    assert (again.mode, again.size, picture.converted) == (wanted, image.size, said)
    assert np.array_equal(np.asarray(again), np.asarray(image.convert(wanted)))
    if said:
        with pytest.raises(errors.UnsupportedPicture, match="would be changed"):
            pictures.load(image, strict=True)
    else:
        assert np.array_equal(pictures.load(image, strict=True).samples, picture.samples)


def test_a_palette_of_greys_is_grey_unless_a_profile_speaks_of_rgb():
    image = Image.fromarray(SLOPE).quantize(9)
    assert pictures.load(image).pixels.shape == (30, 40, 1)
    image.info["icc_profile"] = stress.ICC
    assert pictures.load(image).pixels.shape == (30, 40, 3)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<i4"])
def test_16_bits_are_rounded_to_8(dtype):
    values = np.arange(0, 65536, 13).astype(np.uint16)[:5040].reshape(70, 72)
    picture = pictures.load(Image.fromarray(values.astype(dtype)))
    assert np.array_equal(picture.pixels[:, :, 0], np.round(values / 257))
    assert picture.converted == ("16 bits a channel to 8",)


def test_12_bits_of_a_tiff_have_another_white():
    tiff = twelve_bit_tiff([0, 4095, 2048, 16])
    picture = pictures.load(tiff)
    assert picture.pixels[:, :, 0].tolist() == [[0, 255, 128, 1]]
    assert picture.converted == ("12 bits a channel to 8",)


def twelve_bit_tiff(values: list[int], photometric: int = 1, bits: int = 12) -> bytes:
    """One row of grey values of 12 or 16 bits."""
    if bits == 12:
        packed = b"".join(
            (a << 12 | b).to_bytes(3, "big") for a, b in zip(values[::2], values[1::2], strict=True)
        )
    else:
        packed = b"".join(value.to_bytes(2, "little") for value in values)
    entries = [(256, len(values)), (257, 1), (258, bits), (259, 1), (262, photometric), (273, 122)]
    entries += [(277, 1), (278, 1), (279, len(packed))]
    fields = (tag.to_bytes(2, "little") + b"\3\0\1\0\0\0" + v.to_bytes(4, "little") for tag, v in entries)
    return b"II*\0\x08\0\0\0" + len(entries).to_bytes(2, "little") + b"".join(fields) + bytes(4) + packed


def test_16_bits_of_a_tiff_where_white_is_zero_are_turned():
    assert pictures.load(twelve_bit_tiff([0, 65535], 0, 16)).pixels.ravel().tolist() == [255, 0]
    assert pictures.load(twelve_bit_tiff([0, 65535], 1, 16)).pixels.ravel().tolist() == [0, 255]


def test_32_bits_are_taken_where_they_are_those_of_8_or_16():
    small = Image.fromarray(SLOPE).convert("I")
    picture = pictures.load(small)
    assert np.array_equal(picture.pixels[:, :, 0], SLOPE)
    assert picture.converted == ("32-bit grey to 8 bits, values as they are",)
    for beyond in (-1, 65536):
        small.putpixel((3, 4), beyond)
        with pytest.raises(errors.UnsupportedPicture, match=f"32-bit grey from .*{beyond}"):
            pictures.load(small)


# Transparent colours


def test_a_transparent_colour_becomes_alpha():
    grey = Image.fromarray(SLOPE)
    picture = pictures.load(stress.saved(grey, transparency=7))
    assert np.array_equal(picture.alpha, np.where(SLOPE == 7, 0, 255))
    assert np.array_equal(picture.pixels[:, :, 0], SLOPE)
    deep = Image.fromarray(SLOPE.astype(np.uint16) * 257)
    deep_picture = pictures.load(stress.saved(deep, transparency=7 * 257))
    assert np.array_equal(deep_picture.alpha, picture.alpha)


def test_a_transparent_colour_of_16_bits_is_refused():
    data = stress.deep_png(COLOUR.astype(np.uint16) * 257)
    at = data.index(b"IDAT") - 4
    with pytest.raises(errors.UnsupportedPicture, match="transparent colour is of 16 bits"):
        pictures.load(data[:at] + chunk(b"tRNS", bytes(6)) + data[at:])


def test_a_text_named_transparency_is_none():
    texts = PngImagePlugin.PngInfo()
    texts.add_text("transparency", "7")
    for image in (Image.fromarray(SLOPE), Image.fromarray(COLOUR)):
        picture = pictures.load(stress.saved(image, pnginfo=texts))
        assert picture.alpha is None and "the text 'transparency'" in picture.left_out


# CMYK


def test_cmyk_goes_through_its_profile_which_is_dropped():
    inks = np.indices((2, 2, 2, 2)).reshape(4, -1).T.astype(np.uint8)[None] * 255
    image = Image.fromarray(inks, "CMYK")
    picture = pictures.load(stress.saved(image, "TIFF", icc_profile=cmyk_profile()))
    wanted = (255 - inks[..., :3].astype(int)) * (255 - inks[..., 3:]) // 255
    assert np.abs(picture.pixels - wanted).max() <= 10  # 8-bit L*a*b* on the way
    assert picture.icc is None and picture.converted == ("CMYK to RGB through its profile",)


@pytest.mark.parametrize(
    "profile", [b"not a profile", cmyk_profile()[:300], stress.ICC, b"\xff\xff\xff\xff" + cmyk_profile()[4:]]
)
def test_a_profile_that_is_none_for_cmyk_or_lies_about_its_length_does_no_harm(profile):
    image = Image.fromarray(COLOUR).convert("CMYK")
    picture = pictures.load(stress.saved(image, "TIFF", icc_profile=profile))
    assert picture.icc is None and len(picture.converted) == 1
    assert np.abs(picture.pixels.astype(int) - np.asarray(image.convert("RGB"))).max() <= 60


def test_the_inverted_cmyk_of_adobe_is_right_side_up():
    image = Image.fromarray(COLOUR).convert("CMYK")
    data = stress.saved(image, "JPEG", quality=95)
    assert b"Adobe" in data
    assert np.abs(pictures.load(data).pixels.astype(int) - COLOUR).mean() < 6


def test_a_profile_that_lies_about_its_length_is_kept_as_it_is():
    lying = (10**6).to_bytes(4, "big") + stress.ICC[4:]
    for format in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF"):
        before = Picture(COLOUR, icc=lying)
        file = io.BytesIO()
        pictures.save(before, file, format)
        assert pictures.load(file.getvalue()).icc == lying


# Colour spaces by number


@pytest.mark.parametrize(
    ("numbers", "left_out"), [((9, 16), ("its colour space (CICP 9/16)",)), ((1, 13), ())]
)
def test_a_colour_space_by_number_is_named_unless_it_is_srgb(numbers, left_out):
    png = stress.saved(Image.fromarray(COLOUR))
    at = png.index(b"IDAT") - 4
    data = png[:at] + chunk(b"cICP", bytes([*numbers, 0, 1])) + png[at:]
    assert pictures.load(data).left_out == left_out
    avif = bytearray(stress.saved(Image.fromarray(COLOUR), "AVIF"))
    at = avif.index(b"colrnclx") + 8
    avif[at : at + 4] = bytes([0, numbers[0], 0, numbers[1]])
    assert pictures.load(bytes(avif)).left_out == left_out


# HEIC


def test_heic_is_read_if_its_plugin_is_there(monkeypatch):
    data = b"\0\0\0\x18ftypheic" + bytes(100)
    with pytest.raises(errors.AecError):
        pictures.load(data)

    def register() -> None:
        accept = lambda prefix: prefix[4:12] == b"ftypheic"  # noqa: E731
        Image.register_open("HEIF", lambda file, name: Image.fromarray(COLOUR), accept)

    plugin = types.ModuleType("pillow_heif")
    plugin.register_heif_opener = register
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    assert np.array_equal(pictures.load(data).pixels, COLOUR)


# Alpha and orientation


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_and_metadata_go_into_every_format_that_holds_them(format, channels):
    colour = COLOUR[:, :, :channels].copy()
    exif = stress.exif_block(1).removeprefix(b"Exif\0\0")
    before = Picture(colour, stress.ICC, exif, stress.XMP, (300_000, 150_000), alpha=SLOPE)
    file = io.BytesIO()
    pictures.save(before, file, format)
    after = pictures.load(file.getvalue())
    assert (after.icc, after.xmp) == (before.icc, before.xmp) and b"A. Painter" in after.exif
    assert np.abs(after.alpha.astype(int) - SLOPE).max() <= (3 if format == "AVIF" else 0)
    apart = np.abs(after.pixels.astype(int) - colour)[SLOPE > 0]
    assert apart.max() == 0 or format == "AVIF"


def test_stripped_is_upright_and_bare():
    exif = stress.exif_block(6).removeprefix(b"Exif\0\0")
    picture = Picture(COLOUR, stress.ICC, exif, stress.XMP, (1000, 1000), ("x",), SLOPE, ("y",))
    bare = pictures.stripped(picture)
    assert np.array_equal(bare.pixels, np.rot90(COLOUR, -1)) and np.array_equal(
        bare.alpha, np.rot90(SLOPE, -1)
    )
    assert (bare.icc, bare.exif, bare.xmp, bare.resolution, bare.converted) == (
        None,
        None,
        None,
        None,
        ("y",),
    )
    turned = pictures.upright(picture)
    assert (turned.left_out, turned.converted, turned.icc) == (("x",), ("y",), stress.ICC)
    assert np.array_equal(turned.alpha, np.rot90(SLOPE, -1))


@pytest.mark.parametrize("cut", [30, 45, 60, 200])
def test_palette_files_that_are_cut_short_are_said_to_be(cut):
    for format in ("PNG", "GIF", "BMP"):
        data = stress.saved(Image.fromarray(COLOUR).quantize(50), format)
        with pytest.raises((errors.TruncatedImage, errors.NotAnImage)):
            pictures.load(data[:cut])
