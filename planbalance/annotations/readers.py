"""Whose annotations count: `--reader`, `--label-group` and `--readers all`."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from planbalance.annotations.classes import ClassMap
from planbalance.annotations.source import AnnotationSource
from planbalance.errors import InputError
from planbalance.text import some

_LISTED: Final = 50  # names in a message


def chosen_readers(
    source: AnnotationSource,
    classes: ClassMap,
    readers: Sequence[str],
    label_groups: Sequence[str],
    *,
    all_readers: bool,
) -> Callable[[str, str], bool]:
    """Return a function that says whether the annotations of a reader with a label of a group count.

    Raises:
        InputError: several readers, or several label groups, carry wanted labels and none of them was chosen (kind
            `several-readers`, `several-label-groups`); or one that was chosen does not exist (kind `unknown-reader`).
    """
    for option, chosen, there in (
        ("--reader", readers, (one.reader for one in source.annotations)),
        ("--label-group", label_groups, (one.label_group for one in source.annotations)),
    ):
        _require_known(option, chosen, set(there) - {""})
    of_reader, of_group = frozenset(readers), frozenset(label_groups)

    def counts(reader: str, group: str) -> bool:
        return (not of_reader or reader in of_reader) and (not of_group or group in of_group)

    if not all_readers:
        wanted = [one for one in source.annotations if one.kind != "unreadable" and one.label in classes.id_of]
        kept = [one for one in wanted if counts(one.reader, one.label_group)]
        groups = "" if label_groups else _several(one.label_group for one in kept)
        by = "" if readers else _several(one.reader for one in kept)
        if groups:
            raise _refused(f"Several label groups have wanted labels: {groups}.", "--label-group", "--reader", readers)
        if by:
            raise _refused(
                f"Several readers made annotations with wanted labels: {by}.", "--reader", "--label-group", label_groups
            )
    return counts


def _refused(message: str, option: str, other: str, chosen: Sequence[str]) -> InputError:
    """Return the refusal of several readers or label groups, perhaps among those that `other` chose already."""
    among = f" These are what {other} {', '.join(chosen)} leaves." if chosen else ""
    every = "; to take several, repeat it" if chosen else ", or take the annotations of all with --readers all"
    return InputError(
        message + among, kind=f"several-{option.removeprefix('--')}s", hint=f"Choose with {option}{every}."
    )


def _several(names: Iterable[str]) -> str:
    """Return all names with their counts; "" where there are not several."""
    counts = Counter(names)
    listed = (f"{name or '(none)'} ({counts[name]:,})" for name in sorted(counts))
    return some(listed, _LISTED) if len(counts) > 1 else ""


def _require_known(option: str, chosen: Iterable[str], known: Collection[str]) -> None:
    unknown = [name for name in chosen if name not in known]
    if unknown:
        there = f"there are {some(sorted(known), _LISTED)}" if known else "the annotations name none"
        raise InputError(
            f"{option} {unknown[0]} is in no annotation; {there}.",
            kind="unknown-reader",
            hint="Write it exactly as it is in the annotations.",
        )
