"""The result of the audit of one dataset, with a plan or without one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from planbalance.audit.checks.against import ComparableContent
from planbalance.audit.checks.leaks import LeakChecks
from planbalance.audit.slice_statistics import EmptySplit, SliceStatistics
from planbalance.inputs import FoundInput
from planbalance.model import Check, ClassBoxes, Load, PlanHeader, SlicesPerVolume


class NamesRead(NamedTuple):
    """How the names of a dataset were read.

    Attributes:
        naming: `rule`, `pattern`, `examples`, and where there are any `warnings` and `notes`; None without an image.
        slices: per volume, of the images that are there.
        grouped_by: where patients come from: `volume` (they are not known), `patient` (the names), `map`,
        `slice-map` or `dicom`.
        groups: how many patients there are; as many as volumes where they are not known.
    """

    naming: Mapping[str, Any] | None
    slices: SlicesPerVolume | None
    grouped_by: str
    groups: int


@dataclass(slots=True)
class DatasetResult:
    """The result: checks in reading order, what splits share, counts, and what other datasets are compared with.

    Attributes:
        names: how names were read.
        empty_splits: splits without a slice or without a positive one.
        header: of the plan; None without one.
        classes: boxes of each class as read from the labels, where there are several classes and no plan.
        source: the dataset as its yaml or its folders describe it; None of one that has a plan.
    """

    checks: list[Check]
    overlaps: LeakChecks
    statistics: SliceStatistics
    content: Callable[[], ComparableContent]
    names: NamesRead
    empty_splits: Sequence[EmptySplit]
    header: PlanHeader | None = None
    loads: tuple[Load, ...] = ()
    source: FoundInput | None = None
    classes: tuple[ClassBoxes, ...] = ()
