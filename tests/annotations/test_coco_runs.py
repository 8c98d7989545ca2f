"""Boxes of run-length masks, against masks that are drawn pixel by pixel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.annotations.coco_runs import box_of_runs
from planbalance.annotations.drafts import NoGeometryError, UnreadableError

# 10 rows of 25 pixels and a pixel of its own, as pycocotools 2.0 writes them
SQUARE = "T8:X100000000000000000000000000000000000000000000000j_1GYmN"


def runs_of(mask: list[list[bool]]) -> list[int]:
    """Return the runs of a mask, column by column, beginning outside."""
    counts, inside, length = [], False, 0
    for column in zip(*mask, strict=True):
        for pixel in column:
            if pixel != inside:
                counts.append(length)
                inside, length = pixel, 0
            length += 1
    return [*counts, length]


def compressed(counts: list[int]) -> str:
    """Write runs as the COCO API does (`rleToString`)."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            text += chr((bits | 0x20 if more else bits) + 48)
    return text


masks = st.integers(1, 6).flatmap(
    lambda width: st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=6)
)


@given(masks)
def test_the_box_is_that_of_the_marked_pixels(mask: list[list[bool]]) -> None:
    marked = [(x, y) for y, row in enumerate(mask) for x, pixel in enumerate(row) if pixel]
    counts = runs_of(mask)
    size = [len(mask), len(mask[0])]
    for form in (counts, compressed(counts), [*counts, 0, 0]):
        if not marked:
            with pytest.raises(NoGeometryError):
                box_of_runs(size, form)
            continue
        across, down = zip(*marked, strict=True)
        assert box_of_runs(size, form) == (min(across), min(down), max(across) + 1, max(down) + 1)


@pytest.mark.parametrize(
    ("size", "text", "box"),
    [
        ([50, 70], SQUARE, (5, 10, 61, 41)),
        ([10, 10], "00g11E", (5, 5, 6, 6)),
    ],
)
def test_texts_that_pycocotools_2_0_wrote(size: list[int], text: str, box: tuple[int, ...]) -> None:
    assert box_of_runs(size, text) == box


def test_a_run_of_zero_length_marks_nothing() -> None:
    assert box_of_runs([10, 10], [0, 0, 55, 1, 44]) == (5, 5, 6, 6)


@pytest.mark.parametrize("counts", ["", "\x00", "o" * 20, "~", "é", "1", "o", [-1, 101], [50], [101], [1.5], None, 7])
def test_what_is_no_mask_of_100_pixels_is_unreadable(counts: object) -> None:
    with pytest.raises(UnreadableError):
        box_of_runs([10, 10], counts)


@pytest.mark.parametrize("size", [None, [10], [0, 10], ["a", 1], [10**7, 1], {"h": 1}])
def test_a_size_that_is_none_is_unreadable(size: object) -> None:
    with pytest.raises(UnreadableError):
        box_of_runs(size, [100])
