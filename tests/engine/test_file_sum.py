"""The sum of one file that is taken while workers fill it: in whatever order they do, and wherever it stops."""

import hashlib
import os
import random
from array import array
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.engine.file_sum import FileSum
from planbalance.engine.packing import BOUNDARY, FORMS, BlockColumns, Packing
from planbalance.engine.schedule import Range
from planbalance.model import Block
from planbalance.modes import Mode


class Written(NamedTuple):
    """A file of two blocks."""

    packing: Packing
    path: Path
    content: bytes


COUNTS = (2_048, 5)  # a segment, and a block behind a gap


@cache
def packing_of(mode: Mode) -> Packing:
    blocks = [
        Block(folder=f"images/{split}", count=count, offset=0, bytes=1, sha256="")
        for split, count in zip(("train", "val"), COUNTS, strict=True)
    ]

    def columns(index: int) -> BlockColumns:
        count = COUNTS[index]
        names = "/".join(f"IM{number:05}.png" for number in range(count))
        sizes, times = array("Q", [100 + number % 7 for number in range(count)]), array("q", [10**9]) * count
        return BlockColumns(names, sizes, times, array("Q", [number % 3 for number in range(count)]))

    return Packing(
        mode,
        blocks,
        columns,
        dict,
        folders=["images/train", "labels/train", "images/val", "labels/val"],
        summed=None,
        shard=None,
    )


@pytest.fixture(params=["squashfs", "tar"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Written:
    packing = packing_of(request.param)
    content = bytearray(os.urandom(packing.exact_size()))
    first = packing.ends.first
    content[: len(first)] = first
    for at, length in packing.places.gaps:
        content[at : at + length] = FORMS[packing.mode].filler(length)
    path = tmp_path / "set"
    path.write_bytes(content)
    return Written(packing, path, bytes(content))


def ranges_of(cuts: list[tuple[int, int]]) -> list[Range]:
    found = []
    for block, count in enumerate(COUNTS):
        ends = sorted({0, count, *(1 + at % (count - 1) for which, at in cuts if which == block)})
        found += [Range(block, start, stop) for start, stop in pairwise(ends)]
    return found


def test_segments_begin_at_whole_mib(written: Written) -> None:
    places = written.packing.slice_places(0)
    assert len(places.images) == COUNTS[0]
    assert [places.start(stop) % BOUNDARY for stop in places.gaps] == [0] * len(places.gaps)
    assert written.packing.slice_places(1).following.at == written.packing.places.content


@settings(max_examples=30, deadline=None)
@given(
    cuts=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10_000)), max_size=12),
    seed=st.integers(0, 1_000),
    left_out=st.integers(0, 4),
)
@pytest.mark.parametrize("mode", ["squashfs", "tar"])
def test_the_sum_is_that_of_the_file_in_whatever_order_it_is_filled(
    tmp_path_factory: Any, mode: Mode, cuts: list[tuple[int, int]], seed: int, left_out: int
) -> None:
    """Also where some of it is never said to be in place."""
    order = random.Random(seed)
    packing = packing_of(mode)
    size = packing.exact_size()
    content = bytearray(order.randbytes(size))
    content[: len(packing.ends.first)] = packing.ends.first
    path = tmp_path_factory.mktemp("sum") / "set"
    path.write_bytes(content)
    file = os.open(path, os.O_RDWR)
    try:
        followed = FileSum(packing, file)
        followed.follow()
        ranges = ranges_of(cuts)
        order.shuffle(ranges)
        for part in ranges[left_out:]:
            followed.placed([part])
        found = followed.end(size)
    finally:
        os.close(file)
    assert found == hashlib.sha256(path.read_bytes()).digest()


def test_it_goes_no_further_than_what_is_in_place(written: Written) -> None:
    file = os.open(written.path, os.O_RDWR)
    try:
        followed = FileSum(written.packing, file)
        followed.follow()
        followed.placed([Range(0, 0, 10), Range(0, 20, COUNTS[0])])
        later = written.packing.slice_places(0).start(10)
        os.pwrite(file, b"written later", later)
        found = followed.end(len(written.content))
    finally:
        os.close(file)
    assert found == hashlib.sha256(written.path.read_bytes()).digest()
    assert written.path.read_bytes()[later : later + 13] == b"written later"


@pytest.mark.parametrize("written", ["squashfs"], indirect=True)
def test_a_file_that_is_still_short_is_read_again_in_the_end(written: Written) -> None:
    os.truncate(written.path, 1_000)
    file = os.open(written.path, os.O_RDWR)
    try:
        followed = FileSum(written.packing, file)
        followed.follow()
        followed.placed([Range(0, 0, 5)])
        followed.stop()
        os.pwrite(file, written.content, 0)
        found = followed.end(len(written.content))
    finally:
        os.close(file)
    assert found == hashlib.sha256(written.content).digest()
