"""What picture files hold beside their pixels: it is kept, or named."""

import io
import struct
import zlib

import numpy as np
import picture_files as made
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from aecodec.picture import pictures

COLOUR = Image.fromarray(made.pixels())
GREY = COLOUR.convert("L")
JPEG = made.saved(COLOUR, "JPEG")
PNG = made.saved(COLOUR)
JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
FILM = b"\0\0\0\x18ftypmp42" + bytes(50)


def left_out(data: bytes, **options) -> tuple[str, ...]:
    return pictures.load(data, **options).left_out


# JPEG


def app(number: int, body: bytes) -> bytes:
    return made.with_segments(JPEG, made.segment(0xE0 + number, body))


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (JPEG, ()),
        (JPEG + bytes(7) + b"\xff\xff", ()),  # padding
        (made.with_segments(JPEG, made.segment(0xFE, b"hello")), ("a comment",)),
        (app(0, b"JFXX\0\x10" + JPEG), ("a thumbnail",)),
        (app(1, b"FLIR\0\1\0\0" + bytes(50)), ("thermal data (FLIR)",)),
        (app(1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(50)), ("XMP beyond its first 64 kB",)),
        (app(1, b"http://ns.adobe.com/xmp/extension/\0 GDepth:Data="), ("a depth map",)),
        (app(2, b"FPXR\0" + bytes(9)), ("FlashPix data",)),
        (app(4, b"Qualcomm Camera\1\2"), ("data of 'Qualcomm Camera' (APP4)",)),
        (app(7, b"\0\1\2"), ("a segment APP7",)),
        (app(11, b"JP\0\1\0\0\0\1\0\0\0\x20jumb....jumdc2pa"), ("Content Credentials (C2PA)",)),
        (app(11, b"JP\0\1\0\0\0\1\0\0\0\x20jumb....jumdjson"), ("JUMBF data",)),
        (app(12, b"Ducky\0\1\0\4\0\0\0\x3c\0\0"), ()),  # what quality was asked for
        (app(13, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\0"), ("Photoshop and IPTC records",)),
        (JPEG + FILM, ("a film (motion photo)",)),
        (JPEG + b"MotionPhoto_Data" + FILM, ("a film (motion photo)",)),
        (JPEG + JPEG, ("the pictures behind the first one",)),
        (JPEG + JPEG + FILM, ("a film (motion photo)", "the pictures behind the first one")),
        (app(1, JPEG_XMP + b'<x hdrgm:Version="1.0"/>') + JPEG, ("a gain map for HDR",)),
        (JPEG + made.with_segments(JPEG, made.segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0")),
         ("a gain map for HDR",)),
        (app(1, JPEG_XMP + b'<x Item:Semantic="DepthMap"/>') + JPEG, ("a depth map",)),
        (JPEG + b"some text", ("9 bytes behind the end of the picture",)),
    ],
)  # fmt: skip
def test_what_a_jpeg_holds_beside_its_picture_is_named(data, names):
    assert left_out(data) == names


def test_a_progressive_jpeg_ends_behind_its_last_scan():
    data = made.saved(COLOUR, "JPEG", progressive=True)
    assert left_out(data) == () and left_out(data + b"more") == ("4 bytes behind the end of the picture",)


def test_a_later_picture_of_a_jpeg_has_its_own_metadata():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    second = made.with_segments(made.saved(GREY, "JPEG"), made.segment(0xFE, b"of the second"))
    data = bytearray(
        made.saved(COLOUR, "MPO", save_all=True, append_images=[GREY], icc_profile=profile, dpi=(9, 9))
    )
    at = data.index(b"\xff\xd8\xff", 100)
    data[at:] = second
    entry = data.index(b"MPF\0") + 4
    place = data.index(struct.pack("<I", at - entry), entry)  # the offset of the second picture
    struct.pack_into("<I", data, place - 4, len(second))
    first = pictures.load(bytes(data))
    assert (first.icc, first.resolution) == (profile, (9000, 9000))
    assert first.left_out == ("the pictures behind the first one",)
    later = pictures.load(bytes(data), frame=1)
    assert later.pixels.shape[2] == 1 and later.left_out == ("a comment",)
    assert (later.icc, later.resolution) == (None, None)


def test_a_profile_of_a_jpeg_is_joined_wherever_its_pieces_stand():
    pieces = [made.segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 2]) + part) for n, part in
              ((1, made.ICC[:300]), (2, made.ICC[300:]))]  # fmt: skip
    assert pictures.load(made.with_segments(JPEG, *reversed(pieces))).icc == made.ICC
    scan = JPEG.index(b"\xff\xda")
    assert (
        pictures.load(JPEG[:scan] + b"".join(pieces) + JPEG[scan:]).icc == made.ICC
    )  # behind the frame header
    assert left_out(made.with_segments(JPEG, pieces[1])) == ("an ICC profile that is damaged",)


