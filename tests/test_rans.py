from threading import Thread
from zlib import crc32

import numpy as np
import pytest
import rans_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from aecodec.coding.rans import Decoder, Encoder, clip
from aecodec.coding.tables import TOTAL, Tables, exact_model, from_masses, gaussian_masses
from aecodec.errors import AecError, BadArgument, Damaged

EXAMPLE = Tables(
    np.array([1, 2]),
    np.array([0x300000, 0x900000, 0x3FFFFF, 1, 0x200000, 0x300000, 0x500000, 0x300000, 0x2FFFFF, 1]),
)
GAUSSIAN = from_masses([gaussian_masses(sigma, int(4 * sigma) + 1) for sigma in np.geomspace(0.11, 32, 63)])
ZERO = Tables(np.array([0]), np.array([TOTAL - 1, 1]))


def u8(values):
    return np.array(values, np.uint8)


def i32(values):
    return np.array(values, np.int32)


def encode(*pops):
    """The words of (symbols, indexes, tables) triples in the order of decoding."""
    encoder = Encoder()
    for symbols, indexes, tables in reversed(pops):
        encoder.push(symbols, indexes, tables)
    return encoder.words()


def decode(words, *pops):
    """The symbols of (indexes, tables) pairs."""
    decoder = Decoder(words)
    symbols = [decoder.pop(indexes, tables) for indexes, tables in pops]
    decoder.finish()
    return symbols


def lists(tables):
    """The tables as the reference coder takes them."""
    return [[], *(part.tolist() for part in np.split(tables.frequencies, tables.starts[2:-1]))]


def as_ints(words):
    return np.frombuffer(words, "<u4").tolist()


def triangles(count):
    """Tables of radius 0 to count - 1 whose frequencies fall like a triangle, the escape's as at its foot."""
    tables = []
    for r in range(count):
        shares = np.array([*(r + 2 - abs(symbol) for symbol in range(-r, r + 1)), 1])
        shares = shares * (TOTAL // shares.sum())
        shares[r] += TOTAL - shares.sum()
        tables.append(shares)
    return Tables(np.arange(count), np.concatenate(tables))


def random_tables(rng, count):
    """Tables of random radius up to 300 with random masses, many of them far below 2^-24."""
    sizes = 2 * rng.integers(0, 300, count) + 2
    return from_masses([rng.gamma(rng.choice([0.01, 0.1, 1.0]), size=size) + 1e-300 for size in sizes])


def random_symbols(rng, indexes, tables):
    """Symbols of all kinds: most near zero, some escaped, some as far as escapes reach."""
    scale = 10.0 ** rng.uniform(-1, 4, len(indexes))
    return clip(np.rint(rng.normal(size=len(indexes)) * scale).astype(np.int64), indexes, tables)


# The words, to the bit


@pytest.mark.parametrize(
    ("indexes", "symbols", "words"),
    [
        ([], [], []),
        ([0, 0, 0], [0, 0, 0], []),
        ([1], [-1], []),  # the first entry of a table leaves the start state as it is
        ([1], [0], [0x00300000]),
        ([1], [-3], [0x00FFFFFF, 0x00020000]),
        ([2, 0, 1], [1, 0, 1], [0x02E00002]),
    ],
)
def test_words_are_literally_these(indexes, symbols, words):
    assert as_ints(encode((i32(symbols), u8(indexes), EXAMPLE))) == words


def test_words_of_the_example_of_format_md_are_literally_these():
    z = (i32([-2]), u8([2]), EXAMPLE)
    y = (i32([0, 0, 2, -3, 5, 1]), u8([1, 0, 2, 1, 2, 1]), EXAMPLE)
    assert encode(z, y) == bytes.fromhex("EAFCC074 FFFF0FD4 6C427B01")


def test_words_of_many_symbols_are_literally_these():
    tables = triangles(8)
    steps = np.arange(10_000)
    indexes = (steps * 7 % 9).astype(np.uint8)
    symbols = clip(steps * steps % 11 - 5, indexes, tables)
    words = encode((symbols, indexes, tables))
    assert (len(words), hex(crc32(words))) == (4924, "0xa99c1fd7")
    assert as_ints(words)[:3] == [0xB176FC6A, 0x7C1E9317, 0x79D21206]
    assert as_ints(words)[-3:] == [0x3417DD86, 0xE085C92F, 0x00003B3D]


@pytest.mark.parametrize("seed", range(40))
def test_words_are_those_of_integer_rans(seed):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, rng.integers(1, 8))
    indexes = rng.integers(0, tables.count, rng.integers(1, 300)).astype(np.uint8)
    symbols = random_symbols(rng, indexes, tables)
    encoder = reference.Encoder()
    encoder.push(symbols.tolist(), indexes.tolist(), lists(tables))
    words = encoder.words()
    assert as_ints(encode((symbols, indexes, tables))) == words
    decoder = reference.Decoder(words)
    assert decoder.pop(indexes.tolist(), lists(tables)) == symbols.tolist()
    assert decoder.finished()


