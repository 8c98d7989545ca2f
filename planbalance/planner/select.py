"""Select the slices of a plan: leave out what is excluded, refuse what is wrong, warn of the rest."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from planbalance.errors import InputError
from planbalance.grouping import look_like_one_patient
from planbalance.labels import overshoot_sentence
from planbalance.model import ImageFile, Naming, Problem, Slice, Snapshot, Volume
from planbalance.naming import find_names
from planbalance.path_relation import path_in
from planbalance.planner.collisions import refuse_collisions
from planbalance.planner.matching import Matcher, spellings
from planbalance.planner.options import PlanOptions
from planbalance.planner.patients import Grouped, group_volumes, look_alike_warnings
from planbalance.planner.volumes import (
    below_folders,
    class_names,
    into_volumes,
    paths_below,
    place_of,
    places_of,
    read_slices,
    refuse_ids,
    refuse_shared_ids,
)
from planbalance.slicemap import SourceReading, examples
from planbalance.text import counted, some

# What to do about a problem that the scan found, by its kind.
_HINTS: Final[Mapping[str, str]] = {
    "label-beside": "Labels lie in two places: give the line for the right ones, or remove the others.",
    "label-misnamed": "Give each of these images a label of its own name (a copy where several share one).",
    "npy-slices": "Save each array as a picture of the same name, such as a PNG.",
}
# Kinds of the scan's problems that get one warning each: they are few, and their numbers and folders differ.
_WARNED_ONE_BY_ONE: Final = frozenset(("dataset-yaml", "empty-split", "layout-difference", "moved"))


class Selection(NamedTuple):
    """The slices that a plan is made of.

    Attributes:
        volumes: sorted by id, with the groups that the names' `patient`, the group map or equal images give.
        naming: the rule that read the names.
        paths: a few image paths below their folders, for the examples of the naming rule.
        grouped: the same volumes, with where their groups come from.
        excluded: `volumes` and `slices` left out by `--exclude`, slices of whole volumes included.
        suffixes: how many of the slices have which suffix, as it is spelled.
        warnings: sentences.
        examples: two images with their volume and slice, where a table or headers give them instead of names.
        naming_warnings: the warnings that doubt how names were read.
        naming_notes: sentences: how names are read where they could be read otherwise, and the option for that.
    """

    volumes: tuple[Volume, ...]
    naming: Naming
    paths: tuple[str, ...]
    grouped: Grouped
    excluded: dict[str, int]
    suffixes: dict[str, int]
    warnings: tuple[str, ...]
    examples: tuple[str, ...] = ()
    naming_warnings: tuple[str, ...] = ()
    naming_notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """What a group is called: `patient`; `volume`; or `group`, where volumes are joined by their images."""
        if self.grouped.by != "volume":
            return "patient"
        return "group" if any(volume.group != volume.id for volume in self.volumes) else "volume"


def select_slices(snapshot: Snapshot, options: PlanOptions) -> Selection:
    """Return the slices that the options choose, read into volumes and groups.

    Raises:
        InputError: there are no slices, or none is positive; a file is unreadable; names are ambiguous, clash or
            collide; labels are invalid or missing where that is not allowed; the group map has no row for a volume.
    """
    excluding = Matcher(options.exclude)
    _refuse_problems(snapshot, excluding)
    images = _without_excluded_paths(snapshot, excluding)
    if not images:
        raise _no_slices(snapshot)
    paths = paths_below(snapshot.inputs, images)
    source, shared_ids = options.volume_source, options.shared_ids
    doubts, notes = tuple[str, ...](), tuple[str, ...]()
    if source is None:
        naming, names, doubts, notes = find_names(paths, options.volume_pattern, class_names=class_names(snapshot))
        told, shown = SourceReading(names, doubts), tuple[str, ...]()
    else:  # an id of a table or of DICOM headers is the same volume in all inputs
        places = places_of(snapshot.inputs, images, paths)
        told, naming, shared_ids = source.read(places), Naming(source.rule), "same"
        shown = examples(places, told.names)
    read, patients = read_slices(
        snapshot.inputs, images, naming, options.positive_classes, told.names, paths, shared_ids
    )
    slices, volumes_excluded = _without_excluded_volumes(read, excluding)
    refuse_shared_ids(snapshot.inputs, slices, shared_ids)
    excluded = {"volumes": volumes_excluded, "slices": len(snapshot.images) - len(slices)}
    warnings = [*_scan_warnings(snapshot), *told.warnings]
    slices = _by_missing_label(snapshot, slices, options.missing_label, warnings)
    slices = _by_invalid_label(snapshot, slices, options.invalid_label, warnings)
    if not slices:
        raise _no_slices(snapshot)
    volumes = into_volumes(slices)
    refuse_ids(volumes)
    refuse_collisions(snapshot.inputs, slices, options.layout)
    if not any(volume.positives for volume in volumes):
        raise _no_positives(slices, options)
    grouped = group_volumes(volumes, patients, options)
    warnings += _warnings(grouped, excluding)
    warnings += options.look_alikes.warnings if options.look_alikes is not None else ()
    used = paths if len(slices) == len(paths) else [one.file.path for one in slices]
    suffixes = Counter([path[path.rfind(".") + 1 :] for path in used])
    return Selection(
        volumes=grouped.volumes,
        naming=naming,
        paths=tuple(paths[:1000]),
        grouped=grouped,
        excluded=excluded,
        suffixes=suffixes,
        warnings=tuple(warnings),
        examples=shown,
        naming_warnings=doubts,
        naming_notes=notes,
    )


def _refuse_problems(snapshot: Snapshot, excluding: Matcher) -> None:
    """Refuse the errors that the scan found, unless they are excluded; `--invalid-label` decides on label lines."""
    errors = [
        problem
        for problem in snapshot.problems
        if problem.severity == "error" and problem.kind != "label-invalid" and not _is_excluded(problem, excluding)
    ]
    if errors:
        listed = [f"{problem.path} ({problem.message})" for problem in errors]
        raise InputError(
            f"{counted(len(errors), 'file or folder', 'files or folders')} cannot be used: {some(listed, 3)}.",
            kind=errors[0].kind,
            hint=_HINTS.get(errors[0].kind, "Correct them, or leave them out with --exclude."),
            paths=(problem.path for problem in errors),
        )


def _is_excluded(problem: Problem, excluding: Matcher) -> bool:
    name = problem.path.rpartition("/")[2]
    return excluding.matches((problem.path, name, name.rpartition(".")[0] or name))


def _scan_warnings(snapshot: Snapshot) -> Iterator[str]:
    """Yield the scan's warnings: one sentence for each that decides which images are used, else one for each kind."""
    found: dict[str, list[Problem]] = {}
    for problem in snapshot.problems:
        if problem.severity == "warning" and problem.kind in _WARNED_ONE_BY_ONE:
            yield f"{problem.path}: {problem.message.rstrip('.')}."
        elif problem.severity == "warning":
            found.setdefault(problem.kind, []).append(problem)
    if snapshot.overshoot is not None:
        yield f"{overshoot_sentence(snapshot.overshoot)}."
    for kind in sorted(found):
        listed = some((problem.path for problem in found[kind]), 3)
        all_of_them = "; scan --json lists all" if len(found[kind]) > 3 else ""
        yield f"{kind}: {listed} ({found[kind][0].message}){all_of_them}."


