"""The checks of what splits share: volumes, patients, identical and similar images; in one data set and across."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from planbalance.audit.findings import Findings, not_checked
from planbalance.audit.leaks import Leak, Spread, regrouped, spread_of, touched
from planbalance.audit.options import VerifyOptions
from planbalance.audit.tally import SplitOf, Tally, duplicate_findings, overlap_findings
from planbalance.grouping import look_like_one_patient, require_known
from planbalance.model import SPLITS, Check, Problem, Split

Blank = Callable[[bytes, str], bool]

NO_MAP: Final = "no group map: a volume is not a patient, who may have several"


@dataclass(slots=True)
class Overlaps:
    """The checks of what splits share, and the shares."""

    checks: list[Check] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Content:
    """What another data set can be compared with.

    Attributes:
        volumes: slices of each volume by split.
        images: images of each content by split, blank ones apart; None where content was not read.
    """

    volumes: Spread[str]
    images: Spread[bytes] | None


def overlap_checks(
    tally: Tally, *, groups: Mapping[str, str] | None, split_of: SplitOf, blank: Blank, options: VerifyOptions
) -> Overlaps:
    """Return the checks of volumes, groups, identical images and similar images between the splits of one data set.

    Raises:
        InputError: the group map that was asked for does not know a volume.
    """
    result = Overlaps()
    if options.group_map is not None:
        require_known(tally.volumes, options.group_map)
    if len(tally.totals) < 2:
        reason = "there is one split only" if tally.totals else "there are no splits"
        names = ("volume-overlap", "group-overlap", "duplicate-content", "near-duplicates")
        result.checks = [not_checked(name, reason) for name in names]
        return result
    volumes, leaks = overlap_findings("volume-overlap", "this volume is", tally.volumes, tally.totals)
    if tally.unnamed:
        volumes.notes.append(
            f"{tally.unnamed} images have names that the rule does not read: their volume is not known"
        )
    result.checks.append(volumes.check())
    result.leaks += leaks
    _add_groups(result, tally, groups)
    if options.quick:
        result.checks.append(not_checked("duplicate-content", "quick: images were not read"))
    else:
        found, leaks = duplicate_findings(tally, split_of, blank)
        result.checks.append(found.check())
        result.leaks += leaks
    reason = (
        "not available in this version" if options.near_duplicates else "not asked for, nor available in this version"
    )
    result.checks.append(
        not_checked("near-duplicates", f"{reason}; the same pixels in another encoding count here too")
    )
    return result


def _add_groups(result: Overlaps, tally: Tally, groups: Mapping[str, str] | None) -> None:
    if groups is not None:
        found, leaks = overlap_findings(
            "group-overlap", "this group is", regrouped(tally.volumes, groups), tally.totals
        )
        result.checks.append(found.check())
        result.leaks += leaks
        return
    result.checks.append(Check("group-overlap", None, NO_MAP, 0, tuple(_suspected(tally.volumes))))


def _suspected(volumes: Spread[str]) -> list[Problem]:
    """Return a warning for every set of ids that look like one patient and lie in two splits."""
    suspected = []
    for ids in look_like_one_patient(volumes):
        split_of = {identity: "/".join(split for split in SPLITS if split in volumes[identity]) for identity in ids}
        if len(set(split_of.values())) > 1:
            where = ", ".join(f"{identity} in {split}" for identity, split in split_of.items())
            message = f"looks like one patient in two splits: {where} (--group-map would tell)"
            suspected.append(Problem("group-overlap", "warning", ids[0], message))
    return suspected


def content_of(tally: Tally, split_of: SplitOf, *, images: bool) -> Content:
    """Return what another data set can be compared with; images of one value only are no content to share."""
    if not images:
        return Content(tally.volumes, None)
    pairs = (
        (digest, split) for digest, places in tally.images(split_of) if not tally.is_flat(digest) for _, split in places
    )
    return Content(tally.volumes, spread_of(pairs))


def against_check(here: Content, other: Content, name: str, totals: Counter[Split]) -> tuple[Check, list[Leak]]:
    """Return the check of one data set against another, and what part of each split here is touched."""
    found = Findings(f"against {name}")
    found.count = sum(totals.values())
    leaks = _named("volume-overlap", touched(here.volumes, other.volumes, totals), name)
    if here.images is not None and other.images is not None:
        leaks += _named("duplicate-content", touched(here.images, other.images, totals), name)
    else:
        found.notes.append("by names only: images were not read")
    for leak in leaks:
        what = "volumes" if leak.kind == "volume-overlap" else "images, byte for byte,"
        found.error(leak.kind, leak.of, f"{leak.slices} slices, {leak.units} {what} also in {leak.shared_with}")
    return found.check(), leaks


def _named(kind: str, leaks: Sequence[Leak], name: str) -> list[Leak]:
    return [leak._replace(kind=kind, shared_with=f"{name}:{leak.shared_with}") for leak in leaks]
