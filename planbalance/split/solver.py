"""Split units: compute the targets, place the units that are not fixed, and report how close the split is."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import compress
from math import lcm
from typing import NamedTuple

from planbalance.apportion import largest_remainder
from planbalance.errors import InputError
from planbalance.model import SPLITS, Split
from planbalance.split.balance import Features, are_common, holders_by_feature
from planbalance.split.floor import class_floor
from planbalance.split.optimize import solve
from planbalance.split.quotas import (
    Ratios,
    amounts_left,
    exact_shares,
    group_ranges,
    other_quotas,
    quotas_left,
    unit_quotas,
)
from planbalance.split.rng import Rng
from planbalance.split.task import Placement, Task, amount_per_part
from planbalance.split.units import STRATA, Balance, ClassShare, Method, Share, SplitRequest, SplitResult, Target, Unit


class _Wanted(NamedTuple):
    """The amounts that every part should hold, fixed units included.

    Attributes:
        ratios: part -> share.
        quotas: stratum -> part -> units.
        slices: (positive, negative) -> part -> slices.
        closed: a part that holds fixed units and takes no other, such as the test part of a fold.
    """

    ratios: Ratios
    quotas: Sequence[tuple[int, ...]]
    slices: tuple[tuple[int, ...], tuple[int, ...]]
    closed: int | None = None


class _How(NamedTuple):
    """How to search.

    Attributes:
        method: `optimal` or `random`.
        balance: what is balanced first, the patients (units) of each class or its boxes.
    """

    method: Method
    balance: Balance


def split_units(units: Sequence[Unit], request: SplitRequest) -> SplitResult:
    """Split units into train, val and test.

    Args:
        units: in any order, ids unique.
        request: ratios, seed, method, and fixed units.

    Raises:
        InputError: there are fewer units than non-zero ratios.
    """
    units = sorted(units)
    _check_count(len(units), sum(ratio > 0 for ratio in request.ratios), "non-zero splits")
    wanted = _wanted(units, request.ratios)
    fixed = [SPLITS.index(request.fixed[unit.id]) if unit.id in request.fixed else None for unit in units]
    how = _How(request.method, request.balance)
    placement = _solve_free(units, wanted, fixed, Rng("planbalance/split/1", request.seed), how)
    return _result(units, wanted, placement)


def describe_split(
    units: Sequence[Unit], request: SplitRequest, split_of: Mapping[str, Split], *, proven: bool
) -> SplitResult:
    """Return the result of a split that was found elsewhere, with the targets of a request; `proven` is as told."""
    units = sorted(units)
    part_of = [SPLITS.index(split_of[unit.id]) for unit in units]
    return _result(units, _wanted(units, request.ratios), Placement(part_of, proven))


def split_folds(
    units: Sequence[Unit],
    folds: int,
    ratios: tuple[Decimal, Decimal, Decimal],
    seed: int,
    method: Method = "optimal",
    balance: Balance = "patients",
) -> list[SplitResult]:
    """Split units `folds` times, every unit in test exactly once.

    The test parts are one partition with equal targets. In each fold the rest is split into train and val, val taking
    val/(train+val) of it; `ratios[2]` is not used.

    Raises:
        InputError: there are fewer units than folds, or too few for train and val beside a test part.
    """
    units = sorted(units)
    _check_count(len(units), folds, "folds")
    halves = sum(ratio > 0 for ratio in ratios[:2])
    _check_count(len(units) - -(-len(units) // folds), halves, "non-zero splits beside the test part of a fold")
    how = _How(method, balance)
    whole = _wanted(units, (1,) * folds)
    free: list[int | None] = [None] * len(units)
    tests = _solve_free(units, whole, free, Rng("planbalance/folds/1", seed, folds), how)
    rest = Fraction(folds - 1, folds) / (Fraction(ratios[0]) + Fraction(ratios[1]))
    shares = (Fraction(ratios[0]) * rest, Fraction(ratios[1]) * rest, Fraction(1, folds))
    results = []
    for fold in range(folds):
        fixed = [2 if part == fold else None for part in tests.part_of]
        wanted = _fold_wanted(units, whole, shares, [part == fold for part in tests.part_of], fold)
        rng = Rng("planbalance/fold/1", seed, folds, fold)
        placement = _solve_free(units, wanted, fixed, rng, how)
        results.append(_result(units, wanted, placement._replace(proven=placement.proven and tests.proven)))
    return results


def _check_count(units: int, needed: int, what: str) -> None:
    if units < needed:
        raise InputError(
            f"there are fewer groups than {what}: {units} for {needed}",
            kind="too-few-groups",
            hint="give more volumes, fewer folds, or ratio 0 for a split that is not needed",
        )


def _wanted(units: Sequence[Unit], ratios: Ratios) -> _Wanted:
    positives = sum(unit.positives for unit in units)
    slices = sum(unit.slices for unit in units)
    counts = [sum(unit.positives > 0 for unit in units), sum(unit.positives == 0 for unit in units)]
    return _Wanted(
        ratios=ratios,
        quotas=unit_quotas(counts, ratios),
        slices=(largest_remainder(positives, ratios), largest_remainder(slices - positives, ratios)),
    )


def _fold_wanted(units: Sequence[Unit], whole: _Wanted, shares: Ratios, in_test: Sequence[bool], fold: int) -> _Wanted:
    """Return the targets of one fold: test's are those of the partition, the rest is shared between train and val."""
    rest = _wanted(list(compress(units, (not test for test in in_test))), (*shares[:2], 0))
    totals = [sum(parts) for parts in whole.slices]
    slices = [
        (*largest_remainder(total - parts[fold], shares[:2]), parts[fold])
        for total, parts in zip(totals, whole.slices, strict=True)
    ]
    held = [0, 0]
    for unit in compress(units, in_test):
        held[unit.positives == 0] += 1
    quotas = [(*left[:2], count) for left, count in zip(rest.quotas, held, strict=True)]
    return _Wanted(ratios=shares, quotas=quotas, slices=(slices[0], slices[1]), closed=2)


