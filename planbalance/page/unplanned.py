"""Describes a dataset that another tool built as a plan would, so that the page can show it. It decides nothing.

A plan puts each volume into one split; a dataset that leaks does not. Here the part of a volume in each split is a row
of its own, so that a volume in two splits is two rows with one id.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from planbalance.inputs import common_names
from planbalance.model import (
    SPLITS,
    ImageFile,
    Operation,
    PlanHeader,
    PlannedVolume,
    ReadablePlan,
    Slice,
    Snapshot,
    Split,
)
from planbalance.naming import find_names
from planbalance.planfile import naming_document
from planbalance.planner.volumes import paths_below, read_slices, sources_of
from planbalance.runlength import gaps


class PageSource(ReadablePlan, Protocol):
    """What a page is made of: a plan (`planstore.PlanFile`), or a dataset as it was found."""

    @property
    def path(self) -> str:
        """Where the plan lies; "" where there is none."""


@dataclass(frozen=True, slots=True)
class DatasetAsPlan:
    """A dataset that has no plan, with the attributes that the page reads of a plan.

    Attributes:
        header: what the dataset shows; it has no targets, no statistics and no digest.
        slices: those in a split, with it.
        path: "": there is no plan.
    """

    header: PlanHeader
    slices: tuple[tuple[Split, Slice], ...]
    path: str = ""

    def operations(self) -> Iterator[Operation]:
        """Yield an operation for each slice, in the split that it is in."""
        for split, one in self.slices:
            yield _operation(split, one)


def as_plan(snapshot: Snapshot) -> DatasetAsPlan:
    """Return a scanned dataset as it is; images of no split are left out.

    Raises:
        InputError: no image is in a split, or the names of its images cannot be read.
    """
    images = [file for file in snapshot.images if _split_of(snapshot, file) is not None]
    paths = paths_below(snapshot.inputs, images)
    naming, names, warnings, notes = find_names(paths)
    slices, patients = read_slices(snapshot.inputs, images, naming, names=names)
    parts: defaultdict[tuple[str, int], list[Slice]] = defaultdict(list)
    placed = []
    for one in slices:
        split = _split_of(snapshot, one.file)
        assert split is not None, "images without a split were left out"
        parts[one.volume, SPLITS.index(split)].append(one)
        placed.append((split, one))
    header = PlanHeader(
        digest="",
        split_digest="",
        inputs=tuple(source.root for source in snapshot.inputs),
        sources=sources_of(snapshot.inputs),
        output="",
        names=common_names(snapshot.inputs),
        parameters={"layout": "keep"},
        naming=naming_document(naming, paths, warnings, notes),
        statistics={},
        volume_statistics={},
        targets={},
        warnings=(),
        volumes=tuple(_part(id_, SPLITS[at], parts[id_, at], patients.get(id_, id_)) for id_, at in sorted(parts)),
        blocks=(),
        yaml_keys=snapshot.yaml_keys,
    )
    return DatasetAsPlan(header, tuple(placed))


def _split_of(snapshot: Snapshot, file: ImageFile) -> Split | None:
    return snapshot.inputs[file.input].folders[file.folder].split


def _part(volume: str, split: Split, slices: list[Slice], group: str) -> PlannedVolume:
    numbers = [one.number for one in slices if one.number is not None]
    positives = sum(one.positive for one in slices)
    return PlannedVolume(volume, group, split, len(slices), positives, len(slices), "", gaps(numbers))


def _operation(split: Split, one: Slice) -> Operation:
    file = one.file
    return Operation(
        split=split,
        volume=one.volume,
        positive=one.positive,
        input=file.input,
        image=file.path,
        label=file.label,
        image_size=file.size,
        image_mtime_ns=file.mtime_ns,
        label_size=file.label_size,
        label_sha256=file.label_sha256,
        image_sha256="",
    )