def _without_excluded_paths(snapshot: Snapshot, excluding: Matcher) -> Sequence[ImageFile]:
    if not excluding:
        return snapshot.images
    below, inputs = below_folders(snapshot.inputs), snapshot.inputs
    return [file for file in snapshot.images if not excluding.matches(spellings(file, inputs[file.input], below(file)))]


def _without_excluded_volumes(slices: list[Slice], excluding: Matcher) -> tuple[list[Slice], int]:
    if not excluding:
        return slices, 0
    gone = {volume for volume in sorted({one.volume for one in slices}) if excluding.matches((volume,))}
    return [one for one in slices if one.volume not in gone], len(gone)


def _by_missing_label(snapshot: Snapshot, slices: list[Slice], rule: str | None, warnings: list[str]) -> list[Slice]:
    """Apply `--missing-label`; an input with both missing and empty labels is refused without it."""
    lacking = [one.file for one in slices if one.file.label is None] if any(snapshot.missing) else []
    if not lacking:
        return slices
    if rule is None:
        _refuse_ambiguous(snapshot, slices)
    if rule == "error":
        raise InputError(
            f"{counted(len(lacking), 'image')} without a label file: "
            f"{some((place_of(snapshot.inputs, file) for file in lacking), 3)}.",
            kind="missing-labels",
            hint="Add the label files, or say what they mean: --missing-label empty or --missing-label skip.",
            paths=(place_of(snapshot.inputs, file) for file in lacking),
        )
    if rule == "skip":
        warnings.append(f"{counted(len(lacking), 'image')} without a label file left out (--missing-label skip).")
        return [one for one in slices if one.file.label is not None]
    warnings.append(f"{counted(len(lacking), 'image')} without a label file counted as negative.")
    return slices