# PNG


def with_chunk(kind: bytes, body: bytes) -> bytes:
    return made.with_chunks(PNG, made.chunk(kind, body))


def chromaticities(*values: int) -> bytes:
    return struct.pack(">8I", *values)


ADOBE_RGB = chromaticities(31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
SRGB = chromaticities(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (PNG, ()),
        (with_chunk(b"cHRM", ADOBE_RGB), ("its primaries (cHRM)",)),
        (with_chunk(b"cHRM", SRGB), ()),
        (with_chunk(b"gAMA", struct.pack(">I", 45455)), ()),
        (with_chunk(b"gAMA", struct.pack(">I", 100000)), ("a gamma value",)),
        (made.with_chunks(PNG, made.chunk(b"sRGB", b"\0"), made.chunk(b"cHRM", ADOBE_RGB)), ()),
        (with_chunk(b"cICP", bytes([9, 16, 0, 1])), ("its colour space (CICP 9/16)",)),
        (with_chunk(b"cICP", bytes([1, 13, 0, 1])), ()),
        (with_chunk(b"mDCV", bytes(24)), ("HDR metadata",)),
        (with_chunk(b"cLLI", bytes(8)), ("HDR metadata",)),
        (with_chunk(b"caBX", b"\0\0\0\x20jumb"), ("Content Credentials (C2PA)",)),
        (with_chunk(b"tIME", bytes(7)), ("the time of its last change",)),
        (with_chunk(b"bKGD", bytes(6)), ("a background colour",)),
        (with_chunk(b"vpAg", bytes(9)), ("the chunk 'vpAg'",)),
        (with_chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0)), ("the shape of its pixels",)),
        (with_chunk(b"pHYs", struct.pack(">IIB", 1, 1, 0)), ()),
        (with_chunk(b"tEXt", b"Title\0a title"), ("the text 'Title'",)),
        (made.with_chunks(PNG, made.chunk(b"iTXt", b"Note\0\0\0de\0\0h\xc3\xb6her"), before=b"IEND"),
         ("the text 'Note'",)),
        (with_chunk(b"iCCP", b"name\0\0garbage"), ("an ICC profile that is damaged",)),
        (made.with_chunks(PNG, made.chunk(b"tEXt", b"Title\0x")[:-1] + b"?"), ("a damaged chunk 'tEXt'",)),
        (PNG + b"more", ("4 bytes behind the end of the picture",)),
    ],
)  # fmt: skip
def test_what_a_png_holds_beside_its_picture_is_named(data, names):
    assert left_out(data) == names


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "iTXt, packed"])
def test_xmp_of_a_png_is_kept_in_whatever_kind_of_text_it_stands(kind):
    body = {
        "tEXt": b"\0" + made.XMP,
        "zTXt": b"\0\0" + zlib.compress(made.XMP),
        "iTXt": b"\0\0\0\0\0" + made.XMP,
        "iTXt, packed": b"\0\1\0\0\0" + zlib.compress(made.XMP),
    }[kind]
    picture = pictures.load(with_chunk(kind[:4].encode(), b"XML:com.adobe.xmp" + body))
    assert picture.xmp == made.XMP and picture.left_out == ()


