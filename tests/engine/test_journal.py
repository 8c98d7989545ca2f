"""A journal says what was done, whatever was cut off its end, and nothing that another boot may have lost."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.engine.journal import (
    Record,
    gone_line,
    line,
    read_journal,
    record_line,
    run_line,
    sync_line,
    syncing_line,
    without,
)
from planbalance.engine.schedule import Range
from planbalance.engine.spool import Spooled, spooled_of
from planbalance.lock_owner import Node
from planbalance.model import Block

HERE = Node("node1", "boot-1")
BLOCKS = [Block("images/train", 10, 0, 1, ""), Block("images/val", 5, 0, 1, "")]
FIRST = Record((Range(0, 0, 4),), b"a" * 128)
SECOND = Record((Range(0, 4, 10), Range(1, 0, 1)), b"b" * 224)


def read(data: bytes, here: Node = HERE, *, with_sums: bool = True) -> tuple[Record, ...]:
    return read_journal(data, BLOCKS, here, with_sums=with_sums).records


def test_what_was_written_is_read() -> None:
    data = run_line(HERE) + record_line(FIRST) + record_line(SECOND)
    assert read(data) == (FIRST, SECOND)


@given(st.integers(0, 400))
def test_an_incomplete_last_line_loses_only_itself(cut: int) -> None:
    whole = [run_line(HERE), record_line(FIRST), record_line(SECOND)]
    data = b"".join(whole)[:cut]
    journal = read_journal(data, BLOCKS, HERE, with_sums=True)
    assert journal.length == max(sum(map(len, whole[:n])) for n in range(4) if sum(map(len, whole[:n])) <= cut)
    assert (
        list(journal.records)
        == [FIRST, SECOND][: max(0, sum(data.startswith(b"".join(whole[: n + 1])) for n in (1, 2)))]
    )


@given(st.integers(0, 300), st.integers(1, 255))
def test_a_line_with_a_flipped_bit_never_counts(at: int, flip: int) -> None:
    data = bytearray(run_line(HERE) + record_line(FIRST) + record_line(SECOND))
    data[at % len(data)] ^= flip
    assert set(read(bytes(data))) <= {FIRST, SECOND}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([run_line(HERE), record_line(FIRST)], (FIRST,)),
        ([run_line(Node("node1", "boot-0")), record_line(FIRST)], ()),
        ([record_line(FIRST)], ()),
        ([run_line(Node("node1", "boot-0")), record_line(FIRST), sync_line(1)], (FIRST,)),
        ([run_line(Node("node1", "boot-0")), record_line(FIRST), sync_line(1), record_line(SECOND)], (FIRST,)),
        ([run_line(Node("node1", "boot-0")), record_line(FIRST), run_line(HERE), record_line(SECOND)], (SECOND,)),
        ([run_line(Node("other-name", "boot-1")), record_line(FIRST)], (FIRST,)),
    ],
    ids=["this boot", "another boot", "no boot", "synced", "half synced", "resumed here", "a container's other name"],
)
def test_lines_of_another_boot_count_only_where_a_sync_line_covers_them(
    lines: list[bytes], expected: tuple[Record, ...]
) -> None:
    assert read(b"".join(lines)) == expected


BOOTS = [run_line(Node("node", f"boot-{number}")) for number in range(3)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([BOOTS[0], record_line(FIRST), BOOTS[1], record_line(SECOND), sync_line(2)], (SECOND,)),
        ([BOOTS[0], record_line(FIRST), BOOTS[1], BOOTS[0]], ()),
        ([BOOTS[0], record_line(FIRST), sync_line(1), BOOTS[1], BOOTS[0]], (FIRST,)),
        ([BOOTS[2], record_line(FIRST), BOOTS[2], record_line(SECOND)], (FIRST, SECOND)),
    ],
    ids=["another boot's sync", "back on the first node", "synced before", "one boot"],
)
def test_what_did_not_count_for_one_run_counts_for_no_later_run(
    lines: list[bytes], expected: tuple[Record, ...]
) -> None:
    """That run makes the files again, and may have been cut off in the middle of one."""
    assert read(b"".join(lines), Node("node", "boot-2" if lines[0] == BOOTS[2] else "boot-0")) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([syncing_line(1)], ()),
        ([syncing_line(1), sync_line(1)], (FIRST,)),
        ([sync_line(1), syncing_line(1)], (FIRST,)),
        ([syncing_line(1), run_line(HERE)], ()),
        ([syncing_line(1), run_line(HERE), sync_line(1)], ()),
        ([syncing_line(1), sync_line(1), record_line(SECOND), syncing_line(2)], (FIRST,)),
    ],
)
def test_a_sync_that_did_not_come_to_its_end_is_no_proof(lines: list[bytes], expected: tuple[Record, ...]) -> None:
    """Linux may call data clean that it could not write: a second sync would succeed and prove nothing."""
    assert read(run_line(HERE) + record_line(FIRST) + b"".join(lines)) == expected


def test_a_line_that_is_not_true_any_more_is_revoked() -> None:
    data = run_line(HERE) + record_line(FIRST) + record_line(SECOND) + gone_line([Range(0, 2, 5), Range(1, 0, 1)])
    assert read(data) == (Record((Range(0, 0, 2),), b"a" * 64), Record((Range(0, 5, 10),), b"b" * 160))
    again = Record((Range(0, 2, 5),), b"c" * 96)
    assert read(data + record_line(again))[-1] == again


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.integers(1, 9)), max_size=4))
def test_what_is_left_of_a_record_is_what_was_not_taken(gone: list[tuple[int, int, int]]) -> None:
    sums = b"".join(bytes([number]) * 32 for number in range(7))
    holes = [Range(block, start, start + length) for block, start, length in gone]
    left = without(Record((Range(0, 4, 10), Range(1, 0, 1)), sums), holes)
    expected = {(0, at): at - 4 for at in range(4, 10)} | {(1, 0): 6}
    for hole in holes:
        for at in range(hole.start, hole.stop):
            expected.pop((hole.block, at), None)
    places = [(part.block, at) for part in left.ranges for at in range(part.start, part.stop)]
    assert dict(zip(places, left.sums[::32], strict=True)) == expected
    assert len(places) == len(expected)


SPOOLED = Record(
    (Range(0, 0, 2), Range(1, 4, 5)), b"", 0o640, Spooled("rendered-0123456789abcdef", 70, array("Q", [5, 0, 9]))
)


def test_where_rendered_images_lie_is_read_as_it_was_written() -> None:
    assert read(run_line(HERE) + record_line(SPOOLED), with_sums=False) == (SPOOLED,)
    assert SPOOLED.spooled is not None
    assert SPOOLED.spooled.end == 70 + 14 + 3 * 32


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.integers(1, 9)), max_size=4))
def test_of_rendered_images_that_lie_end_to_end_all_are_left_or_none(gone: list[tuple[int, int, int]]) -> None:
    ranges = [Range(block, start, start + count) for block, start, count in gone]
    taken = {(part.block, at) for part in ranges for at in range(part.start, part.stop)}
    touched = any((part.block, at) in taken for part in SPOOLED.ranges for at in range(part.start, part.stop))
    left = without(SPOOLED, ranges)
    if touched:
        assert (left.ranges, left.spooled) == ((), None)
    else:
        assert [(part.block, at) for part in left.ranges for at in range(part.start, part.stop)] == [
            (0, 0), (0, 1), (1, 4),
        ]  # fmt: skip
        assert left.spooled == SPOOLED.spooled


@given(st.dictionaries(st.sampled_from(["name", "at", "sizes"]), st.integers() | st.text() | st.lists(st.integers())))
def test_a_place_of_rendered_images_without_a_meaning_does_not_count(value: dict[str, object]) -> None:
    found = spooled_of(value, 3)
    assert found is None or (found.at >= 0 and len(found.sizes) == 3)


def test_without_a_boot_id_nothing_unsynced_counts() -> None:
    assert read(run_line(Node("node1", "")) + record_line(FIRST), Node("node1", "")) == ()


@pytest.mark.parametrize(
    "value",
    [
        {"done": [[0, 0, 11]], "sums": ""},
        {"done": [[2, 0, 1]], "sums": ""},
        {"done": [[0, 3, 3]], "sums": ""},
        {"done": [[0, -1, 1]], "sums": ""},
        {"done": [[0, 0]], "sums": ""},
        {"done": 7, "sums": ""},
        {"done": [["a", "b", "c"]], "sums": ""},
        {"done": [[0, 0, 1]], "sums": "%%%"},
        {"done": [[0, 0, 1]], "sums": "YQ=="},
        {"done": [[0, 0, 1]]},
        {"gone": 7},
        {"gone": [[0, 0, 11]]},
        {"gone": [[0]]},
        {"synced": "1"},
        {"syncing": None},
    ],
)
def test_a_line_without_a_meaning_does_not_count(value: dict[str, object]) -> None:
    assert read(run_line(HERE) + line(value) + record_line(FIRST)) == (FIRST,)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_a_crash(data: bytes) -> None:
    assert read(data) == ()
    assert read(run_line(HERE) + record_line(FIRST) + data)[:1] == (FIRST,)


def test_sums_are_not_asked_for_where_none_are_taken() -> None:
    bare = Record((Range(0, 0, 4),), b"")
    data = run_line(HERE) + record_line(bare)
    assert read(data, with_sums=False) == (bare,)
    assert read(data, with_sums=True) == ()
