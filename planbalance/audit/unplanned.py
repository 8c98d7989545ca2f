"""The audit of a dataset that has no plan: any person or tool may have made it."""

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from planbalance.audit.check_builder import CheckBuilder, not_checked, noted
from planbalance.audit.check_table import CHECKS, LABELS, NOTHING_READ
from planbalance.audit.checks.against import content_of
from planbalance.audit.checks.leaks import ImageLookup, overlap_checks
from planbalance.audit.checks.trainers import (
    Labelled,
    stale_caches,
    unlabelled_problems,
    unplanned_view,
)
from planbalance.audit.file_facts import list_followed, look
from planbalance.audit.options import VerifyOptions
from planbalance.audit.partial_result import Newest, note_newest
from planbalance.audit.pictures import blank_at, fingerprinter
from planbalance.audit.result import DatasetResult, NamesRead
from planbalance.audit.slice_statistics import EmptySplit, SliceRecord, SliceStatistics, SplitOf, empty_splits
from planbalance.audit.trainer_loading import Loads, TrainerOutcome, add_loads, loads_of, outcome_problems
from planbalance.audit.unplanned_images import ImageRead, ImageToRead, LabelRules, read_images
from planbalance.audit.volumes import FROM_SOURCE, with_note
from planbalance.errors import InputError
from planbalance.inputs import FoundInput, common_names, empty_split, resolve_input
from planbalance.labels import KPT_SHAPE, keypoints_of, overshoot_sentence
from planbalance.model import (
    IMAGE_SUFFIXES,
    SPLITS,
    Check,
    ClassBoxes,
    InputSpec,
    Load,
    Problem,
    Progress,
    SlicesPerVolume,
    Snapshot,
    Split,
)
from planbalance.naming import Name, Names, find_names, reader
from planbalance.path_relation import label_for_trainers
from planbalance.planfile import naming_document, read_source
from planbalance.scan import scan
from planbalance.slicemap import Place

NO_PLAN: Final = "there is no plan to compare with"
# What the scan finds and trainers do not meet: the labels' own check, and keys that a plan does not carry over.
_NOT_TRAINERS: Final = frozenset(("label-invalid", "yaml-key"))


@dataclass(frozen=True, slots=True)
class _Image:
    path: str  # absolute
    below: str  # below its image folder
    splits: tuple[Split, ...]
    positive: bool | None = None
    has_label: bool = False  # where trainers look for it
    without_boxes: bool = False  # its label, where trainers look for it, was read and holds nothing
    content: ImageRead | None = None


@dataclass(slots=True)
class UnplannedDataset:
    """A dataset without a plan, as far as it was read.

    Attributes:
        statistics: counts.
        patients: group by volume where the names themselves give the patient.
        split_of: gives the splits of an image.
        source: the dataset as its yaml or its folders describe it.
        snapshot: what the scan found; None under `--quick`.
        missing: images without a label file.
        unreadable: images that could not be read.
        outcomes: what trainers do with each image.
        names: how names were read.
        empty_splits: splits without a slice or without a positive one.
        labelled: of each image what is known of its label, where a split has no labelled image.
        label_files: labels that were read.
        outside: images that no split loads.
        newest: when labels that hold something were changed last.
    """

    statistics: SliceStatistics
    patients: dict[str, str]
    split_of: SplitOf
    source: FoundInput
    snapshot: Snapshot | None
    names: NamesRead
    empty_splits: list[EmptySplit] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unreadable: list[Problem] = field(default_factory=list)
    outcomes: list[tuple[_Image, TrainerOutcome]] = field(default_factory=list)
    labelled: list[Labelled] = field(default_factory=list)
    label_files: int = 0
    outside: int = 0
    newest: Newest = field(default_factory=dict)


def audit_unplanned(path: str, options: VerifyOptions, progress: Progress) -> DatasetResult:
    """Audit a dataset by what it is.

    Raises:
        InputError: no layout is recognised, names are ambiguous, the group map does not fit.
    """
    found = _read_dataset(path, options, progress)
    groups = options.group_map.group_of if options.group_map is not None else found.patients or None
    overlaps = overlap_checks(
        found.statistics,
        groups=groups,
        images=ImageLookup(found.split_of, partial(blank_at, follow=True), str),
        options=options,
        progress=progress,
    )
    with_note(overlaps.checks, "" if options.volume_source is None else FROM_SOURCE[options.volume_source.rule])
    loads = _loads(found)
    checks = [
        *(not_checked(kind.name, NO_PLAN) for kind in CHECKS.values() if kind.without_plan == "not checked"),
        _labels(found),
        _trainers_view(found, loads),
    ]
    content = partial(content_of, found.statistics, found.split_of, groups, images=not options.quick)
    return DatasetResult(
        checks,
        overlaps,
        found.statistics,
        content,
        found.names,
        found.empty_splits,
        loads=loads,
        source=found.source,
        classes=_classes(found.snapshot, found.source),
    )


