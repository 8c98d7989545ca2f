"""The values that a split takes and returns: units and a request; a result with its targets and shares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from planbalance.model import SPLITS, Split

Method = Literal["optimal", "random"]
Balance = Literal["patients", "boxes"]
Stratum = Literal["positive", "negative"]
STRATA: Final[tuple[Stratum, ...]] = ("positive", "negative")


class Unit(NamedTuple):
    """A group of volumes (such as a patient) that is never divided, or one volume that is its own group.

    Attributes:
        id: unique.
        slices: all slices, positive ones included.
        positives: positive slices; the unit is positive if there is at least one.
        classes: (class id, boxes) pairs; an id at most once.
        traits: its value in each `--stratify` column; the same length for all units.
        volumes: how many volumes it holds; reported, not targeted.
    """

    id: str
    slices: int
    positives: int
    classes: tuple[tuple[int, int], ...] = ()
    traits: tuple[str, ...] = ()
    volumes: int = 1


@dataclass(frozen=True, slots=True)
class SplitRequest:
    """The options of a split.

    Attributes:
        ratios: of train, val and test; they sum to 1, none is negative.
        seed: any integer; different seeds give different splits.
        method: `optimal` searches for the slice targets, `random` only keeps the quotas of units.
        balance: what is balanced first where both cannot be had, the patients (units) of each class or its boxes.
        fixed: unit id -> split; these units are counted and never moved. Ids without a unit are ignored.
    """

    ratios: tuple[Decimal, Decimal, Decimal]
    seed: int
    method: Method = "optimal"
    balance: Balance = "patients"
    fixed: Mapping[str, Split] = field(default_factory=dict)


class Target(NamedTuple):
    """Wanted and reached counts, a number for each of train, val and test."""

    wanted: tuple[int, ...]
    reached: tuple[int, ...]

    @property
    def distance(self) -> int:
        """Sum over the splits of |reached - wanted|."""
        return sum(abs(reached - wanted) for reached, wanted in zip(self.reached, self.wanted, strict=True))


class Share(NamedTuple):
    """How the boxes of one class, or the units with one trait value, are divided over the splits.

    Attributes:
        counts: wanted (largest remainder) and reached.
        deviation: worst over the splits of |share - ratio| in percentage points, to three places.
    """

    counts: Target
    deviation: Decimal


class ClassShare(NamedTuple):
    """How the boxes of one class, and the units that have it, are divided over the splits.

    Attributes:
        boxes: its boxes.
        groups: the units with at least one box of it.
        ranges: least and most units that train, val and test should hold: floor and ceil of their shares, and at least
            one each where there are enough.
        floor: no split that keeps `ranges` has a lower deviation of boxes for this class, in percentage points, rounded
            down to three places. None where the class was not examined: it is the only one.
    """

    boxes: Share
    groups: Share
    ranges: tuple[tuple[int, int], ...]
    floor: Decimal | None

    @property
    def proven(self) -> bool:
        """Whether the deviation of the boxes is at its floor, so that no split that keeps `ranges` is better."""
        return self.floor is not None and self.boxes.deviation <= self.floor + Decimal("0.001")


class SplitResult(NamedTuple):
    """A split, and how close it is to its targets.

    Attributes:
        split_of: unit id -> split, sorted by id; fixed units included.
        quotas: stratum -> units of it in train, val and test; wanted by largest remainder, reached.
        units: all units, whatever their stratum, in train, val and test.
        volumes: volumes in train, val and test; reported, not targeted.
        positives: positive slices.
        negatives: negative slices.
        classes: class id -> share of its boxes and of its units, sorted by id.
        traits: one mapping for each `--stratify` column: value -> share of the units that have it, sorted by value.
        exact: every integer target of positive and negative slices is met.
        proven: no placement that keeps the quotas comes closer: exact, enumerated, or at a lower bound.
    """

    split_of: Mapping[str, Split]
    quotas: Mapping[Stratum, Target]
    units: tuple[int, int, int]
    volumes: tuple[int, int, int]
    positives: Target
    negatives: Target
    classes: Mapping[int, ClassShare]
    traits: tuple[Mapping[str, Share], ...]
    exact: bool
    proven: bool

    @property
    def distance(self) -> int:
        """Slices away from the targets, positives and negatives together, summed over the splits."""
        return self.positives.distance + self.negatives.distance

    def class_deviation(self, least_boxes: int = 100) -> Decimal:
        """Return the worst deviation in percentage points over the classes with at least `least_boxes` boxes."""
        return max(
            (share.boxes.deviation for share in self.classes.values() if sum(share.boxes.counts.wanted) >= least_boxes),
            default=Decimal(0),
        )

    @property
    def trait_deviation(self) -> Decimal:
        """Worst deviation in percentage points over all values of all `--stratify` columns."""
        return max((share.deviation for column in self.traits for share in column.values()), default=Decimal(0))

    def in_split(self, split: Split) -> tuple[str, ...]:
        """Return the ids of the units in a split, sorted."""
        return tuple(unit for unit, place in self.split_of.items() if place == split)


assert SPLITS == ("train", "val", "test")  # tuples of three counts are in this order
