"""A journal says what was done, whatever was cut off its end, and nothing that another boot may have lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.engine.journal import Here, Record, line, read_journal, record_line, run_line, sync_line
from planbalance.engine.schedule import Range
from planbalance.model import Block

HERE = Here("node1", "boot-1")
BLOCKS = [Block("images/train", 10, 0, 1, ""), Block("images/val", 5, 0, 1, "")]
FIRST = Record((Range(0, 0, 4),), b"a" * 128)
SECOND = Record((Range(0, 4, 10), Range(1, 0, 1)), b"b" * 224)


def read(data: bytes, here: Here = HERE, *, with_sums: bool = True) -> tuple[Record, ...]:
    return read_journal(data, BLOCKS, here, with_sums=with_sums).records


def test_what_was_written_is_read() -> None:
    data = run_line(HERE) + record_line(FIRST) + record_line(SECOND)
    assert read(data) == (FIRST, SECOND)


@given(st.integers(0, 400))
def test_a_torn_tail_costs_the_torn_line_only(cut: int) -> None:
    whole = [run_line(HERE), record_line(FIRST), record_line(SECOND)]
    data = b"".join(whole)[:cut]
    journal = read_journal(data, BLOCKS, HERE, with_sums=True)
    assert journal.length == max(sum(map(len, whole[:n])) for n in range(4) if sum(map(len, whole[:n])) <= cut)
    assert (
        list(journal.records)
        == [FIRST, SECOND][: max(0, sum(data.startswith(b"".join(whole[: n + 1])) for n in (1, 2)))]
    )


@given(st.integers(0, 300), st.integers(1, 255))
def test_a_flipped_bit_is_never_believed(at: int, flip: int) -> None:
    data = bytearray(run_line(HERE) + record_line(FIRST) + record_line(SECOND))
    data[at % len(data)] ^= flip
    assert set(read(bytes(data))) <= {FIRST, SECOND}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([run_line(HERE), record_line(FIRST)], (FIRST,)),
        ([run_line(Here("node1", "boot-0")), record_line(FIRST)], ()),
        ([record_line(FIRST)], ()),
        ([run_line(Here("node1", "boot-0")), record_line(FIRST), sync_line(1)], (FIRST,)),
        ([run_line(Here("node1", "boot-0")), record_line(FIRST), sync_line(1), record_line(SECOND)], (FIRST,)),
        ([run_line(Here("node1", "boot-0")), record_line(FIRST), run_line(HERE), record_line(SECOND)], (SECOND,)),
        ([run_line(Here("other-name", "boot-1")), record_line(FIRST)], (FIRST,)),
    ],
    ids=["this boot", "another boot", "no boot", "synced", "half synced", "resumed here", "a container's other name"],
)
def test_lines_of_another_boot_count_only_where_a_sync_line_vouches(
    lines: list[bytes], expected: tuple[Record, ...]
) -> None:
    assert read(b"".join(lines)) == expected


def test_without_a_boot_id_nothing_unsynced_counts() -> None:
    assert read(run_line(Here("node1", "")) + record_line(FIRST), Here("node1", "")) == ()


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
    ],
)
def test_a_line_that_says_nonsense_counts_for_nothing(value: dict[str, object]) -> None:
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
