"""What one dataset shares with another one: a member of an ensemble, an older version, a public benchmark. Pure.

Two datasets may share images on which both train, or on which both evaluate. An image on which one trains and the other
evaluates is a leak, for the models of both.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from planbalance.audit.check_builder import CheckBuilder
from planbalance.audit.leak_counts import Leak, Spread, regrouped, spread_of, touched
from planbalance.audit.slice_statistics import SliceStatistics, SplitOf
from planbalance.model import Check, Split
from planbalance.text import counted, percent

_UNITS: Final = {
    "volume-overlap": ("volume", "volumes"),
    "group-overlap": ("patient", "patients"),
    "duplicate-content": ("identical image file", "identical image files"),
}


_OTHER_FOLD: Final = (
    "it is another of the same folds: one is tested on what the other trains on, as folds are; measure no model of one "
    "fold on the test of another"
)


class ComparableContent(NamedTuple):
    """What can be compared with another dataset.

    Attributes:
        volumes: slices of each volume by split.
        images: images of each content by split, without blank ones; None where content was not read.
        groups: group by volume, as far as known.
    """

    volumes: Spread[str]
    images: Spread[bytes] | None
    groups: Mapping[str, str]


def content_of(
    statistics: SliceStatistics, split_of: SplitOf, groups: Mapping[str, str] | None, *, images: bool
) -> ComparableContent:
    """Return what another dataset can be compared with; images of one byte value only are left out."""
    if not images:
        return ComparableContent(statistics.volumes, None, groups or {})
    pairs = (
        (digest, split)
        for digest, places in statistics.images(split_of)
        if not statistics.is_flat(digest)
        for _, split in places
    )
    return ComparableContent(statistics.volumes, spread_of(pairs), groups or {})


def against_check(
    here: ComparableContent, other: ComparableContent, name: str, totals: Counter[Split], *, folds: bool = False
) -> tuple[Check, list[Leak]]:
    """Return the check of one dataset against another, and what part of each split here is touched.

    `folds`: both are folds of one command, and so each tests on purpose what others train on: this is a warning.
    """
    found = CheckBuilder(f"against {name}", title=f"shared with {name}")
    found.count = sum(totals.values())
    leaks = _named("volume-overlap", touched(here.volumes, other.volumes, totals), name)
    groups = {**other.groups, **here.groups}
    if groups:
        patients = touched(regrouped(here.volumes, groups), regrouped(other.volumes, groups), totals)
        leaks += _named("group-overlap", patients, name)
    else:
        found.notes.append("patients NOT CHECKED: no group map")
    if here.images is not None and other.images is not None:
        leaks += _named("duplicate-content", touched(here.images, other.images, totals), name)
    else:
        found.notes.append("by names only: images were not read")
    leaks = [_with_purpose(leak, folds=folds) for leak in leaks]
    for leak in leaks:
        if not leak.purpose:
            shared = f"{percent(leak.share)} of {leak.of} ({counted(leak.slices, 'slice')}, "
            shared += f"{counted(leak.units, *_UNITS[leak.kind])}) also in {leak.shared_with}"
            found.error(leak.kind, leak.of, f"{shared}: {_meaning(leak.of, split_there(leak))}")
    if folds:
        found.warning("volume-overlap", "", _OTHER_FOLD)
    check = found.check()
    return check if check.ok else check._replace(title="shared with another dataset"), leaks


def _with_purpose(leak: Leak, *, folds: bool) -> Leak:
    """Return a leak with the purpose that it has; then nothing has to move."""
    if not is_leak_across(leak):
        return leak._replace(purpose="same split", to_move=0)
    return leak._replace(purpose="other fold", to_move=0) if folds else leak


def split_there(leak: Leak) -> str:
    """Return the other dataset's split."""
    return leak.shared_with.rpartition(":")[2]


def is_leak_across(leak: Leak) -> bool:
    """Return whether what two datasets share is a leak: it is none where both use it in the same split."""
    return split_there(leak) != leak.of


def _meaning(here: str, there: str) -> str:
    if there == "train":
        return "evaluated here, trained on there"
    if here == "train":
        return "trained on here, evaluated there"
    return "one dataset selects models with them, the other evaluates models on them"


def _named(kind: str, leaks: Sequence[Leak], name: str) -> list[Leak]:
    return [leak._replace(kind=kind, shared_with=f"{name}:{leak.shared_with}") for leak in leaks]
