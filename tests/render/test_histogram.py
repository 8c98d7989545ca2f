import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.render.histogram import MOST_BINS, histogram, nice_bins, quartiles

VALUES = st.lists(st.integers(0, 10**6), min_size=1, max_size=50)


@given(VALUES)
def test_law_all_values_lie_in_a_few_bins(values: list[int]) -> None:
    low, width, bins = nice_bins(min(values), max(values))
    assert bins <= MOST_BINS
    assert low <= min(values)
    assert max(values) < low + bins * width


@given(VALUES, VALUES)
def test_law_a_histogram_counts_every_value_once(one: list[int], other: list[int]) -> None:
    found = histogram({"train": one, "val": other, "test": []})
    assert found is not None
    assert [sum(bar.number for bar in row.bars) for row in found.rows] == [len(one), len(other), 0]
    for row, values in zip(found.rows, (one, other, []), strict=True):
        for bar in row.bars:
            assert sum(bar.low <= value <= bar.high for value in values) == bar.number > 0


@given(VALUES, VALUES)
def test_law_its_table_has_every_bin_in_order_and_every_value_once(one: list[int], other: list[int]) -> None:
    found = histogram({"train": one, "val": other})
    assert found is not None
    rows = list(found.table())
    assert len(rows) == found.bins
    assert [low for low, _, _ in rows[1:]] == [high + 1 for _, high, _ in rows[:-1]]
    assert [sum(numbers[index] for _, _, numbers in rows) for index in range(2)] == [len(one), len(other)]


def test_no_value_at_all_is_no_histogram() -> None:
    assert histogram({"train": [], "val": []}) is None


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
