"""The checks of what the splits of one data set share: volumes, patients, identical and similar images."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from planbalance.audit.connected import Connected
from planbalance.audit.findings import not_checked
from planbalance.audit.leaks import Leak, Spread, regrouped, to_move
from planbalance.audit.lookalikes import shared_looks, shared_pixels
from planbalance.audit.options import VerifyOptions
from planbalance.audit.sharing import GROUPS, SHARING, VOLUMES, Blank, Shared, Tie, shared_bytes, shared_units
from planbalance.audit.tally import SplitOf, Tally
from planbalance.grouping import look_like_one_patient, require_known
from planbalance.model import SPLITS, Check, LookAlike, Problem, Progress

NO_MAP: Final = "no group map: a volume is not a patient, who may have several"


@dataclass(slots=True)
class Overlaps:
    """The checks of what splits share, the shares, and pairs to draw.

    Attributes:
        to_move: the least slices that would have to change their split (or go) for nothing to be shared at all; None
            where there are no two splits.
    """

    checks: list[Check] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    look_alikes: tuple[LookAlike, ...] = ()
    to_move: int | None = None


class Images(NamedTuple):
    """What is known of the images of a data set, beside their counts.

    Attributes:
        split_of: gives the splits of an image by its path.
        blank: tells whether one of several identical images shows nothing.
        at: gives the absolute path of an image.
    """

    split_of: SplitOf
    blank: Blank
    at: Callable[[str], str]


def overlap_checks(
    tally: Tally, *, groups: Mapping[str, str] | None, images: Images, options: VerifyOptions, progress: Progress
) -> Overlaps:
    """Return the checks of volumes, groups, identical and similar images between the splits of one data set.

    Raises:
        InputError: the group map that was asked for does not know a volume.
    """
    if options.group_map is not None:
        require_known(tally.volumes, options.group_map)
    if len(tally.totals) < 2:
        reason = "there is one split only" if tally.totals else "there are no splits"
        return Overlaps([not_checked(name, reason) for name in SHARING])
    made = [_volumes(tally)]
    if groups is not None:
        made.append(shared_units(GROUPS, "this group is", regrouped(tally.volumes, groups), tally.totals))
    if not options.quick:
        made.append(shared_bytes(tally, images.split_of, images.blank))
        if options.near_duplicates:
            made += [shared_pixels(tally), shared_looks(tally, images.at, progress)]
    by_name = {each.findings.name: each.findings.check() for each in made}
    return Overlaps(
        [by_name.get(name) or _not_made(name, tally, options) for name in SHARING],
        [leak for each in made for leak in each.leaks],
        tuple(pair for each in made for pair in each.look_alikes),
        _to_move(tally, groups or {}, [tie for each in made for tie in each.ties]),
    )


def _volumes(tally: Tally) -> Shared:
    shared = shared_units(VOLUMES, "this volume is", tally.volumes, tally.totals)
    if tally.unnamed:
        note = f"{tally.unnamed} images have names that the rule does not read: their volume is not known"
        shared.findings.notes.append(note)
    return shared


def _not_made(name: str, tally: Tally, options: VerifyOptions) -> Check:
    if name == GROUPS:
        return Check(GROUPS, None, NO_MAP, 0, tuple(_suspected(tally.volumes)))
    if options.quick:
        return not_checked(name, "quick: images were not read")
    return not_checked(name, "not asked for (--near-duplicates)")


def _to_move(tally: Tally, groups: Mapping[str, str], ties: Sequence[Tie]) -> int:
    """Return how many slices must move for everything that is connected, in whatever way, to lie in one split."""
    connected = Connected()
    spread = dict(tally.volumes)
    for volume in tally.volumes:
        if volume in groups:
            connected.tie((f"\1{groups[volume]}", volume))
    for tie in ties:
        connected.tie(unit for unit, _ in tie)
        for unit, split in tie:
            if unit not in spread:  # a slice whose volume is not known
                spread[unit] = Counter((split,))
    return to_move(connected.spread(spread))


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
