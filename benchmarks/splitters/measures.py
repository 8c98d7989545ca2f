"""How close one split of volumes comes to its ratios: slices, quotas, and the boxes and volumes of each class.

What `measure_split` returns, for one split in train, val and test:

* `slices_off`: positives and negatives away from their largest-remainder targets, summed over the splits;
  `positives_off`: the positives' part of it.
* `quotas_off`: positive and negative volumes away from their largest-remainder quotas, summed in the same way.
* `boxes_worst`, `boxes_mean`: for each class with at least 10 volumes and each split, |share of the boxes of the class
  - ratio| in percentage points; the largest of these numbers, and their mean over all (class, split) pairs.
* `volumes_worst`, `volumes_mean`: the same for the volumes that have the class.
* `zero`: (class, split) pairs without a volume of the class, of the classes with at least 3 volumes.
* `outside`: (class, split) pairs, all classes, whose number of volumes is not from floor to ceil of ratio x volumes.
  For classes with at least 3 volumes, 0 is never inside: floor and ceil are at least 1, and where that asks for more
  volumes than there are (3 volumes at 70/15/15), floor of the largest split gives way.
* `traits_outside`: the same for the values of the traits (site, sex).

A volume is a unit here: where patients are split, a patient counts as one, with all its volumes.
`mean_of` takes the mean of each measure over the splits of all seeds. So "boxes worst" in a table is the mean over the
seeds of the worst deviation of a seed, and not the worst of all seeds.

planbalance 0.1.0 and 0.2.0 on `knee`, seeds 1 to 20, read in this way: boxes 5.460 / .5013, volumes 13.556 / 2.422,
zero 2.75, outside 28.85.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from statistics import mean
from typing import NamedTuple

from planbalance.apportion import largest_remainder
from planbalance.split import Unit

COMMON = 10
"""Volumes that a class needs for its deviations to count."""
ONE_EACH = 3
"""Volumes from which a class should have one in each of the three splits."""


class Measures(NamedTuple):
    """The measures of one split, or their means over several; deviations in percentage points."""

    slices_off: float
    positives_off: float
    quotas_off: float
    boxes_worst: float
    boxes_mean: float
    volumes_worst: float
    volumes_mean: float
    zero: float
    outside: float
    traits_outside: float


def measure_split(units: Sequence[Unit], part_of: Sequence[int], ratios: Sequence[Fraction]) -> Measures:
    """Return the measures of a split; `part_of` holds 0, 1 or 2 for each unit, `ratios` sum to 1."""
    boxes: dict[int, list[int]] = {}
    volumes: dict[int, list[int]] = {}
    traits: dict[tuple[int, str], list[int]] = {}
    slices = [[0] * len(ratios), [0] * len(ratios)]
    strata = [[0] * len(ratios), [0] * len(ratios)]
    for unit, part in zip(units, part_of, strict=True):
        slices[0][part] += unit.positives
        slices[1][part] += unit.slices - unit.positives
        strata[unit.positives == 0][part] += 1
        for class_id, count in unit.classes:
            boxes.setdefault(class_id, [0] * len(ratios))[part] += count
            volumes.setdefault(class_id, [0] * len(ratios))[part] += 1
        for trait in enumerate(unit.traits):
            traits.setdefault(trait, [0] * len(ratios))[part] += 1
    common = [class_id for class_id, counts in volumes.items() if sum(counts) >= COMMON]
    box_deviations = [off for class_id in common for off in _deviations(boxes[class_id], ratios)]
    volume_deviations = [off for class_id in common for off in _deviations(volumes[class_id], ratios)]
    return Measures(
        positives_off=_distance(slices[0], ratios),
        slices_off=sum(_distance(counts, ratios) for counts in slices),
        quotas_off=sum(_distance(counts, ratios) for counts in strata),
        boxes_worst=max(box_deviations, default=0.0),
        boxes_mean=mean(box_deviations or [0.0]),
        volumes_worst=max(volume_deviations, default=0.0),
        volumes_mean=mean(volume_deviations or [0.0]),
        zero=sum(counts.count(0) for counts in volumes.values() if sum(counts) >= ONE_EACH),
        outside=sum(_outside(counts, ratios) for counts in volumes.values()),
        traits_outside=sum(_outside(counts, ratios) for counts in traits.values()),
    )


def mean_of(measures: Sequence[Measures]) -> Measures:
    """Return the mean of each measure."""
    return Measures(*map(mean, zip(*measures, strict=True)))


def _deviations(counts: Sequence[int], ratios: Sequence[Fraction]) -> list[float]:
    total = sum(counts)
    return [float(100 * abs(Fraction(count, total) - ratio)) for count, ratio in zip(counts, ratios, strict=True)]


def _distance(counts: Sequence[int], ratios: Sequence[Fraction]) -> int:
    return sum(abs(have - want) for have, want in zip(counts, largest_remainder(sum(counts), ratios), strict=True))


def _outside(counts: Sequence[int], ratios: Sequence[Fraction]) -> int:
    """Return in how many splits the number of volumes of a class is outside of its bounds."""
    total = sum(counts)
    one = int(total >= ONE_EACH)
    least = [max(one, floor(ratio * total)) for ratio in ratios]
    most = [max(one, ceil(ratio * total)) for ratio in ratios]
    least[least.index(max(least))] -= max(0, sum(least) - total)
    return sum(not low <= count <= high for low, count, high in zip(least, counts, most, strict=True))
