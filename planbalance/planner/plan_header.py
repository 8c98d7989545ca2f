"""Make the plan's header: decisions, counts, targets and warnings."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.dataset_files import GUIDES_WORD, METADATA, UNREAD_SUFFIXES, class_word
from planbalance.group_sources import LOOK_ALIKES, sources_document
from planbalance.look_alikes import pairs_document
from planbalance.model import (
    SPLITS,
    TARGETS_MISSED,
    TRAINER_SUFFIXES,
    ClassCount,
    Input,
    PlanHeader,
    PlannedVolume,
    Slice,
    Snapshot,
    Split,
    Volume,
    are_named,
    placeholder_names,
)
from planbalance.planfile import naming_document, slice_counts, source_document, volume_counts
from planbalance.planner.options import PlanOptions, plain
from planbalance.planner.repair import Repair
from planbalance.planner.select import Selection
from planbalance.planner.undersample import Sampled
from planbalance.planner.volumes import sources_of
from planbalance.runlength import encode, gaps
from planbalance.split import STRATA, ClassShare, Share, SplitResult, Target
from planbalance.split.prove import SplitProof
from planbalance.text import counted, some

_MOST_CLASSES: Final = 1000  # without class names, a larger class id is taken for an error in a label


class Decisions(NamedTuple):
    """All decisions of a plan.

    Attributes:
        options: as given, `extend` applied.
        selection: the slices used.
        result: which group goes where.
        sampled: the slices of train that are kept.
        fold: of several plans, which one this is: `fold` and `of`, with repetitions `repeat` and `repeats`, of a value
            that is left out `leave_out` (the column) and `value`; else None.
        warnings: sentences of the steps before.
        proof: how near the best split this one is, where that was asked.
        repair: of a dataset that is mended; None where slices are split anew.
    """

    options: PlanOptions
    selection: Selection
    result: SplitResult
    sampled: Sampled
    fold: Mapping[str, int | str] | None
    warnings: tuple[str, ...]
    proof: SplitProof | None
    repair: Repair | None = None

    def split(self, volume: Volume) -> Split:
        """Return the split of a volume."""
        return self.result.split_of[volume.group]

    def kept(self, volume: Volume) -> tuple[Slice, ...]:
        """Return the kept slices of a volume."""
        return self.sampled.kept.get(volume.id, volume.slices)


def header_of(snapshot: Snapshot, decisions: Decisions, counts: Sequence[ClassCount]) -> PlanHeader:
    """Return the header, not sealed yet; `counts` are those of `class_counts`."""
    selection, options = decisions.selection, decisions.options
    planned = tuple(_planned_volume(volume, decisions) for volume in selection.volumes)
    classes = _classes(snapshot, selection.volumes)
    warnings = (
        *selection.warnings,
        *decisions.warnings,
        *(_split_warnings(decisions) if decisions.repair is None else ()),
        *_class_warnings(decisions, counts, classes.names),
        *_trait_warnings(decisions),
        *decisions.sampled.warnings,
        *classes.warnings,
        *_suffix_warnings(selection.suffixes),
    )
    return PlanHeader(
        digest="",
        split_digest="",
        inputs=tuple(source.root for source in snapshot.inputs),
        sources=sources_of(snapshot.inputs),
        output=options.output,
        names=classes.names,
        parameters=_parameters(decisions, snapshot.inputs),
        naming=naming_document(selection.naming, selection.paths, selection.naming_warnings, selection.naming_notes)
        if options.volume_source is None
        else {**source_document(selection.naming, selection.examples), **_slice_numbers(decisions)},
        statistics=_statistics(decisions, classes.word),
        volume_statistics={**volume_counts(planned), **_strata(planned)},
        targets=_targets(decisions, classes.names)
        if decisions.repair is None
        else _reached_only(decisions, classes.names),
        warnings=tuple(dict.fromkeys(warnings)),
        volumes=planned,
        blocks=(),
        yaml_keys=snapshot.yaml_keys,
    )


def class_counts(snapshot: Snapshot, decisions: Decisions) -> tuple[ClassCount, ...]:
    """Return the counts of each class that occurs, per split, after undersampling; nothing where there is one class."""
    if len(decisions.result.classes) < 2 and not any(len(source.names or ()) > 1 for source in snapshot.inputs):
        return ()
    boxes: Counter[tuple[int, Split]] = Counter()
    slices: Counter[tuple[int, Split]] = Counter()
    holders: set[tuple[int, Split, str]] = set()
    for volume in decisions.selection.volumes:
        split, group = decisions.split(volume), volume.group
        for found in [one.file.classes for one in decisions.kept(volume) if one.file.classes]:
            boxes.update([(class_id, split) for class_id in found])
            slices.update({(class_id, split) for class_id in found})
            holders.update([(class_id, split, group) for class_id in found])
    units = Counter((class_id, split) for class_id, split, _ in holders)
    return tuple(
        ClassCount(class_id, *(tuple(number[class_id, split] for split in SPLITS) for number in (boxes, slices, units)))
        for class_id in decisions.result.classes
    )


def _group_from(options: PlanOptions) -> dict[str, str]:
    """Return the one DICOM tag or attribute that gives the groups, where it is not `PatientID`."""
    groups = options.group_map
    other = groups is not None and groups.source != "map" and groups.name != "dicom:PatientID"
    return {"group_from": groups.name} if groups is not None and other else {}


def _split_from(decisions: Decisions) -> dict[str, Any]:
    """Return that the split of a proof was asked for, which no seed gives again, and whether one was taken."""
    proof = decisions.proof
    if proof is None or not decisions.options.prove_split:
        return {}
    return {"prove_split": {"seconds": proof.seconds, "solver": proof.solver, "taken": proof.taken}}


def _sources(decisions: Decisions) -> dict[str, Any]:
    """Return what each source of groups has joined, where there are several, and the pairs that look alike."""
    words, grouped = decisions.options.group_from, decisions.selection.grouped
    if not words:
        return {}
    found: dict[str, Any] = {"sources": sources_document(grouped.sources)}
    return found | ({"look_alikes": pairs_document(grouped.look_alikes)} if LOOK_ALIKES in words else {})


def _slice_numbers(decisions: Decisions) -> dict[str, Any]:
    """Return the numbers of the kept slices of each volume, positive and negative ones, which names do not tell."""
    numbers = {}
    for volume in decisions.selection.volumes:
        found: tuple[list[int], list[int]] = ([], [])
        for one in decisions.kept(volume):
            if one.number is not None:
                found[not one.positive].append(one.number)
        if any(found):
            numbers[volume.id] = list(map(encode, found))
    return {"numbers": numbers} if numbers else {}


def _planned_volume(volume: Volume, decisions: Decisions) -> PlannedVolume:
    kept = decisions.kept(volume)
    staying = set(map(id, kept))  # the same objects as the volume's slices
    lost = [one for one in volume.slices if id(one) not in staying] if len(kept) < len(volume.slices) else []
    dropped = [one.number for one in lost if one.number is not None]
    numbers = [one.number for one in volume.slices if one.number is not None]
    return PlannedVolume(
        id=volume.id,
        group=volume.group,
        split=decisions.split(volume),
        slices=len(volume.slices),
        positives=volume.positives,
        kept=len(kept),
        dropped=encode(dropped),
        missing=gaps(numbers),
    )


def _statistics(decisions: Decisions, word: str | None) -> dict[str, Any]:
    """Return the metadata's `statistics`, with `before` undersampling and the slices `removed`."""
    before: Counter[tuple[Split, bool]] = Counter()
    after: Counter[tuple[Split, bool]] = Counter()
    for volume in decisions.selection.volumes:
        split = decisions.split(volume)
        before[split, True] += volume.positives
        before[split, False] += len(volume.slices) - volume.positives
        after[split, True] += volume.positives  # undersampling never drops a positive
        after[split, False] += len(decisions.kept(volume)) - volume.positives
    return {
        **slice_counts(after, word),
        "before": slice_counts(before, None)["splits"],
        "removed": before.total() - after.total(),
    }


