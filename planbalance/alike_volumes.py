"""Which volumes are the same scan: their pictures look alike, slice by slice and in order (`--group-from look-alikes`).

Neighbouring slices of one scan look alike too, and so may the same slice of two people. So pictures are compared
between volumes only, and a pair of volumes counts by how many of its slices look alike in one order, or in the
opposite one. Slices that show little but noise do not count. Needs numpy (extra `near-duplicates`).

A few slices of each volume are compared with all slices of all others, and where one looks alike, the two volumes are
compared slice by slice. A part of a volume is found too, as all slices of the part are in the whole.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planbalance.executor.autoscaler import LIMITS
from planbalance.executor.processes import ProcessPool, process_count
from planbalance.fingerprint import Fingerprint, FingerprintResult
from planbalance.likeness import LENGTH, NEAR, Floats, Levels, details_of, fingerprint_of_file, likeness, signatures
from planbalance.look_alikes import FoundPairs, SlicePair, Undecoded, VolumePair, spread
from planbalance.model import Input, Progress, Volume
from planbalance.path_relation import path_in
from planbalance.text import error_text

_BATCH: Final = 32  # pictures that a worker process decodes at a time
_PROBES: Final = 8  # slices of a volume that are compared with all others
_HITS: Final = 6  # probes of a pair of volumes that are compared in detail
_ROWS: Final = 64  # probes that are compared at a time
_SHIFTS: Final = ((0, 0), *((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x))  # of a probe, reduced pixels
_WORTHLESS: Final = 0.7  # a slice that is so much alike says nothing about the order
_CLOSEST: Final = 2  # slices of the other volume that are compared in detail with one slice
_LARGEST_FILE: Final = 1 << 26  # bytes


class _Shown(NamedTuple):
    """The slices of one volume that show something: their places in the volume, and what they look like."""

    places: list[int]
    prints: list[Fingerprint]


class _Match(NamedTuple):
    """A slice that looks like one of another volume: their places among the shown slices, and how alike they are."""

    left: int
    right: int
    likeness: float


def find_alike_volumes(
    inputs: Sequence[Input], volumes: Sequence[Volume], *, jobs: int | None, progress: Progress
) -> FoundPairs:
    """Decode all slices, and return the pairs of volumes that look alike, and the pictures that were not compared.

    Args:
        inputs: of the snapshot.
        volumes: of the plan; a pair is given with the earlier one first.
        jobs: how many processes decode; None: one for each core.
        progress: where to report to.
    """
    files = [path_in(inputs[one.file.input].root, one.file.path) for volume in volumes for one in volume.slices]
    results = _fingerprints(files, jobs, progress)
    undecoded = [
        Undecoded(path, result.reason)
        for path, result in zip(files, results, strict=True)
        if result.fingerprint is None
    ]
    prints = (result.fingerprint for result in results)
    shown = [_shown(islice(prints, len(volume.slices))) for volume in volumes]
    unseen = tuple(volume.id for volume, own in zip(volumes, shown, strict=True) if not own.places)
    return FoundPairs(tuple(_pairs(volumes, shown, progress)), tuple(undecoded), unseen)


def _shown(prints: Iterable[Fingerprint | None]) -> _Shown:
    visible = [(place, one) for place, one in enumerate(prints) if one is not None and one.detail and not one.faint]
    return _Shown([place for place, _ in visible], [one for _, one in visible])


# ---- pictures -------------------------------------------------------------------------------------------------------


def _fingerprints(files: Sequence[str], jobs: int | None, progress: Progress) -> list[FingerprintResult]:
    """Return what each picture looks like, in the order of the files."""
    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    results: list[list[FingerprintResult]] = [[]] * len(batches)
    with ProcessPool(process_count(len(files), jobs, LIMITS)) as pool:  # forked before the bar starts its thread
        progress.begin("read pictures", len(files), "slices")
        try:
            for number, found in pool.work_off(_read_batch, batches):
                results[number] = found
                progress.advance(len(found))
        finally:
            progress.end()
    return [each for batch in results for each in batch]


def _read_batch(paths: Sequence[str]) -> list[FingerprintResult]:
    return list(map(_read_picture, paths))


def _read_picture(path: str) -> FingerprintResult:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_FILE + 1)
        if len(data) > _LARGEST_FILE:
            return FingerprintResult(None, f"larger than {_LARGEST_FILE >> 20} MiB")
        return fingerprint_of_file(data, path)
    except OSError as error:
        return FingerprintResult(None, f"not readable: {error_text(error)}")


# ---- pairs of volumes -----------------------------------------------------------------------------------------------


class _Hit(NamedTuple):
    """A probe that is near a slice of another volume: volumes by their index, slices among those that show something.

    `shift` moves the probe onto the other slice, in pixels of the reduced size.
    """

    near: float
    volume: int
    place: int
    other: int
    at: int
    shift: tuple[int, int]


def _pairs(volumes: Sequence[Volume], shown: Sequence[_Shown], progress: Progress) -> Iterator[VolumePair]:
    """Yield the pairs of volumes of which slices look alike, in the order of the volumes."""
    ends = np.cumsum([len(own.places) for own in shown])
    vectors: Floats = np.empty((int(ends[-1]) if len(ends) else 0, LENGTH), np.float32)
    parts = np.split(vectors, ends[:-1])
    for own, part in zip(shown, parts, strict=False):
        part[:] = signatures(details_of(own.prints))
    hits = _hits(shown, vectors, ends, progress)
    for (left, right), found in sorted(hits.items()):
        sure = next((hit for hit in found if likeness(_print(shown, hit), shown[hit.other].prints[hit.at])), None)
        if sure is not None:
            shift = sure.shift if sure.volume == left else (-sure.shift[0], -sure.shift[1])
            products = signatures(_moved(details_of(shown[left].prints), shift)) @ parts[right].T
            pair = _compared(volumes[left], volumes[right], (shown[left], shown[right]), products)
            if pair is not None:
                yield pair


def _print(shown: Sequence[_Shown], hit: _Hit) -> Fingerprint:
    return shown[hit.volume].prints[hit.place]


def _moved(details: Levels, shift: tuple[int, int]) -> Levels:
    """Return pictures moved by pixels of the reduced size."""
    return np.roll(details, shift, (1, 2))


def _hits(
    shown: Sequence[_Shown], vectors: Floats, ends: NDArray[np.int64], progress: Progress
) -> dict[tuple[int, int], list[_Hit]]:
    """Return for each pair of volumes, the earlier first, the few probes that are nearest to a slice of the other."""
    found: defaultdict[tuple[int, int], list[_Hit]] = defaultdict(list)
    filled = [index for index, own in enumerate(shown) if own.places]
    starts = [int(ends[index]) - len(shown[index].places) for index in filled]
    probes = [(index, place) for index in filled for place in spread(len(shown[index].places), _PROBES)]
    progress.begin("compare pictures", len(probes), "slices")
    try:
        for start in range(0, len(probes), _ROWS):
            rows = probes[start : start + _ROWS]
            pictures = details_of([shown[index].prints[place] for index, place in rows])
            for shift in _SHIFTS:
                products = signatures(_moved(pictures, shift)) @ vectors.T
                nearest = np.maximum.reduceat(products, starts, axis=1)
                for row, column in np.argwhere(nearest >= NEAR).tolist():
                    (index, place), other = rows[row], filled[column]
                    if index != other:
                        own = products[row, starts[column] : int(ends[other])]
                        hit = _Hit(float(nearest[row, column]), index, place, other, int(own.argmax()), shift)
                        _keep_nearest(found[min(index, other), max(index, other)], hit)
            progress.advance(len(rows))
    finally:
        progress.end()
    return found


def _keep_nearest(hits: list[_Hit], hit: _Hit) -> None:
    """Add a hit to those of a pair of volumes: the nearest of each probe, and of the nearest few probes."""
    same = next((at for at, one in enumerate(hits) if (one.volume, one.place) == (hit.volume, hit.place)), None)
    if same is None:
        hits.append(hit)
    elif hits[same].near < hit.near:
        hits[same] = hit
    hits.sort(key=lambda one: -one.near)
    del hits[_HITS:]


def _best(products: Floats) -> list[int]:
    """Return the places of the largest products that are near enough, the largest first."""
    order = np.argsort(-products, kind="stable")[:_CLOSEST]
    return [at for at in order.tolist() if products[at] >= NEAR]


def _compared(left: Volume, right: Volume, shown: tuple[_Shown, _Shown], products: Floats) -> VolumePair | None:
    """Compare two volumes slice by slice; return None where no two slices look alike."""
    matches: list[_Match] = []
    for row, near in enumerate(products):
        for column in _best(near):
            score = likeness(shown[0].prints[row], shown[1].prints[column])
            if score:
                matches.append(_Match(row, column, score))
    columns = products.shape[1]
    chains = _best_chain(matches, columns), _reversed(_best_chain(_reversed(matches, columns), columns), columns)
    chain = max(chains, key=lambda found: sum(match.likeness for match in found))
    if not chain:
        return None
    scores = sorted(match.likeness for match in chain)
    slices = tuple(
        SlicePair(left.slices[shown[0].places[a]], right.slices[shown[1].places[b]], score) for a, b, score in chain
    )
    return VolumePair(
        left.id, right.id, len(chain), len(shown[0].places), len(shown[1].places), scores[len(scores) // 2], slices
    )


def _reversed(matches: Iterable[_Match], columns: int) -> list[_Match]:
    """Return the matches with the places of the right volume counted from its other end."""
    return [match._replace(right=columns - 1 - match.right) for match in matches]


def _best_chain(matches: Iterable[_Match], columns: int) -> list[_Match]:
    """Return the matches in one order, each next one later in both volumes, that are the most alike together."""
    weights = np.zeros(columns)  # of the best chain that ends at each place of the right volume
    tips = np.full(columns, -1)
    steps: list[tuple[_Match, int]] = []
    for match in sorted(matches, key=lambda one: (one.left, -one.right)):  # of one left slice, no two in one chain
        before = int(weights[: match.right].argmax()) if match.right else -1
        weight = match.likeness - _WORTHLESS + (weights[before] if before >= 0 else 0)
        steps.append((match, int(tips[before]) if before >= 0 else -1))
        if weight > weights[match.right]:
            weights[match.right], tips[match.right] = weight, len(steps) - 1
    chain: list[_Match] = []
    step = int(tips[weights.argmax()]) if steps else -1
    while step >= 0:
        match, step = steps[step]
        chain.append(match)
    return chain[::-1]
