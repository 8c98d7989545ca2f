"""Sample the negative slices of train that are kept.

There are two methods. `random` is uniform over all train negatives: it keeps those with the lowest SHA-256 of (sample
seed, volume, slice, name). So a volume that is added or removed does not change the order of the others, and the choice
depends on no library's shuffle. `spread` gives every volume its share, evenly along the slice order, so that no volume
loses all its negatives.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import ROUND_HALF_UP, Decimal
from hashlib import sha256
from itertools import chain
from typing import Literal, NamedTuple

from planbalance.apportion import largest_remainder


class Candidate(NamedTuple):
    """One negative slice of train.

    Attributes:
        volume: its volume's id.
        number: its position in the volume; None where the naming rule gives none.
        name: its path below the image folder, which differs between slices of the same volume and number.
    """

    volume: str
    number: int | None
    name: str


def quota(positives: int, ratio: Decimal) -> int:
    """Return the number of negatives for `ratio` negatives per positive; halves are rounded up."""
    return int((positives * ratio).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def doubtful(positives: Iterable[int], candidates: Iterable[Candidate], gap: int) -> set[Candidate]:
    """Return the candidates of ONE volume within `gap` slices of a positive, near the edge of a finding: not drawn.

    Args:
        positives: numbers of the volume's positive slices.
        candidates: its negatives; one without a number has no neighbours and is never doubtful.
        gap: in slices; at 0 no candidate is doubtful.
    """
    numbers = sorted(set(positives))
    found = set()
    if gap > 0:
        for candidate in candidates:
            if candidate.number is not None:
                nearest = bisect_left(numbers, candidate.number - gap)
                if nearest < len(numbers) and numbers[nearest] <= candidate.number + gap:
                    found.add(candidate)
    return found


def sample_negatives(
    candidates_by_volume: Mapping[str, Sequence[Candidate]],
    *,
    quota: int,
    method: Literal["random", "spread"],
    seed: int,
    always: AbstractSet[Candidate] = frozenset(),
    kept_before: AbstractSet[Candidate] = frozenset(),
) -> set[Candidate]:
    """Return the negatives that are kept: `quota` of them, or all where there are fewer; always those in `always`.

    Args:
        candidates_by_volume: train volume -> its negatives that may be drawn, in any order, those of `always` and
            `kept_before` included.
        quota: the wanted number.
        method: `random`, uniform over all; `spread`, every volume its share, evenly along its slices.
        seed: the sample seed.
        always: hard negatives; they are kept even where they alone exceed the quota.
        kept_before: negatives that the extended plan kept; they are kept before any other, as far as the quota allows.
            Where they exceed it, the choice among them is `random`.

    Members of `always` and `kept_before` that are not candidates are ignored.
    """
    candidates = dict.fromkeys(chain.from_iterable(candidates_by_volume.values()))
    kept = candidates.keys() & always
    earlier = (candidates.keys() & kept_before) - kept
    if len(kept) + len(earlier) >= quota:
        return kept | _lowest(earlier, max(0, quota - len(kept)), seed)
    kept |= earlier
    if len(candidates) <= quota:
        return set(candidates)
    if method == "random":
        rest = [candidate for candidate in candidates if candidate not in kept] if kept else candidates
        return kept | _lowest(rest, quota - len(kept), seed)
    return kept | _spread(candidates_by_volume, kept, quota, seed)


def _lowest(candidates: Iterable[Candidate], count: int, seed: int) -> set[Candidate]:
    """Return the `count` candidates, all different, whose SHA-256 with the seed is lowest."""
    listed = list(candidates)
    if count >= len(listed):
        return set(listed)
    digests = [
        # no part of a file name holds the separator
        sha256(
            f"{seed}\0{volume}\0{'' if number is None else number}\0{name}".encode("utf-8", "surrogateescape")
        ).digest()
        for volume, number, name in listed
    ]
    # Digests are spread evenly, so the lowest nearly always lie below this bound: fewer to sort.
    bound = bytes((min(255, 256 * count // len(listed) + 2),))
    low = sorted([digest for digest in digests if digest < bound])
    first_dropped = low[count] if len(low) > count else sorted(digests)[count]
    return {candidate for candidate, digest in zip(listed, digests, strict=True) if digest < first_dropped}


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()


def _spread(
    candidates_by_volume: Mapping[str, Sequence[Candidate]], kept: AbstractSet[Candidate], quota: int, seed: int
) -> set[Candidate]:
    """Return the negatives that each volume adds to `kept`, so that `quota` are kept in all."""
    volumes = sorted(volume for volume, candidates in candidates_by_volume.items() if candidates)
    sizes = [len(set(candidates_by_volume[volume])) for volume in volumes]
    held = [sum(candidate in kept for candidate in set(candidates_by_volume[volume])) for volume in volumes]
    chosen: set[Candidate] = set()
    for volume, share, have in zip(volumes, volume_shares(sizes, held, quota), held, strict=True):
        free = sorted(set(candidates_by_volume[volume]) - kept, key=_slice_order)
        chosen.update(_evenly(free, share - have, f"{seed}\0{volume}"))
    return chosen


def volume_shares(sizes: Sequence[int], held: Sequence[int], total: int) -> list[int]:
    """Return how many negatives each volume keeps: in proportion to `sizes`, at least one each where `total` allows.

    Args:
        sizes: volume -> candidates, all at least 1.
        held: volume -> candidates that are kept in any case; a volume never gets fewer, the others share the rest.
        total: between the sums of `held` and of `sizes`.
    """
    every_one = [max(1, have) for have in held]
    least = every_one if total >= sum(every_one) else list(held)
    shares = list(least)
    sharing = list(range(len(sizes)))
    left = total
    while True:
        counts = largest_remainder(left, [sizes[volume] for volume in sharing])
        below = {volume for volume, count in zip(sharing, counts, strict=True) if count < least[volume]}
        if not below:
            for volume, count in zip(sharing, counts, strict=True):
                shares[volume] = count
            return shares
        # These volumes keep their least; the others share the rest, which is less than their proportion.
        left -= sum(least[volume] for volume in below)
        sharing = [volume for volume in sharing if volume not in below]


def _slice_order(candidate: Candidate) -> tuple[int, str]:
    return (-1 if candidate.number is None else candidate.number, candidate.name)


def _evenly(candidates: Sequence[Candidate], count: int, phase_seed: str) -> list[Candidate]:
    """Return `count` of the candidates at equal steps; the seed decides the first one."""
    phase = int.from_bytes(_digest(phase_seed)[:8])
    return [candidates[((index << 64) + phase) * len(candidates) // (count << 64)] for index in range(count)]
