"""How evenly a placement divides the classes and trait values: the later parts of the objective.

A feature is a class or a value of a `--stratify` column. Of a class, boxes and groups are counted; of a value, groups.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from planbalance.split.units import Balance, Unit

FeatureId = tuple[int, int, str]
"""(0, class id, "") or (1, column, value): classes sort before trait values."""

# A billionth of a percentage point: deviations are compared as whole numbers of this unit.
UNIT = 10**11
# A class in fewer units does not count in the worst deviation, unless all classes are as rare. With 3 units at
# 70/15/15 each split should have one, and no split can then be near the ratios.
COMMON = 10
# What a search pays, in percentage points of boxes: for the square of the groups beyond a range, and for a part that
# lacks a feature. With more, the search gets stuck where one group must leave its part before another enters. With
# `--balance boxes` both count little.
GROUP_COST = {"patients": 3.5, "boxes": 0.05}
ABSENT_COST = {"patients": 30.0, "boxes": 1.0}

Swaps = Sequence[tuple[int, int]]
"""(unit of part here, unit of part there), all of one stratum."""


class Features(NamedTuple):
    """The classes and trait values of the units of a task.

    Attributes:
        of: free unit -> (feature, boxes) pairs; a trait value has 0 boxes.
        boxes: feature -> boxes of all units, fixed ones too; 0 for a trait value.
        held_boxes: feature -> part -> boxes of the fixed units.
        held_groups: feature -> part -> fixed units that have it.
        ranges: feature -> part -> least and most units that should have it.
        everywhere: feature -> whether there are at least as many units as parts with a share.
        common: feature -> whether it counts in the worst deviation.
        shares: part -> share, as a numerator over `whole`.
        whole: the sum of the shares.
        first: which of the two is balanced first, the patients (groups) of each class or its boxes.
    """

    of: tuple[tuple[tuple[int, int], ...], ...]
    boxes: tuple[int, ...]
    held_boxes: tuple[tuple[int, ...], ...]
    held_groups: tuple[tuple[int, ...], ...]
    ranges: tuple[tuple[tuple[int, int], ...], ...]
    everywhere: tuple[bool, ...]
    common: tuple[bool, ...]
    shares: tuple[int, ...]
    whole: int
    first: Balance

    def deviation(self, feature: int, excess: int) -> int:
        """Return how far the boxes of a class are from their share in a part, in billionths of a percentage point."""
        return abs(excess) * UNIT // (self.boxes[feature] * self.whole)

    def missed(self, feature: int, part: int, groups: int) -> tuple[bool, int]:
        """Return whether a part that could have a feature has none, and how many groups it is beyond its range."""
        least, most = self.ranges[feature][part]
        absent = self.everywhere[feature] and not groups and self.shares[part] > 0
        return absent, max(0, least - groups, groups - most)


class Unevenness(NamedTuple):
    """The later parts of the objective, for one placement; less is better.

    Attributes:
        absent: (feature, part) pairs without a unit, where there are enough units for all parts.
        outside: units beyond the ranges, summed over features and parts.
        worst: the worst deviation of the boxes of a common class in a part, in billionths of a percentage point.
        total: the sum of the deviations of all classes in all parts.
    """

    absent: int
    outside: int
    worst: int
    total: int

    @property
    def in_ranges(self) -> bool:
        """Whether every feature is in every part that could have it, in a number of units within its range."""
        return not self.absent and not self.outside


class Counts:
    """Boxes and groups of each feature in each part, kept up to date under swaps.

    Attributes:
        features: the classes and trait values.
        excess: part -> feature -> (boxes of the part * whole) less (boxes of all * share): 0 is exactly the share.
        groups: part -> feature -> units.
        amounts: unit -> (feature, boxes * whole) pairs.
        weights: feature -> what 1 of excess costs, in percentage points.
    """

    def __init__(self, features: Features, part_of: Sequence[int], strictness: float = 1.0) -> None:
        """`strictness` multiplies what groups beyond their range cost."""
        self.features = features
        whole = features.whole
        parts = range(len(features.shares))
        self.excess = [
            [
                held[part] * whole - total * features.shares[part]
                for held, total in zip(features.held_boxes, features.boxes, strict=True)
            ]
            for part in parts
        ]
        self.groups = [[held[part] for held in features.held_groups] for part in parts]
        self.amounts = [tuple([(feature, boxes * whole) for feature, boxes in pairs]) for pairs in features.of]
        self.weights = [100 / (total * whole) if total else 0.0 for total in features.boxes]
        self._strictness = strictness
        for pairs, part in zip(self.amounts, part_of, strict=True):
            excess, groups = self.excess[part], self.groups[part]
            for feature, boxes in pairs:
                excess[feature] += boxes
                groups[feature] += 1

    @cached_property
    def costs(self) -> list[list[list[float]]]:
        """Part -> feature -> number of units -> what it costs."""
        return _group_costs(self.features, self._strictness)

    def make_dearer(self, factor: float) -> None:
        """Multiply what groups beyond their range cost."""
        self._strictness *= factor
        self.costs = _group_costs(self.features, self._strictness)

    def change(self, swaps: Swaps, here: int, there: int) -> float:
        """Return by how much swaps between two parts would change the cost, in percentage points."""
        boxes, groups = self._gains(swaps)
        here_excess, there_excess = self.excess[here], self.excess[there]
        change = 0.0
        for feature, gain in boxes.items():
            h, t = here_excess[feature], there_excess[feature]
            change += self.weights[feature] * (abs(h + gain) - abs(h) + abs(t - gain) - abs(t))
        for feature, more in groups.items():
            h, t = self.groups[here][feature], self.groups[there][feature]
            costs_here, costs_there = self.costs[here][feature], self.costs[there][feature]
            change += costs_here[h + more] - costs_here[h] + costs_there[t - more] - costs_there[t]
        return change

    def take(self, swaps: Swaps, here: int, there: int) -> None:
        """Count swaps as made."""
        boxes, groups = self._gains(swaps)
        for feature, gain in boxes.items():
            self.excess[here][feature] += gain
            self.excess[there][feature] -= gain
        for feature, more in groups.items():
            self.groups[here][feature] += more
            self.groups[there][feature] -= more

    def unevenness(self) -> Unevenness:
        """Return the exact measure, by which placements are compared."""
        features = self.features
        absent = outside = worst = total = 0
        for part, (excess, groups) in enumerate(zip(self.excess, self.groups, strict=True)):
            for feature, boxes in enumerate(features.boxes):
                lacks, beyond = features.missed(feature, part, groups[feature])
                absent += lacks
                outside += beyond
                if boxes:
                    deviation = features.deviation(feature, excess[feature])
                    if features.common[feature]:
                        worst = max(worst, deviation)
                    total += deviation
        return Unevenness(absent, outside, worst, total)

    def _gains(self, swaps: Swaps) -> tuple[dict[int, int], dict[int, int]]:
        """Return feature -> boxes, and feature -> units, that the part here gains; the other part loses them."""
        boxes: dict[int, int] = {}
        groups: dict[int, int] = {}
        for a, b in swaps:
            for feature, amount in self.amounts[b]:
                boxes[feature] = boxes.get(feature, 0) + amount
                groups[feature] = groups.get(feature, 0) + 1
            for feature, amount in self.amounts[a]:
                boxes[feature] = boxes.get(feature, 0) - amount
                groups[feature] = groups.get(feature, 0) - 1
        return boxes, groups


def are_common(counts: Sequence[int]) -> list[bool]:
    """Return which classes count in the worst deviation; `counts` are the units that have each class."""
    common = [count >= COMMON for count in counts]
    return common if any(common) else [True] * len(common)


def holders_by_feature(units: Sequence[Unit]) -> dict[FeatureId, dict[int, int]]:
    """Return feature -> index of each unit that has it -> its boxes, sorted; a trait value has 0 boxes.

    The features are the classes where there are several, and the values of every trait that has several.
    """
    classes: dict[FeatureId, dict[int, int]] = {}
    values: dict[FeatureId, dict[int, int]] = {}
    for index, unit in enumerate(units):
        for class_id, boxes in unit.classes:
            if boxes:
                classes.setdefault((0, class_id, ""), {})[index] = boxes
        for column, value in enumerate(unit.traits):
            values.setdefault((1, column, value), {})[index] = 0
    several = Counter(column for _, column, _ in values)
    values = {key: held for key, held in values.items() if several[key[1]] > 1}
    return dict(sorted(((classes if len(classes) > 1 else {}) | values).items()))


def in_order(uneven: Unevenness, first: Balance) -> tuple[int, ...]:
    """Return the numbers of the measure in the order in which they are compared."""
    patients, boxes = uneven[:2], uneven[2:]
    return patients + boxes if first == "patients" else boxes + patients


def _group_costs(features: Features, strictness: float) -> list[list[list[float]]]:
    """Return part -> feature -> number of units -> cost; equal tables are one list."""
    counts = [sum(held) for held in features.held_groups]
    for pairs in features.of:
        for feature, _ in pairs:
            counts[feature] += 1
    group_cost, absent_cost = strictness * GROUP_COST[features.first], strictness * ABSENT_COST[features.first]
    made: dict[tuple[int, int, int, bool], list[float]] = {}

    def table(feature: int, part: int) -> list[float]:
        least, most = features.ranges[feature][part]
        needed = features.everywhere[feature] and features.shares[part] > 0
        key = (counts[feature], least, most, needed)
        if key not in made:
            made[key] = [
                group_cost * max(0, least - count, count - most) ** 2 + absent_cost * (needed and not count)
                for count in range(counts[feature] + 1)
            ]
        return made[key]

    return [[table(feature, part) for feature in range(len(counts))] for part in range(len(features.shares))]
