"""Batches are spread over the folders in proportion to what is left of each, and cover everything once."""

from collections import Counter
from itertools import cycle

from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.engine.schedule import Batch, Range, Schedule, missing_ranges, shares
from planbalance.model import Block


def blocks(**counts: list[int]) -> list[Block]:
    return [Block(folder, count, 0, 1, "") for folder, each in counts.items() for count in each]


def covered(ranges: list[Range]) -> Counter[tuple[int, int]]:
    return Counter((part.block, at) for part in ranges for at in range(part.start, part.stop))


SHAPES = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1)


def all_batches(schedule: Schedule, size: int) -> list[Batch]:
    """Return the batches that one worker takes, each done before the next."""
    batches = []
    while batch := schedule.take(size):
        batches.append(batch)
        schedule.done(batch)
    return batches


def in_batches(given_blocks: list[Block], size: int) -> list[Batch]:
    return all_batches(Schedule(given_blocks, missing_ranges(given_blocks, {})), size)


@settings(deadline=None)
@given(SHAPES, st.integers(1, 50), st.integers(1, 3), st.lists(st.integers(0, 2), min_size=1, max_size=20))
def test_every_operation_is_in_exactly_one_batch_and_no_batch_is_too_large(
    shape: dict[str, list[int]], size: int, workers: int, asking: list[int]
) -> None:
    """Whatever the order in which workers ask and finish, and whoever has parsed what."""
    given_blocks = blocks(**shape)
    owners = shares(given_blocks, workers) if asking[0] else []
    schedule = Schedule(given_blocks, missing_ranges(given_blocks, {}), owners)
    batches: list[Batch] = []
    running: list[Batch] = []
    for asks in cycle(asking):
        if not schedule.left:
            break
        if batch := schedule.take(size, asks % workers if owners else None, alone=True):
            batches.append(batch)
            running.append(batch)
        if asks > 1 and running:
            schedule.done(running.pop(0))
    once = covered([part for batch in batches for part in batch])
    assert once == covered([Range(i, 0, block.count) for i, block in enumerate(given_blocks)])
    assert all(0 < sum(part.stop - part.start for part in batch) <= size for batch in batches)
    assert schedule.take(size) == ()


@given(SHAPES, st.integers(1, 5))
def test_every_block_is_assigned_to_one_worker_and_the_shares_differ_by_a_block_at_most(
    shape: dict[str, list[int]], workers: int
) -> None:
    given_blocks = blocks(**shape)
    dealt = shares(given_blocks, workers)
    assert sorted(index for each in dealt for index in each) == list(range(len(given_blocks)))
    weights = [sum(given_blocks[index].count for index in each) for each in dealt]
    assert max(weights) - min(weights) <= max(block.count for block in given_blocks)


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


def test_folders_end_at_about_the_same_time() -> None:
    given_blocks = blocks(large=[3000], small=[1000])
    last = [batch[0].block for batch in in_batches(given_blocks, 100)][-6:]
    assert Counter(last) == {0: 3, 1: 3}


def test_batches_in_flight_stand_in_proportion_to_what_the_folders_have() -> None:
    given_blocks = blocks(large=[3000], middle=[2000], small=[1000])
    schedule = Schedule(given_blocks, missing_ranges(given_blocks, {}))
    in_flight = [schedule.take(10) for _ in range(12)]
    assert Counter(batch[0].block for batch in in_flight) == {0: 6, 1: 4, 2: 2}
    for batch in in_flight[:6]:
        schedule.done(batch)
    again = Counter(batch[0].block for batch in (*in_flight[6:], *(schedule.take(10) for _ in range(6))))
    assert again == {0: 6, 1: 4, 2: 2}


def test_many_small_folders_share_batches() -> None:
    batches = in_batches(blocks(**{f"v{index}": [5] for index in range(100)}), 50)
    assert [sum(part.stop - part.start for part in batch) for batch in batches] == [50] * 10


def sourced(*sources: str, count: int = 100) -> Schedule:
    """Return a schedule of a destination folder a source that is named, each of one block."""
    given_blocks = [Block(f"v{index}", count, 0, 1, "") for index in range(len(sources))]
    return Schedule(given_blocks, missing_ranges(given_blocks, {}), (), sources)