def _strata(planned: Iterable[PlannedVolume]) -> dict[str, dict[str, int]]:
    counts = Counter((volume.split, volume.positives > 0) for volume in planned)
    return {split: {"positive": counts[split, True], "negative": counts[split, False]} for split in SPLITS}


def _targets(decisions: Decisions, names: Sequence[str] | None) -> dict[str, Any]:
    """Return wanted and reached counts: per split, for all splits together, per class, and per `--stratify` value."""
    result = decisions.result
    counts = {
        "positive": result.positives,
        "negative": result.negatives,
        **{f"{stratum}_units": result.quotas[stratum] for stratum in STRATA},
    }
    grouped = any(volume.group != volume.id for volume in decisions.selection.volumes)
    targets: dict[str, Any] = {
        split: {name: _reached(target, index) for name, target in counts.items()} for index, split in enumerate(SPLITS)
    }
    return targets | {
        "unit": "group" if grouped else "volume",
        "distance": result.distance,
        "exact": result.exact,
        "proven": result.proven,
        "classes": [
            {"class": class_id, "name": _name(names, class_id), **_class_target(share)}
            for class_id, share in result.classes.items()
        ],
        "stratify": {
            column: [{"value": value, **_shared(share)} for value, share in values.items()]
            for column, values in zip(decisions.options.stratify, result.traits, strict=True)
        },
    }


