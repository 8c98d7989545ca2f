"""Laws of the cut: every block once, folders whole where they may be, no shard much heavier than its share."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.errors import UsageError
from planbalance.model import Block
from planbalance.shards import Shard, cut, cut_slices, parse_shard, shard_of_array


@st.composite
def plans(draw: st.DrawFn) -> list[Block]:
    """Blocks as a plan has them: folder after folder, operations of uneven length."""
    blocks: list[Block] = []
    for number, counts in enumerate(
        draw(st.lists(st.lists(st.integers(1, 4096), min_size=1, max_size=6), max_size=20))
    ):
        for count in counts:
            offset = blocks[-1].offset + blocks[-1].bytes if blocks else 0
            size = count * draw(st.integers(200, 500))
            blocks.append(Block(f"images/train/{number:03d}", count, offset, size, ""))
    return blocks


def weight(blocks: list[Block], run: range, plan: list[Block]) -> float:
    """Return the share of the plan's operations and bytes, one half each."""
    chosen = [blocks[index] for index in run]
    operations, size = sum(b.count for b in plan), sum(b.bytes for b in plan)
    return (sum(b.count for b in chosen) / operations + sum(b.bytes for b in chosen) / size) / 2


@settings(max_examples=50)
@given(plans(), st.integers(1, 40))
def test_every_block_is_in_one_shard_and_shards_are_runs_of_the_plan(blocks: list[Block], count: int) -> None:
    ranges = cut(blocks, count)
    assert len(ranges) == count
    assert [index for run in ranges for index in run] == list(range(len(blocks)))
    assert cut(list(blocks), count) == ranges


@settings(max_examples=50)
@given(plans(), st.integers(1, 40))
def test_a_folder_no_larger_than_a_share_is_never_cut(blocks: list[Block], count: int) -> None:
    owner = {index: number for number, run in enumerate(cut(blocks, count)) for index in run}
    for index, (one, other) in enumerate(pairwise(blocks)):
        if one.folder == other.folder and owner[index] != owner[index + 1]:
            folder = range(
                next(i for i, b in enumerate(blocks) if b.folder == one.folder),
                1 + max(i for i, b in enumerate(blocks) if b.folder == one.folder),
            )
            assert weight(blocks, folder, blocks) > 1 / count - 1e-9


@settings(max_examples=50)
@given(plans(), st.integers(1, 40))
def test_no_shard_is_heavier_than_its_share_and_one_unit(blocks: list[Block], count: int) -> None:
    if not blocks:
        return
    units = []
    for folder in {block.folder for block in blocks}:
        members = [index for index, block in enumerate(blocks) if block.folder == folder]
        run = range(members[0], members[-1] + 1)
        if weight(blocks, run, blocks) <= 1 / count + 1e-9:
            units.append(weight(blocks, run, blocks))
        else:
            units += [weight(blocks, range(index, index + 1), blocks) for index in run]
    assert all(weight(blocks, run, blocks) <= 1 / count + max(units) + 1e-9 for run in cut(blocks, count))


def test_550_volumes_on_8_nodes_are_even_to_a_few_percent() -> None:
    blocks = [Block(f"images/train/{n:03d}", 60 + n * 37 % 90, n, (60 + n * 37 % 90) * 300, "") for n in range(550)]
    shares = [sum(blocks[index].count for index in run) for run in cut(blocks, 8)]
    assert max(shares) / min(shares) < 1.03


def test_a_flat_folder_is_cut_between_blocks() -> None:
    blocks = [Block("images/train", 4096, n * 10, 10, "") for n in range(12)]
    assert [len(run) for run in cut(blocks, 4)] == [3, 3, 3, 3]
    assert [len(run) for run in cut(blocks[:1], 3)] == [0, 1, 0]


@pytest.mark.parametrize("text", ["1/1", "3/8", "8/8"])
def test_a_shard_reads_as_it_is_written(text: str) -> None:
    assert str(parse_shard(text)) == text


@pytest.mark.parametrize("text", ["0/8", "9/8", "1", "1/", "/8", "a/b", "-1/8", "1/8/2", "1/0", "²/3", "1/9999999"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(ValueError, match=text.replace("/", "/")):
        parse_shard(text)


def array(task: int, count: int, first: int, step: int) -> dict[str, str]:
    values = {"ID": task, "COUNT": count, "MIN": first, "MAX": first + step * (count - 1), "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@given(st.integers(0, 5000), st.integers(1, 50), st.integers(1, 200))
def test_any_range_and_step_of_an_array_counts_1_to_n(first: int, step: int, count: int) -> None:
    found = [shard_of_array(array(first + step * n, count, first, step)) for n in range(count)]
    assert found == [Shard(n + 1, count) for n in range(count)]


@pytest.mark.parametrize("environment", [{}, {"SLURM_ARRAY_TASK_ID": "1"}, array(9, 3, 1, 1), array(4, 3, 1, 2)])
def test_no_array_or_a_list_of_tasks_is_refused_in_words(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="--shard auto"):
        shard_of_array(environment)


# ---- one file, which is cut within blocks ---------------------------------------------------------------------------


@settings(max_examples=100)
@given(plans(), st.integers(1, 40), st.integers(1, 700))
def test_stretches_follow_each_other_and_begin_where_they_may(blocks: list[Block], count: int, step: int) -> None:
    slices = sum(block.count for block in blocks)
    starts = range(step, slices, step)
    stretches = list(cut_slices(blocks, count, starts))
    assert len(stretches) == count
    held = [
        stretch.in_plan(index, 0, block.count)
        for stretch in stretches
        for index, block in enumerate(stretch.of(blocks))
    ]
    expected = (0, 0)
    before = [sum(block.count for block in blocks[:index]) for index in range(len(blocks))]
    for block, start, stop in held:
        assert (block, start) == expected
        assert start < stop <= blocks[block].count
        expected = (block, stop) if stop < blocks[block].count else (block + 1, 0)
    assert expected == (len(blocks), 0)
    begins = [before[each.blocks.start] + each.first for each in stretches if each.blocks]
    assert all(begin == 0 or begin in starts for begin in begins)
    sizes = [sum(block.count for block in each.of(blocks)) for each in stretches]
    assert all(abs(size - slices / count) <= step + 1 for size in sizes)


@settings(max_examples=50)
@given(plans(), st.integers(1, 12), st.integers(1, 700))
def test_a_slice_is_held_by_one_stretch(blocks: list[Block], count: int, step: int) -> None:
    slices = sum(block.count for block in blocks)
    stretches = list(cut_slices(blocks, count, range(step, slices, step)))
    for index, block in enumerate(blocks):
        for position in {0, block.count // 2, block.count - 1}:
            assert sum(stretch.holds(index, position) for stretch in stretches) == 1
