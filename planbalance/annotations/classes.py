"""Which labels are wanted, and which class each becomes: `--classes A,B` and `--map FROM=TO`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from planbalance.annotations.source import AnnotationSource


class ClassMap(NamedTuple):
    """The classes of the dataset.

    Attributes:
        names: class names by id.
        id_of: wanted label -> id of its class.
    """

    names: tuple[str, ...]
    id_of: Mapping[str, int]


def choose_classes(
    sources: Sequence[AnnotationSource], classes: Sequence[str], mapping: Iterable[tuple[str, str]]
) -> ClassMap:
    """Return the classes of a dataset that is made of these sources.

    Args:
        sources: what the annotation files of all sources say.
        classes: names of classes, in the order of their ids; a label of this name becomes this class (`--classes`).
        mapping: pairs of a label and the class that it becomes (`--map`). Without `classes`, the classes have the order
            in which they are first named here.

    Raises:
        InputError: both are empty (kind `no-classes`), or no source has a label that is named (kind `unknown-label`):
            all labels are listed with their counts.
        UsageError: a label is mapped to two classes, or to one that `classes` does not have (kind `bad-classes`).
    """
    raise NotImplementedError
