import math

import numpy as np
import pytest

from aecodec.coding.tables import MAX_ESCAPE_VALUE, TOTAL, Tables, escape_values, from_masses, gaussian_masses
from aecodec.errors import BadArgument, BadWeights

FREQUENCIES = [0x300000, 0x900000, 0x3FFFFF, 1, TOTAL // 2, TOTAL // 2]
TWO = Tables(np.array([1, 0]), np.array(FREQUENCIES))


def u8(*values):
    return np.array(values, np.uint8)


def i32(*values):
    return np.array(values, np.int32)


def test_tables_are_what_they_were_made_of():
    assert TWO.count == 3
    assert TWO.radius.tolist() == [1, 0] and TWO.radius.dtype == np.int32
    assert TWO.frequencies.tolist() == FREQUENCIES and TWO.frequencies.dtype == np.int32
    assert TWO.starts.tolist() == [0, 0, 4, 6]
    assert TWO.models[0] is None and len(TWO.models) == 3


def test_reach_is_that_of_the_longest_escape():
    assert TWO.lowest.tolist() == [0, -2048, -2047]
    assert TWO.highest.tolist() == [0, 2049, 2048]
    ends = escape_values(i32(2049, -2048, 2048, -2047), np.array([1, 1, 0, 0], np.int32))
    assert ends.tolist() == [MAX_ESCAPE_VALUE, MAX_ESCAPE_VALUE - 1] * 2


def test_escape_values_count_outwards_from_the_radius():
    assert escape_values(i32(4, -4, 5, -5, 6), 3).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64])
def test_any_integers_hold_radii(dtype):
    tables = Tables(np.array([1, 0], dtype), np.array(FREQUENCIES, np.int64))
    assert tables.radius.dtype == np.int32 and tables.radius.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("radius", "frequencies", "text"),
    [
        ([], [], "1 to 255 radii"),
        ([0] * 256, [TOTAL // 2] * 512, "1 to 255 radii"),
        ([-1], [], "radii from 0"),
        ([TOTAL // 2], [1], "radii from 0"),
        ([0], [TOTAL], "1 frequencies, not 2"),
        ([0], [TOTAL // 2] * 3, "3 frequencies, not 2"),
        ([0], [], "0 frequencies, not 2"),
        ([0], [TOTAL, 0], "below 1"),
        ([0], [TOTAL + 1, -1], "below 1"),
        ([0], [TOTAL // 2, TOTAL // 2 - 1], "does not sum"),
        ([0, 0], [TOTAL // 2, TOTAL // 2 + 1, TOTAL // 2, TOTAL // 2 - 1], "does not sum"),
    ],
)
def test_other_arrays_are_bad_weights(radius, frequencies, text):
    with pytest.raises(BadWeights, match=text):
        Tables(np.array(radius, np.int64), np.array(frequencies, np.int64))


def test_floats_and_matrices_are_bad_weights():
    with pytest.raises(BadWeights, match="radius of tables must be integers"):
        Tables(np.array([0.0]), np.array([TOTAL // 2] * 2))
    with pytest.raises(BadWeights, match="frequencies of tables must be integers"):
        Tables(np.array([0]), np.array([[TOTAL // 2] * 2]))


# Building


def test_masses_become_the_nearest_frequencies():
    tables = from_masses([np.array([1.0, 2.0, 1.0, 0.0]), np.array([3.0, 1.0])])
    assert tables.radius.tolist() == [1, 0]
    assert tables.frequencies.tolist() == [
        *[TOTAL // 4, TOTAL // 2 - 1, TOTAL // 4, 1],
        *[TOTAL * 3 // 4, TOTAL // 4],
    ]


def test_frequencies_are_within_one_of_their_share():
    rng = np.random.default_rng(1)
    for size in (2, 4, 50, 1000):
        masses = rng.gamma(0.1, size=size) + 1e-300
        frequencies = from_masses([masses]).frequencies
        shares = 1 + masses / masses.sum() * (TOTAL - size)
        assert np.abs(frequencies - shares).max() < 1 + 1e-6


def test_masses_of_any_sum_give_the_same_tables():
    masses = gaussian_masses(1.7, 9)
    assert (from_masses([masses]).frequencies == from_masses([4096 * masses]).frequencies).all()


@pytest.mark.parametrize(
    "masses", [[], [1.0], [1.0] * 3, [0.0, 0.0], [1.0, -1e-9], [1.0, math.nan], [1.0, math.inf]]
)
def test_other_masses_are_bad_weights(masses):
    with pytest.raises(BadWeights, match="masses of a table"):
        from_masses([np.array(masses)])


def test_no_masses_are_no_tables():
    with pytest.raises(BadWeights, match="1 to 255 radii"):
        from_masses([])


@pytest.mark.parametrize(
    ("sigma", "radius"), [(0.05, 0), (0.11, 3), (1.0, 0), (1.0, 5), (32.0, 200), (500.0, 3)]
)
def test_gaussian_masses_are_those_of_the_gaussian(sigma, radius):
    masses = gaussian_masses(sigma, radius)
    assert masses.shape == (2 * radius + 2,) and masses.dtype == np.float64
    assert masses.min() >= 0
    assert math.isclose(masses.sum(), 1, rel_tol=1e-12)
    assert (masses[:-1] == masses[-2::-1]).all()
    assert math.isclose(masses[radius], math.erf(0.5 / sigma / math.sqrt(2)), rel_tol=1e-9)
    assert math.isclose(masses[-1], math.erfc((radius + 0.5) / sigma / math.sqrt(2)), rel_tol=1e-9)


# What symbols cost


def test_ideal_bits_are_those_of_the_frequencies_and_escapes():
    half = Tables(np.array([0]), np.array([TOTAL // 4, TOTAL // 4 * 3]))
    assert half.ideal_bits(i32(0, 0, 0), u8(1, 1, 0)) == 4
    for symbol, bits in ((1, 1), (-1, 3), (2, 3), (-2, 5), (2048, 23), (-2047, 23)):
        assert math.isclose(half.ideal_bits(i32(symbol), u8(1)), bits + math.log2(4 / 3))


def test_nothing_costs_nothing():
    assert TWO.ideal_bits(i32(), u8()) == 0
    assert TWO.ideal_bits(i32(0, 0), u8(0, 0)) == 0


def test_scale_indexes_without_a_table_are_refused():
    with pytest.raises(BadArgument, match="below 3"):
        TWO.ideal_bits(i32(0), u8(3))
