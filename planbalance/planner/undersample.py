"""Undersample the negative slices of train to the wanted ratio; val and test keep their natural class balance."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple

from planbalance.destination import Destinations
from planbalance.model import Input, ReadablePlan, Slice, Split, Volume
from planbalance.planner.matching import Matcher, spellings
from planbalance.planner.options import PlanOptions, plain
from planbalance.planner.sample import Candidate, doubtful, quota, sample_negatives
from planbalance.planner.volumes import below_folders
from planbalance.text import counted, some


class Sampled(NamedTuple):
    """The slices that are kept.

    Attributes:
        kept: volume id -> its kept slices, in order; a volume that is not in it keeps all.
        hard: train negatives that `--always-keep` names.
        warnings: sentences.
    """

    kept: Mapping[str, tuple[Slice, ...]]
    hard: int
    warnings: tuple[str, ...]


class _TrainVolume(NamedTuple):
    """The negatives of one train volume.

    Attributes:
        volume: the volume.
        candidates: one for each slice, in their order; None for a positive.
        open: the candidates that may be drawn.
        hard: the candidates that are always kept.
        earlier: the candidates that an older plan kept.
    """

    volume: Volume
    candidates: list[Candidate | None]
    open: list[Candidate]
    hard: set[Candidate]
    earlier: set[Candidate]

    def kept(self, chosen: Collection[Candidate]) -> tuple[Slice, ...]:
        """Return the slices that are kept when these candidates are."""
        pairs = zip(self.volume.slices, self.candidates, strict=True)
        return tuple(one for one, candidate in pairs if candidate is None or candidate in chosen)


def undersample(
    inputs: Sequence[Input], volumes: Sequence[Volume], split_of: Mapping[str, Split], options: PlanOptions
) -> Sampled:
    """Return the kept slices of the train volumes. Every positive slice is kept.

    Args:
        inputs: of the snapshot.
        volumes: all volumes, sorted by id.
        split_of: group -> split.
        options: ratio, method, seed, gap, slices that are always kept, and the plan to extend.
    """
    train = [volume for volume in volumes if split_of[volume.group] == "train"]
    named, unmatched = _named(inputs, volumes, options.always_keep)
    known = _kept_before(options.extend)
    train_volumes = [_train_volume(volume, _candidates(volume), named, known, options.gap) for volume in train]
    always: set[Candidate] = set().union(*(one.hard for one in train_volumes))
    before: set[Candidate] = set().union(*(one.earlier for one in train_volumes))
    available = sum(len(one.open) for one in train_volumes)
    positives = sum(volume.positives for volume in train)
    ratio = options.negatives_per_positive
    wanted = available if ratio is None else quota(positives, ratio)
    chosen = sample_negatives(
        {one.volume.id: one.open for one in train_volumes},
        quota=wanted,
        method=options.sampling,
        seed=options.sample_seed,
        always=always,
        kept_before=before,
    )
    kept = {one.volume.id: one.kept(chosen) for one in train_volumes}
    doubt = sum(len(volume.slices) - volume.positives for volume in train) - available
    numbers = _SampleCounts(positives, wanted, available, doubt, len(always), len(before), len(before & chosen))
    emptied = [identity for identity, slices in kept.items() if not slices]
    unnumbered = [one.volume.id for one in train_volumes if _lacks_numbers(one.volume)] if options.gap else []
    return Sampled(kept, len(always), tuple(_warnings(options, numbers, emptied, unmatched, unnumbered)))


class _SampleCounts(NamedTuple):
    """The counts that warnings name; all but `positives` count train negatives."""

    positives: int
    wanted: int
    available: int
    doubtful: int
    always: int
    before: int
    still: int


def _candidates(volume: Volume) -> list[Candidate | None]:
    """Return a candidate for each slice of a volume, None for a positive."""
    return [
        None if positive else _new_candidate((identity, number, name))
        for _, identity, number, positive, name in volume.slices
    ]


_new_candidate: Final[Callable[[tuple[str, int | None, str]], Candidate]] = partial(tuple.__new__, Candidate)


def _train_volume(
    volume: Volume,
    candidates: list[Candidate | None],
    named: Collection[tuple[int, str]],
    known: Collection[tuple[str, str]],
    gap: int,
) -> _TrainVolume:
    identity = volume.id
    negatives = [candidate for candidate in candidates if candidate is not None]
    hard: set[Candidate] = set()
    if named:
        pairs = zip(volume.slices, candidates, strict=True)
        hard = {each for one, each in pairs if each is not None and (one.file.input, one.file.path) in named}
    earlier = {each for each in negatives if (identity, each.name) in known} if known else set()
    if gap:
        positives = [one.number for one in volume.slices if one.positive and one.number is not None]
        doubt = doubtful(positives, negatives, gap) - hard - earlier
        negatives = [each for each in negatives if each not in doubt]
    return _TrainVolume(volume, candidates, negatives, hard, earlier)


def _lacks_numbers(volume: Volume) -> bool:
    """Return whether `--gap` cannot be applied in a volume: it has a positive slice, and one without a number."""
    return volume.positives > 0 and any(one.number is None for one in volume.slices)


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
    options: PlanOptions,
    numbers: _SampleCounts,
    emptied: Sequence[str],
    unmatched: Sequence[str],
    unnumbered: Sequence[str],
) -> Iterator[str]:
    if unmatched:
        yield f"--always-keep matched nothing with {some(unmatched)}."
    if unnumbered:
        yield (
            f"--gap {options.gap} cannot be applied in {counted(len(unnumbered), 'train volume')} with positive "
            f"slices: not all of their slices have a number ({some(unnumbered)}). Give the numbers by (?P<slice>) in "
            "--volume-pattern, or in the column slice of --slice-map."
        )
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
            f"The older plan kept {counted(numbers.before, 'negative')} of train that are still there; the quota "
            f"leaves room for {numbers.still:,} of them."
        )
    if emptied:
        yield (
            f"Sampling kept no slice of {counted(len(emptied), 'train volume')}: {some(emptied)}; --sampling spread "
            "keeps one of each where the quota allows."
        )