def _classes(snapshot: Snapshot | None, found: FoundInput) -> tuple[ClassBoxes, ...]:
    """Return the boxes of each class in each split, where labels were read and there are several classes."""
    boxes: Counter[tuple[int, Split]] = Counter()
    if snapshot is None:
        return ()
    for file in snapshot.images:
        if file.classes:
            for split in found.splits_of(snapshot.inputs[file.input].folders[file.folder], file.path):
                boxes.update([(class_id, split) for class_id in file.classes])
    names = found.input.names or ()
    ids = sorted({class_id for class_id, _ in boxes}.union(range(len(names))))
    if len(ids) < 2:
        return ()
    train, val, test = SPLITS
    return tuple(
        ClassBoxes(
            one, names[one] if one < len(names) else None, (boxes[one, train], boxes[one, val], boxes[one, test])
        )
        for one in ids
    )


def _read_dataset(path: str, options: VerifyOptions, progress: Progress) -> UnplannedDataset:
    """Read a dataset: its names under `--quick`, else names, labels and images.

    Raises:
        InputError: no layout is recognised, names are ambiguous or not read by the pattern.
    """
    snapshot = None
    source = resolve_input(InputSpec(path), audit=True)
    if options.quick:
        images = _split(_by_names(source), options)
    else:
        snapshot = scan([source], jobs=options.jobs, progress=progress)
        names = common_names(snapshot.inputs)
        keypoints = keypoints_of(snapshot.yaml_keys.get(KPT_SHAPE))
        rules = LabelRules(None if names is None else len(names), keypoints)
        images = _with_content(_split(_by_snapshot(snapshot, source), options), rules, options, progress)
    in_splits = [image for image in images if image.splits]
    if not images and (source.yaml is None or _dangling(snapshot)):
        raise _nothing_found(path, _dangling(snapshot))
    image_names, names_read = _names(path, in_splits or images, options, source.input.names or ())
    found = UnplannedDataset(SliceStatistics(), {}, _split_of(in_splits), source, snapshot, names_read)
    found.outside = len(images) - len(in_splits)
    found.statistics.add(list(_records(in_splits, image_names, found.patients)))
    _add_labels(found, images)
    if snapshot is not None and _lacks_labels(images):
        found.labelled = [
            Labelled(image.path, image.splits, image.has_label, image.positive is True and image.has_label)
            for image in images
        ]
    folders = {folder.split for folder in source.input.folders}
    named = folders if source.yaml is None else source.yaml.splits.keys()
    expected = [split for split in SPLITS if split in named or found.statistics.totals[split]]
    found.empty_splits = empty_splits(
        expected, found.statistics.totals, None if options.quick else found.statistics.positives
    )
    return found


def _dangling(snapshot: Snapshot | None) -> list[Problem]:
    return [problem for problem in snapshot.problems if problem.kind == "dangling"] if snapshot is not None else []


def _nothing_found(path: str, dangling: Sequence[Problem]) -> InputError:
    """Return the error of a dataset without an image; where links lead to files that are gone, it says what to do."""
    hint = "Give a YOLO dataset or its yaml."
    message = f"No image was found in {path}."
    if dangling:
        targets = [look(each.path).target for each in dangling]
        texts = [os.path.dirname(target) for target in targets if target is not None and target.startswith("/")]
        old = shlex.quote(os.path.commonpath(texts)) if texts else "OLD"
        message = f"No image was found in {path}: {len(dangling):,} links in it lead to files that are gone."
        hint = (
            "If these were moved, say where they are now, in place of NEW: "
            f"planbalance relocate {shlex.quote(path)} --source {old}=NEW"
        )
    return InputError(message, kind="no-slices", hint=hint, paths=(path,))


def _by_snapshot(snapshot: Snapshot, found: FoundInput) -> Iterator[_Image]:
    for file in snapshot.images:
        source = snapshot.inputs[file.input]
        folder = source.folders[file.folder]
        at = _at(source.root, file.path)
        below = file.path[len(folder.images) + 1 :] if folder.images else file.path
        label = file.label is not None and _at(source.root, file.label) == label_for_trainers(at)
        without_boxes = label and not file.annotations and not file.invalid
        splits = found.splits_of(folder, file.path)
        yield _Image(at, below, splits, file.annotations > 0, label, without_boxes)


