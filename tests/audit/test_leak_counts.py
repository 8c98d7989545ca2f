from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.audit.leak_counts import Leak, overlaps, regrouped, shared, spread_of, to_move, touched
from planbalance.model import SPLITS, Split

pairs_of = st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from(SPLITS)), max_size=60)


def test_shares_are_of_the_split_that_is_touched() -> None:
    counts: list[tuple[str, Split, int]] = [("a", "train", 6), ("a", "test", 2), ("b", "test", 6), ("c", "val", 4)]
    pairs = [(unit, split) for unit, split, count in counts for _ in range(count)]
    leaks = overlaps("volume-overlap", spread_of(pairs), Counter(split for _, split in pairs))
    assert [(leak.of, leak.shared_with, leak.slices, leak.share, leak.units) for leak in leaks] == [
        ("test", "train", 2, 0.25, 1),
        ("train", "test", 6, 1.0, 1),
    ]


def test_groups_leak_where_their_volumes_do_not() -> None:
    spread = spread_of([("p1-left", "train"), ("p1-right", "test"), ("alone", "val")])
    assert shared(spread) == {}
    assert shared(regrouped(spread, {"p1-left": "p1", "p1-right": "p1"})) == {"p1": Counter(train=1, test=1)}


def test_another_dataset_touches_by_its_splits() -> None:
    here = spread_of([("a", "train"), ("a", "train"), ("b", "test")])
    there = spread_of([("a", "val"), ("a", "test")])
    found = touched(here, there, {"train": 2, "test": 1})
    assert [(leak.of, leak.shared_with, leak.slices, leak.share) for leak in found] == [
        ("train", "val", 2, 1.0),
        ("train", "test", 2, 1.0),
    ]


@given(pairs_of)
def test_no_share_is_above_one_and_moving_cleans(pairs: list[tuple[str, Split]]) -> None:
    spread, totals = spread_of(pairs), Counter(split for _, split in pairs)
    leaks = overlaps("x", spread, totals)
    assert all(0 < leak.share <= 1 for leak in leaks)
    assert bool(leaks) == bool(shared(spread)) == (to_move(spread) > 0)
    homes = {unit: counts.most_common(1)[0][0] for unit, counts in spread.items()}
    moved = [(unit, homes[unit]) for unit, _ in pairs]
    assert to_move(spread) == sum(before != after for before, after in zip(pairs, moved, strict=True))
    assert overlaps("x", spread_of(moved), totals) == []


@given(pairs_of)
def test_touched_by_itself_is_all(pairs: list[tuple[str, Split]]) -> None:
    spread, totals = spread_of(pairs), Counter(split for _, split in pairs)
    same = {leak.of: leak.share for leak in touched(spread, spread, totals) if leak.of == leak.shared_with}
    assert same == pytest.approx(dict.fromkeys(totals, 1.0))


def test_an_empty_split_has_no_share() -> None:
    assert Leak("x", "val", "train", 0, 0, 0).share == 0
