"""Batches go round the folders in proportion to what each still has, and cover everything once."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.engine.schedule import Range, in_batches, joined, missing_ranges
from planbalance.model import Block


def blocks(**counts: list[int]) -> list[Block]:
    return [Block(folder, count, 0, 1, "") for folder, each in counts.items() for count in each]


def covered(ranges: list[Range]) -> Counter[tuple[int, int]]:
    return Counter((part.block, at) for part in ranges for at in range(part.start, part.stop))


SHAPES = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1)


@given(SHAPES, st.integers(1, 50))
def test_every_operation_is_in_exactly_one_batch_and_no_batch_is_too_large(
    shape: dict[str, list[int]], size: int
) -> None:
    given_blocks = blocks(**shape)
    batches = list(in_batches(given_blocks, missing_ranges(given_blocks, {}), size))
    once = covered([part for batch in batches for part in batch])
    assert once == covered([Range(i, 0, block.count) for i, block in enumerate(given_blocks)])
    assert all(0 < sum(part.stop - part.start for part in batch) <= size for batch in batches)


@given(SHAPES, st.data())
def test_what_is_done_is_taken_out_once_whatever_its_order_and_overlap(
    shape: dict[str, list[int]], data: st.DataObject
) -> None:
    given_blocks = blocks(**shape)
    spans = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair)))
    done = {
        index: [(a, min(b, block.count)) for a, b in data.draw(st.lists(spans, max_size=4)) if a < min(b, block.count)]
        for index, block in enumerate(given_blocks)
    }
    left = covered(missing_ranges(given_blocks, done))
    for index, block in enumerate(given_blocks):
        for at in range(block.count):
            assert left[index, at] == (not any(a <= at < b for a, b in done[index]))


def test_folders_take_turns_in_proportion_to_their_size() -> None:
    given_blocks = blocks(large=[3000], small=[1000])
    order = [batch[0].block for batch in in_batches(given_blocks, missing_ranges(given_blocks, {}), 100)]
    for quarter in range(4):
        assert Counter(order[quarter * 10 : quarter * 10 + 10])[0] in (7, 8)


def test_many_small_folders_share_batches() -> None:
    given_blocks = blocks(**{f"v{index}": [5] for index in range(100)})
    batches = list(in_batches(given_blocks, missing_ranges(given_blocks, {}), 50))
    assert [sum(part.stop - part.start for part in batch) for batch in batches] == [50] * 10


def test_the_order_is_the_same_every_time() -> None:
    given_blocks = blocks(a=[700, 30], b=[400], c=[400])
    ranges = missing_ranges(given_blocks, {})
    assert list(in_batches(given_blocks, ranges, 64)) == list(in_batches(given_blocks, ranges, 64))


@pytest.mark.parametrize(
    ("given_ranges", "expected"),
    [
        ([], []),
        ([Range(0, 1, 2), Range(0, 0, 1)], [Range(0, 0, 2)]),
        ([Range(0, 0, 1), Range(0, 2, 3)], [Range(0, 0, 1), Range(0, 2, 3)]),
        ([Range(0, 0, 4), Range(1, 4, 5)], [Range(0, 0, 4), Range(1, 4, 5)]),
    ],
)
def test_neighbours_of_one_block_become_one(given_ranges: list[Range], expected: list[Range]) -> None:
    assert joined(given_ranges) == expected
