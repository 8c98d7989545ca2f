"""Windows and grey values, against exact arithmetic."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.errors import UsageError
from planbalance.import_model import Window
from planbalance.raw_images import ImageOptions, check_options, window_rule
from planbalance.raw_images.grey import Coding, ModalityLut, Plane, to_grey, value_table
from planbalance.raw_images.windows import stated_window, window_of

Array = np.ndarray[Any, np.dtype[Any]]


def exact(values: Sequence[float], low: str, high: str) -> Window:
    ordered = sorted(values)
    last = len(ordered) - 1
    at = math.floor(Fraction(low) / 100 * last), math.ceil(Fraction(high) / 100 * last)
    return Window(ordered[at[0]], ordered[at[1]])


def planes(arrays: Sequence[Array], coding: Coding) -> list[Plane]:
    return [Plane(array.reshape(1, -1), coding) for array in arrays]


SLICES = st.lists(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=40), min_size=1, max_size=5)
SHARES = st.sampled_from([("0.5", "99.5"), ("0", "100"), ("33.3", "66.7"), ("0.001", "1")])


@given(SLICES, SHARES)
def test_the_window_of_integers_is_two_values_that_occur(slices: list[list[int]], shares: tuple[str, str]) -> None:
    coding = Coding(16, 16)
    source = planes([np.array(each, np.uint16) for each in slices], coding)
    rule = window_rule(f"percentile:{','.join(shares)}")
    assert window_of(lambda: source, rule) == exact([value for each in slices for value in each], *shares)


@given(SLICES, SHARES)
def test_the_window_of_slices_with_a_rescale_each(slices: list[list[int]], shares: tuple[str, str]) -> None:
    codings = [Coding(16, 16, slope=1 + index / 3, intercept=-float(index)) for index in range(len(slices))]
    source = [Plane(np.array([each], np.uint16), coding) for each, coding in zip(slices, codings, strict=True)]
    values = [
        value * coding.slope + coding.intercept for each, coding in zip(slices, codings, strict=True) for value in each
    ]
    assert window_of(lambda: source, window_rule(f"percentile:{','.join(shares)}")) == exact(values, *shares)


FLOATS = st.lists(
    st.lists(st.floats(width=32), min_size=1, max_size=40) | st.lists(st.floats(0, 1), min_size=1, max_size=40),
    min_size=1,
    max_size=4,
)


@given(FLOATS, SHARES, st.booleans())
def test_the_window_of_floats_is_two_values_that_occur(
    slices: list[list[float]], shares: tuple[str, str], double: bool
) -> None:
    arrays = [np.array(each, np.float64 if double else np.float32) for each in slices]
    source = planes(arrays, Coding(0))
    finite = [float(value) for array in arrays for value in array if np.isfinite(value)]
    found = window_of(lambda: source, window_rule(f"percentile:{','.join(shares)}"))
    assert found == (exact(finite, *shares) if finite else Window(0, 0))


def test_integers_and_floats_of_one_volume_count_together() -> None:
    source = [Plane(np.array([[5, 6]], np.uint16), Coding(16, 16)), Plane(np.array([[-0.5, 7.5]]), Coding(0))]
    assert window_of(lambda: source, window_rule("minmax")) == (-0.5, 7.5)


def test_a_volume_of_many_rescales_stays_exact_when_its_counts_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planbalance.raw_images.windows._MERGED_FROM", 50)
    draw = np.random.default_rng(1)
    arrays = [draw.integers(0, 3000, 300).astype(np.uint16) for _ in range(20)]
    source = [Plane(array.reshape(1, -1), Coding(16, 16, slope=1.5 + n)) for n, array in enumerate(arrays)]
    values = [float(value) * (1.5 + n) for n, array in enumerate(arrays) for value in array]
    assert window_of(lambda: source, window_rule("percentile:3,97")) == exact(values, "3", "97")


NUMBERS = st.floats(-1e6, 1e6, width=32)


@given(st.lists(NUMBERS, min_size=1, max_size=30), NUMBERS, NUMBERS, st.booleans())
def test_grey_is_the_rounded_share_of_the_window(values: list[float], one: float, other: float, inverted: bool) -> None:
    low, high = sorted((one, other))
    found = to_grey(Plane(np.array([values]), Coding(0, inverted=inverted)), Window(low, high))
    for value, pixel in zip(values, found[0], strict=True):
        grey = 255 - int(pixel) if inverted else int(pixel)
        if low == high:
            assert grey == (255 if value > high else 0)
            continue
        share = (Fraction(value) - Fraction(low)) * 255 / (Fraction(high) - Fraction(low))
        wanted = min(255, max(0, math.floor(share + Fraction(1, 2))))
        assert abs(grey - wanted) <= (1 if abs(share % 1 - Fraction(1, 2)) < 1e-6 else 0)


@given(st.integers(-(1 << 15), (1 << 15) - 1), st.integers(1, 16), st.booleans())
def test_words_stand_for_the_bits_that_count(value: int, stored: int, signed: bool) -> None:
    coding = Coding(16, stored, signed, slope=2.0, intercept=-3.0)
    word = value & 0xFFFF
    kept = word & ((1 << stored) - 1)
    wanted = kept - (1 << stored) if signed and kept >> (stored - 1) else kept
    assert value_table(coding)[word] == 2 * wanted - 3


def test_tables_and_plain_values_give_the_same_grey() -> None:
    values = np.random.default_rng(5).integers(-3000, 3000, (40, 40))
    plain = Coding(0, slope=0.37, intercept=-1.1, inverted=True)
    indexed = plain._replace(bits=16, stored=16, signed=True)
    by_table = to_grey(Plane(values.astype("<i2").view("<u2"), indexed), Window(-400, 707))
    assert (by_table == to_grey(Plane(values.astype("i4"), plain), Window(-400, 707))).all()


def test_values_before_and_behind_a_modality_lut_have_its_first_and_last_entry() -> None:
    table = value_table(Coding(16, 16, signed=True, lut=ModalityLut(-2, (7, 3, 9))))
    assert [table[value & 0xFFFF] for value in (-32768, -2, -1, 0, 1, 32767)] == [7, 7, 3, 9, 9, 9]


def test_what_is_no_number_is_black_and_infinite_values_are_ends() -> None:
    plane = Plane(np.array([[np.nan, np.inf, -np.inf, 1]]), Coding(0))
    assert to_grey(plane, Window(0, 2)).tolist() == [[0, 255, 0, 128]]


def test_of_several_stated_windows_the_medians_are_taken() -> None:
    windows = [Window(0, 100), Window(50, 51), Window(-500, 1500), Window(200, 300)]
    assert stated_window(windows) == (0.5, 100.5)  # centres 50, 50.5, 250, 500; widths 1, 100, 100, 2000


@pytest.mark.parametrize(
    "text",
    ["", "voi:1,2", "minmax:", "percentile", "percentile:5", "percentile:-1,99", "percentile:1,101", "fixed:3,3",
     "fixed:5,1", "fixed:1,2,3", "fixed:a,b", "fixed:1e3,2e3", "percentile:99,1", "percentile:1,,2", "level:1,2"],
)  # fmt: skip
def test_other_windows_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as error:
        window_rule(text)
    assert error.value.kind == "bad-window"


@pytest.mark.parametrize(
    "options", [ImageOptions(axis=3), ImageOptions(time=-1), ImageOptions(flip=("up",))], ids=["axis", "time", "flip"]
)
def test_other_geometry_is_refused(options: ImageOptions) -> None:
    with pytest.raises(UsageError) as error:
        check_options(options)
    assert error.value.kind == "bad-geometry"
