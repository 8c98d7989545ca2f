"""What the page shows of a plan: counted from its volumes and in one pass over its operations, not copied from texts.

The plan's free-form members (targets, parameters) are as untrusted as the rest of it: what is not there or not a number
is left out of the page, and nothing here raises for it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from planbalance.destination import unprefixed
from planbalance.model import EXTERNAL_RULES, SPLITS, Naming, Operation, PlanHeader, PlannedVolume, Split
from planbalance.naming import Reader, reader
from planbalance.planfile import grouped_by
from planbalance.render.histogram import Histogram, histogram
from planbalance.render.strips import KeptSlice, Strip, strip_of
from planbalance.runlength import decode


@dataclass(frozen=True, slots=True)
class WantedCount:
    """A target and what was reached, in slices or units; None where the plan has none."""

    wanted: int
    reached: int

    @property
    def distance(self) -> int:
        """How far off, signed."""
        return self.reached - self.wanted


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """One split in numbers.

    Attributes:
        split: its name.
        ratio: as planned, a decimal text; "" where there is none.
        volumes: assigned to it, kept slices or not.
        positive_volumes: with at least one positive slice.
        groups: different groups among them.
        slices: before undersampling.
        positives: before undersampling, which never drops one.
        kept: slices after undersampling.
        kept_positives: positive ones among them.
        targets: of `positive`, `negative` (slices), `positive_units`, `negative_units`.
    """

    split: Split
    ratio: str
    volumes: int
    positive_volumes: int
    groups: int
    slices: int
    positives: int
    kept: int
    kept_positives: int
    targets: Mapping[str, WantedCount]

    @property
    def negatives(self) -> int:
        """Negative slices before undersampling."""
        return self.slices - self.positives

    @property
    def kept_negatives(self) -> int:
        """Negative slices after undersampling."""
        return self.kept - self.kept_positives

    @property
    def dropped(self) -> int:
        """Slices that undersampling drops."""
        return self.slices - self.kept


@dataclass
class Tally:
    """What one pass over a plan's operations collects: slice numbers of each volume, a few samples, sums.

    Attributes:
        header: of the plan that is read.
        samples: how many positive slices to pick of each split, for pictures; one negative comes with them.
        kept: slices that stay, by volume and split: a dataset that leaks has a volume in two.
        kept_positives: positive ones among them, by split.
        labelled: kept slices whose label holds a byte.
    """

    header: PlanHeader
    samples: int = 0
    kept: dict[tuple[str, Split], list[KeptSlice]] = field(default_factory=lambda: defaultdict(list))
    kept_positives: dict[Split, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    labelled: int = 0
    _candidates: dict[tuple[Split, bool], dict[str, list[Operation]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._number = NumberOf(self.header)
        for split in SPLITS:
            for positive in (True, False):
                volumes = [
                    one for one in self.header.volumes if one.split == split and _may_show(one, positive=positive)
                ]
                wanted = self.samples if positive else min(1, self.samples)
                chosen = sorted(volumes, key=lambda one: hashlib.sha256(one.id.encode()).digest())[:wanted]
                self._candidates[split, positive] = {one.id: [] for one in chosen}

    def watching(self, operations: Iterable[Operation]) -> Iterator[Operation]:
        """Count operations and yield them, so that one pass over a plan serves several readers."""
        for operation in operations:
            self.add(operation)
            yield operation

    def add(self, operation: Operation) -> None:
        """Count one operation."""
        positive = operation.positive
        self.kept[operation.volume, operation.split].append(KeptSlice(self._number(operation), positive))
        self.kept_positives[operation.split] += positive
        self.labelled += operation.label_size > 0
        candidates = self._candidates[operation.split, positive].get(operation.volume)
        if candidates is not None:
            candidates.append(operation)

    def picked(self) -> list[tuple[Operation, int | None]]:
        """Return the sample: the middle positive slice of a few volumes a split, then one negative; with their numbers.

        The volumes are those with the lowest SHA-256 of their id: the same on every run, and not the first by name.
        """
        return [
            (operation, self._number(operation))
            for split in SPLITS
            for positive in (True, False)
            for operations in self._candidates[split, positive].values()
            if operations
            for operation in [_middle(operations, self._number)]
        ]

    def strips(self) -> Iterator[tuple[PlannedVolume, Strip]]:
        """Yield every volume with its strip, in the plan's order. Raises PlanError where a volume does not add up."""
        told = isinstance(self.header.naming.get("numbers"), Mapping)
        for volume in self.header.volumes:
            kept = self.kept.get((volume.id, volume.split), [])
            yield volume, strip_of(volume, _numbered(self.header, volume.id, kept) if told else kept)


def _numbered(header: PlanHeader, volume: str, kept: Iterable[KeptSlice]) -> Iterator[KeptSlice]:
    """Yield a volume's kept slices with the numbers in the plan: as many positives and negatives as before."""
    positives, negatives = map(iter, stored_numbers(header, volume))
    for one in kept:
        yield KeptSlice(next(positives if one.positive else negatives, None), one.positive)


def _may_show(volume: PlannedVolume, *, positive: bool) -> bool:
    return volume.positives > 0 if positive else volume.kept > volume.positives