def _reached_only(decisions: Decisions, names: Sequence[str] | None) -> dict[str, Any]:
    """Return the boxes of each class in each split; a repair has no targets."""
    return {
        "classes": [
            {
                "class": class_id,
                "name": _name(names, class_id),
                **{split: {"reached": share.boxes.counts.reached[index]} for index, split in enumerate(SPLITS)},
            }
            for class_id, share in decisions.result.classes.items()
        ]
    }


def _reached(target: Target, index: int) -> dict[str, int]:
    wanted, reached = target.wanted[index], target.reached[index]
    return {"wanted": wanted, "reached": reached, "distance": abs(reached - wanted)}


def _shared(share: Share) -> dict[str, Any]:
    by_split: dict[str, Any] = {split: _reached(share.counts, index) for index, split in enumerate(SPLITS)}
    return by_split | {"deviation": plain(share.deviation)}


def _class_target(share: ClassShare) -> dict[str, Any]:
    """Return the boxes of a class, and where there are several classes its groups and its floor."""
    target = _shared(share.boxes)
    if share.floor is None:  # the only class: the slices are its target
        return target
    groups: dict[str, Any] = {
        split: {**_reached(share.groups.counts, index), "least": least, "most": most}
        for index, (split, (least, most)) in enumerate(zip(SPLITS, share.ranges, strict=True))
    }
    return target | {"groups": groups, "floor": plain(share.floor), "proven": share.proven}


def _name(names: Sequence[str] | None, class_id: int) -> str | None:
    return names[class_id] if names is not None and class_id < len(names) else None


def _parameters(decisions: Decisions, inputs: Iterable[Input]) -> dict[str, Any]:
    options, selection = decisions.options, decisions.selection
    negatives = options.negatives_per_positive
    return {
        "train_ratio": plain(options.train_ratio),
        "val_ratio": plain(options.val_ratio),
        "test_ratio": None if decisions.fold else plain(options.test_ratio),
        "split_seed": options.split_seed,
        "sample_seed": options.sample_seed,
        "split_method": options.split_method,
        **({} if options.balance == "patients" else {"balance": options.balance}),
        "negatives_per_positive": None if negatives is None else plain(negatives),
        "sampling": options.sampling,
        "gap": options.gap,
        "positive_classes": None if options.positive_classes is None else sorted(options.positive_classes),
        "missing_label": options.missing_label,
        "invalid_label": options.invalid_label,
        "volume_pattern": options.volume_pattern,
        "layout": options.layout,
        "hash_images": options.hash_images,
        "groups": {
            "by": selection.grouped.by,
            "count": len(decisions.result.split_of),
            "joined_by_content": [list(ids) for ids in selection.grouped.joined],
            **_sources(decisions),
        },
        "stratify": list(options.stratify),
        "keep_split": list(options.keep_split),
        "split_map": None if options.split_map is None else len(options.split_map),
        "always_keep": {"entries": len(options.always_keep), "slices": decisions.sampled.hard},
        "exclude": {"entries": list(options.exclude), **selection.excluded},
        "extend": None if options.extend is None else options.extend.header.digest,
        "fold": None if decisions.fold is None else dict(decisions.fold),
        **({} if options.volume_source is None else options.volume_source.parameters),
        **_group_from(options),
        **_split_from(decisions),
        **({"shared_ids": options.shared_ids} if any(source.prefix for source in inputs) else {}),
        **({} if decisions.repair is None else _of_repair(decisions.repair)),
    }


