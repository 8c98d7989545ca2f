"""Train's negatives, thinned out to the ratio that was asked for; val and test stay as they are (guide, Step 2)."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from planbalance.destination import Destinations
from planbalance.grouping import counted, some
from planbalance.model import Input, Slice, Split, Volume
from planbalance.planner.matching import Matcher, spellings
from planbalance.planner.options import PlanOptions, ReadablePlan, plain
from planbalance.planner.volumes import below_folders, sources_of
from planbalance.sample import Candidate, doubtful, quota, sample_negatives


@dataclass(frozen=True, slots=True)
class Thinned:
    """What stays.

    Attributes:
        kept: volume id -> its slices that stay, in order; volumes that lost none are not in it.
        hard: train negatives that `--always-keep` names.
        warnings: sentences.
    """

    kept: Mapping[str, tuple[Slice, ...]]
    hard: int
    warnings: tuple[str, ...]


def undersample(
    inputs: Sequence[Input], volumes: Sequence[Volume], split_of: Mapping[str, Split], options: PlanOptions
) -> Thinned:
    """Return what stays of the train volumes. Every positive does.

    Args:
        inputs: of the snapshot.
        volumes: all volumes, sorted by id.
        split_of: group -> split.
        options: ratio, method, seed, gap, what is always kept, and the plan to extend.
    """
    train = [volume for volume in volumes if split_of[volume.group] == "train"]
    names = Destinations(sources_of(inputs), "keep").below
    chosen, unmatched = _named(inputs, volumes, options.always_keep)
    known = _kept_before(options.extend)
    pools: dict[str, list[Candidate]] = {}
    always: set[Candidate] = set()
    before: set[Candidate] = set()
    unsure = 0
    for volume in train:
        candidates = {
            Candidate(volume.id, one.number, names(one.file.input, one.file.path, volume.id)): one
            for one in volume.slices
            if not one.positive
        }
        hard = {candidate for candidate, one in candidates.items() if (one.file.input, one.file.path) in chosen}
        earlier = {candidate for candidate in candidates if (volume.id, candidate.name) in known}
        doubt = doubtful(_positive_numbers(volume), candidates, options.gap) - hard - earlier
        always |= hard
        before |= earlier
        unsure += len(doubt)
        pools[volume.id] = [candidate for candidate in candidates if candidate not in doubt]
    available = sum(map(len, pools.values()))
    positives = sum(volume.positives for volume in train)
    ratio = options.negatives_per_positive
    wanted = available if ratio is None else quota(positives, ratio)
    staying = sample_negatives(
        pools, quota=wanted, method=options.sampling, seed=options.sample_seed, always=always, kept_before=before
    )
    kept = {volume.id: tuple(_staying(volume, names, staying)) for volume in train}
    notes = _Numbers(positives, wanted, available, unsure, len(always), len(before), len(before & staying))
    emptied = [identity for identity, slices in kept.items() if not slices]
    return Thinned(kept, len(always), tuple(_warnings(options, notes, emptied, unmatched)))


@dataclass(frozen=True, slots=True)
class _Numbers:
    """What warnings name; all but `positives` count train negatives."""

    positives: int
    wanted: int
    available: int
    doubtful: int
    always: int
    before: int
    still: int


def _positive_numbers(volume: Volume) -> list[int]:
    return [one.number for one in volume.slices if one.positive and one.number is not None]


def _staying(volume: Volume, names: Callable[[int, str, str], str], staying: Collection[Candidate]) -> Iterator[Slice]:
    for one in volume.slices:
        if one.positive or (volume.id, one.number, names(one.file.input, one.file.path, volume.id)) in staying:
            yield one


def _named(
    inputs: Sequence[Input], volumes: Iterable[Volume], entries: tuple[str, ...]
) -> tuple[set[tuple[int, str]], tuple[str, ...]]:
    """Return (input, path) of every slice that an entry of `--always-keep` names, and the entries that name none."""
    matcher = Matcher(entries)
    if not matcher:
        return set(), ()
    below = below_folders(inputs)
    found = {
        (one.file.input, one.file.path)
        for volume in volumes
        for one in volume.slices
        if matcher.matches(spellings(one.file, inputs[one.file.input], below(one.file)))
    }
    return found, matcher.unmatched


def _kept_before(older: ReadablePlan | None) -> set[tuple[str, str]]:
    """Return (volume, path below the image folder) of every train negative that the older plan keeps."""
    if older is None:
        return set()
    below = Destinations(older.header.sources, "keep").below
    return {
        (each.volume, below(each.input, each.image, each.volume))
        for each in older.operations()
        if each.split == "train" and not each.positive
    }


def _warnings(
    options: PlanOptions, numbers: _Numbers, emptied: Sequence[str], unmatched: Sequence[str]
) -> Iterator[str]:
    if unmatched:
        yield f"--always-keep matched nothing with {some(unmatched)}."
    if numbers.wanted > numbers.available:
        ratio = plain(options.negatives_per_positive or Decimal(0))
        apart = f" ({numbers.doubtful:,} more lie within --gap {options.gap})" if numbers.doubtful else ""
        yield (
            f"Too few negative slices in train: {numbers.available:,} for {numbers.positives:,} positive ones, "
            f"where --negatives-per-positive {ratio} asks for {numbers.wanted:,}; all are kept{apart}."
        )
    if numbers.always > numbers.wanted:
        yield (
            f"--always-keep names {counted(numbers.always, 'negative')} of train, more than the {numbers.wanted:,} "
            "wanted; all are kept."
        )
    if numbers.still < numbers.before:
        yield (
            f"The older plan kept {counted(numbers.before, 'negative')} of train that are still there; the quota leaves "
            f"room for {numbers.still:,} of them."
        )
    if emptied:
        yield (
            f"Sampling kept no slice of {counted(len(emptied), 'train volume')}: {some(emptied)}; --sampling spread "
            "keeps one of each where the quota allows."
        )
