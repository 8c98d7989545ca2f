"""Checks that the lines of a label are valid, by the same function as the scan (`planbalance/labels.py`)."""

from collections.abc import Iterator

from planbalance.audit.check_table import LABELS, FoundProblem
from planbalance.audit.checks.each_slice import Expected, Proof, slice_check
from planbalance.audit.slice_facts import SliceFacts
from planbalance.model import Problem


@slice_check(Proof.VALID_LABEL)
def check_lines(slice_facts: SliceFacts, expected: Expected) -> Iterator[FoundProblem]:
    """Yield each invalid line: an error, or a warning where the plan keeps such labels."""
    if slice_facts.contents is not None:
        for line, message in slice_facts.contents.problems:
            yield LABELS, Problem("label-invalid", expected.invalid_labels, f"{slice_facts.label}:{line}", message)
