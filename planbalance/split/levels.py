"""The objective of a split as levels: what a split reaches in each, one before the other (docs/explanation/targets.md).

Percentage points are counted in whole parts of one, so that levels are compared exactly, and a solver of whole numbers
counts what is counted here.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Final, Literal, NamedTuple

from planbalance.apportion import largest_remainder
from planbalance.model import SPLITS
from planbalance.split.balance import are_common, holders_by_feature
from planbalance.split.quotas import exact_shares, group_ranges, quotas_left, unit_quotas
from planbalance.split.task import amount_per_part
from planbalance.split.units import Balance, SplitRequest, Unit

LevelName = Literal["slices", "positive_slices", "quotas", "missing", "outside", "worst_boxes", "all_boxes"]
ORDERS: Final[Mapping[str, tuple[LevelName, ...]]] = {
    "patients": ("slices", "positive_slices", "quotas", "missing", "outside", "worst_boxes", "all_boxes"),
    "boxes": ("slices", "positive_slices", "quotas", "worst_boxes", "all_boxes", "missing", "outside"),
}
"""`--balance` -> the levels in their order."""

# The solver counts in whole numbers, so percentage points are counted in these parts of one, here as well: the worst
# deviation rounded up, each term of the sum with a factor that is rounded down.
PARTS_WORST: Final = 10**5
PARTS_SUM: Final = 10**7


class ProofTask(NamedTuple):
    """A split whose distance from the best one is asked.

    Attributes:
        units: all units, fixed ones included.
        fixed: unit -> its part where it is fixed, else None.
        ratios: part -> share; they sum to 1.
        slices: (positive, negative) -> part -> wanted slices.
        quotas: stratum -> part -> wanted units.
        quota_ranges: stratum -> part -> (least, most) units that are allowed.
        balance: which of patients and boxes comes first.
    """

    units: Sequence[Unit]
    fixed: Sequence[int | None]
    ratios: Sequence[Fraction]
    slices: tuple[Sequence[int], Sequence[int]]
    quotas: Sequence[Sequence[int]]
    quota_ranges: Sequence[Sequence[tuple[int, int]]]
    balance: Balance = "patients"


def proof_task(units: Sequence[Unit], request: SplitRequest) -> ProofTask:
    """Return the task of a request; `units` are sorted, as the split's own search takes them."""
    ratios = exact_shares(request.ratios)
    fixed = [SPLITS.index(request.fixed[unit.id]) if unit.id in request.fixed else None for unit in units]
    parts = range(len(ratios))
    positives, negatives = map(sum, slice_amounts(units))
    counts = list(map(sum, strata(units)))
    wanted = unit_quotas(counts, ratios)
    held = [
        [sum(number for number, place in zip(stratum, fixed, strict=True) if place == part) for part in parts]
        for stratum in strata(units)
    ]
    quotas = [
        [have + left for have, left in zip(*both, strict=True)]
        for both in zip(held, quotas_left(wanted, held), strict=True)
    ]
    return ProofTask(
        units=units,
        fixed=fixed,
        ratios=ratios,
        slices=(largest_remainder(positives, ratios), largest_remainder(negatives, ratios)),
        quotas=quotas,
        quota_ranges=[
            [
                (min(quota, floor(ratio * count)), max(quota, ceil(ratio * count)))
                for quota, ratio in zip(row, ratios, strict=True)
            ]
            for row, count in zip(quotas, counts, strict=True)
        ],
        balance=request.balance,
    )


def measure_levels(task: ProofTask, part_of: Sequence[int]) -> dict[LevelName, Fraction]:
    """Return what a split reaches in each level, in the order of the objective."""
    features = features_of(task)
    counts = {level: Fraction(0) for level in ORDERS[task.balance]}
    counts["positive_slices"], negatives = (
        Fraction(
            sum(abs(have - want) for have, want in zip(held_by_parts(task, amounts, part_of), wanted, strict=True))
        )
        for amounts, wanted in zip(slice_amounts(task.units), task.slices, strict=True)
    )
    counts["slices"] = counts["positive_slices"] + negatives
    for amounts, wanted in zip(strata(task.units), task.quotas, strict=True):
        counts["quotas"] += sum(abs(a - b) for a, b in zip(held_by_parts(task, amounts, part_of), wanted, strict=True))
    for feature in features:
        units = held_by_parts(task, feature.holders, part_of)
        counts["missing"] += sum(units[part] == 0 for part in feature.must_have)
        counts["outside"] += sum(
            max(0, least - have, have - most) for have, (least, most) in zip(units, feature.bounds, strict=True)
        )
        held = held_by_parts(task, feature.boxes, part_of)
        counts["all_boxes"] += feature.sum_of_deviations(held, task.ratios)
        if feature.common:
            counts["worst_boxes"] = max(counts["worst_boxes"], feature.worst_deviation(held, task.ratios))
    return counts