@pytest.mark.parametrize("key", ["transparency", "interlace", "bbox", "icc_profile", "exif", "dpi", "gamma"])
@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_text_of_any_name_changes_nothing_of_the_picture(key, mode):
    texts = PngImagePlugin.PngInfo()
    texts.add_text(key, "7")
    image = COLOUR.quantize(9) if mode == "P" else COLOUR.convert(mode)
    options = {} if mode == "RGB" else {"transparency": 3}
    picture, plain = (
        pictures.load(made.saved(image, **options, **more)) for more in ({"pnginfo": texts}, {})
    )
    assert np.array_equal(picture.samples, plain.samples) and (plain.alpha is None) == (mode == "RGB")
    assert picture.left_out == (f"the text {key!r}",)
    with Image.open(io.BytesIO(made.saved(image, pnginfo=texts))) as opened:
        if key == "transparency":
            assert pictures.load(opened).alpha is None


def test_a_large_profile_or_text_is_no_damage():
    profile = made.ICC + bytes(3 * 2**20)
    data = with_chunk(b"iCCP", b"large\0\0" + zlib.compress(profile))
    assert pictures.load(data).icc == profile
    bomb = zlib.compress(bytes(2**27))
    assert left_out(with_chunk(b"iCCP", b"bomb\0\0" + bomb)) == ("an ICC profile that is damaged",)
    assert left_out(with_chunk(b"zTXt", b"Title\0\0" + bomb)) == ("the text 'Title'",)


# TIFF


def test_each_page_of_a_tiff_has_its_own_depth_profile_and_resolution():
    grey, deep = made.pixels(12, channels=1), made.pixels(12, channels=1).astype(np.uint16) * 257
    data = made.tiff_of_pages([
        (grey, {34675: made.ICC, 282: 300.0, 283: 300.0, 700: made.XMP}, {}),
        (deep, {282: 300.0, 283: 150.0, 296: 1}, {}),  # no unit: the shape of its pixels
        (grey, {282: 100.0, 283: 50.0, 296: 3}, {}),
    ])  # fmt: skip
    first, second, third = (pictures.load(data, frame=frame) for frame in range(3))
    assert (first.icc, first.xmp, first.resolution) == (made.ICC, made.XMP, (300_000, 300_000))
    assert (second.icc, second.xmp, second.resolution) == (None, None, None)
    assert second.left_out == ("the shape of its pixels",)
    assert second.converted == ("16 bits a channel to 8",) and first.converted == third.converted == ()
    assert third.resolution == (254_000, 127_000) and third.left_out == ()
    with Image.open(io.BytesIO(data)) as image:  # and so it is for who seeks
        image.seek(2)
        again = pictures.load(image, frame=2)
        assert (again.icc, again.resolution) == (None, third.resolution)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_resolution_of_a_tiff_is_turned_with_its_pixels(orientation):
    data = made.tiff(made.pixels(20, 20), {274: orientation, 282: 300.0, 283: 150.0})
    turned = (150_000, 300_000) if orientation > 4 else (300_000, 150_000)
    assert pictures.load(data).resolution == turned


@pytest.mark.parametrize("extra", [(), (2,), (2, 0)])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("packed", [False, True])
def test_planes_are_the_picture_that_samples_side_by_side_are(extra, bits, order, packed):
    samples = made.pixels(12, channels=3 + len(extra)).astype(np.uint8 if bits == 8 else np.uint16)
    samples = samples if bits == 8 else samples * 257
    planes = made.tiff(samples[:, :, :4], {338: extra[:1] or None}, order, planar=2, packed=packed)
    assert np.array_equal(pictures.load(planes).samples, made.pixels(12, channels=len(extra[:1]) + 3))
    side = made.tiff(samples, {338: extra or None}, order, packed=packed)
    if len(extra) < 2 or bits == 8:
        picture = pictures.load(side)
        assert np.array_equal(picture.samples, made.pixels(12, channels=5)[:, :, : 3 + len(extra[:1])])
        assert picture.left_out == (("1 more channel",) if len(extra) > 1 else ())


