import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.report.drawing import MOST_BINS, histogram, nice_bins, quartiles, shares

VALUES = st.lists(st.integers(0, 10**6), min_size=1, max_size=50)


@given(VALUES)
def test_law_all_values_lie_in_a_few_bins(values: list[int]) -> None:
    low, width, bins = nice_bins(min(values), max(values))
    assert bins <= MOST_BINS
    assert low <= min(values)
    assert max(values) < low + bins * width


@given(VALUES, VALUES)
def test_law_a_histogram_counts_every_value_once_and_nothing_is_higher_than_1(one: list[int], other: list[int]) -> None:
    found = histogram({"train": one, "val": other, "test": []})
    assert found is not None
    assert [sum(bar.number for bar in row.bars) for row in found.rows] == [len(one), len(other), 0]
    assert max(bar.height for row in found.rows for bar in row.bars) == 1
    for row, values in zip(found.rows, (one, other, []), strict=True):
        for bar in row.bars:
            assert sum(bar.low <= value <= bar.high for value in values) == bar.number


def test_no_value_at_all_is_no_histogram() -> None:
    assert histogram({"train": [], "val": []}) is None


def test_a_bin_of_one_value_is_named_in_its_middle_and_wider_ones_at_their_edges() -> None:
    narrow, wide = histogram({"train": [4, 6]}), histogram({"train": [0, 100]})
    assert narrow is not None
    assert wide is not None
    assert narrow.ticks == ((0.5, 4), (1.5, 5), (2.5, 6))
    assert wide.ticks[:2] == ((0, 0), (4, 20))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], None, id="none"),
        pytest.param([4], (4, 4, 4, 4, 4), id="one"),
        pytest.param([5, 1, 4, 2, 3], (1, 2, 3, 4, 5), id="five"),
    ],
)
def test_quartiles_are_values_that_occur(values: list[int], expected: tuple[int, ...] | None) -> None:
    assert quartiles(values) == expected


def test_parts_stand_side_by_side_in_percent_of_the_whole() -> None:
    assert shares((1, 2, 1), 8) == ((0.0, 12.5), (12.5, 25.0), (37.5, 12.5))
    assert shares((0, 0), 0) == ((0.0, 0.0), (0.0, 0.0))