class Feature(NamedTuple):
    """A class, or one value of a trait.

    Attributes:
        class_id: None for a trait.
        holders: unit -> 1 if it has the feature.
        boxes: unit -> boxes of the class; all 0 for a trait.
        must_have: parts that should have a unit with it.
        bounds: part -> (least, most) units.
        common: a class that counts in the worst deviation (`balance.are_common`).
    """

    class_id: int | None
    holders: tuple[int, ...]
    boxes: tuple[int, ...]
    must_have: tuple[int, ...]
    bounds: tuple[tuple[int, int], ...]
    common: bool

    def distances(self, held: Sequence[int], ratios: Sequence[Fraction]) -> list[tuple[int, int]]:
        """Return for each part |boxes - share| times a whole number, and what 100 percentage points are in it."""
        total = sum(self.boxes)
        return [
            (abs(have * ratio.denominator - ratio.numerator * total), total * ratio.denominator)
            for have, ratio in zip(held, short_ratios(ratios), strict=True)
        ]

    def worst_deviation(self, held: Sequence[int], ratios: Sequence[Fraction]) -> Fraction:
        """Return the worst deviation of the shares of boxes over the parts, in percentage points, rounded up."""
        distances = self.distances(held, ratios)
        return Fraction(max(-(-100 * PARTS_WORST * off // whole) for off, whole in distances), PARTS_WORST)

    def sum_of_deviations(self, held: Sequence[int], ratios: Sequence[Fraction]) -> Fraction:
        """Return the sum of the deviations of the shares of boxes over the parts, in percentage points."""
        if not any(self.boxes):
            return Fraction(0)
        return Fraction(sum(off * weight(whole) for off, whole in self.distances(held, ratios)), PARTS_SUM)


def short_ratios(ratios: Sequence[Fraction]) -> list[Fraction]:
    """Return ratios of which whole numbers of boxes can be counted without numbers too large for a solver.

    One such as 0.333333333333 is off by less than a thousandth of a percentage point.
    """
    return [ratio.limit_denominator(10_000) for ratio in ratios]


def weight(whole: int) -> int:
    """Return what a distance of 1 counts in the sum, where `whole` is 100 percentage points."""
    return 100 * PARTS_SUM // whole


def features_of(task: ProofTask) -> list[Feature]:
    """Return the classes and trait values that the search divides evenly (`balance.holders_by_feature`)."""
    holders = holders_by_feature(task.units)
    parts = [part for part, ratio in enumerate(task.ratios) if ratio > 0]
    classes = [key for key in holders if key[0] == 0]
    common = dict(zip(classes, are_common([len(holders[key]) for key in classes]), strict=True))
    units = range(len(task.units))
    return [
        Feature(
            class_id=key[1] if key[0] == 0 else None,
            holders=tuple(int(index in found) for index in units),
            boxes=tuple(found.get(index, 0) for index in units),
            must_have=tuple(parts) if len(found) >= len(parts) else (),
            bounds=group_ranges(len(found), task.ratios),
            common=common.get(key, False),
        )
        for key, found in holders.items()
    ]


def slice_amounts(units: Sequence[Unit]) -> tuple[list[int], list[int]]:
    """Return unit -> positive slices, and unit -> negative slices."""
    return [unit.positives for unit in units], [unit.slices - unit.positives for unit in units]


def strata(units: Sequence[Unit]) -> tuple[list[int], list[int]]:
    """Return unit -> 1 if it is positive, and unit -> 1 if it is negative."""
    return [int(unit.positives > 0) for unit in units], [int(unit.positives == 0) for unit in units]


def held_by_parts(task: ProofTask, amounts: Sequence[int], part_of: Iterable[int]) -> list[int]:
    """Return what each part holds of an amount."""
    return amount_per_part(amounts, part_of, (0,) * len(task.ratios))
