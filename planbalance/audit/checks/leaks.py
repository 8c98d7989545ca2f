"""What two splits of a dataset share: volumes, patients, identical images, the same pixels, images that look alike."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from planbalance.audit.check_builder import CheckBuilder, not_checked
from planbalance.audit.check_table import BYTES, CHECKS, GROUPS, LOOKS, PIXELS, VOLUMES
from planbalance.audit.leak_counts import Leak, Spread, Unit, leaves_train, overlaps, regrouped, spread_of, to_move
from planbalance.audit.options import VerifyOptions
from planbalance.audit.slice_statistics import ImagePlace, SliceRecord, SliceStatistics, SplitOf
from planbalance.fingerprint import Fingerprint
from planbalance.grouping import look_like_one_patient, require_known
from planbalance.model import SPLITS, Check, LookAlike, PairPicture, Problem, Progress, Split
from planbalance.text import counted
from planbalance.union_find import UnionFind

Blank = Callable[[str], bool]
Tie = Sequence[tuple[str, Split]]  # units that must be in one split, each with a split that it is in

LEAK_CHECKS: Final = tuple(kind.name for kind in CHECKS.values() if kind.compares_splits)


@dataclass(slots=True)
class LeakCheck:
    """What one check found.

    Attributes:
        builder: for its line and its problems.
        leaks: the shares.
        ties: what equal and similar images connect.
        look_alikes: pairs to show, the most alike first.
    """

    builder: CheckBuilder
    leaks: list[Leak]
    ties: list[Tie] = field(default_factory=list)
    look_alikes: tuple[LookAlike, ...] = ()


def with_shares(found: CheckBuilder, spread: Spread[Unit], totals: Counter[Split]) -> LeakCheck:
    """Return a check with its shares, and a note of how many slices would have to move."""
    leaks = overlaps(found.name, spread, totals)
    if leaks:
        moves = to_move(spread)
        whose = "its" if moves == 1 else "their"
        found.notes.append(f"{counted(moves, 'slice')} would have to change {whose} split (or go) to make this clean")
    return LeakCheck(found, leaks)


def unit_of(volume: str, path: str) -> str:
    """Return the unit of a slice that must be in one split: its volume or, where that is not known, itself."""
    return volume or f"\0{path}"


def note_blanks(found: CheckBuilder, blanks: int) -> None:
    """Note how many images were not counted since they show nothing."""
    if blanks:
        found.notes.append(f"{counted(blanks, 'blank image')} that are the same in two splits are not counted")


def shared_units(kind: str, spread: Spread[str], totals: Counter[Split], *, title: str = "") -> LeakCheck:
    """Return the check of volumes or groups: an error for each that lies in two splits."""
    found = CheckBuilder(kind, title=title)
    found.count = len(spread)
    for unit, counts in spread.items():
        if len(counts) > 1:
            (most, number), *others = sorted(counts.items(), key=_most_first)
            parts = [f"{counted(number, 'slice')} in {most}", *(f"{count:,} in {split}" for split, count in others)]
            found.error(kind, unit, ", ".join(parts))
    return with_shares(found, spread, totals)


def _train_first(entry: tuple[ImagePlace, Split]) -> tuple[int, ImagePlace]:
    return (SPLITS.index(entry[1]), entry[0])


def _most_first(entry: tuple[Split, int]) -> tuple[int, str]:
    return (-entry[1], entry[0])


def shared_bytes(statistics: SliceStatistics, split_of: SplitOf, blank: Blank) -> LeakCheck:
    """Return the check of identical bytes across splits; blank images are counted in a note and are no leak."""
    found = CheckBuilder(BYTES)
    found.count = sum(statistics.totals.values())
    pairs: list[tuple[bytes, Split]] = []
    ties: list[Tie] = []
    blanks = 0
    for digest, places in statistics.same_images(split_of):
        if statistics.is_flat(digest) or blank(places[0][0].path):
            blanks += len(places)
            continue
        pairs += [(digest, split) for _, split in places]
        ties.append([(unit_of(place.volume, place.path), split) for place, split in places])
        places.sort(key=_train_first)
        first, home = places[0]
        for place, split in places:
            if split != home:
                same = f"the same bytes as {first.path}" if place != first else f"in {home} and in {split}"
                found.error("duplicate-content", place.path, same)
    note_blanks(found, blanks)
    result = with_shares(found, spread_of(pairs), statistics.totals)
    result.ties = ties
    return result


# ---- pixels: the same picture in another encoding, and pictures that look alike -------------------------------------


_PICTURES: Final = 24  # pairs to show: a person looks at the most alike
_PLACE: Final = {split: index for index, split in enumerate(SPLITS)}


def _decoded(statistics: SliceStatistics) -> Iterator[tuple[SliceRecord, Fingerprint]]:
    for one in statistics.pictures:
        if one.picture is not None and one.picture.fingerprint is not None:
            yield one, one.picture.fingerprint


def _note_undecoded(found: CheckBuilder, statistics: SliceStatistics) -> None:
    """Note how many images could not be decoded, so that nobody takes them for checked."""
    reasons = Counter(
        one.picture.reason for one in statistics.pictures if one.picture is not None and one.picture.reason
    )
    for reason, count in sorted(reasons.items()):
        found.notes.append(f"{counted(count, 'image')} NOT CHECKED: {reason}")


# ---- the same pixels ------------------------------------------------------------------------------------------------


def shared_pixels(statistics: SliceStatistics) -> LeakCheck:
    """Return the check of pixels that are the same in two encodings; equal bytes are the check of bytes."""
    found = CheckBuilder(PIXELS)
    groups: dict[bytes, list[SliceRecord]] = {}
    blank: set[bytes] = set()
    for one, fingerprint in _decoded(statistics):
        found.count += 1
        groups.setdefault(fingerprint.pixels, []).append(one)
        if fingerprint.blank:
            blank.add(fingerprint.pixels)
    pairs: list[tuple[bytes, Split]] = []
    ties: list[Tie] = []
    blanks = 0
    for pixels, images in groups.items():
        if len({image.split for image in images}) < 2 or len({image.digest for image in images}) < 2:
            continue
        if pixels in blank:
            blanks += len(images)
            continue
        pairs += [(pixels, image.split) for image in images]
        ties.append([(unit_of(image.volume, image.path), image.split) for image in images])
        _report_same_pixels(found, sorted(images, key=lambda image: (_PLACE[image.split], image.path)))
    _note_undecoded(found, statistics)
    note_blanks(found, blanks)
    result = with_shares(found, spread_of(pairs), statistics.totals)
    result.ties = ties
    return result


def _report_same_pixels(found: CheckBuilder, images: Sequence[SliceRecord]) -> None:
    for image in images:
        earlier = (one for one in images if _PLACE[one.split] < _PLACE[image.split] and one.digest != image.digest)
        other = next(earlier, None)
        if other is not None:
            message = f"the same pixels as {other.path} ({other.split}) in another encoding"
            found.error("duplicate-content", image.path, message)


# ---- alike ----------------------------------------------------------------------------------------------------------


def shared_looks(statistics: SliceStatistics, at: Callable[[str], str], progress: Progress) -> LeakCheck:
    """Return the check of pictures of different volumes that look alike across splits, the most alike first.

    Images that look alike form a cluster. A cluster counts as one unit, as a volume does.

    Args:
        statistics: with what was decoded.
        at: gives the absolute path of an image.
        progress: where to report to.
    """
    from planbalance.audit.near_duplicates import find_alike  # noqa: PLC0415 - needs an extra

    found = CheckBuilder(LOOKS, ranked=True)
    images = statistics.pictures
    pairs = find_alike(images, progress)
    clusters = UnionFind()
    for pair in pairs:
        left, right = images[pair.left], images[pair.right]
        clusters.join((str(pair.left), str(pair.right)))
        found.error("near-duplicate", right.path, f"looks like {left.path} ({left.split}), alike {pair.likeness:.3f}")
    _note_undecoded(found, statistics)
    faint = 0
    for _, fingerprint in _decoded(statistics):
        found.count += 1
        faint += fingerprint.faint and not fingerprint.blank
    if faint:
        found.notes.append(f"{counted(faint, 'image')} with little but noise: an altered copy of one may go unseen")
    touched = {place for pair in pairs for place in (pair.left, pair.right)}
    spread = spread_of((clusters.root(str(place)), images[place].split) for place in touched)
    result = with_shares(found, spread, statistics.totals)
    for pair in pairs:
        both = images[pair.left], images[pair.right]
        result.ties.append([(unit_of(image.volume, image.path), image.split) for image in both])
    result.look_alikes = tuple(
        LookAlike(_pair_picture(images[pair.left], at), _pair_picture(images[pair.right], at), pair.likeness)
        for pair in pairs[:_PICTURES]
    )
    return result


def _pair_picture(image: SliceRecord, at: Callable[[str], str]) -> PairPicture:
    return PairPicture(image.split, image.path, at(image.path))


# ---- all of them ----------------------------------------------------------------------------------------------------


NO_MAP: Final = "no group map: a volume is not a patient, who may have several"


@dataclass(slots=True)
class LeakChecks:
    """The checks of what splits share, the shares, and pairs to show.

    Attributes:
        to_move: the fewest slices that have to change their split (or go) for nothing to be shared at all; None where
            there are no two splits.
        leaves_train: whether a repair that keeps test as it is leaves a slice in train.
    """

    checks: list[Check] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    look_alikes: tuple[LookAlike, ...] = ()
    to_move: int | None = None
    leaves_train: bool = False


class ImageLookup(NamedTuple):
    """What is known of the images of a dataset, beside their counts.

    Attributes:
        split_of: gives the splits of an image by its path.
        blank: answers whether one of several identical images shows nothing.
        at: gives the absolute path of an image.
    """

    split_of: SplitOf
    blank: Blank
    at: Callable[[str], str]


def overlap_checks(
    statistics: SliceStatistics,
    *,
    groups: Mapping[str, str] | None,
    images: ImageLookup,
    options: VerifyOptions,
    progress: Progress,
    joined: Mapping[str, str] | None = None,
) -> LeakChecks:
    """Return the checks of volumes, groups, identical and similar images between the splits of one dataset.

    `joined` are the groups of volumes that the plan put together, which are checked where patients are not known.

    Raises:
        InputError: the group map that was asked for does not know a volume.
    """
    if options.group_map is not None:
        require_known(statistics.volumes, options.group_map)
    if len(statistics.totals) < 2:
        reason = "there is one split only" if statistics.totals else "there are no splits"
        return LeakChecks([not_checked(name, reason) for name in LEAK_CHECKS])
    made = [_volumes(statistics)]
    together = shared_units(
        GROUPS, _several(statistics, joined or {}), statistics.totals, title="group of volumes in two splits"
    )
    if groups is None and together.leaks:
        made.append(together)
        groups = joined
    elif groups is not None:
        made.append(shared_units(GROUPS, regrouped(statistics.volumes, groups), statistics.totals))
    if not options.quick:
        made.append(shared_bytes(statistics, images.split_of, images.blank))
        if options.near_duplicates:
            made += [shared_pixels(statistics), shared_looks(statistics, images.at, progress)]
    by_name = {each.builder.name: each.builder.check() for each in made}
    connected = _connected(statistics, groups or {}, [tie for each in made for tie in each.ties])
    return LeakChecks(
        [by_name.get(name) or _not_made(name, statistics, options, together) for name in LEAK_CHECKS],
        [leak for each in made for leak in each.leaks],
        tuple(pair for each in made for pair in each.look_alikes),
        to_move(connected),
        leaves_train(connected),
    )


def _volumes(statistics: SliceStatistics) -> LeakCheck:
    shared = shared_units(VOLUMES, statistics.volumes, statistics.totals)
    if statistics.unnamed:
        note = f"{statistics.unnamed} images have names that the rule does not read: their volume is not known"
        shared.builder.notes.append(note)
    return shared


def _several(statistics: SliceStatistics, joined: Mapping[str, str]) -> Spread[str]:
    """Return the slices of each group of volumes that the plan put together, by split."""
    return regrouped({one: counts for one, counts in statistics.volumes.items() if one in joined}, joined)


def _not_made(name: str, statistics: SliceStatistics, options: VerifyOptions, together: LeakCheck) -> Check:
    if name == GROUPS:
        number = together.builder.count
        note = f"; {counted(number, 'group')} of volumes that the plan joined: each in one split" if number else ""
        return not_checked(GROUPS, NO_MAP + note, problems=_suspected(statistics.volumes))
    if options.quick:
        return not_checked(name, "quick: images were not read")
    return not_checked(name, "not asked for (--near-duplicates)")


def _connected(statistics: SliceStatistics, groups: Mapping[str, str], ties: Sequence[Tie]) -> Spread[str]:
    """Return the slices by split of all units that are connected in any way, and so must be in one split."""
    sets = UnionFind()
    spread = statistics.volumes
    for volume in spread:
        if volume in groups:
            sets.join((f"\1{groups[volume]}", volume))
    for tie in ties:
        sets.join(unit for unit, _ in tie)
        for unit, split in tie:
            if unit not in spread:  # a slice whose volume is not known
                spread[unit] = Counter((split,))
    return regrouped(spread, {unit: sets.root(unit) for unit in spread})


def _suspected(volumes: Spread[str]) -> list[Problem]:
    """Return a warning for every set of ids that look like one patient and lie in two splits."""
    suspected = []
    for ids in look_like_one_patient(volumes):
        split_of = {identity: "/".join(split for split in SPLITS if split in volumes[identity]) for identity in ids}
        if len(set(split_of.values())) > 1:
            where = ", ".join(f"{identity} in {split}" for identity, split in split_of.items())
            message = f"looks like one patient in two splits: {where} (--group-map decides it)"
            suspected.append(Problem("group-overlap", "warning", ids[0], message))
    return suspected