def test_a_tag_for_planes_means_nothing_where_there_is_one():
    grey = made.pixels(12, channels=1)
    for photometric, wanted in ((0, 255 - grey), (1, grey)):
        data = made.tiff(grey, planar=2, photometric=photometric)
        assert np.array_equal(pictures.load(data).pixels, wanted)


def ycbcr(subsampling: tuple[int, int] | None) -> bytes:
    """A TIFF of YCbCr, without compression: luma and chroma of each 2 x 2 pixels together."""
    luma = made.pixels(12, 20, 1)[:, :, 0]
    groups = luma.reshape(6, 2, 10, 2).transpose(0, 2, 1, 3).reshape(6, 10, 4)
    chroma = np.full((6, 10, 2), (100, 150), np.uint8)
    data = np.concatenate([groups, chroma], axis=2).tobytes()
    return made.tiff(np.zeros((12, 20, 3), np.uint8), {530: subsampling}, photometric=6, data=data)


def test_subsampled_ycbcr_is_read_as_what_it_is():
    luma = made.pixels(12, 20, 1)[:, :, 0].astype(float)
    wanted = np.stack([luma + 1.402 * 22, luma + 0.344 * 28 - 0.714 * 22, luma - 1.772 * 28], axis=-1)
    for subsampling in ((2, 2), None):  # which is what the format says without the tag
        data = ycbcr(subsampling) + bytes(2000)  # a reader that goes on finds more bytes
        assert np.abs(pictures.load(data).pixels - wanted.clip(0, 255)).max() <= 2


def test_the_profile_of_a_ycbcr_tiff_is_for_what_it_becomes():
    full = made.tiff(made.pixels(12), {530: (1, 1), 34675: made.ICC}, photometric=6)
    assert pictures.load(full).icc == made.ICC


def test_other_pictures_within_a_page_are_named():
    assert left_out(made.tiff(made.pixels(12), {330: 8})) == ("the pictures within it (SubIFDs)",)


def test_premultiplied_colours_of_a_tiff_are_said_to_be_changed():
    data = made.tiff(made.pixels(12, channels=4), {338: (1,)})
    assert pictures.load(data).converted == ("premultiplied colours to plain ones",)


# Others


