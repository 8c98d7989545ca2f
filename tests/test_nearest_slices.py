"""The measure of nearest neighbours: what it takes for alike, how much it compares, and where it says nothing."""

import numpy as np
import pytest

from benchmarks.nearest_slices import MOST, READINGS, Slice, area, cut, sampled, share_of


def scans(count: int, slices: int) -> list[Slice]:
    """Return slices of scans that change from one to the next, and differ from scan to scan."""
    found = []
    for volume in range(count):
        draw = np.random.default_rng(volume)
        first, last = draw.normal(0, 1, (2, 32, 32)).astype(np.float32)
        planes = np.stack([first + (last - first) * at / slices for at in range(slices)], axis=2)
        found += [one._replace(volume=volume) for one in cut([planes], 2, 1)]
    return found


@pytest.mark.parametrize("name", READINGS)
def test_the_neighbour_lies_in_the_volume_where_it_is_read_right(name: str) -> None:
    kind, reading = READINGS[name]
    share = share_of(scans(8, 16), reading)
    assert share is not None
    if kind == "right":
        assert share == 0
    elif "blocks" in name:
        assert share < 0.2, "slices that follow each other stay together, so this cannot be seen"
    else:
        assert share > 0.7


def test_few_volumes_and_single_slices_tell_nothing() -> None:
    slices = scans(3, 16)
    assert share_of(slices, READINGS["the volume"][1]) is None
    assert share_of(slices, lambda one: (one.volume, one.number)) is None
    assert share_of([], READINGS["the volume"][1]) is None


@pytest.mark.parametrize("name", READINGS)
def test_a_bounded_sample_is_compared_and_it_holds_neighbours(name: str) -> None:
    reading = READINGS[name][1]
    slices = [Slice(volume, number, np.zeros(1, np.float32)) for volume in range(60) for number in range(80)]
    sample = sampled(slices, reading, 0)
    assert 0 < len(sample) <= MOST
    assert sample == sampled(slices, reading, 0) != sampled(slices, reading, 5)
    places = {(one.volume, one.number) for one in sample}
    beside = sum((one.volume, one.number + 1) in places for one in sample)
    assert name == "another number" or beside > len(sample) / 2


def test_the_area_under_the_curve() -> None:
    assert area([0.1, 0.2], [0.8, 0.9]) == 1
    assert area([0.5], [0.5]) == 0.5
    assert area([0.8, 0.9], [0.1]) == 0
