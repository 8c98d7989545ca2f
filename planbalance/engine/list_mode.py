"""`--mode list`: the images' absolute paths by split, where trainers find each label by its image's path."""

from collections.abc import Sequence
from typing import NamedTuple

from planbalance.engine.staleness import AbsentLabels
from planbalance.model import Operation, PlanHeader, Split
from planbalance.path_relation import label_for_trainers


class ListedBlock(NamedTuple):
    """One block's part of the lists, which is of one split.

    Attributes:
        split: which one.
        lines: absolute image paths, each with its newline.
        without_label: those whose label trainers would not find.
        broken: those that trainers would read as several lines (`str.splitlines` ends one at U+2028, too).
    """

    split: Split
    lines: str
    without_label: tuple[str, ...]
    broken: tuple[str, ...]


class ListMaker:
    """Lists the blocks of one plan.

    Args:
        header: the plan's.
        roots: where the inputs are, aligned with the plan's.
    """

    def __init__(self, header: PlanHeader, roots: Sequence[str]) -> None:
        self._roots = [root.rstrip("/") for root in roots]
        self._absent = AbsentLabels(header.sources)

    def of(self, operations: Sequence[Operation]) -> ListedBlock:
        """Return a block's part."""
        paths = [f"{self._roots[each.input]}/{each.image}" for each in operations]
        without_label = [
            path for path, each in zip(paths, operations, strict=True) if label_for_trainers(path) != self._label(each)
        ]
        lines = "".join([f"{path}\n" for path in paths])
        whole = len(lines.splitlines()) == len(paths)
        broken = [] if whole else [path for path in paths if len(path.splitlines()) > 1]
        return ListedBlock(operations[0].split, lines, tuple(without_label), tuple(broken))

    def _label(self, operation: Operation) -> str | None:
        """Return where the label is, or would be."""
        label = operation.label
        if label is None:
            place = self._absent.of(operation)
            label = None if place is None else "/".join(part for part in place if part)
        return None if label is None else f"{self._roots[operation.input]}/{label}"