def _of_repair(repair: Repair) -> dict[str, Any]:
    """Return the repair, and no ratio or seed, which decide nothing in it; a split that is not there has ratio 0."""
    ratios = {f"{split}_ratio": None if split in repair.held else "0" for split in SPLITS}
    return {**ratios, "split_seed": None, "sample_seed": None, "split_method": None, "repair": repair.to_json()}


class _Classes(NamedTuple):
    """The class names of a plan.

    Attributes:
        names: by id; None where there are too many to name.
        word: the key word of positive slices in the metadata, or None (`dataset_files.class_word`).
        warnings: sentences, where the inputs name no class.
    """

    names: tuple[str, ...] | None
    word: str | None
    warnings: tuple[str, ...]


def _classes(snapshot: Snapshot, volumes: Iterable[Volume]) -> _Classes:
    """Return the class names of the inputs, or `class_0`, `class_1`, ... because trainers need names."""
    given = next((source.names for source in snapshot.inputs if source.names is not None), None)
    if given is not None:
        return _Classes(given, class_word(given), ())
    seen = {one_class for volume in volumes for one in volume.slices for one_class in one.file.classes}
    largest = max(seen, default=0)
    how = "To name them, write classes.txt (one name a line, in the order of their ids) or `names:` in the yaml."
    if largest >= _MOST_CLASSES:
        return _Classes(None, None, (f"No input names class {largest}: dataset.yaml will have no names. {how}",))
    names = placeholder_names(largest + 1)
    if largest:
        return _Classes(
            names, None, (f"No input names the classes: they are called class_0 to class_{largest}. {how}",)
        )
    called = "No input names the class: it is called class_0 in dataset.yaml"
    keys = f"`{GUIDES_WORD}` and `no_{GUIDES_WORD}`, the guide's keys, in {METADATA}"
    how = "To name it, write its name into classes.txt in the dataset's folder, or `names:` in the yaml."
    return _Classes(names, GUIDES_WORD, (f"{called}, and counted under {keys}. {how}",))


def _wanted_splits(decisions: Decisions) -> list[tuple[int, Split]]:
    """Return the splits that must hold slices, with their index."""
    ratios = decisions.options.ratios
    if decisions.repair is not None:
        return [(index, split) for index, split in enumerate(SPLITS) if split in decisions.repair.held]
    return [(index, split) for index, split in enumerate(SPLITS) if ratios[index] > 0 or decisions.fold is not None]


def _filled_splits(decisions: Decisions) -> list[tuple[int, Split]]:
    """Return the splits that must hold slices, and those that hold fixed ones only, with their index."""
    wanted, units = _wanted_splits(decisions), decisions.result.units
    return [(index, split) for index, split in enumerate(SPLITS) if units[index] or (index, split) in wanted]


def _split_warnings(decisions: Decisions) -> Iterator[str]:
    result = decisions.result
    for index, split in _wanted_splits(decisions):
        if not result.positives.reached[index] and not result.negatives.reached[index]:
            yield f"{split} holds no slice at all."
            continue
        for what, target in (("positive", result.positives), ("negative", result.negatives)):
            if not target.reached[index]:
                units = sum(result.quotas["positive"].reached) if what == "positive" else 0
                why = f" ({counted(units, 'positive group')} in all)" if units else ""
                yield f"{split} holds no {what} slice{why}."
    if result.distance:
        parts = [
            f"{split} {reached - wanted:+,} {what}"
            for what, target in (("positive", result.positives), ("negative", result.negatives))
            for split, wanted, reached in zip(SPLITS, target.wanted, target.reached, strict=True)
            if reached != wanted
        ]
        options = decisions.options
        fixed = options.extend is not None or options.keep_split or options.split_map is not None
        what = "placement that keeps what is fixed" if fixed else "placement of whole groups"
        best = f"; no {what} comes closer" if result.proven else ""
        yield f"{TARGETS_MISSED} {result.distance:,} in all ({', '.join(parts)}){best}."


