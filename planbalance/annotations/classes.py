"""Which labels are wanted, and which class each becomes: `--classes A,B` and `--map FROM=TO`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from planbalance.annotations.source import AnnotationSource
from planbalance.errors import InputError, UsageError
from planbalance.grouping import spelled_otherwise
from planbalance.text import some

_LISTED: Final = 200  # labels in a message


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
    wanted = [name.strip() for name in classes]
    pairs = [(label.strip(), name.strip()) for label, name in mapping]
    counts = _counts(sources)
    if not wanted and not pairs:
        raise InputError(
            f"Neither --classes nor --map says which labels are wanted. {_listed(counts)}",
            kind="no-classes",
            hint="Name the wanted ones with --classes A,B, or give each a class with --map LABEL=CLASS.",
        )
    names = tuple(wanted or dict.fromkeys(name for _, name in pairs))
    _check(names, pairs)
    id_of = {label: names.index(name) for label, name in pairs}
    mapped = {name for _, name in pairs}
    for name in wanted:
        if name in counts or name not in mapped:
            id_of.setdefault(name, names.index(name))
    _require_known(id_of, counts)
    return ClassMap(names, id_of)


def _counts(sources: Iterable[AnnotationSource]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for source in sources:
        for label, count in source.labels.items():
            counts[label] += count
    return {label: counts[label] for label in sorted(counts)}


def _listed(counts: Mapping[str, int]) -> str:
    """Return a sentence with every label and its count."""
    if not counts:
        return "There is no label."
    return f"The labels are: {some((f'{label!r} ({count:,})' for label, count in counts.items()), _LISTED)}."


def _check(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> None:
    for label, name in pairs:
        if not label or not name:
            raise _bad_classes(
                f"--map {label}={name} has an empty side", f"Write --map {label or 'LABEL'}={name or 'CLASS'}."
            )
    doubled = [name for name, count in Counter(names).items() if count > 1]
    class_of: dict[str, str] = {}
    if doubled or "" in names:
        fault = f"names {some(map(repr, doubled))} twice" if doubled else "names an empty class"
        raise _bad_classes(f"--classes {fault}", "Name each class once.")
    for label, name in pairs:
        if name not in names:
            raise _bad_classes(
                f"--map makes {name!r} of {label!r}, but --classes does not have it",
                f"Write --classes {','.join([*names, name])}, or --map {label}={names[0]}.",
            )
        if class_of.setdefault(label, name) != name:
            raise _bad_classes(
                f"--map makes both {class_of[label]!r} and {name!r} of {label!r}",
                f"Give one of them: --map {label}={name}.",
            )


def _bad_classes(fault: str, hint: str) -> UsageError:
    return UsageError(f"These classes cannot be used: {fault}.", kind="bad-classes", hint=hint)


def _require_known(labels: Iterable[str], counts: Mapping[str, int]) -> None:
    unknown = [label for label in labels if label not in counts]
    if unknown:
        alike = spelled_otherwise((label for label in counts if label not in labels), unknown)
        spelling = "" if alike is None else f" Perhaps {alike[0]!r} is meant."
        raise InputError(
            f"No annotation has the {'label' if len(unknown) == 1 else 'labels'} {some(map(repr, unknown))}."
            f"{spelling} {_listed(counts)}",
            kind="unknown-label",
            hint="Write labels exactly as they are here; only blanks at the ends do not count.",
        )
