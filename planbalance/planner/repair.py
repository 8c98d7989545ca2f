"""Mend a split that leaks with the fewest slices moved or left out: where each group goes, and which slices leave.

A group is mended when all of its slices that stay are in one split. Only the slices that this split holds already are
neither moved nor left out, so the fewest slices are those outside of it, for the split that holds most. A group with
slices in a kept split can only be there. Groups do not touch each other, so the fewest slices of all groups together
are the sum over the groups.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from planbalance.errors import InputError, UsageError
from planbalance.model import SPLITS, ImageFile, Split, Volume
from planbalance.planner.split_dataset import SplitDataset
from planbalance.planner.volumes import is_positive
from planbalance.text import counted, some


class GroupRepair(NamedTuple):
    """How one group that lies in several splits is mended.

    Attributes:
        group: its id.
        volumes: ids of its volumes, sorted.
        slices: how many it has in each split of the dataset.
        to: the split where all that stay are.
        moved: slices that go to `to`, by the split that they come from.
        left_out: slices that leave the dataset, by the split that they are in.
        copies: those of `left_out` that have a copy of the same name among the slices that stay.
    """

    group: str
    volumes: tuple[str, ...]
    slices: Mapping[Split, int]
    to: Split
    moved: Mapping[Split, int]
    left_out: Mapping[Split, int]
    copies: int

    @property
    def touched(self) -> int:
        """How many slices are moved or left out."""
        return sum(self.moved.values()) + sum(self.left_out.values())


class Repair(NamedTuple):
    """A dataset, mended.

    Attributes:
        keep: the splits that stay as they are.
        volumes: with the slices that stay; a volume of which none stays is not there.
        split_of: group -> split, of all groups that stay.
        groups: those that lie in several splits, most slices first.
        before: slices of the dataset by split and whether they are positive.
        after: slices that stay.
        fewest: no repair that leaves the kept splits as they are moves or leaves out fewer slices.
    """

    keep: tuple[Split, ...]
    volumes: tuple[Volume, ...]
    split_of: Mapping[str, Split]
    groups: tuple[GroupRepair, ...]
    before: Mapping[tuple[Split, bool], int]
    after: Mapping[tuple[Split, bool], int]
    fewest: int

    @property
    def held(self) -> tuple[Split, ...]:
        """The splits that hold slices of the dataset."""
        return tuple(split for split in SPLITS if _total(self.before, split))

    def warnings(self) -> Iterator[str]:
        """Yield a sentence for each split that loses all its slices, or all its positive ones."""
        for split in self.held:
            if not _total(self.after, split):
                yield (
                    f"The repair leaves no slice in {split}: all of its groups have slices in another split. To fill "
                    "it, plan the mended dataset anew; --keep-split keeps the others."
                )
            elif self.before.get((split, True)) and not self.after.get((split, True)):
                yield f"The repair leaves no positive slice in {split}."
        before, after = sum(self.before.values()), sum(self.after.values())
        if 2 * after < before:
            yield (
                f"The repair leaves out {before - after:,} of {before:,} slices, more than half. `planbalance plan` "
                "leaves out none, and divides the slices of all splits anew."
            )

    def to_json(self) -> dict[str, Any]:
        """Return what a plan stores of it."""
        moved = sum(sum(each.moved.values()) for each in self.groups)
        left_out = sum(sum(each.left_out.values()) for each in self.groups)
        return {
            "keep": list(self.keep),
            "before": _by_split(self.before),
            "after": _by_split(self.after),
            "moved": moved,
            "left_out": left_out,
            "copies": sum(each.copies for each in self.groups),
            "fewest": self.fewest,
            "proven": moved + left_out == self.fewest,
            "groups": [_group_json(each, kept=each.to in self.keep) for each in self.groups],
        }


def home_of(slices: Mapping[Split, int], keep: Collection[Split]) -> Split:
    """Return the split to which a group goes: a kept one that holds slices of it, else the one that holds most.

    Of splits that hold equally many, the first of train, val and test.
    """
    held = [split for split in SPLITS if slices.get(split)]
    possible = [split for split in held if split in keep] or held
    return max(possible, key=lambda split: (slices[split], -SPLITS.index(split)))


def fewest_slices(slices: Mapping[Split, int], keep: Collection[Split]) -> int:
    """Return how many slices of a group every repair moves or leaves out at least: all but those of one split."""
    possible = [count for split, count in slices.items() if split in keep] or list(slices.values())
    return sum(slices.values()) - max(possible)


def mend(dataset: SplitDataset, volumes: Sequence[Volume], positive_classes: frozenset[int] | None = None) -> Repair:
    """Return the dataset with every group in one split, the kept splits as they are.

    Args:
        dataset: its images by split, copies, and the splits to keep.
        volumes: the slices of its snapshot that are used, in volumes with their groups, sorted by id.
        positive_classes: class ids that make a slice positive; None: any annotation.

    Raises:
        UsageError: slices of a kept split are not used (kind `kept-split-changes`).
        InputError: a group has slices in two kept splits (kind `group-in-two-kept-splits`), or nothing would stay in
            train (kind `empty-train`).
    """
    before, spread = _counts(dataset, volumes, positive_classes)
    _refuse_lost(dataset, before)
    _refuse_two_kept(spread, dataset.keep)
    changes = {group: _Change.of(slices, dataset.keep) for group, slices in spread.items()}
    after: Counter[tuple[Split, bool]] = Counter()
    mended = []
    for volume in volumes:
        change = changes[volume.group]
        placed = [
            one._replace(file=stays)
            for one in volume.slices
            if (stays := change.place(dataset, dataset.files_of(one.file))) is not None
        ]
        positives = sum(one.positive for one in placed)
        after.update({(change.home, True): positives, (change.home, False): len(placed) - positives})
        if placed:
            mended.append(volume._replace(slices=tuple(placed), positives=positives))
    groups = _groups(volumes, spread, changes)
    if groups and not _total(after, "train"):
        raise _empty_train()
    return Repair(
        keep=dataset.keep,
        volumes=tuple(mended),
        split_of={volume.group: changes[volume.group].home for volume in mended},
        groups=groups,
        before=before,
        after=after,
        fewest=sum(fewest_slices(slices, dataset.keep) for slices in spread.values()),
    )


@dataclass(slots=True)
class _Change:
    """What is done with the slices of one group, as they are placed one after the other."""

    home: Split
    kept: bool
    moved: Counter[Split] = field(default_factory=Counter)
    left_out: Counter[Split] = field(default_factory=Counter)
    copies: int = 0

    @classmethod
    def of(cls, slices: Mapping[Split, int], keep: Collection[Split]) -> "_Change":
        """Return the change of a group with these slices, before any is placed."""
        home = home_of(slices, keep)
        return cls(home, home in keep)

    def place(self, dataset: SplitDataset, files: Sequence[ImageFile]) -> ImageFile | None:
        """Return which of the images of one name stays, or None; the one in the group's split stays where it is."""
        splits = [dataset.split(file) for file in files]
        if self.home in splits:
            at: int | None = splits.index(self.home)
        elif self.kept:
            at = None
        else:
            at = 0
            self.moved[splits[0]] += 1
        gone = [split for place, split in enumerate(splits) if place != at]
        self.left_out.update(gone)
        self.copies += len(gone) if at is not None else 0
        return None if at is None else files[at]


