"""The checks that look at each slice of a planned dataset, and what the bulk path must prove before it may skip them.

Most slices are as planned, and blocks of them are confirmed in bulk by a few calls for each slice
(`audit/fast_path.py`); only the others are read one by one and given to the functions here. So every function declares
which proofs of the bulk path make sure that it finds no problem. A function that declares none looks at every slice:
where one is registered, or one that needs a proof that the bulk path does not give, no slice is confirmed in bulk.
"""

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final, NamedTuple

from planbalance.audit.check_table import FoundProblem
from planbalance.audit.documents import Manifest
from planbalance.audit.slice_facts import ReadOptions, SliceFacts
from planbalance.model import Severity


class Expected(NamedTuple):
    """What holds for every slice of the dataset.

    Attributes:
        reading: how it was read.
        manifest: None where there is none.
        invalid_labels: severity of an invalid line (a warning where the plan keeps them).
        linked: an image here is its source, so that an edit of the source is an edit of the dataset.
        listed: images and labels stay in the input, and the dataset only lists them.
    """

    reading: ReadOptions
    manifest: Manifest | None
    invalid_labels: Severity
    linked: bool
    listed: bool


class Proof(Enum):
    """What is known of a slice that the bulk path has confirmed, as far as this audit reads it (`ReadOptions`)."""

    IN_PLACE = auto()  # image and label are there, as the planned kind of file, with the planned size
    SOURCE_UNCHANGED = auto()  # the image's source has the planned size, and the planned time where times are compared
    SAME_BYTES = auto()  # image and label have the sums of the plan and of the manifest
    VALID_LABEL = auto()  # no line of the label is invalid


LooksAtSlice = Callable[[SliceFacts, Expected], Iterable[FoundProblem]]


class SliceCheck(NamedTuple):
    """A function that looks at one slice.

    Attributes:
        problems: gives what is wrong with it; each problem with the name of a check of the table whose `each_slice`
            is true.
        skip_if_proven: what must be proven of a slice to make sure that the function finds no problem; empty: it must
            look at every slice.
    """

    problems: LooksAtSlice
    skip_if_proven: frozenset[Proof]

    def may_skip(self, proven: frozenset[Proof]) -> bool:
        """Return whether it need not look at a slice of which this is proven."""
        return bool(self.skip_if_proven) and self.skip_if_proven <= proven


SLICE_CHECKS: Final[list[SliceCheck]] = []


def slice_check(*skip_if_proven: Proof) -> Callable[[LooksAtSlice], LooksAtSlice]:
    """Register a function that looks at each slice; `skip_if_proven` as in `SliceCheck`."""

    def added(problems: LooksAtSlice) -> LooksAtSlice:
        SLICE_CHECKS.append(SliceCheck(problems, frozenset(skip_if_proven)))
        return problems

    return added


def may_confirm(proven: frozenset[Proof]) -> bool:
    """Return whether slices of which this is proven need no look by any check."""
    return all(check.may_skip(proven) for check in SLICE_CHECKS)


def problems_of(slice_facts: SliceFacts, expected: Expected) -> list[FoundProblem]:
    """Return everything that is wrong with one slice."""
    return [found for check in SLICE_CHECKS for found in check.problems(slice_facts, expected)]