def _solve_free(units: Sequence[Unit], wanted: _Wanted, fixed: Sequence[int | None], rng: Rng, how: _How) -> Placement:
    """Place the units that are not fixed; return the part of every unit."""
    free = [index for index, part in enumerate(fixed) if part is None]
    part_of = [0 if part is None else part for part in fixed]
    if not free:
        return Placement(part_of, proven=True)
    task = _task(units, wanted, fixed, free, how.balance)
    placed = solve(task, rng, how.method)
    for index, part in zip(free, placed.part_of, strict=True):
        part_of[index] = part
    return Placement(part_of, placed.proven)


def _task(
    units: Sequence[Unit], wanted: _Wanted, fixed: Sequence[int | None], free: Sequence[int], first: Balance
) -> Task:
    parts = len(wanted.ratios)
    held = [[0] * parts for _ in STRATA]
    slices = [[0] * parts for _ in STRATA]
    for unit, part in zip(units, fixed, strict=True):
        if part is not None:
            held[0 if unit.positives else 1][part] += 1
            slices[0][part] += unit.positives
            slices[1][part] += unit.slices - unit.positives
    left = quotas_left(wanted.quotas, held)
    others = []
    for quotas in other_quotas([sum(stratum) for stratum in wanted.quotas], wanted.ratios):
        other = quotas_left(quotas, held)
        reopened = wanted.closed is not None and any(stratum[wanted.closed] for stratum in other)
        if other != left and not reopened and (other[0], other[1]) not in others:
            others.append((other[0], other[1]))
    excess = [
        [have - want for have, want in zip(*both, strict=True)] for both in zip(slices, wanted.slices, strict=True)
    ]
    aim = [
        [
            have + rest - want
            for have, rest, want in zip(
                slices[kind], amounts_left(wanted.slices[kind], slices[kind]), wanted.slices[kind], strict=True
            )
        ]
        for kind in (0, 1)
    ]
    positives = tuple(units[index].positives for index in free)
    return Task(
        positives=positives,
        negatives=tuple(units[index].slices - units[index].positives for index in free),
        strata=(
            tuple(index for index, count in enumerate(positives) if count),
            tuple(index for index, count in enumerate(positives) if not count),
        ),
        quotas=(left[0], left[1]),
        excess=(tuple(excess[0]), tuple(excess[1])),
        aim=(tuple(aim[0]), tuple(aim[1])),
        features=_features(units, wanted, fixed, free, first),
        other_quotas=tuple(others),
    )


