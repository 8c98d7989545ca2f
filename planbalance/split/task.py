"""The task of a search: the units to place, the quotas of each part, and the measure of a placement."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Features(NamedTuple):
    """Amounts of each class (boxes) and of each trait value (units); they decide between equally close placements.

    Attributes:
        of: unit -> (feature, amount) pairs.
        weights: feature -> weight of a squared deviation.
        classes: how many of the features are classes; they come first, the rest are trait values.
        excess: feature -> part -> amount of the fixed units minus the wanted amount.
        rare: feature -> whether its amount is too small to require its share.
        zones: feature -> part -> (least, most) excess that costs nothing.
    """

    of: tuple[tuple[tuple[int, int], ...], ...]
    weights: tuple[int, ...]
    classes: int
    excess: tuple[tuple[int, ...], ...]
    rare: tuple[bool, ...]
    zones: tuple[tuple[tuple[int, int], ...], ...]


class Task(NamedTuple):
    """Units to place. Units are indices; parts are train, val and test, or K folds.

    Attributes:
        positives: unit -> positive slices.
        negatives: unit -> negative slices.
        strata: the units of the positive stratum and of the negative one, ascending.
        quotas: stratum -> part -> how many of its units go there; they sum to the stratum's size.
        excess: (positive, negative) -> part -> slices of the fixed units minus the wanted ones; with all free units
            placed it sums to 0.
        aim: (positive, negative) -> part -> the wanted excess: 0, unless fixed units alone are above a target.
        features: decide between equal placements; None where there are none.
    """

    positives: tuple[int, ...]
    negatives: tuple[int, ...]
    strata: tuple[tuple[int, ...], tuple[int, ...]]
    quotas: tuple[tuple[int, ...], tuple[int, ...]]
    excess: tuple[tuple[int, ...], tuple[int, ...]]
    aim: tuple[tuple[int, ...], tuple[int, ...]]
    features: Features | None

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return len(self.excess[0])


class Placement(NamedTuple):
    """A solution of a task.

    Attributes:
        part_of: unit -> part.
        proven: no placement that keeps the quotas is closer to the targets.
    """

    part_of: list[int]
    proven: bool


def amount_per_part(amounts: Sequence[int], part_of: Iterable[int], start: Sequence[int]) -> list[int]:
    """Return `start` plus the amounts of the units in each part."""
    totals = list(start)
    for amount, part in zip(amounts, part_of, strict=True):
        totals[part] += amount
    return totals


def distance_to_targets(task: Task, part_of: Sequence[int]) -> int:
    """Return the sum over the parts of the absolute deviations in positive and in negative slices."""
    excess = (
        amount_per_part(amounts, part_of, start)
        for amounts, start in zip((task.positives, task.negatives), task.excess, strict=True)
    )
    return sum(sum(map(abs, parts)) for parts in excess)
