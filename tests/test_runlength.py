"""Run-length text of slice numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.runlength import decode, encode, gaps

NUMBERS = st.sets(st.integers(0, 60) | st.integers(0, 10**60), max_size=40)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([7], "7"),
        ([0], "0"),
        ([1, 2], "1-2"),
        ([9, 3, 5, 4, 7, 6], "3-7,9"),
        ([5, 5, 5], "5"),
        ([10**254], "1" + "0" * 254),
        ([8, 9, 10, 11, 99, 101], "8-11,99,101"),
    ],
)
def test_numbers_are_written_as_runs(numbers: list[int], text: str) -> None:
    assert encode(numbers) == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([4], ""),
        ([4, 5], ""),
        ([1, 3], "2"),
        ([7, 1, 3], "2,4-6"),
        ([20200101, 20230101], "20200102-20230100"),
    ],
)
def test_gaps_lie_between_the_first_and_the_last(numbers: list[int], text: str) -> None:
    assert gaps(numbers) == text


@given(NUMBERS)
def test_what_is_written_is_read_again(numbers: set[int]) -> None:
    assert decode(encode(numbers), limit=len(numbers)) == sorted(numbers)


@given(st.sets(st.integers(0, 200), min_size=1))
def test_numbers_and_gaps_make_the_whole_range(numbers: set[int]) -> None:
    absent = decode(gaps(numbers), limit=1000)
    assert sorted([*numbers, *absent]) == list(range(min(numbers), max(numbers) + 1))


@pytest.mark.parametrize(
    "text",
    [
        ",", "1,", ",1", "a", "1-", "-1", "3-2", "2-2", "1,1", "2,1", "1,2", "1-3,4", "01", "1-03", " 1", "1 ", "1--2",
        "+1", "1_0", "٣", "1\n", "9" * 5000,
    ],
)  # fmt: skip
def test_any_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"slice numbers"):
        decode(text, limit=10_000)


def test_a_hostile_range_costs_nothing() -> None:
    with pytest.raises(ValueError, match="more than 100 slice numbers"):
        decode("1-999999999999999999", limit=100)


def test_a_negative_number_has_no_text() -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        encode([3, -1])