def _features(
    units: Sequence[Unit], wanted: _Wanted, fixed: Sequence[int | None], free: Sequence[int], first: Balance
) -> Features | None:
    """Return the classes and trait values that decide between equally close placements; None without any."""
    holders = holders_by_feature(units)
    if not holders:
        return None
    of: list[list[tuple[int, int]]] = [[] for _ in units]
    boxes, groups = ([[0] * len(wanted.ratios) for _ in holders] for _ in range(2))
    for feature, held in enumerate(holders.values()):
        for index, amount in held.items():
            of[index].append((feature, amount))
            part = fixed[index]
            if part is not None:
                boxes[feature][part] += amount
                groups[feature][part] += 1
    counts = [len(held) for held in holders.values()]
    number_of_classes = sum(kind == 0 for kind, _, _ in holders)
    common = are_common(counts[:number_of_classes]) + [False] * (len(holders) - number_of_classes)
    shares = exact_shares(wanted.ratios)
    whole = lcm(*(share.denominator for share in shares))
    return Features(
        of=tuple(tuple(of[index]) for index in free),
        boxes=tuple(sum(held.values()) for held in holders.values()),
        held_boxes=tuple(map(tuple, boxes)),
        held_groups=tuple(map(tuple, groups)),
        ranges=tuple(group_ranges(count, wanted.ratios) for count in counts),
        everywhere=tuple(count >= sum(share > 0 for share in shares) for count in counts),
        common=tuple(common),
        shares=tuple(int(share * whole) for share in shares),
        whole=whole,
        first=first,
    )


def _result(units: Sequence[Unit], wanted: _Wanted, placement: Placement) -> SplitResult:
    part_of = placement.part_of
    nothing = (0, 0, 0)

    def per_split(amounts: Sequence[int]) -> tuple[int, int, int]:
        train, val, test = amount_per_part(amounts, part_of, nothing)
        return train, val, test

    positives = Target(wanted.slices[0], per_split([unit.positives for unit in units]))
    negatives = Target(wanted.slices[1], per_split([unit.slices - unit.positives for unit in units]))
    return SplitResult(
        split_of={unit.id: SPLITS[part] for unit, part in zip(units, part_of, strict=True)},
        quotas={
            "positive": Target(wanted.quotas[0], per_split([int(unit.positives > 0) for unit in units])),
            "negative": Target(wanted.quotas[1], per_split([int(unit.positives == 0) for unit in units])),
        },
        units=per_split([1] * len(units)),
        volumes=per_split([unit.volumes for unit in units]),
        positives=positives,
        negatives=negatives,
        classes=_class_shares(units, wanted.ratios, part_of),
        traits=_trait_shares(units, wanted.ratios, part_of),
        exact=positives.distance + negatives.distance == 0,
        proven=placement.proven,
    )


def _class_shares(units: Sequence[Unit], ratios: Ratios, part_of: Sequence[int]) -> Mapping[int, ClassShare]:
    boxes: dict[int, list[int]] = {}
    reached: dict[int, tuple[list[int], list[int]]] = {}
    for unit, part in zip(units, part_of, strict=True):
        for class_id, count in unit.classes:
            if count:
                boxes.setdefault(class_id, []).append(count)
                of_boxes, of_units = reached.setdefault(class_id, ([0] * len(ratios), [0] * len(ratios)))
                of_boxes[part] += count
                of_units[part] += 1
    shares = {}
    for class_id, (of_boxes, of_units) in sorted(reached.items()):
        ranges = group_ranges(len(boxes[class_id]), ratios)
        floor = class_floor(boxes[class_id], ranges, exact_shares(ratios)) if len(reached) > 1 else None
        shares[class_id] = ClassShare(_share(of_boxes, ratios), _share(of_units, ratios), ranges, floor)
    return shares


def _trait_shares(units: Sequence[Unit], ratios: Ratios, part_of: Sequence[int]) -> tuple[Mapping[str, Share], ...]:
    columns: list[dict[str, list[int]]] = [{} for _ in units[0].traits]
    for unit, part in zip(units, part_of, strict=True):
        for column, value in zip(columns, unit.traits, strict=True):
            column.setdefault(value, [0] * len(ratios))[part] += 1
    return tuple({value: _share(column[value], ratios) for value in sorted(column)} for column in columns)


def _share(reached: Sequence[int], ratios: Ratios) -> Share:
    total = sum(reached)
    whole = sum(Fraction(ratio) for ratio in ratios)
    worst = max(
        abs(Fraction(count, total) - Fraction(ratio) / whole) for count, ratio in zip(reached, ratios, strict=True)
    )
    return Share(
        counts=Target(largest_remainder(total, ratios), tuple(reached)),
        deviation=Decimal(round(worst * 100_000)).scaleb(-3),
    )