def test_batches_in_flight_are_spread_over_source_folders_in_proportion_too() -> None:
    where = "aaaaaabbbbcc"
    schedule = sourced(*where)
    assert Counter(where[schedule.take(10)[0].block] for _ in range(6)) == {"a": 3, "b": 2, "c": 1}


def test_a_source_folder_that_is_read_no_more_is_chosen_again() -> None:
    where = "aaabbb"
    schedule = sourced(*where)
    first, second = schedule.take(10), schedule.take(10)
    assert [where[batch[0].block] for batch in (first, second)] == ["a", "b"]
    schedule.done(second)
    assert where[schedule.take(10)[0].block] == "b"


@settings(deadline=None)
@given(
    SHAPES,
    st.lists(st.sampled_from("xyz"), min_size=24, max_size=24),
    st.integers(1, 50),
    st.lists(st.integers(0, 2), min_size=1, max_size=20),
)
def test_source_folders_choose_only_among_destinations_of_about_equal_weight(
    shape: dict[str, list[int]], sources: list[str], size: int, asking: list[int]
) -> None:
    """The chosen folder has nearly the largest weight, and no more batches work in it than in the first choice."""
    given_blocks = blocks(**shape)
    schedule = Schedule(given_blocks, missing_ranges(given_blocks, {}), (), sources[: len(given_blocks)])
    left = {folder: sum(counts) for folder, counts in shape.items()}
    crowd: Counter[str] = Counter()
    running: list[Batch] = []
    batches: list[Batch] = []
    for asks in cycle(asking):
        if not schedule.left:
            break
        weights = {folder: left[folder] / (crowd[folder] + 1) for folder in left}
        most = max(weights.values())
        batch = schedule.take(size)
        first = given_blocks[batch[0].block].folder
        assert weights[first] >= 7 / 8 * most
        assert crowd[first] <= max(crowd[folder] for folder in weights if weights[folder] == most)
        for part in batch:
            left[given_blocks[part.block].folder] -= part.stop - part.start
        crowd.update({given_blocks[part.block].folder for part in batch})
        batches.append(batch)
        running.append(batch)
        if asks and running:
            crowd.subtract({given_blocks[part.block].folder for part in running[0]})
            schedule.done(running.pop(0))
    once = covered([part for batch in batches for part in batch])
    assert once == covered([Range(i, 0, block.count) for i, block in enumerate(given_blocks)])


@given(SHAPES, st.integers(1, 50), st.sampled_from(["", "s"]))
def test_one_source_folder_changes_nothing(shape: dict[str, list[int]], size: int, source: str) -> None:
    given_blocks = blocks(**shape)
    sources = [source] * len(given_blocks)
    schedule = Schedule(given_blocks, missing_ranges(given_blocks, {}), (), sources)
    assert all_batches(schedule, size) == in_batches(given_blocks, size)


def test_the_order_is_the_same_every_time() -> None:
    given_blocks = blocks(a=[700, 30], b=[400], c=[400])
    assert in_batches(given_blocks, 64) == in_batches(given_blocks, 64)


def test_a_worker_takes_its_own_blocks_first_and_others_only_where_that_is_worth_reading_them() -> None:
    given_blocks = blocks(a=[100], b=[4000], c=[100])
    schedule = Schedule(given_blocks, missing_ranges(given_blocks, {}), [[0], [1, 2]])
    assert schedule.take(1000, 0) == (Range(0, 0, 100),)
    assert schedule.take(3700, 0) == (Range(1, 0, 3700),)
    assert schedule.take(1000, 0) == ()
    assert schedule.take(5000, 0, alone=True) == (Range(1, 3700, 4000), Range(2, 0, 100))


def test_a_thousand_small_folders_are_handed_out_without_looking_at_each_of_them_every_time() -> None:
    class Counted(str):
        """A folder's name that counts how often it is looked up."""

        looks = 0

        def __hash__(self) -> int:
            Counted.looks += 1
            return super().__hash__()

    given_blocks = [Block(Counted(f"v{index:04}"), 100, 0, 1, "") for index in range(1000)]
    assert len(all_batches(Schedule(given_blocks, missing_ranges(given_blocks, {})), 100)) == 1000
    assert Counted.looks < 50_000
    sources = [f"s{index % 200}" for index in range(1000)]
    assert len(all_batches(Schedule(given_blocks, missing_ranges(given_blocks, {}), (), sources), 100)) == 1000
    assert Counted.looks < 250_000
