import random

import pytest

from planbalance.audit.pictures import shows_nothing
from tests.audit.pictures import png


@pytest.mark.parametrize(
    ("what", "data", "blank"),
    [
        ("no byte", b"", True),
        ("zeros", b"\0" * 500, True),
        ("one value", b"\x7f" * 500, True),
        ("two values", b"\0" * 500 + b"\1", False),
        ("no picture", b"\x89PNG\r\n\x1a\n", False),
        ("cut off", png([bytes(8)] * 8, 8)[:60], False),
        ("another text", b"IM5 is no picture", False),
    ],
)
def test_bytes(what: str, data: bytes, blank: bool) -> None:
    assert shows_nothing(data) is blank, what


@pytest.mark.parametrize("filters", [(0,), (1,), (2,), (3,), (4,), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize(
    ("colour", "depth", "pixel"), [(0, 8, b"\x2a"), (0, 16, b"\x01\x02"), (2, 8, b"\1\2\3"), (6, 8, b"\0\0\0\xff")]
)
def test_a_png_of_equal_pixels_is_blank_and_one_odd_pixel_is_seen(
    filters: tuple[int, ...], colour: int, depth: int, pixel: bytes
) -> None:
    rows = [pixel * 9] * 7
    assert shows_nothing(png(rows, 9, depth=depth, colour=colour, filters=filters))
    for row, column in ((0, 0), (0, 8), (3, 4), (6, 8)):
        odd = bytearray(rows[row])
        odd[column * len(pixel)] ^= 1
        spoiled = [*rows[:row], bytes(odd), *rows[row + 1 :]]
        assert not shows_nothing(png(spoiled, 9, depth=depth, colour=colour, filters=filters)), (row, column)


@pytest.mark.parametrize(
    ("depth", "row", "width", "blank"),
    [
        (1, b"\xff\x80", 9, True),
        (1, b"\xff\x00", 9, False),
        (2, b"\x55\x50", 6, True),
        (4, b"\x33\x30", 3, True),
        (4, b"\x33\x40", 3, False),
        (1, b"\x80", 1, True),
        (1, b"\x40", 2, False),
    ],
)
def test_packed_pixels(depth: int, row: bytes, width: int, blank: bool) -> None:
    assert shows_nothing(png([row] * 3, width, depth=depth)) is blank


def test_noise_is_not_blank_and_any_damage_is_an_answer() -> None:
    draw = random.Random(5)
    whole = png([draw.randbytes(16) for _ in range(16)], 16)
    assert not shows_nothing(whole)
    blank = bytearray(png([bytes(16)] * 16, 16))
    for _ in range(300):
        damaged = bytearray(blank)
        damaged[draw.randrange(8, len(blank))] = draw.randrange(256)
        assert shows_nothing(bytes(damaged)) in (True, False)
