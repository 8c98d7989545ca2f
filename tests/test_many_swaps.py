"""Exchanges of many units at once: what they keep, that they never make a placement worse, and what they reach."""

import random
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.splitters.instances import patient_units, synth_units
from benchmarks.splitters.measures import measure_split
from planbalance.model import SPLITS
from planbalance.split import SplitRequest, split_units
from planbalance.split.balance import Counts, Features, in_order
from planbalance.split.many_swaps import swap_in_turn, swap_many
from planbalance.split.rng import Rng
from planbalance.split.search_state import SearchState, members_of_parts, parts_of_members
from planbalance.split.task import Task
from planbalance.split.units import Balance, Unit

RATIOS = (Decimal("0.7"), Decimal("0.15"), Decimal("0.15"))
CLASSES = 3


class Case(NamedTuple):
    """A placement of units and another one, whose slices are the aim."""

    task: Task
    part_of: list[int]
    aimed: list[int]


def case(seed: int, *, values: int, first: Balance) -> Case:
    """Return units with three classes, some of them without positive slices, and with so many values of a trait."""
    draw = random.Random(seed)
    count = draw.randint(4, 40)
    shares = draw.choice(((70, 15, 15), (50, 25, 25), (20, 20, 20, 20, 20), (80, 20, 0)))
    positives = [draw.choice((0, draw.randint(1, 30))) for _ in range(count)]
    negatives = [draw.randint(0, 60) for _ in range(count)]
    of = [
        tuple((each, draw.randint(1, 9)) for each in range(CLASSES) if positives[unit] and draw.random() < 0.5)
        + (((CLASSES + draw.randrange(values), 0),) if values else ())
        for unit in range(count)
    ]
    features = CLASSES + values
    boxes = [sum(held for pairs in of for feature, held in pairs if feature == each) for each in range(features)]
    groups = [sum(feature == each for pairs in of for feature, _ in pairs) for each in range(features)]
    parts, whole = range(len(shares)), sum(shares)
    part_of = draw.choices(parts, shares, k=count)
    strata = (
        tuple(unit for unit in range(count) if positives[unit]),
        tuple(unit for unit in range(count) if not positives[unit]),
    )
    aimed = list(part_of)
    for stratum in strata:
        others = [part_of[unit] for unit in stratum]
        draw.shuffle(others)
        for unit, part in zip(stratum, others, strict=True):
            aimed[unit] = part
    nothing = tuple(0 for _ in parts)
    quotas = [tuple(sum(part_of[unit] == part for unit in stratum) for part in parts) for stratum in strata]
    task = Task(
        positives=tuple(positives),
        negatives=tuple(negatives),
        strata=strata,
        quotas=(quotas[0], quotas[1]),
        excess=(nothing, nothing),
        aim=(nothing, nothing),
        features=Features(
            of=tuple(of),
            boxes=tuple(boxes),
            held_boxes=((0,) * len(shares),) * features,
            held_groups=((0,) * len(shares),) * features,
            ranges=tuple(
                tuple((floor(total * share / whole), ceil(total * share / whole)) for share in shares)
                for total in groups
            ),
            everywhere=tuple(total >= len(shares) for total in groups),
            common=tuple(total >= 3 for total in groups),
            shares=shares,
            whole=whole,
            first=first,
        ),
    )
    return Case(task, part_of, aimed)


def searched(one: Case, aimed: Sequence[int]) -> tuple[SearchState, Counts]:
    """Return the placement of a case and its counts; `aimed` has the slices that are the aim."""
    features = one.task.features
    assert features is not None
    aims = SearchState(one.task, members_of_parts(one.task, aimed)).excess
    return SearchState(one.task, members_of_parts(one.task, one.part_of), aims), Counts(features, one.part_of)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 4), st.sampled_from(["patients", "boxes"]), st.sampled_from([0, 1]))
def test_an_exchange_keeps_the_quotas_and_brings_a_part_to_its_aim(
    seed: int, values: int, first: Balance, stratum: int
) -> None:
    one = case(seed, values=values, first=first)
    state, counts = searched(one, one.aimed)
    here, there = 1, 0
    changed = swap_many(state, counts, Rng(seed), stratum, here, there)
    placed = parts_of_members(one.task, state.members)
    fresh = searched(one._replace(part_of=placed), one.aimed)
    assert (state.positive, state.negative) == (fresh[0].positive, fresh[0].negative)
    assert (counts.excess, counts.groups) == (fresh[1].excess, fresh[1].groups)
    moved = [unit for unit, part in enumerate(placed) if part != one.part_of[unit]]
    assert bool(moved) == changed
    assert {part for unit in moved for part in (one.part_of[unit], placed[unit])} <= {here, there}
    assert all((one.task.positives[unit] == 0) == stratum for unit in moved)
    assert sorted(sum(map(len, cells)) for cells in state.members) == sorted(map(len, one.task.strata))
    if changed:
        assert (state.positive, state.negative)[stratum][here] == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["patients", "boxes"]))
def test_an_exchange_of_exact_slices_makes_nothing_less_even(seed: int, first: Balance) -> None:
    one = case(seed, values=0, first=first)
    state, counts = searched(one, one.part_of)
    before = in_order(counts.unevenness(), first)
    if swap_many(state, counts, Rng(seed), 0, 1, 0):
        assert in_order(counts.unevenness(), first) < before
    assert state.positive == [0] * one.task.parts


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 3))
def test_units_exchanged_in_turn_stay_in_their_strata(seed: int, values: int) -> None:
    one = case(seed, values=values, first="patients")
    state, counts = searched(one, one.aimed)
    swap_in_turn(state, counts, Rng(seed))
    for stratum, cells in zip(one.task.strata, state.members, strict=True):
        assert sorted(unit for cell in cells for unit in cell) == list(stratum)
    assert [tuple(map(len, cells)) for cells in state.members] == list(one.task.quotas)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("units", [synth_units(), patient_units()], ids=["synth", "patients"])
def test_few_units_with_many_classes_are_divided_evenly(units: list[Unit], seed: int) -> None:
    """14 of 93 positive volumes stand for 8 classes with 70 to 360 boxes, or 21 of 140 patients for 14 classes."""
    result = split_units(units, SplitRequest(RATIOS, seed))
    part_of = [SPLITS.index(result.split_of[unit.id]) for unit in units]
    measures = measure_split(units, part_of, [Fraction(ratio) for ratio in RATIOS])
    assert (measures.slices_off, measures.quotas_off, measures.zero, measures.outside) == (0, 0, 0, 0)
    assert measures.traits_outside == 0
    assert measures.boxes_worst <= 1.75
    assert measures.boxes_mean <= 0.8
