"""What the commands do, as functions: the command line calls these and nothing else.

    from planbalance import api

    planned = api.plan("yolo_dataset", output="balanced", seed=42)
    api.apply(planned.path, mode="symlink")
    assert api.verify("balanced").ok

All are synchronous and work where an event loop is running already (a notebook). Paths are texts; relative ones count
from the working folder. What a user can cause is raised as a `PlanbalanceError` with an exit code.

Rooms that not every command works in are imported by the functions that do: start-up is part of a command's time.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, TypedDict, Unpack

from planbalance import guard
from planbalance.errors import InputError, PlanError, UsageError
from planbalance.executor.threads import without_collecting
from planbalance.model import (
    SPLITS,
    Audit,
    ClassCount,
    InputSpec,
    Layout,
    Naming,
    Outcome,
    PlanHeader,
    PlannedVolume,
    Progress,
    SharedIds,
    Silent,
    Snapshot,
    Split,
    Volume,
)
from planbalance.modes import MODES, Mode
from planbalance.places import all_guarded, guarded, is_within
from planbalance.planfile import Content, SealedPlan, id_prefixes, naming_document, told_document
from planbalance.planstore import PlanFile, save_plan

if TYPE_CHECKING:
    from decimal import Decimal

    from planbalance.clean import PartialBuild
    from planbalance.cluster.slurm import BatchFiles
    from planbalance.diff import PlanDiff
    from planbalance.grouping import GroupMap
    from planbalance.inputs import FoundInput
    from planbalance.planner import PlanOptions
    from planbalance.relocate import RelocateOutcome
    from planbalance.report.found import Shown
    from planbalance.shards import Shard
    from planbalance.slicemap import VolumeSource
    from planbalance.tune import Tuned

Inputs = str | InputSpec | Sequence[str | InputSpec]
Number: TypeAlias = "str | Decimal | float"
VolumeFrom = Literal["dicom:SeriesInstanceUID"]
GroupFrom = Literal["dicom:PatientID", "dicom:StudyInstanceUID", "dicom:FrameOfReferenceUID"]

DEFAULT_PLAN: Final = "plan.json"
DEFAULT_SEED: Final = 42
__all__ = (
    "MODES",
    "ApplyKeywords",
    "BuildKeywords",
    "Built",
    "InputSpec",
    "PlanKeywords",
    "Planned",
    "Reported",
    "Scanned",
    "apply",
    "build",
    "clean",
    "diff",
    "fold_file",
    "open_plan",
    "plan",
    "plan_folds",
    "relocate",
    "report",
    "scan",
    "slurm",
    "tune",
    "verify",
)

_LARGEST_SEED: Final = 2**63 - 1


class PlanKeywords(TypedDict, total=False):
    """The keywords that `plan` and `build` share; each is the command line's option of the same name.

    Split: `train_ratio` 0.7, `val_ratio` 0.15, `test_ratio` 0.15 (two given: the third is the rest), `seed` 42 (sets
    both `split_seed` and `sample_seed`), `split_method` "optimal", `keep_split` such as ("test",), `split_map` (a CSV's
    path), `extend` (an older plan's path), `stratify` (columns of the group map).
    Groups: `group_map` (a CSV's path), `volume_column` "volume", `group_column` "group"; or `group_from`
    "dicom:PatientID" with `group_key` (the file of the key that hashes patients; default `default_group_key()`).
    Sampling: `negatives_per_positive` 1 (or "all"), `sampling` "random", `gap` 0, `always_keep` (a file's path),
    `exclude` (files or globs).
    Reading: `volume_pattern` "auto"; or `slice_map` (a CSV's path, a row an image) with `slice_map_columns` such as
    "image=File_name,patient=Patient_index"; or `volume_from` "dicom:SeriesInstanceUID"; `positive_classes` (ids or
    names; none: any annotation), `missing_label`, `invalid_label` "error", `hash_images` False, `shared_ids` "same" or
    "different". Output: `layout` "keep". Beside them: `jobs`, workers of the scan.
    """

    train_ratio: "Number | None"
    val_ratio: "Number | None"
    test_ratio: "Number | None"
    seed: int | None
    split_seed: int | None
    sample_seed: int | None
    split_method: Literal["optimal", "random"]
    keep_split: Sequence[Split]
    split_map: str | None
    extend: str | None
    stratify: Sequence[str]
    group_map: str | None
    volume_column: str
    group_column: str
    group_from: GroupFrom | None
    group_key: str | None
    negatives_per_positive: Number
    sampling: Literal["random", "spread"]
    gap: int
    always_keep: str | None
    exclude: Sequence[str]
    volume_pattern: str | None
    slice_map: str | None
    slice_map_columns: str | None
    volume_from: VolumeFrom | None
    positive_classes: Iterable[int | str]
    missing_label: Literal["empty", "skip", "error"] | None
    invalid_label: Literal["error", "skip", "keep"]
    hash_images: bool
    shared_ids: SharedIds | None
    layout: Layout
    jobs: int | None


class ApplyKeywords(TypedDict, total=False):
    """The keywords that `apply` and `build` share; each is the command line's option of the same name.

    `mode` "copy", `labels` None ("copy"; nothing else goes with mode "list"), `fallback` "none", `jobs` None (what this
    process may use), `checksum` "sha256", `dry_run` False, `restart` False, `durability` "fast".
    """

    mode: Mode
    labels: Literal["copy", "same"] | None
    fallback: Literal["none", "copy"]
    jobs: int | None
    checksum: Literal["sha256", "none"]
    dry_run: bool
    restart: bool
    durability: Literal["fast", "safe"]


class Scanned(NamedTuple):
    """What lies in the inputs, read into volumes.

    Attributes:
        snapshot: images, labels and problems as found.
        naming: the rule that reads the names.
        examples: two names as the rule reads them.
        volumes: sorted by id; their groups are patients where a map or the names tell them.
        grouped: whether patients are known, so that a unit of splitting is a patient.
        reading: how names are read, as JSON values: `rule`, `pattern`, `examples`, and what there is to warn of.
        grouped_by: where patients come from: `volume` (they are not known), `patient` (the names) or `map`.
    """

    snapshot: Snapshot
    naming: Naming
    examples: tuple[str, ...]
    volumes: tuple[Volume, ...]
    grouped: bool
    reading: Mapping[str, Any]
    grouped_by: str


class Planned(NamedTuple):
    """A plan that was made.

    Attributes:
        path: where it was saved; "" where it was not (`build`).
        plan: the plan, ready to be applied.
        content: how many slices and bytes it names.
        replaced: digest of a different plan that stood at `path` before, else "".
        warnings: the plan's own, and what concerns only this place (an output that is not empty).
        classes: what the splits hold of each class, after undersampling; nothing where there is one class.
    """

    path: str
    plan: PlanFile
    content: Content
    replaced: str
    warnings: tuple[str, ...]
    classes: tuple[ClassCount, ...] = ()

    @property
    def header(self) -> PlanHeader:
        """The plan's first line."""
        return self.plan.header


class Reported(NamedTuple):
    """A page that was written: where, how large, of which plan (digest) and data set, with which audit."""

    path: str
    bytes: int
    digest: str | None
    dataset: str | None
    audit: Audit | None


class Built(NamedTuple):
    """What `build` did: `audit` is None after a dry run."""

    planned: Planned
    outcome: Outcome
    audit: Audit | None


# ---- scan -----------------------------------------------------------------------------------------------------------


def scan(  # noqa: PLR0913 - keywords of the contract
    inputs: Inputs,
    *,
    volume_pattern: str | None = None,
    slice_map: str | None = None,
    slice_map_columns: str | None = None,
    volume_from: VolumeFrom | None = None,
    group_from: GroupFrom | None = None,
    group_key: str | None = None,
    positive_classes: Iterable[int | str] = (),
    shared_ids: SharedIds | None = None,
    group_map: str | None = None,
    volume_column: str = "volume",
    group_column: str = "group",
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Scanned:
    """Say what is there and touch nothing.

    Example:
        `scan("yolo_dataset").volumes[0].positives`

    Raises:
        InputError: not found, no images, names ambiguous or unmatched, a volume that the group map does not know.
    """
    from planbalance import planner
    from planbalance.naming import find_names
    from planbalance.scan import scan as scan_inputs
    from planbalance.slicemap import examples

    _check_counts({"--jobs": jobs}, least=1)
    specs = _specs(inputs)
    classes = _class_ids(_by_id(positive_classes, specs))
    asked = _Source(volume_pattern, slice_map, slice_map_columns, volume_from, group_key)
    source = _volume_source(asked, jobs, progress)
    _refuse_two_readings(source, shared_ids=shared_ids, group_map=group_map, group_from=group_from)
    snapshot = scan_inputs(specs, jobs=jobs, progress=progress or Silent())
    paths = planner.paths_below(snapshot.inputs, snapshot.images)
    if not paths:
        roots = [source.root for source in snapshot.inputs]
        arrays = [f": {one.path} {one.message}" for one in snapshot.problems if one.kind == "npy-slices"]
        raise InputError(
            f"No images found in {', '.join(roots)}{''.join(arrays[:1])}.",
            kind="no-slices",
            hint="Images are looked for in images/, images/<split>/ and <split>/images/.",
            paths=roots,
        )
    _refuse_two_groupings(group_map, group_from)
    groups = None if group_map is None else read_group_map(group_map, volume_column, group_column)
    if source is None:
        naming, names, warnings, notes = find_names(
            paths, volume_pattern or "auto", class_names=planner.class_names(snapshot)
        )
        reading = naming_document(naming, paths, warnings, notes)
    else:
        places = planner.places_of(snapshot.inputs, snapshot.images, paths)
        (names, warnings), naming, shared_ids = source.read(places), Naming(source.rule), "same"
        reading = told_document(naming, examples(places, names), warnings)
    volumes = planner.group_into_volumes(
        snapshot, naming, positive_classes=classes, group_map=groups, shared_ids=shared_ids, names=names
    )
    if group_from is not None:
        groups = _groups_from(snapshot, volumes, (group_from, group_key), source, progress)
        volumes = planner.with_groups(volumes, groups.group_of)
    by_names = names.patients is not None and any(names.patients)
    by_images = "patient" if source is None else source.rule
    grouped_by = groups.source if groups is not None else by_images if by_names else "volume"
    shown = tuple(reading["examples"])
    return Scanned(snapshot, naming, shown, volumes, grouped_by != "volume", reading, grouped_by)


# ---- plan -----------------------------------------------------------------------------------------------------------


def plan(
    inputs: Inputs,
    *,
    output: str,
    plan_file: str = DEFAULT_PLAN,
    progress: Progress | None = None,
    **keywords: Unpack[PlanKeywords],
) -> Planned:
    """Decide what goes where, save it, and touch neither input nor output.

    Example:
        `plan("yolo_dataset", output="balanced", train_ratio="0.8", test_ratio="0.1").header.statistics["splits"]`

    Args:
        inputs: a folder, a yaml, or several; `InputSpec` gives a prefix or roots apart.
        output: the data set to make later.
        plan_file: where the plan is written; an older one there is replaced.
        progress: where to report to.
        keywords: see `PlanKeywords`.

    Raises:
        UsageError, InputError: as the contract's exit codes 2 and 3 say.
        PlanError: the plan to extend is refused, or the plan cannot be written.
    """
    sealed, warnings = _sealed(inputs, output, plan_file, make_plan_as_list, progress, keywords)
    return _saved(sealed[0], os.path.abspath(plan_file), warnings)


def plan_folds(
    inputs: Inputs,
    *,
    output: str,
    folds: int,
    plan_file: str = DEFAULT_PLAN,
    progress: Progress | None = None,
    **keywords: Unpack[PlanKeywords],
) -> list[Planned]:
    """Plan `folds` data sets in which every group is in test exactly once: `<output>/fold1` and so on.

    Example:
        `[apply(fold.path) for fold in plan_folds("yolo_dataset", output="folds", folds=5)]`

    Raises:
        UsageError: also with `test_ratio` or `extend`, which folds decide themselves.
    """
    from planbalance import planner

    for name in ("test_ratio", "extend"):
        if keywords.get(name) is not None:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"--folds and {option} exclude each other: each fold's test split is 1/{folds} of the groups.",
                kind="folds-exclude",
                hint=f"Leave {option} out.",
            )
    _check_counts({"--folds": folds}, least=2)
    sealed, warnings = _sealed(
        inputs,
        output,
        plan_file,
        lambda snapshot, options: planner.make_folds(snapshot, options, folds),
        progress,
        keywords,
    )
    path = os.path.abspath(plan_file)
    return [_saved(one, fold_file(path, number), warnings) for number, one in enumerate(sealed, start=1)]


def fold_file(plan_file: str, fold: int) -> str:
    """Return the plan file of one fold, `plan-fold1.json` for `plan.json`; folds count from 1."""
    stem, suffix = os.path.splitext(plan_file)
    return f"{stem}-fold{fold}{suffix}"


def make_plan_as_list(snapshot: Snapshot, options: "PlanOptions") -> list[SealedPlan]:
    """Return the one plan, in the shape in which folds come."""
    from planbalance import planner

    return [planner.make_plan(snapshot, options)]


@without_collecting()
def _sealed(
    inputs: Inputs,
    output: str,
    plan_file: str | None,
    make: Callable[[Snapshot, "PlanOptions"], list[SealedPlan]],
    progress: Progress | None,
    keywords: PlanKeywords,
) -> tuple[list[SealedPlan], tuple[str, ...]]:
    """Return the plans, and warnings that concern this place only."""
    from planbalance.inputs import resolve_inputs
    from planbalance.scan import scan as scan_inputs

    _check_keywords(keywords, PlanKeywords)
    specs = _specs(inputs)
    output = os.path.abspath(output)
    written = {} if plan_file is None else {"plan file": os.path.abspath(plan_file)}
    if (classes := keywords.get("positive_classes")) is not None:
        keywords = {**keywords, "positive_classes": _by_id(classes, specs)}
    options = _plan_options(output, keywords, progress)
    resolved = resolve_inputs(specs)
    places = [place for spec, found in zip(specs, resolved, strict=True) for place in _places_of(spec, found)]
    guard.refuse_output(output, places)
    guard.refuse_files(written, places)
    snapshot = scan_inputs(
        specs,
        hash_images=options.hash_images,
        jobs=keywords.get("jobs"),
        progress=progress or Silent(),
        found=resolved,
    )
    tag = keywords.get("group_from")
    if tag is not None:
        options = _with_patients(snapshot, options, (tag, keywords.get("group_key")), progress)
    sealed = make(snapshot, options)
    return sealed, tuple(_place_warnings(output))


def default_group_key() -> str:
    """Return where this user's key for `--group-from` lies, in the folder of settings (XDG base directories)."""
    settings = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(settings, "planbalance", "group-key")


def _with_patients(
    snapshot: Snapshot, options: "PlanOptions", asked: tuple[GroupFrom, str | None], progress: Progress | None
) -> "PlanOptions":
    """Read the patients of the volumes that the options choose, and make them the groups."""
    from dataclasses import replace

    from planbalance import planner

    volumes = planner.select_slices(snapshot, options).volumes
    return replace(options, group_map=_groups_from(snapshot, volumes, asked, options.volume_source, progress))


def _groups_from(
    snapshot: Snapshot,
    volumes: Sequence[Volume],
    asked: tuple[GroupFrom, str | None],
    source: "VolumeSource | None",
    progress: Progress | None,
) -> "GroupMap":
    """Return the groups that headers tell; `asked` is the tag, and the file of the key or None for the user's own."""
    from planbalance.dicom import Headers, SeriesSource, group_key, groups_from_headers

    tag, key_file = asked
    key = group_key(key_file or default_group_key())
    headers = source.headers if isinstance(source, SeriesSource) else Headers(progress=progress)
    return groups_from_headers(
        snapshot.inputs, volumes, key, headers, tag=tag.removeprefix("dicom:"), by_names=source is None
    )


def _place_warnings(output: str) -> Iterable[str]:
    try:
        if os.listdir(output):
            yield f"The output {output} exists and is not empty: apply will refuse it."
    except NotADirectoryError:
        yield f"The output {output} is a file: apply will refuse it."
    except OSError:
        return


def _saved(sealed: SealedPlan, path: str, warnings: tuple[str, ...]) -> Planned:
    replaced = _digest_at(path)
    save_plan(path, sealed)
    plan_file = PlanFile.of(sealed)
    header = plan_file.header
    replaced = "" if replaced == header.digest else replaced
    return Planned(path, plan_file, sealed.content, replaced, (*header.warnings, *warnings), sealed.classes)


def _digest_at(path: str) -> str:
    """Return the digest of the plan that stands there, "" where there is none that can be read."""
    try:
        return PlanFile.open(path).header.digest
    except PlanError:
        return ""


def _plan_options(output: str, keywords: PlanKeywords, progress: Progress | None) -> "PlanOptions":
    from planbalance import planner
    from planbalance.grouping import csv_text, parse_split_map

    given = {name: value for name, value in keywords.items() if value is not None}
    _check_counts({"--gap": keywords.get("gap")}, least=0)
    _check_counts({"--jobs": keywords.get("jobs")}, least=1)
    stratify = tuple(keywords.get("stratify", ()))
    if stratify and "group_map" not in given:
        raise UsageError(
            "--stratify names columns of the group map: give --group-map too.", kind="stratify-without-map"
        )
    _refuse_two_groupings(given.get("group_map"), given.get("group_from"))
    straight = ("split_method", "sampling", "gap", "missing_label", "invalid_label", "layout", "hash_images")
    options: dict[str, Any] = {name: given[name] for name in straight if name in given}
    options |= _decided(keywords)
    asked = _Source(
        keywords.get("volume_pattern"),
        keywords.get("slice_map"),
        keywords.get("slice_map_columns"),
        keywords.get("volume_from"),
        keywords.get("group_key"),
    )
    source = _volume_source(asked, keywords.get("jobs"), progress)
    given_to_group = {name: given.get(name) for name in ("group_map", "group_from")}
    _refuse_two_readings(source, shared_ids=keywords.get("shared_ids"), **given_to_group)
    options["volume_source"] = source
    if "negatives_per_positive" in given:
        options["negatives_per_positive"] = planner.parse_negatives(_text(given["negatives_per_positive"]))
    if "group_map" in given:
        columns = keywords.get("volume_column", "volume"), keywords.get("group_column", "group")
        options["group_map"] = read_group_map(str(given["group_map"]), *columns, stratify)
    if "split_map" in given:
        path = str(given["split_map"])
        options["split_map"] = parse_split_map(csv_text(_read_input(path, "split map"), path), name=path)
    if "always_keep" in given:
        options["always_keep"] = _lines(str(given["always_keep"]), "list of slices to keep")
    excluded = tuple(word for one in keywords.get("exclude", ()) for word in _file_or_glob(one))
    return planner.PlanOptions(
        output=output,
        stratify=stratify,
        keep_split=_splits(keywords.get("keep_split", ())),
        exclude=excluded,
        **options,
    )


def _decided(keywords: PlanKeywords) -> dict[str, Any]:
    """Return ratios, seeds, positive classes and naming rule: what `extend` takes from the older plan."""
    from planbalance import planner

    given = _decided_here(keywords)
    if keywords.get("extend") is None:
        train, val, test = planner.parse_ratios(
            *(None if text is None else str(text) for text in _ratio_texts(keywords))
        )
        defaults = {"train_ratio": train, "val_ratio": val, "test_ratio": test}
        return {"split_seed": DEFAULT_SEED, "sample_seed": DEFAULT_SEED} | given | defaults
    older = PlanFile.open(str(keywords["extend"]))
    older.check()
    inherited = planner.options_from_plan(older.header)
    _refuse_other_source(older.header, keywords)
    others = [name for name, value in given.items() if value != inherited.get(name, value)]
    unprefixed = any(source.prefix for source in older.header.sources) and not any(id_prefixes(older.header))
    if unprefixed and given.get("shared_ids") == "different" and "shared_ids" not in others:
        others.append("shared_ids")
    if others:
        spelled = ", ".join("--" + _OPTION_OF.get(name, name).replace("_", "-") for name in others)
        raise UsageError(
            f"--extend takes {spelled} from the older plan, which says otherwise.",
            kind="extend-differs",
            hint="Leave these options out: what decides volumes, positive classes, ratios and seeds stays as it was.",
            paths=[older.path],
        )
    return given | inherited | {"extend": older}


def _refuse_other_source(older: PlanHeader, keywords: PlanKeywords) -> None:
    """Refuse to extend a plan whose volumes come from a slice map without one, or another plan with one."""
    rule = older.naming.get("rule")
    if rule == "slice-map" and keywords.get("slice_map") is None:
        raise UsageError(
            "The older plan has its volumes from a slice map, and a plan does not hold the map.",
            kind="extend-needs-map",
            hint="Give --slice-map again, with rows for the new images too.",
        )
    if rule == "dicom" and keywords.get("volume_from") is None:
        raise UsageError(
            "The older plan has its volumes from DICOM headers.",
            kind="extend-needs-map",
            hint="Give --volume-from dicom:SeriesInstanceUID again, with the same --group-key.",
        )
    for option, own in (("slice_map", "slice-map"), ("volume_from", "dicom")):
        if keywords.get(option) is not None and rule != own:
            spelled = "--" + option.replace("_", "-")
            raise UsageError(
                f"--extend takes volumes as the older plan did, by the rule {rule}, and not as {spelled} says.",
                kind="extend-differs",
                hint=f"Leave {spelled} out.",
            )


def _refuse_two_groupings(group_map: object, group_from: object) -> None:
    if group_map is not None and group_from is not None:
        raise UsageError(
            "--group-from and --group-map exclude each other: both say which volumes belong together.",
            kind="two-groupings",
            hint="Leave one of them out.",
        )


class _Source(NamedTuple):
    """The keywords that say where volumes come from."""

    volume_pattern: str | None
    slice_map: str | None
    slice_map_columns: str | None
    volume_from: VolumeFrom | None
    group_key: str | None


def _volume_source(asked: _Source, jobs: int | None, progress: Progress | None) -> "VolumeSource | None":
    """Return what says volumes in the names' stead, or None where names say them.

    Raises:
        UsageError: options contradict each other. InputError: the map is not found, or no slice map.
    """
    if asked.slice_map is None and asked.slice_map_columns is not None:
        raise UsageError("--slice-map-columns is for --slice-map.", kind="slice-map-columns")
    given = [name for name in ("slice_map", "volume_from", "volume_pattern") if getattr(asked, name) is not None]
    if len(given) > 1:
        options = " and ".join("--" + name.replace("_", "-") for name in given)
        raise UsageError(
            f"{options} exclude each other: both say which image is of which volume.",
            kind="two-readings",
            hint="Leave one of them out.",
        )
    if asked.volume_from is not None:
        from planbalance.dicom import Headers, SeriesSource, group_key

        headers = Headers(jobs=jobs, progress=progress)
        return SeriesSource(group_key(asked.group_key or default_group_key()), headers)
    if asked.slice_map is None:
        return None
    from planbalance.slicemap import parse_columns, parse_slice_map

    chosen = None if asked.slice_map_columns is None else parse_columns(asked.slice_map_columns)
    return parse_slice_map(_read_input(asked.slice_map, "slice map"), columns=chosen, name=asked.slice_map)


def _refuse_two_readings(source: "VolumeSource | None", *, shared_ids: SharedIds | None, **groups: object) -> None:
    """Refuse options that a source of volumes contradicts."""
    if source is None:
        return
    if shared_ids == "different":
        raise UsageError(
            "--shared-ids different is for ids that names tell: one that a slice map or a header gives is one volume "
            "in all inputs.",
            kind="two-readings",
            hint="Leave --shared-ids out.",
        )
    given = [name for name, value in groups.items() if value is not None]
    if given and source.tells_patients:
        raise UsageError(
            f"The slice map has a column of patients, and --{given[0].replace('_', '-')} names patients too.",
            kind="two-groupings",
            hint="Leave that option out, or name the map's columns without patients: --slice-map-columns "
            "image=HEADING,volume=HEADING.",
        )


_OPTION_OF: Final = {"positive_classes": "positive_class"}


def _decided_here(keywords: PlanKeywords) -> dict[str, Any]:
    from planbalance import planner

    given: dict[str, Any] = {}
    for name, text in zip(("train_ratio", "val_ratio", "test_ratio"), _ratio_texts(keywords), strict=True):
        if text is not None:
            given[name] = planner.parse_decimal(text, "--" + name.replace("_", "-"))
    for name in ("split_seed", "sample_seed"):
        own = keywords.get(name)
        value = own if isinstance(own, int) else keywords.get("seed")
        if value is not None:
            given[name] = value
    _check_counts(
        {"--seed": keywords.get("seed")}
        | {"--" + n.replace("_", "-"): given.get(n) for n in ("split_seed", "sample_seed")},
        least=0,
    )
    classes = _class_ids(keywords.get("positive_classes", ()))
    if classes is not None:
        given["positive_classes"] = classes
    if keywords.get("volume_pattern") is not None:
        given["volume_pattern"] = keywords["volume_pattern"]
    if keywords.get("shared_ids") is not None:
        given["shared_ids"] = keywords["shared_ids"]
    return given


def _ratio_texts(keywords: PlanKeywords) -> tuple[str | None, str | None, str | None]:
    train, val, test = (keywords.get(f"{split}_ratio") for split in SPLITS)
    return _text_or_none(train), _text_or_none(val), _text_or_none(test)


def _text_or_none(number: object) -> str | None:
    return None if number is None else _text(number)


def _text(number: object) -> str:
    """Return the decimal that a person would write: 0.1 is 0.1, not the binary number nearest to it."""
    if not isinstance(number, float):
        return str(number)
    from decimal import Decimal

    return format(Decimal(repr(number)), "f")


def read_group_map(
    path: str, volume_column: str = "volume", group_column: str = "group", columns: Sequence[str] = ()
) -> "GroupMap":
    """Read a group map from a CSV file.

    Raises:
        InputError: not found, or not a map.
    """
    from planbalance.grouping import csv_text, parse_group_map

    text = csv_text(_read_input(path, "group map"), path)
    return parse_group_map(text, volume_column=volume_column, group_column=group_column, columns=columns, name=path)


def _file_or_glob(text: str) -> tuple[str, ...]:
    return _lines(text, "list to exclude") if os.path.isfile(text) else (text,)


def _lines(path: str, what: str) -> tuple[str, ...]:
    try:
        text = _read_input(path, what).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"The {what} {path} is not UTF-8 text.", kind="bad-list", paths=[path]) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _read_input(path: str, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(
            f"The {what} {path} cannot be read: {error.strerror}.", kind="input-not-found", paths=[path]
        ) from error


# ---- places ---------------------------------------------------------------------------------------------------------


def _specs(inputs: Inputs) -> list[InputSpec]:
    several = [inputs] if isinstance(inputs, str | InputSpec) else list(inputs)
    if not several:
        raise UsageError("No input given.", kind="no-input", hint="Name a data set folder or its dataset.yaml.")
    return [InputSpec(path=one) if isinstance(one, str) else one for one in several]


def _places_of(spec: InputSpec, found: "FoundInput") -> Iterable[str]:
    """Yield what is only read: the input's own places, and the folder that was named (a yaml's where it holds them)."""
    places = list(guarded(found.input.root, found.input))
    yield from places
    if spec.path and spec.images is None:
        path = os.path.abspath(spec.path)
        named = os.path.dirname(path) if os.path.isfile(path) else path
        if named == path or any(is_within(place, named) for place in places):
            yield named


# ---- apply ----------------------------------------------------------------------------------------------------------


def apply(  # noqa: PLR0913 - keywords of the contract
    plan: str | PlanFile = DEFAULT_PLAN,
    *,
    output: str | None = None,
    map_input: Sequence[tuple[str, str]] = (),
    allow_edited: bool = False,
    shard: str | None = None,
    finish: bool = False,
    executor: Literal["local", "dask"] = "local",
    scheduler: str | None = None,
    progress: Progress | None = None,
    **keywords: Unpack[ApplyKeywords],
) -> Outcome:
    """Build what the plan says; called again after an interruption it resumes.

    Example:
        `apply("plan.json", mode="symlink").train_commands["yolov5"]`

    Args:
        plan: the plan's path, or a plan in memory.
        output: another place than the planned one.
        map_input: (planned input, where it is here) pairs.
        allow_edited: take a plan that was edited by hand.
        shard: "I/N", or "auto" in a Slurm array: build this part only, and publish nothing.
        finish: publish what shards have built.
        executor: "dask" runs shards as tasks of a Dask cluster, and publishes.
        scheduler: the address of a running one; None starts one here.
        progress: where to report to.
        keywords: see `ApplyKeywords`.

    Raises:
        UsageError, PlanError, IncompleteError, InterruptedRunError: as the contract's exit codes 2, 4, 5 and 130 say.
    """
    from planbalance import engine

    _check_keywords(keywords, ApplyKeywords)
    _check_counts({"--jobs": keywords.get("jobs")}, least=1)
    part = None if shard is None else _shard(shard)
    chosen = _with_labels(keywords)
    options = engine.ApplyOptions(output=output, map_input=tuple(map_input), shard=part, finish=finish, **chosen)
    plan_file = open_plan(plan, allow_edited=allow_edited) if isinstance(plan, str) else plan
    if executor == "local":
        if scheduler is not None:
            raise UsageError("--scheduler is for --executor dask.", kind="executor")
        return engine.apply_plan(plan_file, options, progress or Silent())
    from planbalance.cluster.dask import apply_on_dask

    return apply_on_dask(
        plan_file, options, scheduler=scheduler, progress=progress or Silent(), allow_edited=allow_edited
    )


def _shard(text: str) -> "Shard":
    from planbalance.shards import parse_shard, shard_of_array

    if text == "auto":
        return shard_of_array(os.environ)
    try:
        return parse_shard(text)
    except ValueError:
        raise UsageError(
            f"--shard {text}: give I/N with I from 1 to N, or auto in a Slurm array.", kind="shard"
        ) from None


def slurm(
    plan: str,
    *,
    nodes: int,
    into: str = ".",
    output: str | None = None,
    map_input: Sequence[tuple[str, str]] = (),
    **keywords: Unpack[ApplyKeywords],
) -> "BatchFiles":
    """Write the two batch files that apply a plan on many nodes: an array of shards, and the finish after it.

    Example:
        `slurm("plan.json", nodes=8, mode="symlink").submit`

    Args:
        plan: the plan's path.
        nodes: how many shards.
        into: the folder to write into.
        output: another place than the planned one.
        map_input: (planned input, where it is on the nodes) pairs.
        keywords: see `ApplyKeywords`; they are carried over.

    Raises:
        UsageError: options; a batch file is there already and was edited. PlanError: as `open_plan`; not written.
    """
    from planbalance import engine
    from planbalance.cluster.slurm import batch_files, own_program, save_batch_files

    _check_keywords(keywords, ApplyKeywords)
    _check_counts({"--jobs": keywords.get("jobs"), "--nodes": nodes}, least=1)
    refused = [name for name in ("dry_run", "restart") if keywords.get(name)]
    if refused:
        raise UsageError(f"--{refused[0].replace('_', '-')} is for a run by hand, not for a batch file.", kind="usage")
    plan_file = open_plan(plan)
    header = plan_file.header
    if nodes > len(header.blocks):
        raise UsageError(
            f"--nodes {nodes}: this plan has {len(header.blocks)} blocks to share out; more nodes would have no work.",
            kind="number-out-of-range",
            hint=f"give --nodes {len(header.blocks)} or less",
        )
    where = None if output is None else os.path.abspath(output)
    pairs = tuple((os.path.abspath(old), os.path.abspath(new)) for old, new in map_input)
    options = engine.ApplyOptions(output=where, map_input=pairs, **_with_labels(keywords))
    engine.make_job(plan_file, options)  # refuses options that contradict each other or the plan
    files = batch_files(os.path.abspath(plan), options, nodes, own_program())
    folder = os.path.abspath(into)
    paths = {f"batch file {name}": os.path.join(folder, name) for name in (files.array_name, files.finish_name)}
    guard.refuse_files(paths, all_guarded(header.inputs, header.sources))
    save_batch_files(files, folder)
    return files


def open_plan(path: str = DEFAULT_PLAN, *, allow_edited: bool = False) -> PlanFile:
    """Open a plan file and check its header.

    Example:
        `open_plan("plan.json").header.statistics["splits"]["train"]`

    Raises:
        PlanError: not found, damaged or hostile.
    """
    return PlanFile.open(path, allow_edited=allow_edited)


def planned_volume(header: PlanHeader, volume: str) -> PlannedVolume:
    """Return one volume of a plan.

    Raises:
        UsageError: the plan has no such volume.
    """
    found = next((one for one in header.volumes if one.id == volume), None)
    if found is None:
        from difflib import get_close_matches

        close = get_close_matches(volume, [one.id for one in header.volumes], n=3)
        hint = f"Did you mean {', '.join(close)}?" if close else "`planbalance show --csv` lists all volumes."
        raise UsageError(f"The plan has no volume {volume}.", kind="unknown-volume", hint=hint)
    return found


def diff(old: str, new: str) -> "PlanDiff":
    """Compare two plan files.

    Example:
        `diff("plan.json", "plan-new.json")`

    Raises:
        PlanError: one of them is refused.
    """
    from planbalance.diff import diff_plans

    return diff_plans(open_plan(old), open_plan(new))


def relocate(dataset: str, *, source: Sequence[tuple[str, str]] = ()) -> "RelocateOutcome":
    """Set the absolute `path:` of a data set that was moved right, and with (old, new) sources its symlinks.

    Raises:
        InputError, PlanError: not found, or no data set that can be put right.
    """
    from planbalance.relocate import relocate as relocate_dataset

    return relocate_dataset(dataset, tuple(source))


def clean(folder: str, *, remove: bool = False) -> "list[PartialBuild]":
    """Return the partial builds below a folder, and with `remove` throw them away.

    Raises:
        InputError: not found. IncompleteError: one is being built right now.
    """
    from planbalance.clean import find_partial, remove_partial

    found = find_partial(folder)
    if remove:
        for partial in found:
            remove_partial(partial)
    return found


def tune(folder: str, *, progress: Progress | None = None) -> "Tuned":
    """Measure what the file system under a folder can do; nothing is left there.

    Example:
        `tune("/scratch").settings.workers`

    Raises:
        InputError, UsageError: not found; a data set, where nothing is ever written. PlanError: not writable.
    """
    from planbalance.tune import tune as measure

    return measure(folder, progress or Silent())


# ---- verify ---------------------------------------------------------------------------------------------------------


def verify(  # noqa: PLR0913 - keywords of the contract
    dataset: str | None = None,
    *,
    plan: str | None = None,
    quick: bool = False,
    near_duplicates: bool = False,
    against: Sequence[str] = (),
    group_map: str | None = None,
    volume_column: str = "volume",
    group_column: str = "group",
    volume_pattern: str | None = None,
    slice_map: str | None = None,
    slice_map_columns: str | None = None,
    volume_from: VolumeFrom | None = None,
    group_key: str | None = None,
    jobs: int | None = None,
    shard: str | None = None,
    finish: bool = False,
    executor: Literal["local", "dask"] = "local",
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Audit a data set, one that planbalance never built included.

    Example:
        `verify("somebody/yolo_dataset").summary`

    Args:
        dataset: a folder or a yaml; None: the output of `plan`, or of `plan.json`.
        plan: what to compare with; None: the plan inside the data set, if there is one.
        quick: read only what planbalance itself wrote, neither images nor labels.
        near_duplicates: decode all images, and look for pictures that look alike across splits; not with `quick`.
        against: other data sets; what one learns from and the other measures on is an error.
        group_map: volume -> patient, as in `plan`.
        volume_column: its column of volumes.
        group_column: its column of groups.
        volume_pattern: naming rule; None: the plan's, else `auto`.
        slice_map: a CSV's path, a row an image, as in `plan`.
        slice_map_columns: its columns.
        volume_from: "dicom:SeriesInstanceUID", as in `plan`.
        group_key: the file of the key that hashes its ids.
        jobs: worker threads.
        shard: "I/N", or "auto" in a Slurm array: look at this part only; the verdict comes with `finish`.
        finish: put together what shards have found.
        executor: "dask" looks at parts on a Dask cluster.
        scheduler: the address of a running one; None starts one here.
        progress: where to report to.

    Raises:
        InputError: not found, or names ambiguous. PlanError: the plan is refused.
        UsageError: an extra is not installed; `near_duplicates` with `quick`.
    """
    from planbalance import audit

    _check_counts({"--jobs": jobs}, least=1)
    if quick and near_duplicates:
        raise UsageError(
            "--near-duplicates reads all images, --quick none: give one of them.", kind="options-contradict"
        )
    if dataset is None and plan is None:
        plan = DEFAULT_PLAN
    asked = _Source(volume_pattern, slice_map, slice_map_columns, volume_from, group_key)
    source = _volume_source(asked, jobs, progress)
    _refuse_two_readings(source, shared_ids=None, group_map=group_map)
    if source is not None:
        sharing = {"--shard": shard is not None, "--finish": finish, "--executor dask": executor == "dask"}
        _refuse_together({"--slice-map" if slice_map is not None else "--volume-from": True, **sharing})
    groups = None if group_map is None else read_group_map(group_map, volume_column, group_column)
    options = audit.VerifyOptions(
        plan=plan,
        quick=quick,
        near_duplicates=near_duplicates,
        against=tuple(against),
        group_map=groups,
        volume_pattern=volume_pattern,
        volume_source=source,
        jobs=jobs,
    )
    _refuse_together({"--shard": shard is not None, "--finish": finish, "--executor dask": executor == "dask"})
    if shard is not None:
        return audit.verify_shard(dataset, options, _shard(shard), progress)
    if finish:
        return audit.finish_audit(dataset, options, progress)
    if executor == "dask":
        from planbalance.cluster.dask import verify_on_dask

        return verify_on_dask(dataset, options, scheduler=scheduler, progress=progress or Silent())
    if scheduler is not None:
        raise UsageError("--scheduler is for --executor dask.", kind="executor")
    return audit.verify(dataset, options, progress or Silent())


def _refuse_together(given: Mapping[str, bool]) -> None:
    names = [name for name, wanted in given.items() if wanted]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} exclude each other.", kind="shard")


def report(
    subject: str = DEFAULT_PLAN,
    *,
    html: str,
    audit: Literal["none", "quick", "full"] = "quick",
    near_duplicates: bool = False,
    samples: int = 4,
    progress: Progress | None = None,
) -> Reported:
    """Write the page to review a plan, or a data set with its audit.

    Example:
        `report("balanced", html="balanced.html", audit="full")`

    Args:
        subject: a plan file, or a data set: its folder or yaml. One that planbalance did not build is audited in full,
            and shown as it lies there, leaks first.
        html: the page to write, outside of inputs and data set.
        audit: of a data set: none, what planbalance wrote (quick), or every image and label too (full).
        near_duplicates: look for images that look alike across splits too, which makes the audit a full one.
        samples: positive slices of each split to draw with their boxes.
        progress: where to report to.

    Raises:
        UsageError: the page cannot be written there, or its extra is not installed.
        PlanError: the plan is refused. InputError: the data set is refused.
    """
    from planbalance.report.page import PageOptions, check_page, write_page
    from planbalance.report.subject import open_subject

    plan, dataset = open_subject(subject)
    check_page(html, plan, dataset)  # before a long audit
    found = None
    if dataset is not None and audit != "none":
        quick = audit == "quick" and plan is not None and not near_duplicates
        found = verify(dataset, quick=quick, near_duplicates=near_duplicates, progress=progress)
    shown = plan if plan is not None or dataset is None else _as_it_is(dataset, progress)
    if shown is None and found is None:
        raise UsageError(
            f"No volume can be shown of {dataset}: it has no plan, and its images are in no split, "
            "or their names cannot be read.",
            kind="no-plan",
            hint="Leave --audit none out, and the page shows the audit.",
        )
    options = PageOptions(dataset, found, samples, as_found=plan is None)
    written = write_page(html, shown, options, progress)
    return Reported(written.path, written.bytes, None if plan is None else plan.header.digest, dataset, found)


def _as_it_is(dataset: str, progress: Progress | None) -> "Shown | None":
    """Return a data set as it lies there, leaks included; None where its names cannot be read."""
    from planbalance.report.found import as_found
    from planbalance.scan import scan as scan_inputs

    try:
        return as_found(scan_inputs([InputSpec(path=dataset)], progress=progress or Silent()))
    except InputError:
        return None


def check_report(report: str, dataset: str | None, plan: str | None, against: Sequence[str] = ()) -> None:
    """Check, before a long audit, that its report can be written and lies in none of the data sets that are read.

    Raises:
        UsageError: it lies in one, has another suffix than `.md` or `.html`, or its folder is not there.
    """
    if not report.endswith((".md", ".html")):
        raise UsageError(
            f"--report {report}: the report is written as Markdown or HTML.",
            kind="report-format",
            hint="Name a file FILE.md or FILE.html.",
        )
    if not os.path.isdir(os.path.dirname(os.path.abspath(report))):
        raise UsageError(f"The folder of the report {report} does not exist.", kind="report-place", paths=[report])
    if dataset is None:
        dataset = open_plan(plan or DEFAULT_PLAN).header.output
    places = [os.path.abspath(one) for one in (dataset, *against)]
    folders = [os.path.dirname(place) if os.path.isfile(place) else place for place in places]
    guard.refuse_files({"report": os.path.abspath(report)}, folders, what="data set")


# ---- build ----------------------------------------------------------------------------------------------------------


class BuildKeywords(PlanKeywords, ApplyKeywords, total=False):
    """The keywords of `plan` and of `apply` together; `jobs` counts for both."""


def build(
    inputs: Inputs,
    *,
    output: str,
    plan_file: str | None = None,
    progress: Progress | None = None,
    planned: Callable[[Planned], None] = lambda _: None,
    **keywords: Unpack[BuildKeywords],
) -> Built:
    """Plan, apply, and verify what was written (`quick`, and labels by content): images are not read again.

    The same call again resumes an unfinished build: the plan comes out the same, and the partial build knows it.

    Example:
        `build("yolo_dataset", output="balanced", mode="symlink", seed=42).audit.ok`

    Args:
        inputs: as in `plan`.
        output: the data set to make.
        plan_file: where to keep the plan besides; None: only in the output.
        progress: where to report to.
        planned: called with the plan before anything is built, unless the output is there already.
        keywords: see `PlanKeywords` and `ApplyKeywords`.

    Raises:
        PlanbalanceError: as `plan`, `apply` and `verify` do.
    """
    from planbalance import audit

    _check_keywords(keywords, BuildKeywords)
    _with_labels(keywords, keywords.get("layout"))
    for_plan: Any = {name: value for name, value in keywords.items() if name in PlanKeywords.__annotations__}
    for_apply: Any = {name: value for name, value in keywords.items() if name in ApplyKeywords.__annotations__}
    sealed, warnings = _sealed(inputs, output, plan_file, make_plan_as_list, progress, for_plan)
    if plan_file is None:
        plan_in_memory = PlanFile.of(sealed[0])
        made = Planned(
            "", plan_in_memory, sealed[0].content, "", (*plan_in_memory.header.warnings, *warnings), sealed[0].classes
        )
    else:
        made = _saved(sealed[0], os.path.abspath(plan_file), warnings)
    if not warnings:  # an output that is there already is refused next, so nobody needs to see what would have been
        planned(made)
    outcome = apply(made.plan, progress=progress, **for_apply)
    if keywords.get("dry_run"):
        return Built(made, outcome, None)
    options = audit.VerifyOptions(quick=True, labels_by_content=True, jobs=keywords.get("jobs"))
    return Built(made, outcome, audit.verify(outcome.output, options, progress or Silent()))


# ---- keywords -------------------------------------------------------------------------------------------------------


def _check_keywords(keywords: Mapping[str, Any], known: type) -> None:
    names: set[str] = set()
    for kind in (known, *getattr(known, "__orig_bases__", ())):
        names |= set(getattr(kind, "__annotations__", ()))
    unknown = sorted(set(keywords) - names)
    if unknown:
        raise TypeError(f"unknown keyword: {', '.join(unknown)}")


def _with_labels(keywords: Mapping[str, Any], layout: Layout | None = None) -> dict[str, Any]:
    """Return the keywords of apply with `labels` said. Raises UsageError for what mode list leaves no choice of."""
    if keywords.get("mode") == "list":
        for option, given in (("--labels", keywords.get("labels")), ("--layout by-volume", layout == "by-volume")):
            if given:
                raise UsageError(
                    f"{option} does not go with --mode list: nothing is placed, trainers find labels by their rule.",
                    kind="list",
                    hint="Leave it out, or use --mode symlink.",
                )
    return {**keywords, "labels": keywords.get("labels") or "copy"}


def _check_counts(values: Mapping[str, int | None], *, least: int) -> None:
    for option, value in values.items():
        if value is not None and not least <= value <= _LARGEST_SEED:
            raise UsageError(f"{option} is {value}: give a whole number from {least} up.", kind="number-out-of-range")


def _by_id(classes: Iterable[int | str], specs: Sequence[InputSpec]) -> Sequence[int]:
    """Return class ids; the inputs' class names are read where a class is given as a text."""
    from planbalance.planner import parse_classes

    words = [classes] if isinstance(classes, str) else list(classes)
    if not any(isinstance(word, str) for word in words):
        return parse_classes(words, None)
    from planbalance.inputs import common_names, resolve_inputs

    return parse_classes(words, common_names(found.input for found in resolve_inputs(specs)))


def _class_ids(classes: Iterable[int | str]) -> frozenset[int] | None:
    ids = frozenset(one for one in classes if isinstance(one, int))  # names became ids before
    _check_counts({"--positive-class": min(ids, default=0)}, least=0)
    return ids or None


def _splits(names: Sequence[Split]) -> tuple[Split, ...]:
    unknown = [name for name in names if name not in SPLITS]
    if unknown:
        raise UsageError(f"--keep-split {unknown[0]}: a split is one of {', '.join(SPLITS)}.", kind="unknown-split")
    return tuple(dict.fromkeys(names))