def gif_extension(*blocks: bytes) -> bytes:
    image = made.saved(COLOUR.quantize(8), "GIF")
    at = 13 + (3 << (image[10] & 7) + 1)
    packed = b"".join(bytes([len(block)]) + block for block in blocks[1:])
    return image[:at] + b"!" + blocks[0] + packed + b"\0" + image[at:]


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP with more chunks."""
    data = made.saved(COLOUR, "WEBP")
    more = b"".join(
        kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2) for kind, body in chunks
    )
    return data[:4] + struct.pack("<I", len(data) - 8 + len(more)) + data[8:] + more


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


AVIF = made.saved(COLOUR, "AVIF")
JP2 = made.saved(COLOUR, "JPEG2000")
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def tga_with_extension() -> bytes:
    data = made.saved(COLOUR, "TGA")[:-26]
    return data + bytes(495) + struct.pack("<II", len(data), 0) + b"TRUEVISION-XFILE.\0"


def dds(flags: int = 0, mipmaps: int = 0, caps: int = 0) -> bytes:
    data = bytearray(made.saved(COLOUR, "DDS"))
    struct.pack_into("<I", data, 8, struct.unpack_from("<I", data, 8)[0] | flags)
    struct.pack_into("<I", data, 28, mipmaps)
    struct.pack_into("<I", data, 112, caps)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (gif_extension(b"\xff", b"XMP DataXMP", b"<x/>"), ("XMP",)),
        (gif_extension(b"\xff", b"ICCRGBG1012", b"..."), ("an ICC profile",)),
        (gif_extension(b"\xff", b"NETSCAPE2.0", b"\1\0\0"), ()),
        (gif_extension(b"\xff", b"MGK8BIM0000", b"..."), ("data of 'MGK8BIM0000'",)),
        (gif_extension(b"\xfe", b"hello"), ("a comment",)),
        (made.saved(COLOUR.quantize(8), "GIF") + b"!!", ("2 bytes behind the end of the picture",)),
        (riff((b"C2PA", b"...")), ("Content Credentials (C2PA)",)),
        (riff((b"xyzw", b"..")), ("the chunk 'xyzw'",)),
        (riff() + b"more", ("4 bytes behind the end of the picture",)),
        (AVIF, ()),
        (AVIF + box(b"uuid", C2PA), ("Content Credentials (C2PA)",)),
        (AVIF + box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + made.XMP),
         ("data of other programs (uuid)",)),
        (AVIF + box(b"mpvd", FILM), ("a film (motion photo)",)),
        (AVIF + b"more", ("4 bytes behind the end of the picture",)),
        (JP2, ()),
        (JP2 + box(b"uuid", bytes(16)), ("data of other programs (uuid)",)),
        (JP2 + box(b"xml ", b"<x/>"), ("XML",)),
        (made.icns(16), ()),
        (made.icns(16, 32, 64), ("2 smaller pictures of the icon",)),
        (made.saved(COLOUR.resize((64, 64)), "ICO", sizes=[(64, 64)]), ()),
        (made.saved(COLOUR.resize((64, 64)), "ICO", sizes=[(64, 64), (16, 16)]),
         ("1 smaller picture of the icon",)),
        (made.cursor(), ("1 smaller picture of the icon", "where the cursor points")),
        (made.psd(made.pixels()), ()),
        (made.psd(made.pixels(channels=5)), ("2 more channels",)),
        (made.saved(COLOUR.convert("RGBA"), "BMP"), ()),
        (made.saved(Image.fromarray(made.pixels(channels=4)), "BMP"), ("a fourth channel",)),
        (made.psd(made.pixels(), layers=struct.pack(">IH", 6, 0)+bytes(4)), ("its layers",)),
        (made.psd(made.pixels(), [(1028, b"iptc")]), ("Photoshop and IPTC records",)),
        (b"P6\n# made by hand\n1 1\n255\nabc", ("a comment",)),
        (b"P6 1 1 255\nabc" * 2, ("14 bytes behind the end of the picture",)),
        (b"\x05" + tga_with_extension()[1:18] + b"hello" + tga_with_extension()[18:],
         ("a comment", "its extension area")),
        (dds(0x20000, 3), ("its smaller pictures (mipmaps)",)),
        (dds(caps=0xFE00), ("the other sides of the cube",)),
        (made.fits(), ()),
        (made.fits(8, "OBJECT  = 'M31'"), ("its header",)),
        (made.files()["PCD"][0], ("its larger pictures",)),
        (made.saved(COLOUR, "QOI")[:13] + b"\1" + made.saved(COLOUR, "QOI")[14:],
         ("its colour space (linear light)",)),
    ],
)  # fmt: skip
def test_what_other_formats_hold_beside_the_picture_is_named(data, names):
    assert left_out(data, max_pixels=2**20) == names


def test_the_colours_of_a_bmp_are_kept_or_named():
    header = bytearray(made.saved(COLOUR, "BMP"))
    body = bytes(header[54:])
    head = struct.pack("<IiiHHIIiiII", 124, 20, 13, 1, 24, 0, len(body), 0, 0, 0, 0)
    tail = struct.pack("<IIII", 0, 0, 0, 0)

    def bmp(space: bytes, profile: bytes = b"") -> bytes:
        ends = b"\1" * 36 + bytes(12)
        rest = struct.pack("<IIII", 0, 124 + len(body), len(profile), 0)
        info = head + tail + space[::-1] + ends + rest
        return b"BM" + struct.pack("<IHHI", 0, 0, 0, 138) + info + body + profile

    assert pictures.load(bmp(b"MBED", made.ICC)).icc == made.ICC
    assert left_out(bmp(b"sRGB")) == ()
    assert left_out(bmp(bytes(4))) == ("its primaries and gamma values",)


def test_jpeg_2000_keeps_its_profile_and_metadata_of_known_kinds():
    xmp = box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + made.XMP)
    picture = pictures.load(JP2 + xmp)
    assert picture.xmp == made.XMP and picture.left_out == ()
    at = JP2.index(b"colr") - 4
    size = struct.unpack_from(">I", JP2, at)[0]
    profile = box(b"colr", b"\2\0\0" + made.ICC)
    data = bytearray(JP2[:at] + profile + JP2[at + size :])
    header = data.index(b"jp2h") - 4
    struct.pack_into(">I", data, header, struct.unpack_from(">I", data, header)[0] + len(profile) - size)
    assert pictures.load(bytes(data)).icc == made.ICC


def test_photoshop_resources_are_kept_where_a_picture_has_a_place_for_them():
    resolution = struct.pack(">IHHIHH", 300 << 16, 1, 1, 150 << 16, 1, 1)
    held = [(1005, resolution), (1039, made.ICC), (1058, b"MM\0*"), (1060, made.XMP)]
    picture = pictures.load(made.psd(made.pixels(), held))
    assert (picture.icc, picture.exif, picture.xmp) == (made.ICC, b"MM\0*", made.XMP)
    assert picture.resolution == (300_000, 150_000) and picture.left_out == ()


@pytest.mark.parametrize(
    ("box_of_16_bytes", "name"),
    [
        (box(b"pasp", struct.pack(">II", 4, 3)), "the shape of its pixels"),
        (box(b"pasp", struct.pack(">II", 1, 1)), None),
        (box(b"clli", bytes(8)), "HDR metadata"),
    ],
)
def test_properties_of_an_avif_are_named(box_of_16_bytes, name):
    at = AVIF.index(b"pixi") - 4
    data = AVIF[:at] + box_of_16_bytes + AVIF[at + 16 :]
    assert left_out(data) == ((name,) if name else ())


def test_grey_avif_is_grey():
    picture = pictures.load(made.saved(GREY, "AVIF", quality=100))
    assert picture.pixels.shape[2] == 1
    assert np.abs(picture.pixels[:, :, 0].astype(int) - np.asarray(GREY)).max() <= 3


# Alpha that is none


def test_a_fourth_channel_of_a_photoshop_file_is_alpha_only_if_its_layers_say_so():
    data = made.pixels(channels=4)
    merged = struct.pack(">Ih", 6, -1) + bytes(4)
    assert pictures.load(made.psd(data, layers=merged)).left_out == ("its layers",)
    assert np.array_equal(pictures.load(made.psd(data, layers=merged)).samples, data)
    selection = pictures.load(made.psd(data))
    assert selection.alpha is None and selection.left_out == ("1 more channel",)


@pytest.mark.parametrize("format", ["TGA", "BMP", "ICO"])
def test_an_alpha_of_zeros_hides_nothing_in_formats_that_leave_it_unused(format):
    clear = COLOUR.resize((16, 16)).convert("RGBA")
    clear.putalpha(0)
    options = {"ICO": {"sizes": [(16, 16)], "bitmap_format": "bmp"}}.get(format, {})
    picture = pictures.load(made.saved(clear, format, **options))
    assert picture.alpha is None and np.array_equal(picture.pixels, np.asarray(clear)[:, :, :3])
    clear.putpixel((3, 3), (1, 2, 3, 9))
    if format != "BMP":  # where Pillow reads no alpha from what it writes
        assert pictures.load(made.saved(clear, format, **options)).alpha is not None


def test_a_palette_of_8_bits_in_a_tiff_is_not_black():
    colours = tuple(range(0, 250, 10)) + (0,) * 231
    indexes = made.pixels(12, channels=1) % 25
    for scale in (1, 256):
        tags = {320: tuple(scale * value for value in (*colours, *reversed(colours), *colours))}
        picture = pictures.load(made.tiff(indexes, tags, photometric=3))
        assert np.array_equal(picture.pixels[:, :, 0], 10 * indexes[:, :, 0])