def _counts(
    dataset: SplitDataset, volumes: Iterable[Volume], positive_classes: frozenset[int] | None
) -> tuple[Counter[tuple[Split, bool]], dict[str, Counter[Split]]]:
    """Return the slices of the dataset by split and whether they are positive, and those of each group by split."""
    counts: Counter[tuple[Split, bool]] = Counter()
    spread: dict[str, Counter[Split]] = {}
    for volume in volumes:
        files = [file for one in volume.slices for file in dataset.files_of(one.file)]
        splits = [dataset.split(file) for file in files]
        counts.update(zip(splits, [is_positive(file, positive_classes) for file in files], strict=True))
        spread.setdefault(volume.group, Counter()).update(splits)
    return counts, {group: spread[group] for group in sorted(spread)}


def _groups(
    volumes: Iterable[Volume], spread: Mapping[str, Mapping[Split, int]], changes: Mapping[str, _Change]
) -> tuple[GroupRepair, ...]:
    """Return the groups that lie in several splits, most slices first."""
    members: defaultdict[str, list[str]] = defaultdict(list)
    for volume in volumes:
        members[volume.group].append(volume.id)
    groups = [
        GroupRepair(group, tuple(members[group]), slices, one.home, one.moved, one.left_out, one.copies)
        for group, slices in spread.items()
        for one in [changes[group]]
        if len(slices) > 1
    ]
    return tuple(sorted(groups, key=lambda each: (-each.touched, each.group)))


def _refuse_lost(dataset: SplitDataset, before: Mapping[tuple[Split, bool], int]) -> None:
    for split in dataset.keep:
        lost = dataset.slices[split] - _total(before, split)
        if lost:
            raise UsageError(
                f"--exclude, --missing-label or --invalid-label would leave out {counted(lost, 'slice')} of {split}, "
                "which is kept as it is.",
                kind="kept-split-changes",
                hint=f"Leave these options out for slices of {split}, or keep other splits with --keep.",
            )


def _refuse_two_kept(spread: Mapping[str, Mapping[Split, int]], keep: Sequence[Split]) -> None:
    held = {group: [split for split in keep if split in slices] for group, slices in spread.items()}
    torn = [
        f"{group}: {' and '.join(f'{spread[group][split]:,} in {split}' for split in splits)}"
        for group, splits in held.items()
        if len(splits) > 1
    ]
    if torn:
        raise InputError(
            f"{counted(len(torn), 'group has', 'groups have')} slices in two kept splits, so not both can stay as they "
            f"are: {some(torn, 3)}.",
            kind="group-in-two-kept-splits",
            hint=f"Keep one of them only: --keep {keep[-1]}. With --keep none, slices of all splits may move.",
            paths=torn,
        )


def _empty_train() -> InputError:
    return InputError(
        "The repair would leave no slice in train: each group of train has slices in a kept split, or more of them in "
        "another one.",
        kind="empty-train",
        hint="With --keep none, slices of all splits may move; `planbalance plan` pools all slices and divides them "
        "anew.",
    )


def _total(counts: Mapping[tuple[Split, bool], int], split: Split) -> int:
    return counts.get((split, True), 0) + counts.get((split, False), 0)


def _by_split(counts: Mapping[tuple[Split, bool], int]) -> dict[str, dict[str, int]]:
    return {split: {"total": _total(counts, split), "positive": counts.get((split, True), 0)} for split in SPLITS}


def _group_json(group: GroupRepair, *, kept: bool) -> dict[str, Any]:
    """Return a group as JSON values; splits in the order train, val, test."""
    by_split = {
        name: {split: counts[split] for split in SPLITS if counts.get(split)}
        for name, counts in (("slices", group.slices), ("moved", group.moved), ("left_out", group.left_out))
    }
    return {
        "group": group.group,
        "volumes": list(group.volumes),
        "to": group.to,
        "kept": kept,
        **by_split,
        "copies": group.copies,
    }