def _split(images: Iterable[_Image], options: VerifyOptions) -> list[_Image]:
    """Return the images; those of no split are in the split of `unsplit_as`, if it is given."""
    if options.unsplit_as is None:
        return list(images)
    return [image if image.splits else replace(image, splits=(options.unsplit_as,)) for image in images]


def _with_content(
    images: Sequence[_Image], rules: LabelRules, options: VerifyOptions, progress: Progress
) -> list[_Image]:
    """Read the images that a split loads."""
    looks = fingerprinter() if options.near_duplicates else None
    loaded = [ImageToRead(image.path, image.without_boxes) for image in images if image.splits]
    read = iter(read_images(loaded, rules=rules, fingerprinter=looks, jobs=options.jobs, progress=progress))
    return [replace(image, content=next(read)) if image.splits else image for image in images]


def _by_names(found: FoundInput) -> Iterator[_Image]:
    """Yield the images of an input by listing alone; of folders inside each other, the inner one counts."""
    root, folders = found.input.root, found.input.folders
    walked = [folders[index].images for index in found.walked]
    for index in found.walked:
        images = folders[index].images
        start = len(images) + 1 if images else 0
        inner = frozenset(other[start:] for other in walked if other != images and _below(other, images))
        for below in list_followed(_at(root, images), leave_out=inner):
            name = below.rpartition("/")[2]
            path = f"{images}/{below}" if images else below
            if (
                not name.startswith(".")
                and name.rpartition(".")[2].lower() in IMAGE_SUFFIXES
                and path not in found.listed
            ):
                yield _Image(_at(root, path), below, found.splits_of(folders[index], path))
    for path, index in found.listed.items():
        images = folders[index].images
        below = path[len(images) + 1 :] if images else path
        yield _Image(_at(root, path), below, found.splits_of(folders[index], path))


def _at(root: str, path: str) -> str:
    return f"{root.rstrip('/')}/{path}" if path else root


def _below(inner: str, outer: str) -> bool:
    return not outer or inner.startswith(outer + "/")


def _names(
    path: str, images: Sequence[_Image], options: VerifyOptions, class_names: Sequence[str]
) -> tuple[Iterable[Name | None], NamesRead]:
    """Return the name of each image as the rule, or the source given instead, reads it, and how names were read."""
    if not images:
        return (), NamesRead(None, None, "volume", 0)
    paths = [image.below for image in images]
    if options.volume_source is None:
        naming, read, warnings, notes = find_names(paths, options.volume_pattern or "auto", class_names=class_names)
        return map(reader(naming), paths), _names_read(naming_document(naming, paths, warnings, notes), read, options)
    root = os.path.abspath(path if os.path.isdir(path) else os.path.dirname(path)).rstrip("/")
    places = [
        Place(root, image.path[len(root) + 1 :], image.below)
        if image.path.startswith(f"{root}/")
        else Place("/", image.path.lstrip("/"), image.below)
        for image in images
    ]
    names, document = read_source(options.volume_source, places)
    patients = names.patients or [None] * len(images)
    return map(Name, names.volumes, names.numbers, patients), _names_read(document, names, options)


def _names_read(document: Mapping[str, Any], names: Names, options: VerifyOptions) -> NamesRead:
    """Return how names were read, of all images: one that two splits load counts once, one of no split counts too."""
    slices = Counter(names.volumes)
    group_of: Mapping[str, str | None] = {}
    grouped_by: str = "volume"
    if options.group_map is not None:
        group_of, grouped_by = options.group_map.group_of, options.group_map.source
    elif names.patients is not None and any(names.patients):
        group_of = dict(zip(names.volumes, names.patients, strict=True))
        grouped_by = "patient" if options.volume_source is None else options.volume_source.rule
    groups = len({group_of.get(volume) or volume for volume in slices})
    return NamesRead(document, SlicesPerVolume.of(slices.values()), grouped_by, groups)


def _split_of(images: Iterable[_Image]) -> SplitOf:
    known = {image.path: image.splits for image in images}
    return lambda path: known[path]


def _records(images: Sequence[_Image], names: Iterable[Name | None], patients: dict[str, str]) -> Iterator[SliceRecord]:
    for image, name in zip(images, names, strict=False):  # where no image is in a split, names were read of all
        volume = name.volume if name is not None else ""
        if name is not None and name.patient is not None:
            patients[volume] = name.patient
        content = image.content or ImageRead(b"", flat=False, fault="", picture=None)
        for split in image.splits:
            yield SliceRecord(
                split, volume, image.path, image.positive, content.digest, content.flat, picture=content.picture
            )


