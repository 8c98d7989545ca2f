"""Undersampling: exact to the quota, fair, the same for the same seed, and independent of other volumes."""

import random
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.planner.sample import Candidate, doubtful, quota, sample_negatives, volume_shares
from tests.strategies import candidates

Method = Literal["random", "spread"]
methods = st.sampled_from(["random", "spread"])


def volume(name: str, count: int) -> list[Candidate]:
    return [Candidate(name, number, f"{name}_{number}.png") for number in range(1, count + 1)]


def numbers(kept: set[Candidate], name: str) -> list[int]:
    return sorted(candidate.number for candidate in kept if candidate.volume == name and candidate.number is not None)


@pytest.mark.parametrize(
    ("positives", "ratio", "expected"),
    [
        (12_791, "1.0", 12_791),
        (3, "0.5", 2),  # half up, not to even
        (5, "0.5", 3),
        (1, "0.5", 1),
        (7, "0.1", 1),
        (4, "0.1", 0),
        (3, "2.5", 8),
        (10, "1.05", 11),
        (10, "1E+2", 1000),
        (0, "3", 0),
    ],
)
def test_quota_rounds_half_up(positives: int, ratio: str, expected: int) -> None:
    assert quota(positives, Decimal(ratio)) == expected


@given(candidates(), st.integers(-2, 200), methods, st.integers())
def test_exactly_the_quota_or_all(found: dict[str, list[Candidate]], wanted: int, method: Method, seed: int) -> None:
    kept = sample_negatives(found, quota=wanted, method=method, seed=seed)
    every = {candidate for group in found.values() for candidate in group}
    assert kept <= every
    assert len(kept) == max(0, min(wanted, len(every)))


@given(candidates(), st.integers(0, 200), methods, st.integers())
def test_the_order_of_input_is_irrelevant(
    found: dict[str, list[Candidate]], wanted: int, method: Method, seed: int
) -> None:
    kept = sample_negatives(found, quota=wanted, method=method, seed=seed)
    backwards = {name: group[::-1] for name, group in reversed(found.items())}
    assert sample_negatives(backwards, quota=wanted, method=method, seed=seed) == kept


@given(candidates(), st.integers(0, 100), st.integers())
def test_a_volume_that_comes_changes_no_other_volumes_order(
    found: dict[str, list[Candidate]], wanted: int, seed: int
) -> None:
    """What the old volumes keep beside a new one is what they keep alone at a lower quota: their order is unchanged."""
    more = found | {"new": volume("new", 20)}
    kept = {one for one in sample_negatives(more, quota=wanted, method="random", seed=seed) if one.volume != "new"}
    assert sample_negatives(found, quota=len(kept), method="random", seed=seed) == kept


@settings(max_examples=40)
@given(candidates(), st.integers(0, 100), methods, st.integers(), st.randoms(use_true_random=False))
def test_what_comes_first_stays(
    found: dict[str, list[Candidate]], wanted: int, method: Method, seed: int, draw: random.Random
) -> None:
    every = [one for group in found.values() for one in group]
    always = {one for one in every if draw.random() < 0.1}
    before = {one for one in every if draw.random() < 0.3}
    stranger = Candidate("gone", 1, "gone.png")
    kept = sample_negatives(
        found, quota=wanted, method=method, seed=seed, always=always | {stranger}, kept_before=before | {stranger}
    )
    assert always <= kept
    assert len(kept) == max(len(always), min(wanted, len(every)))
    assert kept <= before | always or before <= kept
    assert stranger not in kept


def test_random_is_uniform_over_slices_not_volumes() -> None:
    found = {"large": volume("large", 900), "small": volume("small", 100)}
    kept = Counter(
        one.volume for seed in range(40) for one in sample_negatives(found, quota=100, method="random", seed=seed)
    )
    assert 0.87 < kept["large"] / kept.total() < 0.93
    assert len({frozenset(sample_negatives(found, quota=5, method="random", seed=seed)) for seed in range(40)}) == 40


def test_random_is_the_same_on_every_python_and_machine() -> None:
    kept = sample_negatives({"a": volume("a", 12), "b": volume("b", 12)}, quota=6, method="random", seed=42)
    assert (numbers(kept, "a"), numbers(kept, "b")) == RECORDED


RECORDED: tuple[list[int], list[int]] = ([2, 4, 10], [3, 6, 8])


def test_spread_is_even_along_the_volume() -> None:
    kept = numbers(sample_negatives({"a": volume("a", 100)}, quota=10, method="spread", seed=3), "a")
    assert [later - earlier for earlier, later in pairwise(kept)] == [10] * 9


def test_spread_of_another_seed_keeps_other_slices() -> None:
    found = {"a": volume("a", 100)}
    assert len({frozenset(sample_negatives(found, quota=4, method="spread", seed=seed)) for seed in range(20)}) > 10


@given(candidates(), st.integers(0, 200), st.integers())
def test_spread_leaves_no_volume_without_negatives_where_the_quota_allows(
    found: dict[str, list[Candidate]], wanted: int, seed: int
) -> None:
    kept = Counter(one.volume for one in sample_negatives(found, quota=wanted, method="spread", seed=seed))
    sizes = {name: len(group) for name, group in found.items() if group}
    if wanted >= len(sizes):
        assert set(kept) == set(sizes)
    total = sum(sizes.values())
    if wanted <= total:
        for name, size in sizes.items():
            assert kept[name] <= max(1, -(-size * wanted // total))


@pytest.mark.parametrize(
    ("sizes", "held", "total", "expected"),
    [
        ([100, 100], [0, 0], 10, [5, 5]),
        ([90, 9, 1], [0, 0, 0], 10, [8, 1, 1]),  # one each; the largest gives it
        ([50, 50, 50], [0, 0, 0], 2, [1, 1, 0]),  # too few for one each
        ([10, 10], [8, 0], 10, [8, 2]),  # what is held stays, the other takes the rest
        ([10, 10], [8, 0], 8, [8, 0]),
        ([5, 5], [0, 0], 10, [5, 5]),
    ],
)
def test_volume_shares(sizes: list[int], held: list[int], total: int, expected: list[int]) -> None:
    assert volume_shares(sizes, held, total) == expected


@pytest.mark.parametrize(
    ("gap", "expected"),
    [(0, []), (1, [4, 6, 7, 9]), (2, [3, 4, 6, 7, 9, 10]), (100, [1, 2, 3, 4, 6, 7, 9, 10])],
)
def test_doubtful_are_the_negatives_near_a_positive(gap: int, expected: list[int]) -> None:
    """Positives are 5 and 8 of 10; the slice without a number has no neighbours."""
    negatives = [one for one in volume("a", 10) if one.number not in {5, 8}] + [Candidate("a", None, "a.png")]
    assert numbers(found := doubtful([8, 5, 5], negatives, gap), "a") == expected
    assert len(found) == len(expected)


def test_doubtful_without_a_positive_finds_none() -> None:
    assert doubtful([], volume("a", 5), 3) == set()


def test_names_that_are_not_utf_8_do_not_stop_it() -> None:
    odd = [Candidate("a", number, f"\udcff{number}") for number in range(4)]
    assert len(sample_negatives({"a": odd}, quota=2, method="random", seed=1)) == 2


@pytest.mark.full_size
def test_a_million_negatives() -> None:
    found = {f"v{index:04d}": volume(f"v{index:04d}", 500) for index in range(2_000)}
    assert len(sample_negatives(found, quota=300_000, method="random", seed=1)) == 300_000
    assert len(sample_negatives(found, quota=300_000, method="spread", seed=1)) == 300_000