def _class_warnings(decisions: Decisions, classes: Sequence[ClassCount], names: Sequence[str] | None) -> Iterator[str]:
    """Yield warnings of the classes that a split has in no or in one unit only, and of named classes that never occur.

    There is one sentence for each split and kind, however many classes it is about.
    """
    unit = decisions.selection.unit

    def listed(ids: Sequence[int]) -> str:
        called = [_name(names, class_id) or f"class {class_id}" for class_id in ids]
        return f"{counted(len(ids), 'class', 'classes')}: {some(called)}"

    for index, split in _filled_splits(decisions):
        absent = [one.id for one in classes if not one.boxes[index]]
        if absent and any(one.boxes[index] for one in classes):
            meaning = _meaning_of_none(split, "no model can learn", absent)
            yield f"{split} holds no box of {listed(absent)}; {meaning}."
        single = [one.id for one in classes if one.units[index] == 1]
        if single:
            each = "" if len(single) == 1 else "each of "
            yield f"{split} has only one {unit} with boxes of {each}{listed(single)}; {_meaning_of_one(split, single)}."
    occurring = decisions.result.classes
    named = names if names is not None and are_named(names) else ()
    unused = [class_id for class_id in range(len(named)) if class_id not in occurring]
    if unused:
        yield f"No label holds a box of {listed(unused)}."


def _trait_warnings(decisions: Decisions) -> Iterator[str]:
    """Yield warnings of the values of `--stratify` columns that a split has in no or in one unit only."""
    unit = decisions.selection.unit
    reached = {
        f"{column}={value}": share.counts.reached
        for column, values in zip(decisions.options.stratify, decisions.result.traits, strict=True)
        for value, share in values.items()
    }

    def listed(values: Sequence[str]) -> str:
        return f"{counted(len(values), 'value')} of --stratify: {some(values)}"

    for index, split in _filled_splits(decisions):
        absent = [value for value, counts in reached.items() if not counts[index]]
        if absent and decisions.result.units[index]:
            meaning = _meaning_of_none(split, "no model is trained on", absent)
            yield f"{split} has no {unit} with {listed(absent)}; {meaning}."
        single = [value for value, counts in reached.items() if counts[index] == 1]
        if single:
            each = "" if len(single) == 1 else "each of "
            yield f"{split} has only one {unit} with {each}{listed(single)}; {_meaning_of_one(split, single)}."


def _meaning_of_none(split: Split, in_train: str, absent: Sequence[object]) -> str:
    """Return what it means that a split has none of some classes, or of some values of traits."""
    them = "it" if len(absent) == 1 else "them"
    return f"{in_train} {them}" if split == "train" else f"a result on {split} says nothing about {them}"


def _meaning_of_one(split: Split, single: Sequence[object]) -> str:
    """Return what it means that a split has some classes, or values of traits, in one unit only."""
    them = "it" if len(single) == 1 else "them"
    return (
        f"a model learns little about {them}" if split == "train" else f"a result on {split} says little about {them}"
    )


def _suffix_warnings(spelled: Mapping[str, int]) -> Iterator[str]:
    suffixes: Counter[str] = Counter()
    for suffix, count in spelled.items():
        suffixes[suffix.lower()] += count
    unread = {suffix: count for suffix, count in sorted(suffixes.items()) if suffix not in TRAINER_SUFFIXES}
    if unread:
        listed = some(f"{counted(count, 'image')} in .{suffix}" for suffix, count in unread.items())
        yield f"{UNREAD_SUFFIXES} {listed}; forks may."