def _add_labels(found: UnplannedDataset, images: Iterable[_Image]) -> None:
    if found.snapshot is None:
        return
    loaded = {image.path for image in images if image.splits}
    for image in images:
        if image.content is not None and image.content.trainer_outcome is not None and not image.content.fault:
            found.outcomes.append((image, image.content.trainer_outcome))
        if image.content is not None and image.content.label_mtime_ns:
            label = label_for_trainers(image.path)
            for split in image.splits:
                time = image.content.label_mtime_ns, label
                note_newest(found.newest, split, os.path.dirname(label), time)
        if image.content is not None and image.content.fault:
            found.unreadable.append(Problem("unreadable", "error", image.path, image.content.fault))
    for file in found.snapshot.images:
        at = _at(found.snapshot.inputs[file.input].root, file.path)
        if at in loaded:
            if file.label is None:
                found.missing.append(at)
            else:
                found.label_files += 1


def _lacks_labels(images: Sequence[_Image]) -> bool:
    """Return whether trainers find no labelled image of some split, or of the images without a split."""
    filled = {image.splits for image in images if image.positive and image.has_label}
    lacking = {image.splits for image in images} - filled
    known = {split for splits in filled for split in splits}
    return any(not splits or not known.issuperset(splits) for splits in lacking)


def _labels(found: UnplannedDataset) -> Check:
    """Return the check of label lines."""
    if found.snapshot is None:
        return not_checked(LABELS, NOTHING_READ)
    labels = CheckBuilder(LABELS)
    labels.count = found.label_files
    labels.extend(problem for problem in found.snapshot.problems if problem.kind == "label-invalid")
    if found.snapshot.overshoot is not None:
        labels.notes.append(overshoot_sentence(found.snapshot.overshoot))
    return labels.check()


def _loads(found: UnplannedDataset) -> tuple[Load, ...]:
    by_split: dict[Split, list[TrainerOutcome]] = {}
    for image, outcome in found.outcomes:
        for split in image.splits:
            by_split.setdefault(split, []).append(outcome)
    loaded: Loads = Counter()
    for split, outcomes in by_split.items():
        add_loads(loaded, split, outcomes)
    return loads_of(loaded)


def _trainers_view(found: UnplannedDataset, loads: Sequence[Load]) -> Check:
    problems: list[Problem] = []
    leftovers = 0
    if found.snapshot is not None:
        problems = [problem for problem in found.snapshot.problems if problem.kind not in _NOT_TRAINERS]
        problems += found.unreadable
        problems += stale_caches(found.newest, _text_lists(found.source), str)
        problems += unlabelled_problems(found.labelled, _roots(found.source))
        leftovers = found.snapshot.leftovers
    else:
        problems = [*found.source.problems, *_empty_splits(found)]
    problems = [_as_trainers_fail(problem) for problem in problems]
    problems += [Problem("counts", "warning", empty.split, empty.sentence) for empty in found.empty_splits]
    problems += [
        one
        for image, each in found.outcomes
        for one in outcome_problems(image.path, label_for_trainers(image.path), each)
    ]
    check = unplanned_view(found.statistics, problems, found.missing, found.source.yaml, leftovers, loads)
    return noted(check, _note_of_outside(found))


def _roots(source: FoundInput) -> list[str]:
    """Return the folders in which labels are looked for: the root in the yaml, else the dataset itself."""
    return [source.input.root if source.yaml is None else source.yaml.root]


def _text_lists(source: FoundInput) -> dict[str, Split]:
    """Return the text files that the yaml names, each with its split."""
    places = source.yaml.found.items() if source.yaml is not None else ()
    return {place: split for split, several in places for place in several if look(place, follow=True).kind == "file"}


def _empty_splits(found: UnplannedDataset) -> Iterator[Problem]:
    """Yield the splits that the yaml names and that hold no image, as the scan does where it reads the dataset."""
    yaml = found.source.yaml
    if yaml is not None:
        for split, places in yaml.found.items():
            if not found.statistics.totals[split]:
                yield empty_split(yaml.path, split, places[0])


def _as_trainers_fail(problem: Problem) -> Problem:
    """Return a problem with its severity in training: what `plan` accepts may make trainers fail."""
    if problem.kind == "empty-split":
        return problem._replace(severity="error")
    if problem.kind == "split-overlap":
        return problem._replace(severity="error", message=f"{problem.message}: the same images in both")
    return problem


def _note_of_outside(found: UnplannedDataset) -> str:
    """Return a note on images of no split; where yaml files differ, one of them may name these for trainers."""
    if not found.outside:
        return ""
    differ = any(problem.kind == "dataset-yaml" for problem in found.source.problems)
    what = "several yaml files differ in what they name" if differ else "no trainer loads them"
    return f"{found.outside} images belong to no split: {what}"
