"""Compare two plans: volumes that moved, slices that entered or left, labels that changed, other options.

A slice is known by its path below the image folder with its input's prefix, which is unique in a plan whatever the
layout; so plans of data that were moved, or laid out otherwise, compare as equal where they are.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from planbalance.destination import Destinations
from planbalance.model import SPLITS, Operation, PlanHeader, ReadablePlan, Split


class Moved(NamedTuple):
    """A volume that another split has now."""

    volume: str
    old: Split
    new: Split


class Placed(NamedTuple):
    """A volume that only one of the plans has."""

    volume: str
    split: Split


class Changed(NamedTuple):
    """A header value that differs."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Flow:
    """Kept slices of one split.

    Attributes:
        entered: in the split now, not before.
        left: in the split before, not now.
        stayed: in it both times.
    """

    entered: int
    left: int
    stayed: int


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """What changes from an old plan to a new one.

    Attributes:
        old_digest: of the old plan.
        new_digest: of the new plan.
        same_split: volumes, splits and kept slices are the same (equal split digests).
        moved: volumes in another split, sorted by id.
        added: volumes that only the new plan has.
        removed: volumes that only the old plan has.
        slices: per split, kept slices in and out.
        labels_changed: image paths below their folders, of slices in both plans whose label has other bytes, sorted.
        parameters: options, naming, places and class names that differ, sorted by name.
    """

    old_digest: str
    new_digest: str
    same_split: bool
    moved: tuple[Moved, ...]
    added: tuple[Placed, ...]
    removed: tuple[Placed, ...]
    slices: Mapping[Split, Flow]
    labels_changed: tuple[str, ...]
    parameters: tuple[Changed, ...]

    @property
    def identical(self) -> bool:
        """Whether the plans are the same to the byte."""
        return self.old_digest == self.new_digest

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "old_digest": self.old_digest,
            "new_digest": self.new_digest,
            "identical": self.identical,
            "same_split": self.same_split,
            "moved": [each._asdict() for each in self.moved],
            "added": [each._asdict() for each in self.added],
            "removed": [each._asdict() for each in self.removed],
            "slices": {split: asdict(flow) for split, flow in self.slices.items()},
            "labels_changed": list(self.labels_changed),
            "parameters": [each._asdict() for each in self.parameters],
        }


def diff_plans(old: ReadablePlan, new: ReadablePlan) -> PlanDiff:
    """Return what changes from `old` to `new`. Both are streamed; about 200 bytes a slice of `old` are held."""
    before = {volume.id: volume.split for volume in old.header.volumes}
    after = {volume.id: volume.split for volume in new.header.volumes}
    flows, labels = _slices(old, new)
    return PlanDiff(
        old_digest=old.header.digest,
        new_digest=new.header.digest,
        same_split=old.header.split_digest == new.header.split_digest,
        moved=tuple(
            Moved(volume, before[volume], after[volume])
            for volume in sorted(before.keys() & after.keys())
            if before[volume] != after[volume]
        ),
        added=tuple(Placed(volume, after[volume]) for volume in sorted(after.keys() - before.keys())),
        removed=tuple(Placed(volume, before[volume]) for volume in sorted(before.keys() - after.keys())),
        slices=flows,
        labels_changed=labels,
        parameters=tuple(_parameters(old.header, new.header)),
    )


def _slices(old: ReadablePlan, new: ReadablePlan) -> tuple[dict[Split, Flow], tuple[str, ...]]:
    before = {name: (each.split, _content(each)) for name, each in _named(old)}
    entered: Counter[Split] = Counter()
    left: Counter[Split] = Counter()
    stayed: Counter[Split] = Counter()
    relabelled = []
    for name, each in _named(new):
        split, content = before.pop(name, (None, b""))
        if split == each.split:
            stayed[split] += 1
        else:
            entered[each.split] += 1
            if split is not None:
                left[split] += 1
        if split is not None and content != _content(each):
            relabelled.append(name)
    left.update(split for split, _ in before.values())
    flows = {split: Flow(entered[split], left[split], stayed[split]) for split in SPLITS}
    return flows, tuple(sorted(relabelled))


def _named(plan: ReadablePlan) -> Iterator[tuple[str, Operation]]:
    below = Destinations(plan.header.sources, "keep").below
    return ((below(each.input, each.image, each.volume), each) for each in plan.operations())


def _content(operation: Operation) -> bytes:
    """Return the label's SHA-256; nothing for a missing or an empty label, which both mean background."""
    return bytes.fromhex(operation.label_sha256)


def _parameters(old: PlanHeader, new: PlanHeader) -> Iterator[Changed]:
    before, after = _values(old), _values(new)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Changed(name, before.get(name), after.get(name))


def _values(header: PlanHeader) -> dict[str, Any]:
    return {
        **header.parameters,
        "inputs": list(header.inputs),
        "output": header.output,
        "names": None if header.names is None else list(header.names),
        **({"yaml_keys": dict(header.yaml_keys)} if header.yaml_keys else {}),
        "naming": {key: header.naming.get(key) for key in ("rule", "pattern")},
    }