def _middle(operations: Sequence[Operation], number: "NumberOf") -> Operation:
    ordered = sorted(operations, key=lambda one: (number(one) or 0, one.input, one.image))
    return ordered[len(ordered) // 2]


def name_reader(header: PlanHeader) -> Reader:
    """Return the function that reads a name by the plan's rule; it reads none where volumes come from elsewhere."""
    rule = header.naming["rule"]
    return (lambda _: None) if rule in EXTERNAL_RULES else reader(Naming(rule, header.naming.get("pattern")))


def stored_numbers(header: PlanHeader, volume: str) -> tuple[list[int], list[int]]:
    """Return the numbers of a volume's kept positives and negatives where they are in the plan, not in the names."""
    numbers = header.naming.get("numbers")
    runs = numbers.get(volume) if isinstance(numbers, Mapping) else None
    if not runs:
        return [], []
    kept = next(one.kept for one in header.volumes if one.id == volume)  # the header's check: there are no more
    return decode(runs[0], limit=kept), decode(runs[1], limit=kept)


class NumberOf:
    """Slice numbers of operations, read by the plan's own naming rule."""

    def __init__(self, header: PlanHeader) -> None:
        self._read = name_reader(header)
        self._below = unprefixed(header.sources).below

    def __call__(self, operation: Operation) -> int | None:
        """Return the number, or None where the rule gives none."""
        name = self._read(self._below(operation.input, operation.image, ""))
        return None if name is None else name.number


# ---- splits ---------------------------------------------------------------------------------------------------------


def split_facts(header: PlanHeader, tally: Tally) -> tuple[SplitFacts, ...]:
    """Return each split in numbers."""
    return tuple(_split_facts(header, tally, split) for split in SPLITS)


def _split_facts(header: PlanHeader, tally: Tally, split: Split) -> SplitFacts:
    volumes = [volume for volume in header.volumes if volume.split == split]
    ratio = header.parameters.get(f"{split}_ratio")
    return SplitFacts(
        split=split,
        ratio=ratio if isinstance(ratio, str) else "",
        volumes=len(volumes),
        positive_volumes=sum(volume.positives > 0 for volume in volumes),
        groups=len({volume.group for volume in volumes}),
        slices=sum(volume.slices for volume in volumes),
        positives=sum(volume.positives for volume in volumes),
        kept=sum(volume.kept for volume in volumes),
        kept_positives=tally.kept_positives[split],
        targets=_targets(header.targets.get(split)),
    )


def _targets(found: object) -> dict[str, WantedCount]:
    targets = {}
    if isinstance(found, Mapping):
        for name in ("positive", "negative", "positive_units", "negative_units"):
            one = found.get(name)
            if isinstance(one, Mapping) and type(one.get("wanted")) is int and type(one.get("reached")) is int:
                targets[name] = WantedCount(one["wanted"], one["reached"])
    return targets


def distance(header: PlanHeader) -> int | None:
    """Return by how many slices the split misses its targets, or None where the plan does not say."""
    found = header.targets.get("distance")
    return found if type(found) is int else None


def fold_name(fold: object) -> str:
    """Return what one of several plans is called: `fold 1`, `repeat 2 fold 1`, or the value that is left out.

    `fold` is its `parameters.fold`; "" where it is one plan alone.
    """
    if not isinstance(fold, Mapping):
        return ""
    if "leave_out" in fold:
        return str(fold.get("value"))
    repeat = f"repeat {fold['repeat']} " if "repeat" in fold else ""
    return f"{repeat}fold {fold.get('fold')}"


def fold_text(fold: object) -> str:
    """Return which of several plans one is, for a sentence; "" where it is one plan alone."""
    if not isinstance(fold, Mapping):
        return ""
    if "leave_out" in fold:
        return f"{fold['leave_out']} {fold_name(fold)} is test (value {fold.get('fold')} of {fold.get('of')})"
    repeats = f" in {fold['repeats']} repetitions" if "repeats" in fold else ""
    return f"{fold_name(fold)}, one of {fold.get('of')} folds{repeats}"


def in_several_splits(names: Iterable[tuple[str, Split]]) -> tuple[str, ...]:
    """Return the names (of volumes, of groups) that are in more than one split, sorted; in a plan there are none."""
    places: defaultdict[str, set[Split]] = defaultdict(set)
    for name, split in names:
        places[name].add(split)
    return tuple(sorted(name for name, splits in places.items() if len(splits) > 1))


def is_grouped(header: PlanHeader) -> bool:
    """Return whether patients are known: groups are more than single volumes, or volumes are patients."""
    return grouped_by(header) == "slice-map" or any(volume.group != volume.id for volume in header.volumes)


# ---- distributions --------------------------------------------------------------------------------------------------


def slices_per_volume(volumes: Iterable[PlannedVolume]) -> Histogram | None:
    """Return the distribution of slices per volume, before undersampling."""
    return histogram(_by_split((volume.split, volume.slices) for volume in volumes))


def positives_per_volume(volumes: Iterable[PlannedVolume]) -> Histogram | None:
    """Return the distribution of positive slices per positive volume."""
    return histogram(_by_split((volume.split, volume.positives) for volume in volumes if volume.positives))


def _by_split(values: Iterable[tuple[Split, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {split: [] for split in SPLITS}
    for split, value in values:
        found[split].append(value)
    return found


def volume_rows(tally: Tally) -> dict[str, Any]:
    """Return the volumes as the page's script reads them: rows without keys, splits by their index."""
    grouped = is_grouped(tally.header)
    rows = [_row(volume, strip, volume.group if grouped else "") for volume, strip in tally.strips()]
    return {"grouped": grouped, "splits": list(SPLITS), "rows": rows}


def _row(volume: PlannedVolume, strip: Strip, group: str) -> tuple[str | int | None, ...]:
    split = SPLITS.index(volume.split)
    return volume.id, group, split, volume.slices, volume.positives, volume.kept, strip.first, strip.runs
