"""Label lines: clipped corners, then centre and size, rounded once from exact numbers."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from planbalance.annotations.label_text import ClipFault, clip, yolo_line
from planbalance.import_model import Box
from planbalance.labels import read_label


def line(box: Box, width: int, height: int) -> str:
    clipped = clip(box, width, height)
    assert isinstance(clipped, Box)
    return yolo_line(3, clipped, width, height)


@pytest.mark.parametrize(
    ("box", "size", "text"),
    [
        (Box(0, 0, 200, 100), (200, 100), "3 0.500000 0.500000 1.000000 1.000000\n"),
        (Box(-20, -20, 20, 20), (200, 100), "3 0.050000 0.100000 0.100000 0.200000\n"),
        (Box(180, 90, 999, 999), (200, 100), "3 0.950000 0.950000 0.100000 0.100000\n"),
        # ties: 1/640 is 0.0015625, and 90.3/320 is 0.2821875; both go to the even digit
        (Box(0, 0, 1, 1), (320, 320), "3 0.001562 0.001562 0.003125 0.003125\n"),
        (Box(0, 0, 90.3, 320), (320, 320), "3 0.141094 0.500000 0.282188 1.000000\n"),
    ],
)
def test_lines(box: Box, size: tuple[int, int], text: str) -> None:
    assert line(box, *size) == text


@pytest.mark.parametrize(
    ("box", "fate"),
    [
        (Box(5, 5, 5, 9), "degenerate"),
        (Box(5, 9, 9, 5), "degenerate"),
        (Box(5, 5, 5.00001, 9), "degenerate"),
        (Box(200, 5, 210, 9), "outside"),
        (Box(-9, 5, 0, 9), "outside"),
        (Box(5, -9, 9, -1), "outside"),
        (Box(-9, 5, 0.00001, 9), "outside"),
    ],
)
def test_boxes_that_cannot_be_written(box: Box, fate: str) -> None:
    found = clip(box, 200, 100)
    assert isinstance(found, ClipFault)
    assert found.fate == fate


sides = st.lists(st.integers(-50_00, 700_00).map(lambda number: Decimal(number) / 100), min_size=2, max_size=2)


@given(sides.map(sorted), sides.map(sorted), st.integers(300, 700), st.integers(300, 700))
def test_the_text_is_that_of_exact_decimal_numbers(
    across: list[Decimal], down: list[Decimal], width: int, height: int
) -> None:
    (left, right), (top, bottom) = across, down
    box = Box(*map(float, (left, top, right, bottom)))
    clipped = clip(box, width, height)
    left, right = max(left, Decimal(0)), min(right, Decimal(width))
    top, bottom = max(top, Decimal(0)), min(bottom, Decimal(height))
    assume(isinstance(clipped, Box))
    assert isinstance(clipped, Box)
    parts = [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height]
    wanted = " ".join(str(one.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)) for one in parts)
    text = yolo_line(0, clipped, width, height)
    assert text == f"0 {wanted}\n"
    assert read_label(text.encode(), 1).problems == ()


@given(*[st.floats(-1e9, 1e9)] * 4, st.integers(1, 100_000))
def test_every_box_is_written_as_a_valid_line_or_has_a_fault(
    left: float, top: float, right: float, bottom: float, size: int
) -> None:
    clipped = clip(Box(left, top, right, bottom), size, size)
    if isinstance(clipped, Box):
        facts = read_label(yolo_line(0, clipped, size, size).encode(), 1)
        assert (facts.annotations, facts.problems, facts.overshoot) == (1, (), None)