def test_integer_rans_reads_the_words_of_several_pops():
    rng = np.random.default_rng(5)
    pops = []
    for size in (64, 0, 500, 1):
        indexes = rng.integers(0, 64, size).astype(np.uint8)
        pops.append((random_symbols(rng, indexes, GAUSSIAN), indexes, GAUSSIAN))
    decoder = reference.Decoder(as_ints(encode(*pops)))
    for symbols, indexes, tables in pops:
        assert decoder.pop(indexes.tolist(), lists(tables)) == symbols.tolist()
    assert decoder.finished()


# Round trips


@st.composite
def pops(draw):
    """Up to four pops, each with tables of its own."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    for _ in range(draw(st.integers(0, 4))):
        tables = random_tables(rng, draw(st.integers(1, 5)))
        indexes = u8(draw(st.lists(st.integers(0, tables.count - 1), max_size=60)))
        near, far = st.integers(-3, 3), st.integers(-5000, 5000)
        symbols = draw(st.lists(near | far, min_size=len(indexes), max_size=len(indexes)))
        found.append((clip(i32(symbols), indexes, tables), indexes, tables))
    return found


@settings(max_examples=100, deadline=None)
@given(pops())
def test_symbols_come_back(pops):
    words = encode(*pops)
    found = decode(words, *((indexes, tables) for _, indexes, tables in pops))
    assert [symbols.tolist() for symbols in found] == [symbols.tolist() for symbols, _, _ in pops]
    assert all(symbols.dtype == np.int32 for symbols in found)


def test_symbols_come_back_in_another_thread():
    rng = np.random.default_rng(2)
    indexes = rng.integers(0, 64, 5000).astype(np.uint8)
    symbols = random_symbols(rng, indexes, GAUSSIAN)
    words = encode((symbols, indexes, GAUSSIAN))
    found = []
    threads = [Thread(target=lambda: found.extend(decode(words, (indexes, GAUSSIAN)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all((other == symbols).all() for other in found)


def test_all_escapes_come_back():
    symbols = np.concatenate([np.arange(1, 2049), -np.arange(1, 2048)]).astype(np.int32)
    indexes = np.ones(len(symbols), np.uint8)
    assert (decode(encode((symbols, indexes, ZERO)), (indexes, ZERO))[0] == symbols).all()


def test_words_take_the_ideal_length():
    rng = np.random.default_rng(3)
    indexes = rng.integers(0, 64, 100_000).astype(np.uint8)
    sigma = np.concatenate([[0], np.geomspace(0.11, 32, 63)])[indexes]
    symbols = clip(np.rint(rng.normal(size=len(indexes)) * sigma).astype(np.int64), indexes, GAUSSIAN)
    bits = 8 * len(encode((symbols, indexes, GAUSSIAN)))
    ideal = GAUSSIAN.ideal_bits(symbols, indexes)
    assert ideal < bits < ideal * 1.0001 + 64


# What can be coded


def test_clip_gives_the_nearest_symbols_that_can_be_coded():
    symbols = np.array([-9999, -2048, -2047, 0, 2048, 2049, 9999, 5, -(2**31), 2**31 - 1])
    indexes = u8([1, 1, 1, 1, 1, 1, 1, 0, 1, 1])
    clipped = clip(symbols, indexes, ZERO)
    assert clipped.tolist() == [-2047, -2047, -2047, 0, 2048, 2048, 2048, 0, -2047, 2048]
    assert clipped.dtype == np.int32
    assert (decode(encode((clipped, indexes, ZERO)), (indexes, ZERO))[0] == clipped).all()


@pytest.mark.parametrize(
    ("symbols", "indexes"),
    [
        (i32([2049]), u8([1])),
        (i32([-2048]), u8([1])),
        (i32([1]), u8([0])),
        (i32([0, 0]), u8([1])),
        (i32([0]), u8([2])),
        (i32([0]), i32([1])),
        (i32([[0]]), u8([[1]])),
    ],
)
def test_what_cannot_be_coded_is_refused(symbols, indexes):
    with pytest.raises(BadArgument):
        Encoder().push(symbols, indexes, ZERO)


@pytest.mark.parametrize("indexes", [u8([2]), i32([1]), u8([[1]])])
def test_what_cannot_be_decoded_is_refused(indexes):
    with pytest.raises(BadArgument):
        Decoder(b"").pop(indexes, ZERO)


# Damage


def test_words_that_no_encoder_gives_are_damaged():
    with pytest.raises(Damaged, match="no multiple of 4"):
        Decoder(b"12345")
    with pytest.raises(Damaged, match="last of 2 rANS words is 0"):
        Decoder(b"1234\0\0\0\0")


def bits_and_escape(bits):
    """The words of an escape of table 1 of ZERO with these bits after it, last to first."""
    encoder = Encoder()
    encoder._coder.encode_reverse(i32(bits), exact_model(np.array([TOTAL // 2] * 2)))
    encoder._coder.encode_reverse(i32([1]), ZERO.models[1])
    return encoder.words()


def test_an_escape_of_eleven_zeros_is_the_longest():
    longest = bits_and_escape([0] * 11 + [1] * 12)
    assert decode(longest, (u8([1]), ZERO))[0].tolist() == [2048]
    with pytest.raises(Damaged, match="over 11 zeros"):
        decode(bits_and_escape([0] * 12 + [1] * 13), (u8([1]), ZERO))


def test_words_left_over_are_damaged():
    indexes = u8([1, 2, 1])
    words = encode((i32([1, 2, 0]), indexes, EXAMPLE))
    for more in (b"1234" + words, words + b"1234"):
        with pytest.raises(Damaged):
            decode(more, (indexes, EXAMPLE))
    with pytest.raises(Damaged, match="hold more"):
        decode(words, (indexes[:2], EXAMPLE))


def test_words_cut_short_are_damaged_or_other_symbols():
    rng = np.random.default_rng(4)
    indexes = rng.integers(0, 64, 2000).astype(np.uint8)
    symbols = random_symbols(rng, indexes, GAUSSIAN)
    words = encode((symbols, indexes, GAUSSIAN))
    for length in range(0, len(words), 4):
        assert not same_symbols(words[:length], symbols, indexes)


def same_symbols(words, symbols, indexes):
    try:
        return (decode(words, (indexes, GAUSSIAN))[0] == symbols).all()
    except AecError:
        return False


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 2**32))
def test_any_words_at_all_raise_only_aec_errors_and_mean_one_thing(words, seed):
    indexes = np.random.default_rng(seed).integers(0, 64, 100).astype(np.uint8)
    try:
        symbols = decode(words, (indexes, GAUSSIAN))[0]
    except AecError:
        return
    assert encode((symbols, indexes, GAUSSIAN)) == words
