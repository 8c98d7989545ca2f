"""What two splits share that only pixels tell: the same picture in another encoding, and pictures that look alike."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from planbalance.audit.connected import Connected
from planbalance.audit.findings import Findings
from planbalance.audit.leaks import spread_of
from planbalance.audit.picture import Impression
from planbalance.audit.sharing import LOOKS, PIXELS, Shared, Tie, note_blanks, unit_of, with_shares
from planbalance.audit.tally import Seen, Tally
from planbalance.grouping import counted
from planbalance.model import SPLITS, Look, LookAlike, Progress, Split

_PICTURES: Final = 24  # pairs to draw: a person looks at the worst
_PLACE: Final = {split: index for index, split in enumerate(SPLITS)}


def _decoded(tally: Tally) -> Iterator[tuple[Seen, Impression]]:
    for one in tally.pictures:
        if one.picture is not None and one.picture.impression is not None:
            yield one, one.picture.impression


def _note_undecoded(found: Findings, tally: Tally) -> None:
    """Say what could not be looked at: it is not called clean."""
    reasons = Counter(one.picture.reason for one in tally.pictures if one.picture is not None and one.picture.reason)
    for reason, count in sorted(reasons.items()):
        found.notes.append(f"{counted(count, 'image')} NOT CHECKED: {reason}")


# ---- the same pixels ------------------------------------------------------------------------------------------------


def shared_pixels(tally: Tally) -> Shared:
    """Return the check of pixels that are the same in two encodings; equal bytes are the check of bytes."""
    found = Findings(PIXELS)
    groups: dict[bytes, list[Seen]] = {}
    blank: set[bytes] = set()
    for one, impression in _decoded(tally):
        found.count += 1
        groups.setdefault(impression.pixels, []).append(one)
        if impression.blank:
            blank.add(impression.pixels)
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
        _say_same(found, sorted(images, key=lambda image: (_PLACE[image.split], image.path)))
    _note_undecoded(found, tally)
    note_blanks(found, blanks)
    result = with_shares(found, spread_of(pairs), tally.totals)
    result.ties = ties
    return result


def _say_same(found: Findings, images: Sequence[Seen]) -> None:
    for image in images:
        earlier = (one for one in images if _PLACE[one.split] < _PLACE[image.split] and one.digest != image.digest)
        other = next(earlier, None)
        if other is not None:
            message = f"the same pixels as {other.path} ({other.split}) in another encoding"
            found.error("duplicate-content", image.path, message)


# ---- alike ----------------------------------------------------------------------------------------------------------


def shared_looks(tally: Tally, at: Callable[[str], str], progress: Progress) -> Shared:
    """Return the check of pictures of different volumes that look alike across splits, the most alike first.

    What is alike forms a cluster, and shares are of clusters, as for volumes.

    Args:
        tally: with what was decoded.
        at: gives the absolute path of an image.
        progress: where to report to.
    """
    from planbalance.audit.similar import find_alike  # noqa: PLC0415 - needs an extra

    found = Findings(LOOKS, ranked=True)
    images = tally.pictures
    pairs = find_alike(images, progress)
    clusters = Connected()
    for pair in pairs:
        left, right = images[pair.left], images[pair.right]
        clusters.tie((str(pair.left), str(pair.right)))
        found.error("near-duplicate", right.path, f"looks like {left.path} ({left.split}), alike {pair.likeness:.3f}")
    _note_undecoded(found, tally)
    faint = 0
    for _, impression in _decoded(tally):
        found.count += 1
        faint += impression.faint and not impression.blank
    if faint:
        found.notes.append(f"{counted(faint, 'image')} with little but noise: an altered copy of one may go unseen")
    touched = {place for pair in pairs for place in (pair.left, pair.right)}
    spread = spread_of((clusters.root(str(place)), images[place].split) for place in touched)
    result = with_shares(found, spread, tally.totals)
    for pair in pairs:
        both = images[pair.left], images[pair.right]
        result.ties.append([(unit_of(image.volume, image.path), image.split) for image in both])
    result.look_alikes = tuple(
        LookAlike(_look(images[pair.left], at), _look(images[pair.right], at), pair.likeness)
        for pair in pairs[:_PICTURES]
    )
    return result


def _look(image: Seen, at: Callable[[str], str]) -> Look:
    return Look(image.split, image.path, at(image.path))