def _refuse_ambiguous(snapshot: Snapshot, slices: list[Slice]) -> None:
    missing = Counter(one.file.input for one in slices if one.file.label is None)
    empty = Counter(one.file.input for one in slices if one.file.label is not None and one.file.annotations == 0)
    unclear = [index for index in sorted(missing) if empty[index]]
    if unclear:
        roots = [snapshot.inputs[index].root for index in unclear]
        absent, blank = (sum(counts[index] for index in unclear) for counts in (missing, empty))
        raise InputError(
            f"{some(roots)} holds {counted(absent, 'image')} without label file beside {counted(blank, 'empty one')}, "
            "so it is unclear whether missing means background.",
            kind="missing-labels-ambiguous",
            hint="Say which: --missing-label empty (background) or --missing-label skip (leave these images out).",
            paths=roots,
        )


def _by_invalid_label(snapshot: Snapshot, slices: list[Slice], rule: str, warnings: list[str]) -> list[Slice]:
    """Apply `--invalid-label`."""
    wrong = any(problem.severity == "error" for problem in snapshot.problems)  # an invalid label always is one
    invalid = [one for one in slices if one.file.invalid] if wrong else []
    if not invalid:
        return slices
    if rule == "error":
        problems = _invalid_lines(snapshot, invalid)
        count, files = counted(len(problems), "invalid label line"), counted(len(invalid), "file")
        if len(problems) > 1 and len({problem.message for problem in problems}) == 1:  # the reason is named once
            lines = [problem.path for problem in problems]
            message = f"{count} in {files}, each for this reason: {problems[0].message} ({some(lines, 3)})."
        else:
            lines = [f"{problem.path} ({problem.message})" for problem in problems]
            message = f"{count} in {files}: {some(lines, 3)}."
        raise InputError(
            message,
            kind="label-invalid",
            hint="Correct them, or say --invalid-label skip (leave the slices out) or keep (take them as they are).",
            paths=lines,
        )
    if rule == "skip":
        warnings.append(f"{counted(len(invalid), 'slice')} with invalid labels left out (--invalid-label skip).")
        return [one for one in slices if not one.file.invalid]
    warnings.append(f"{counted(len(invalid), 'slice')} with invalid labels taken as they are (--invalid-label keep).")
    return slices


def _invalid_lines(snapshot: Snapshot, invalid: list[Slice]) -> list[Problem]:
    """Return every invalid line of the slices that are used."""
    inputs = snapshot.inputs
    labels = {path_in(inputs[one.file.input].root, one.file.label) for one in invalid if one.file.label is not None}
    return [
        problem
        for problem in snapshot.problems
        if problem.kind == "label-invalid" and problem.path.rpartition(":")[0] in labels
    ]


def _warnings(grouped: Grouped, excluding: Matcher) -> Iterator[str]:
    if excluding.unmatched:
        yield f"--exclude matched nothing with {some(excluding.unmatched)}."
    if grouped.by == "volume":
        alike = look_like_one_patient(volume.id for volume in grouped.volumes)
        if alike:
            yield (
                f"Some volumes look like one patient ({some((' / '.join(ids) for ids in alike), 3)}) and may fall "
                "into two splits; --group-map keeps them together."
            )
    if grouped.joined:
        together = some((" / ".join(ids) for ids in grouped.joined), 3)
        yield f"Volumes that share identical images were put into one group: {together}."
    yield from look_alike_warnings(grouped.look_alikes, grouped.volumes)


def _no_slices(snapshot: Snapshot) -> InputError:
    roots = [source.root for source in snapshot.inputs]
    if not snapshot.images:
        return InputError(f"No images found in {some(roots)}.", kind="no-slices", paths=roots)
    return InputError(
        f"None of the {counted(len(snapshot.images), 'image')} in {some(roots)} is left to split.",
        kind="no-slices",
        hint="Look at --exclude, --missing-label skip and --invalid-label skip: they left out every image.",
        paths=roots,
    )


def _no_positives(slices: Sequence[Slice], options: PlanOptions) -> InputError:
    if options.positive_classes is None:
        message = f"None of the {counted(len(slices), 'slice')} has an annotation: there is nothing to balance against."
        hint = "Check that the label files are there and not empty (labels/... beside images/...)."
    else:
        wanted = some(map(str, sorted(options.positive_classes)))
        message = f"None of the {counted(len(slices), 'slice')} has an annotation of class {wanted}."
        seen = sorted({one_class for one in slices for one_class in one.file.classes})
        hint = f"Classes that occur: {some(map(str, seen), 20)}." if seen else "No label holds any annotation."
    return InputError(message, kind="no-positives", hint=hint)
