"""The task of a search: the units to place, the quotas of each part, and the measure of a placement."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from planbalance.split.balance import Features
from planbalance.split.quotas import Quotas


class Task(NamedTuple):
    """Units to place. Units are indices; parts are train, val and test, or K folds.

    Attributes:
        positives: unit -> positive slices.
        negatives: unit -> negative slices.
        strata: the units of the positive stratum and of the negative one, ascending.
        quotas: stratum -> part -> how many of its units go there; they sum to the stratum's size.
        other_quotas: what the quotas may be instead if the slices come closer to their targets.
        excess: (positive, negative) -> part -> slices of the fixed units minus the wanted ones; with all free units
            placed it sums to 0.
        aim: (positive, negative) -> part -> the wanted excess: 0, unless fixed units alone are above a target.
        features: classes and trait values; they decide between equally close placements. None where there are none.
    """

    positives: tuple[int, ...]
    negatives: tuple[int, ...]
    strata: tuple[tuple[int, ...], tuple[int, ...]]
    quotas: Quotas
    excess: tuple[tuple[int, ...], tuple[int, ...]]
    aim: tuple[tuple[int, ...], tuple[int, ...]]
    features: Features | None
    other_quotas: tuple[Quotas, ...] = ()

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return len(self.excess[0])


class Placement(NamedTuple):
    """A solution of a task.

    Attributes:
        part_of: unit -> part.
        proven: no placement is closer to the targets, with these quotas or others that are allowed.
    """

    part_of: list[int]
    proven: bool


def amount_per_part(amounts: Sequence[int], part_of: Iterable[int], start: Sequence[int]) -> list[int]:
    """Return `start` plus the amounts of the units in each part."""
    totals = list(start)
    for amount, part in zip(amounts, part_of, strict=True):
        totals[part] += amount
    return totals


class Distance(NamedTuple):
    """How far the slices of a placement are from their targets; less is better.

    Attributes:
        slices: sum over the parts of the absolute deviations in positive and in negative slices.
        positives: the positive slices' part of it.
    """

    slices: int
    positives: int


def distance_to_targets(task: Task, part_of: Sequence[int]) -> Distance:
    """Return how far the slices are from their targets."""
    positives, negatives = (
        sum(map(abs, amount_per_part(amounts, part_of, start)))
        for amounts, start in zip((task.positives, task.negatives), task.excess, strict=True)
    )
    return Distance(positives + negatives, positives)
