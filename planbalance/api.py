"""What the commands do, as functions: the command line parses, calls these and prints.

    from planbalance import api

    planned = api.plan("yolo_dataset", output="balanced", seed=42)
    api.apply(planned.path, mode="symlink")
    assert api.verify("balanced").ok

All are synchronous and work where an event loop is running already (a notebook). Paths are texts; relative ones count
from the working folder. What a user can cause is raised as a `PlanbalanceError` with an exit code.

Options are given as an object of `planbalance.options`, which declares them, or as keywords of the same names.

Packages that not every command needs are imported by the functions that do: start-up is part of a command's time.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from planbalance import packed_dataset, path_safety, read_groups, resolve, text_file, tool_version
from planbalance.errors import InputError, PlanError, UsageError
from planbalance.executor.threads import without_collecting
from planbalance.group_sources import IDENTICAL
from planbalance.model import (
    SPLITS,
    Audit,
    ClassCount,
    FoldsAudit,
    InputSpec,
    Naming,
    Outcome,
    PlanHeader,
    PlannedVolume,
    Progress,
    Silent,
    Snapshot,
    Volume,
)
from planbalance.modes import MODE_TABLE, MODES
from planbalance.options.declare import made, spelled
from planbalance.packed.entry import PackedError
from planbalance.path_relation import all_guarded, guarded, is_within
from planbalance.planfile import Content, SealedPlan, naming_document, read_source
from planbalance.planstore import ImportPlan, PlanFile, is_import, refuse_plan_of_another, save_plan
from planbalance.text import enumerated

if TYPE_CHECKING:
    from planbalance.clean import PartialBuild
    from planbalance.cluster.slurm import BatchFiles
    from planbalance.diff import PlanDiff
    from planbalance.engine import MakeKind
    from planbalance.export import NamedSplit
    from planbalance.inputs import FoundInput
    from planbalance.options.apply import ApplyRequest
    from planbalance.options.audit import ReportRequest, VerifyRequest
    from planbalance.options.export import ExportFormat, ExportRequest
    from planbalance.options.importing import ImportRequest
    from planbalance.options.plan import PlanRequest, RepairRequest, ScanRequest
    from planbalance.page.subject import Subject
    from planbalance.page.unplanned import PageSource
    from planbalance.planner import Grouped, PlanOptions
    from planbalance.relocate import RelocateOutcome
    from planbalance.render.methods import Partitioned
    from planbalance.split.prove import SplitProof
    from planbalance.tune import Tuned

Inputs = str | InputSpec | Sequence[str | InputSpec]
DEFAULT_PLAN: Final = "plan.json"
DEFAULT_IMPORT: Final = "import.json"
_NOT_OF_IMPORT: Final = "is for a dataset that is split, not for an import"
_Made = TypeVar("_Made")  # a plan, or what becomes of several
__all__ = (
    "MODES",
    "Built",
    "ExportedFile",
    "ImportBuilt",
    "Imported",
    "InputSpec",
    "MarkdownReport",
    "Planned",
    "Repaired",
    "Reported",
    "Scanned",
    "apply",
    "build",
    "clean",
    "diff",
    "export",
    "fold_datasets",
    "fold_file",
    "import_and_build",
    "import_dataset",
    "open_import",
    "open_plan",
    "plan",
    "plan_folds",
    "plan_left_out",
    "relocate",
    "repair",
    "report",
    "report_markdown",
    "scan",
    "slurm",
    "tune",
    "verify",
    "verify_folds",
)


class Scanned(NamedTuple):
    """What lies in the inputs, read into volumes.

    Attributes:
        snapshot: images, labels and problems as found.
        naming: the rule that reads the names.
        examples: two names as the rule reads them.
        volumes: sorted by id; their groups are patients where a map, the names or headers give them.
        grouped: whether patients are known, so that a unit of splitting is a patient.
        reading: how names are read, as JSON values: `rule`, `pattern`, `examples`, and what there is to warn of.
        grouped_by: where patients come from: `volume` (they are not known), `patient` (the names), `map` (the group
            map), `slice-map`, `dicom` or `h5`; several of them with `+` between.
        groups: the volumes again, with what each source of groups has joined.
    """

    snapshot: Snapshot
    naming: Naming
    examples: tuple[str, ...]
    volumes: tuple[Volume, ...]
    grouped: bool
    reading: Mapping[str, Any]
    grouped_by: str
    groups: "Grouped"


class Planned(NamedTuple):
    """A plan that was made.

    Attributes:
        path: where it was saved; "" where it was not (`build`).
        plan: the plan, ready to be applied.
        content: how many slices and bytes it names.
        replaced: digest of a different plan that stood at `path` before, else "".
        warnings: the plan's own, those of how it was made (a fixed test set to which the ratios add), and what concerns
            only this place (an output that is not empty).
        classes: what the splits hold of each class, after undersampling; nothing where there is one class.
        proof: how near the best split this one is (`prove`), else None.
        pairs_file: the CSV with the pairs of volumes that look alike, for a person to fill; "" where there is none.
        kept: where another file that stood at `path` is kept now, else "".
    """

    path: str
    plan: PlanFile
    content: Content
    replaced: str
    warnings: tuple[str, ...]
    classes: tuple[ClassCount, ...] = ()
    proof: "SplitProof | None" = None
    pairs_file: str = ""
    kept: str = ""

    @property
    def header(self) -> PlanHeader:
        """The plan's first line."""
        return self.plan.header


class Imported(NamedTuple):
    """The plan of an import that was made.

    Attributes:
        path: where it was saved; "" where it was not.
        plan: the plan, ready to be applied.
        replaced: digest of a different plan that stood at `path` before, else "".
        warnings: the plan's own, and what concerns only this place.
        kept: where another file that stood at `path` is kept now, else "".
    """

    path: str
    plan: ImportPlan
    replaced: str
    warnings: tuple[str, ...]
    kept: str = ""


class ImportBuilt(NamedTuple):
    """What an import did that was built and divided into splits.

    Attributes:
        imported: the plan of the import.
        outcome: of building it; None where an earlier call had built it.
        audit: of what was built; None after a dry run.
        built: the dataset that was made of it; None after a dry run, and where the import is one file.
    """

    imported: Imported
    outcome: Outcome | None
    audit: Audit | None
    built: "Built | None"


class Repaired(NamedTuple):
    """The repair of a dataset.

    Attributes:
        planned: the plan of the mended dataset; of one without a leak, the dataset as it is, not saved.
        leaks: whether a group, or an identical image, is in two splits.
        by_default: the caller named no split to keep.
    """

    planned: Planned
    leaks: bool
    by_default: bool


class Reported(NamedTuple):
    """A page that was written: where, how large, of which plan (digest) and dataset, with which audit.

    `audit_ok` is the result of the audit, also of several datasets; None where there was none.
    """

    path: str
    bytes: int
    digest: str | None
    dataset: str | None
    audit: Audit | None
    audit_ok: bool | None = None


class MarkdownReport(NamedTuple):
    """What a paper says of a divided dataset, as Markdown.

    Attributes:
        path: the file that was written; "" where none was asked for.
        text: the Markdown.
        digests: of the plans; nothing of a dataset that has none.
        datasets: that were looked at, built or found.
        audit_ok: the result of the audit; None where none was made.
    """

    path: str
    text: str
    digests: tuple[str, ...]
    datasets: tuple[str, ...]
    audit_ok: bool | None

    @property
    def bytes(self) -> int:
        """How large the file is."""
        return len(self.text.encode("utf-8", "backslashreplace"))


class ExportedFile(NamedTuple):
    """A split in the format of another program.

    Attributes:
        path: the file that was written; "" where none was asked for.
        text: what it holds.
        notes: sentences on what the format does not say, and how the file is used.
        digests: of the plans; nothing of a dataset that has none.
    """

    path: str
    text: str
    notes: tuple[str, ...]
    digests: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """How large the file is."""
        return len(self.text.encode("utf-8", "backslashreplace"))


class Built(NamedTuple):
    """What `build` did: `audit` is None after a dry run."""

    planned: Planned
    outcome: Outcome
    audit: Audit | None


# ---- scan -----------------------------------------------------------------------------------------------------------


def scan(
    inputs: Inputs,
    *,
    options: "ScanRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> Scanned:
    """Read the inputs and return what is there; nothing is written.

    Example:
        `scan("yolo_dataset").volumes[0].positives`

    Args:
        inputs: as in `plan`.
        options: how names are read.
        progress: where to report to.
        keywords: fields of `ScanRequest`, in place of `options` or to change them.

    Raises:
        InputError: not found, no images, names ambiguous or unmatched, a volume that the group map does not know.
    """
    from planbalance import planner
    from planbalance.inputs import resolve_inputs
    from planbalance.naming import find_names
    from planbalance.options.plan import ScanRequest
    from planbalance.scan import scan as scan_inputs

    request: ScanRequest = made(ScanRequest, options, keywords)
    resolve.check_counts({"--jobs": request.jobs}, least=1)
    found = cache(partial(resolve_inputs, _specs(inputs)))
    classes = resolve.positive_classes(request, found)
    source = resolve.volume_source(request, request.jobs, progress)
    resolve.refuse_two_readings(source, request)
    words = read_groups.asked_sources(request)
    snapshot = scan_inputs(found(), hash_images=IDENTICAL in words, jobs=request.jobs, progress=progress or Silent())
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
    groups = resolve.group_map(request)
    shared_ids = request.shared_ids
    if source is None:
        naming, names, warnings, notes = find_names(
            paths, request.volume_pattern or "auto", class_names=planner.class_names(snapshot)
        )
        reading = naming_document(naming, paths, warnings, notes)
    else:
        places = planner.places_of(snapshot.inputs, snapshot.images, paths)
        names, reading = read_source(source, places)
        naming, shared_ids = Naming(source.rule), "same"
    volumes = planner.group_into_volumes(
        snapshot, naming, positive_classes=classes, group_map=None, shared_ids=shared_ids, names=names
    )
    by_names = names.patients is not None and any(names.patients)
    patients = {volume.id: volume.group for volume in volumes} if by_names else {}
    known = planner.PlanOptions("", group_map=groups, volume_source=source)
    grouped = read_groups.scanned_groups(snapshot, (volumes, patients), known, request, progress)
    shown = tuple(reading["examples"])
    return Scanned(snapshot, naming, shown, grouped.volumes, grouped.by != "volume", reading, grouped.by, grouped)


# ---- plan -----------------------------------------------------------------------------------------------------------


def plan(
    inputs: Inputs,
    *,
    output: str,
    plan_file: str = DEFAULT_PLAN,
    options: "PlanRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> Planned:
    """Create a plan: which volume goes to which split, which slices are kept. Neither input nor output is touched.

    Example:
        `plan("yolo_dataset", output="balanced", train_ratio="0.8", test_ratio="0.1").header.statistics["splits"]`

    Args:
        inputs: a folder, a yaml, or several; `InputSpec` adds a prefix, or names image and label folder.
        output: the dataset to make later.
        plan_file: where the plan is written; a different one there is kept as `<name>.bak`.
        options: what decides the plan.
        progress: where to report to.
        keywords: fields of `PlanRequest`, in place of `options` or to change them.

    Raises:
        UsageError, InputError: exit codes 2 and 3 of the command line.
        PlanError: the plan to extend is refused, or the plan cannot be written.
    """
    from planbalance.options.plan import PlanRequest
    from planbalance.planner import make_plan

    request: PlanRequest = made(PlanRequest, options, keywords)
    path = os.path.abspath(plan_file)
    sealed = _sealed(inputs, output, path, request, make_plan, progress)
    return _with_pairs([_saved(sealed, path, _place_warnings(output))], path)[0]


def plan_folds(
    inputs: Inputs,
    *,
    output: str,
    folds: int,
    repeats: int = 1,
    plan_file: str = DEFAULT_PLAN,
    options: "PlanRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> list[Planned]:
    """Plan `folds` datasets in which every group is in test exactly once: `<output>/fold1` and so on.

    With several `repeats` this is done several times, in `<output>/repeat1/fold1` and so on. Repetition r has the split
    seed + r - 1, so the first one has the folds that are made without repetitions.

    Example:
        `[apply(fold.path) for fold in plan_folds("yolo_dataset", output="folds", folds=5)]`

    Raises:
        UsageError: also with `test_ratio` or `extend`, which folds decide themselves.
    """
    from planbalance.options.plan import PlanRequest
    from planbalance.planner import make_folds

    request: PlanRequest = made(PlanRequest, options, keywords)
    _refuse_with_folds(request, "--folds", f"each fold's test split is 1/{folds} of the groups")
    resolve.check_counts({"--folds": folds}, least=2)
    resolve.check_counts({"--repeats": repeats}, least=1)
    make = partial(make_folds, folds=folds, repeats=repeats)
    return _several(inputs, output, plan_file, request, make, progress)


def plan_left_out(
    inputs: Inputs,
    *,
    output: str,
    leave_out: str,
    plan_file: str = DEFAULT_PLAN,
    options: "PlanRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> list[Planned]:
    """Plan one dataset for each value of a column of the group map, such as a site: its groups are test.

    Train and val share the other groups. A dataset has the folder `<output>/<value>`, its plan the file
    `plan-<value>.json`; characters of the value that are not for file names are `_` there.

    Example:
        `plan_left_out("yolo_dataset", output="sites", leave_out="site", group_map="patients.csv")`

    Raises:
        UsageError: also with `test_ratio` or `extend`, or without `group_map`.
        InputError: also where a group has several values, or the column has one value only.
    """
    from planbalance.options.plan import PlanRequest
    from planbalance.planner import make_left_out

    request: PlanRequest = made(PlanRequest, options, keywords)
    _refuse_with_folds(request, "--leave-out", "the test split is what has the value that is left out")
    if request.group_map is None:
        raise UsageError(
            "--leave-out names a column of the group map: give --group-map too.", kind="leave-out-without-map"
        )
    make = partial(make_left_out, column=leave_out)
    return _several(inputs, output, plan_file, request, make, progress, columns=(leave_out,))


def _refuse_with_folds(request: "PlanRequest", flag: str, why: str) -> None:
    for name in ("test_ratio", "extend"):
        if getattr(request, name) is not None:
            option = spelled(name)
            raise UsageError(
                f"{flag} and {option} exclude each other: {why}.",
                kind="folds-exclude",
                hint=f"Leave {option} out.",
            )
    if request.prove is not None:  # said before the solver is looked for: it may not be installed
        raise UsageError(
            f"{flag} and --prove exclude each other: a proof is about one split.",
            kind="folds-exclude",
            hint="Leave --prove out.",
        )


def _several(
    inputs: Inputs,
    output: str,
    plan_file: str,
    request: "PlanRequest",
    make: "Callable[[Snapshot, PlanOptions], Iterable[SealedPlan]]",
    progress: Progress | None,
    *,
    columns: Sequence[str] = (),
) -> list[Planned]:
    """Make several plans and save each as soon as it is made: all of them may not fit into memory at once."""
    path, whole = os.path.abspath(plan_file), os.path.abspath(output).rstrip("/")
    warnings = _place_warnings(output)

    def save(snapshot: Snapshot, chosen: "PlanOptions") -> list[Planned]:
        saved = []
        for sealed in make(snapshot, chosen):
            one = _saved(sealed, _file_of(path, sealed.header.output.removeprefix(whole)), warnings)
            saved.append(one._replace(plan=PlanFile.saved(one.path, sealed)))
        return saved

    return _with_pairs(_sealed(inputs, output, path, request, save, progress, columns=columns), path)


def repair(
    dataset: str,
    *,
    output: str,
    plan_file: str = DEFAULT_PLAN,
    options: "RepairRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> Repaired:
    """Plan the repair of a dataset that leaks: the fewest slices are moved to another split or left out.

    No plan is written where no volume, no patient and no identical image is in two splits.

    Example:
        `repair("somebody/yolo_dataset", output="mended", keep=["test"]).leaks`

    Args:
        dataset: a folder or a yaml: any YOLO dataset that is split.
        output: the dataset to make later.
        plan_file: where the plan is written; a different one there is kept as `<name>.bak`.
        options: what is kept, and how names are read.
        progress: where to report to.
        keywords: fields of `RepairRequest`, in place of `options` or to change them.

    Raises:
        UsageError, InputError: exit codes 2 and 3 of the command line.
        PlanError: the plan cannot be written.
    """
    from planbalance.options.plan import RepairRequest

    request: RepairRequest = made(RepairRequest, options, keywords)
    path = os.path.abspath(plan_file)
    leaks, sealed = _repaired(dataset, output, path, request, progress)
    planned = _saved(sealed, path if leaks else None, _place_warnings(output) if leaks else ())
    if leaks:
        planned = _with_pairs([planned], path)[0]
    return Repaired(planned, leaks, by_default=not request.keep)


@without_collecting()
def _repaired(
    dataset: str, output: str, plan_file: str, request: "RepairRequest", progress: Progress | None
) -> tuple[bool, SealedPlan]:
    """Return whether a group is in two splits, and the plan in which none is."""
    from planbalance.planner import make_repair, read_split_dataset
    from planbalance.scan import image_digests

    keep = resolve.kept_splits(request)
    choose = partial(resolve.repair_options, request, os.path.abspath(output), progress=progress)
    snapshot, options = _snapshot(dataset, plan_file, choose, request.jobs, progress)
    source = read_split_dataset(snapshot, keep, options.exclude, image_digests)
    mended, sealed = make_repair(source, read_groups.with_groups_read(source.snapshot, options, request, progress))
    return bool(mended.groups), sealed


def fold_file(plan_file: str, fold: int, repeat: int | None = None) -> str:
    """Return the plan file of one fold, `plan-fold1.json` for `plan.json`; folds and repetitions count from 1."""
    return _file_of(plan_file, f"/fold{fold}" if repeat is None else f"/repeat{repeat}/fold{fold}")


def _file_of(plan_file: str, below: str) -> str:
    """Return the plan file of the output that lies at `below` in the folder of all."""
    stem, suffix = os.path.splitext(plan_file)
    return stem + below.replace("/", "-") + suffix


@without_collecting()  # until the snapshot is freed: the collector would walk through all of it
def _sealed(
    inputs: Inputs,
    output: str,
    plan_file: str | None,
    request: "PlanRequest",
    make: "Callable[[Snapshot, PlanOptions], _Made]",
    progress: Progress | None,
    *,
    columns: Sequence[str] = (),
) -> _Made:
    """Make a plan, or several; `columns` are columns of the group map to read beside those of `stratify`."""
    choose = partial(resolve.plan_options, request, os.path.abspath(output), progress=progress, columns=columns)
    snapshot, options = _snapshot(inputs, plan_file, choose, request.jobs, progress)
    return make(snapshot, read_groups.with_groups_read(snapshot, options, request, progress))


def _snapshot(
    inputs: Inputs,
    plan_file: str | None,
    choose: "Callable[[Callable[[], Sequence[FoundInput]]], PlanOptions]",
    jobs: int | None,
    progress: Progress | None,
) -> "tuple[Snapshot, PlanOptions]":
    """Read the inputs once it is clear that neither the output nor the plan file lies in one of them.

    `choose` returns the options; it is given the function that finds the inputs.
    """
    from planbalance.inputs import resolve_inputs
    from planbalance.scan import scan as scan_inputs

    specs = _specs(inputs)
    found = cache(partial(resolve_inputs, specs))
    options = choose(found)
    places = [place for spec, one in zip(specs, found(), strict=True) for place in _places_of(spec, one)]
    path_safety.refuse_output(options.output, places)
    if plan_file is not None:
        path_safety.refuse_files({"plan file": plan_file}, places)
        _refuse_plan_file(plan_file, options.output)
    return scan_inputs(found(), hash_images=options.hash_images, jobs=jobs, progress=progress or Silent()), options


def _refuse_plan_file(path: str, output: str) -> None:
    """Refuse a plan file before anything is read (UsageError): at the output's own place, or another user's.

    `save_plan` looks again whose it is.
    """
    if path == output.rstrip("/"):
        raise UsageError(
            f"--output and --plan-file are both {path}: the dataset cannot be built where its plan lies.",
            kind="output-is-plan-file",
            hint="Give --output the folder that the dataset is to have, or --plan-file another name.",
            paths=[path],
        )
    with suppress(OSError):  # said when the plan is written
        refuse_plan_of_another(path)


def _place_warnings(output: str) -> tuple[str, ...]:
    """Return the warnings about the output folder as it is now; a plan does not store them."""
    output = os.path.abspath(output)
    try:
        there = bool(os.listdir(output))
    except NotADirectoryError:
        return (f"The output {output} is a file: apply will refuse it.",)
    except OSError:
        return ()
    return (f"The output {output} exists and is not empty: apply will refuse it.",) if there else ()


def _saved(sealed: SealedPlan, path: str | None, warnings: tuple[str, ...]) -> Planned:
    """Write a plan to `path`, unless that is None, and return it."""
    replaced = kept = ""
    if path is not None:
        replaced = _digest_at(path)
        kept = save_plan(path, sealed)
    plan_file = PlanFile.of(sealed)
    header = plan_file.header
    said = (*header.warnings, *sealed.warnings, *warnings)
    replaced = "" if replaced == header.digest else replaced
    return Planned(path or "", plan_file, sealed.content, replaced, said, sealed.classes, sealed.proof, kept=kept)


def _with_pairs(plans: list[Planned], plan_file: str | None) -> list[Planned]:
    """Write the pairs of volumes that look alike beside the plan file, and say in the plans where they are."""
    from planbalance.look_alikes import planned_pairs

    pairs = planned_pairs(plans[0].header.parameters)
    if not pairs:
        return plans
    if plan_file is None:
        path = ""
        warning = "The pairs of volumes that look alike are in no CSV file: give --plan-file to have one written."
    else:
        path, warning = read_groups.save_pairs(plan_file, pairs)
    warnings = (warning,) if warning else ()
    return [one._replace(pairs_file=path, warnings=(*one.warnings, *warnings)) for one in plans]


def _digest_at(path: str) -> str:
    """Return the digest of the plan that stands there, "" where there is none that can be read."""
    try:
        return (ImportPlan if is_import(path) else PlanFile).open(path).header.digest
    except PlanError:
        return ""


# ---- import ---------------------------------------------------------------------------------------------------------


@without_collecting()
def import_dataset(
    *,
    output: str,
    plan_file: str | None = DEFAULT_IMPORT,
    options: "ImportRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> Imported:
    """Plan an import of raw annotations and images into one dataset; nothing but the plan is written.

    Example:
        `import_dataset(format="coco", annotations="a.json", images="raw", classes="tear", output="out").plan.header`

    Args:
        output: the dataset to make later.
        plan_file: where the plan is written; a different one there is kept as `<name>.bak`. None: it is not written.
        options: what is imported.
        progress: where to report to.
        keywords: fields of `ImportRequest`, in place of `options` or to change them.

    Raises:
        UsageError, InputError: exit codes 2 and 3 of the command line.
        PlanError: the import to extend is refused, or the plan cannot be written.
    """
    from planbalance.importing import make_import
    from planbalance.options.importing import ImportRequest

    request: ImportRequest = made(ImportRequest, options, keywords)
    resolve.check_counts({"--jobs": request.jobs}, least=1)
    path = None if plan_file is None else os.path.abspath(plan_file)
    key_file = request.group_key or read_groups.default_group_key()
    if path is not None:
        _refuse_plan_file(path, os.path.abspath(output))
    sealed = make_import(request, output=os.path.abspath(output), key_file=key_file, plan_file=path, progress=progress)
    replaced = kept = ""
    if path is not None:
        replaced = _digest_at(path)
        kept = save_plan(path, sealed)
    digest = sealed.header.digest
    warnings = (*sealed.header.warnings, *_place_warnings(output))
    replaced = "" if replaced == digest else replaced
    return Imported(path or "", ImportPlan.of(sealed, path or ""), replaced, warnings, kept)


def import_and_build(
    *,
    output: str,
    plan_file: str | None = DEFAULT_IMPORT,
    options: "ImportRequest | None" = None,
    apply: "ApplyRequest | None" = None,
    progress: Progress | None = None,
    planned: Callable[[Imported], None] = lambda _: None,
    **keywords: object,
) -> ImportBuilt:
    """Import, audit what was imported, and divide it into splits in `<output>-balanced`: the guide from end to end.

    The same call again resumes what was not finished. In a mode that makes one file it ends with the audit, since what
    is divided must be a folder: mount or unpack the file, and `plan` that folder.

    Example:
        `import_and_build(sources="sources.toml", output="combined").built.audit.ok`

    Args:
        output: the imported dataset.
        plan_file: as in `import_dataset`.
        options: what is imported.
        apply: how both datasets are built.
        progress: where to report to.
        planned: called with the plan of the import before anything is built.
        keywords: fields of `ImportRequest`, in place of `options` or to change them.

    Raises:
        PlanbalanceError: as `import_dataset`, `apply`, `verify` and `build` do.
    """
    from planbalance.engine.job import planned_output
    from planbalance.import_files import GROUPS, has_groups
    from planbalance.options.apply import ApplyRequest
    from planbalance.options.plan import PlanRequest

    build_as = apply or ApplyRequest()
    others = ("labels", "output", "map_input", "shard", "finish", "executor", "scheduler", "allow_edited")
    resolve.refuse_given(build_as, others, "is for apply, not for import --build")
    made_import = import_dataset(output=output, plan_file=plan_file, options=options, progress=progress, **keywords)
    planned(made_import)
    header = made_import.plan.header
    try:
        outcome: Outcome | None = _apply_import(made_import.plan, build_as, progress)
    except PlanError as error:
        if error.kind != "already-built":
            raise
        outcome = None
    if build_as.dry_run:
        return ImportBuilt(made_import, outcome, None, None)
    audit = verify(planned_output(header, build_as.mode), quick=True, progress=progress)
    if MODE_TABLE[build_as.mode].one_file:
        return ImportBuilt(made_import, outcome, audit, None)
    groups = f"{header.output}/{GROUPS}" if has_groups(header) else None
    built = build(
        header.output,
        output=f"{header.output}-balanced",
        plan=PlanRequest(group_map=groups),
        apply=build_as,
        progress=progress,
    )
    return ImportBuilt(made_import, outcome, audit, built)


def open_import(path: str = DEFAULT_IMPORT) -> ImportPlan:
    """Open the plan of an import and check its header.

    Raises:
        PlanError: not found, damaged or hostile, or the plan of a split.
    """
    return ImportPlan.open(path)


# ---- places ---------------------------------------------------------------------------------------------------------


def _specs(inputs: Inputs) -> list[InputSpec]:
    several = [inputs] if isinstance(inputs, str | InputSpec) else list(inputs)
    if not several:
        raise UsageError("No input given.", kind="no-input", hint="Name a dataset folder or its dataset.yaml.")
    return [InputSpec(path=one) if isinstance(one, str) else one for one in several]


def _places_of(spec: InputSpec, found: "FoundInput") -> Iterable[str]:
    """Yield the folders of an input that nothing is written to: its own, and the one that the user named.

    For a yaml that is the yaml's folder, where the input's folders lie in it.
    """
    places = list(guarded(found.input.root, found.input))
    yield from places
    if spec.path and spec.images is None:
        path = os.path.abspath(spec.path)
        named = os.path.dirname(path) if os.path.isfile(path) else path
        if named == path or any(is_within(place, named) for place in places):
            yield named


# ---- apply ----------------------------------------------------------------------------------------------------------


def apply(
    plan: str | PlanFile | ImportPlan = DEFAULT_PLAN,
    *,
    options: "ApplyRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> Outcome:
    """Build what the plan says; called again after an interruption it resumes.

    Example:
        `apply("plan.json", mode="symlink").train_commands["yolov5"]`

    Args:
        plan: the plan's path, or a plan in memory; of a split, or of an import.
        options: how it is built.
        progress: where to report to.
        keywords: fields of `ApplyRequest`, in place of `options` or to change them.

    Raises:
        UsageError, PlanError, IncompleteError, InterruptedRunError: exit codes 2, 4, 5 and 130 of the command line.
    """
    from planbalance import engine
    from planbalance.options.apply import ApplyRequest

    request: ApplyRequest = made(ApplyRequest, options, keywords)
    chosen = resolve.apply_options(request)
    if isinstance(plan, ImportPlan) or (isinstance(plan, str) and is_import(plan)):
        return _apply_import(plan if isinstance(plan, ImportPlan) else open_import(plan), request, progress)
    plan_file = open_plan(plan, allow_edited=request.allow_edited) if isinstance(plan, str) else plan
    if request.executor == "local":
        resolve.refuse_scheduler(request)
        return engine.apply_plan(plan_file, chosen, progress or Silent())
    from planbalance.cluster.dask import apply_on_dask

    return apply_on_dask(
        plan_file,
        chosen,
        scheduler=request.scheduler,
        progress=progress or Silent(),
        allow_edited=request.allow_edited,
    )


def _apply_import(plan: ImportPlan, request: "ApplyRequest", progress: Progress | None) -> Outcome:
    """Build what the plan of an import says."""
    from planbalance import engine
    from planbalance.importing import import_kind
    from planbalance.render.importing import next_command

    resolve.refuse_given(
        request, ("labels", "executor", "scheduler", "allow_edited"), "is for the plan of a split, not for an import"
    )
    outcome = engine.apply_plan(plan, resolve.apply_options(request), progress or Silent(), import_kind(plan))
    suffix, at = MODE_TABLE[outcome.mode].one_file, request.mount_at or ""
    if suffix and not at:  # `plan` reads folders, and where this file will be mounted is not known
        return outcome
    output = outcome.output.removesuffix(suffix)
    return outcome._replace(next_command=next_command(plan.header, output, at=at))


def slurm(
    plan: str, *, nodes: int, into: str = ".", options: "ApplyRequest | None" = None, **keywords: object
) -> "BatchFiles":
    """Write the batch files that apply a plan on many nodes: an array of shards, and the finish after it.

    In a mode that makes one file, a third one copies it to a node, mounts or unpacks it there, and trains.

    Example:
        `slurm("plan.json", nodes=8, mode="symlink").submit`

    Args:
        plan: the plan's path.
        nodes: how many shards.
        into: the folder to write into.
        options: how the plan is built; they are carried over.
        keywords: fields of `ApplyRequest`, in place of `options` or to change them.

    Raises:
        UsageError: options; a batch file is there already and was edited. PlanError: as `open_plan`; not written.
    """
    from planbalance import engine
    from planbalance.cluster.slurm import batch_files, own_program, save_batch_files
    from planbalance.engine.packing import LEAST
    from planbalance.options.apply import OF_SLURM, ApplyRequest

    request: ApplyRequest = made(ApplyRequest, options, keywords, OF_SLURM)
    resolve.check_counts({"--jobs": request.jobs, "--nodes": nodes}, least=1)
    left_out = ("dry_run", "restart", "shard", "finish", "executor", "scheduler", "allow_edited")
    resolve.refuse_given(request, left_out, "is for a run by hand, not for a batch file")
    imported = open_import(plan) if is_import(plan) else None
    plan_file = open_plan(plan) if imported is None else imported
    header = plan_file.header
    where = None if request.output is None else os.path.abspath(request.output)
    pairs = tuple((os.path.abspath(old), os.path.abspath(new)) for old, new in request.map_input)
    chosen = resolve.apply_options(replace(request, output=where, map_input=pairs))
    # It refuses options that contradict each other or the plan.
    job = engine.make_job(plan_file, chosen, *_kinds(imported))
    parts, called = len(header.blocks), "blocks"
    if job.packing is not None and not job.renders_first:  # slices are rendered block by block
        parts, called = -(-sum(block.count for block in header.blocks) // LEAST), "segments at most"
    if nodes > parts:
        raise UsageError(
            f"--nodes {nodes}: this plan has {parts} {called} to share out; more nodes would have no work.",
            kind="number-out-of-range",
            hint=f"give --nodes {parts} or less",
        )
    split_header = header if isinstance(header, PlanHeader) else None
    files = batch_files(os.path.abspath(plan), chosen, nodes, own_program(), split_header)
    folder = os.path.abspath(into)
    paths = {f"batch file {name}": os.path.join(folder, name) for name, _ in files.each()}
    path_safety.refuse_files(paths, all_guarded(header.inputs, job.kind.sources))
    save_batch_files(files, folder)
    return files


def _kinds(imported: ImportPlan | None) -> "tuple[MakeKind, ...]":
    """Return how the engine builds the plan of an import; nothing for a split."""
    if imported is None:
        return ()
    from planbalance.importing import import_kind

    return (import_kind(imported),)


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
        hint = f"Did you mean {enumerated(close, 'or')}?" if close else "`planbalance show --csv` lists all volumes."
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


def packed_yaml(dataset: str, at: str) -> str:
    """Return the dataset.yaml of an image or tar, with the `path:` where it will be mounted or unpacked.

    Example:
        `packed_yaml("balanced.sqfs", "/data")`

    Raises:
        UsageError: `at` is no absolute path. InputError: not found, or no image or tar with a yaml.
    """
    from planbalance.relocate import packed_yaml as yaml_of

    return yaml_of(dataset, at)


def relocate(dataset: str, *, source: Sequence[tuple[str, str]] = ()) -> "RelocateOutcome":
    """Repair the absolute `path:` of a dataset that was moved, and with (old, new) sources its symlinks.

    Raises:
        InputError, PlanError: not found, or no dataset that can be repaired.
    """
    from planbalance.relocate import relocate as relocate_dataset

    return relocate_dataset(dataset, tuple(source))


def clean(folder: str, *, remove: bool = False) -> "list[PartialBuild]":
    """Return the partial builds below a folder; with `remove`, remove them.

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
        InputError, UsageError: not found; a dataset, where nothing is ever written. PlanError: not writable.
    """
    from planbalance.tune import tune as measure

    return measure(folder, progress or Silent())


# ---- verify ---------------------------------------------------------------------------------------------------------


def verify(
    dataset: str | None = None,
    *,
    options: "VerifyRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> Audit:
    """Audit a dataset, one that planbalance never built included.

    Example:
        `verify("somebody/yolo_dataset").summary`

    Args:
        dataset: a folder or a yaml; None: the output of the plan in `options`, or of `plan.json`.
        options: what is looked at.
        progress: where to report to.
        keywords: fields of `VerifyRequest`, in place of `options` or to change them.

    Raises:
        InputError: not found, or names ambiguous. PlanError: the plan is refused.
        UsageError: an extra is not installed; options contradict each other; the report cannot be written there.
    """
    from planbalance.options.audit import VerifyRequest

    request: VerifyRequest = made(VerifyRequest, options, keywords)
    if dataset is None and request.plan is None:
        request = made(VerifyRequest, request, {"plan": DEFAULT_PLAN})
    if request.report is None or _import_plan(dataset, request.plan) is not None:
        return _audit(dataset, request, progress)
    check_report(request.report, dataset, request)  # before a long audit
    found = _audit(dataset, request, progress)
    _write_report(request.report, found, *_audited(dataset, request.plan))
    return found


def fold_datasets(folder: str) -> list[str]:
    """Return the datasets in a folder that `plan_folds` or `plan_left_out` planned; nothing where it is another folder.

    Example:
        `fold_datasets("folds")`
    """
    from planbalance import audit

    return audit.fold_datasets(folder)


def verify_folds(
    datasets: str | Sequence[str],
    *,
    options: "VerifyRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> FoldsAudit:
    """Audit several datasets that belong together, each one and then all: every group is in test of one of them.

    Example:
        `verify_folds("folds").summary`

    Args:
        datasets: the folder that holds them, or a list of datasets and of such folders.
        options: what is looked at.
        progress: where to report to.
        keywords: fields of `VerifyRequest`, in place of `options` or to change them.

    Raises:
        UsageError: an option that is for one dataset (`plan`, `report`, `shard`, `finish`, Dask), or as `verify` does.
    """
    from planbalance import audit
    from planbalance.options.audit import VerifyRequest

    request: VerifyRequest = made(VerifyRequest, options, keywords)
    resolve.refuse_given(
        request, ("plan", "report", "shard", "finish", "executor", "scheduler"), "is for one dataset, not for several"
    )
    found = _single_subjects(datasets)
    if not found:
        raise UsageError("No dataset given.", kind="no-input", hint="Name the folder that holds the folds.")
    return audit.verify_folds(found, resolve.verify_options(request, progress), progress or Silent())


def _import_plan(dataset: str | None, plan: str | None) -> ImportPlan | None:
    """Return the plan of an import that an audit is about; None where it is about anything else."""
    from planbalance.dataset_files import PLAN

    if plan is not None:
        return open_import(plan) if is_import(plan) else None
    at = None if dataset is None else _dataset_at(dataset)
    if at is None:
        return None
    inside = os.path.join(at, PLAN)
    return open_import(inside) if is_import(inside) else None


def _dataset_at(path: str) -> str | None:
    """Return the absolute path of a folder, or of an image or tar that can be read; None of anything else."""
    at = os.path.abspath(path)
    if os.path.isdir(at):
        return at
    with suppress(PackedError):
        packed_dataset.open_dataset(at)
    return None if packed_dataset.inside(at) is None else at


def _verify_import(plan: ImportPlan, dataset: str | None, request: "VerifyRequest", progress: Progress | None) -> Audit:
    """Return the audit of an import, and write its report where one is asked for."""
    from planbalance.audit.planned_dataset import output_of
    from planbalance.importing import verify_import

    of_split = ("near_duplicates", "against", "group_map", "slice_map", "volume_pattern", "volume_from")
    resolve.refuse_given(
        request, of_split, _NOT_OF_IMPORT, "Divide the import with `planbalance plan`, build that plan, and audit it."
    )
    resolve.refuse_given(
        request, ("shard", "finish", "executor"), _NOT_OF_IMPORT, "Leave it out: --jobs sets how many workers read."
    )
    folder = os.path.abspath(output_of(plan.header) if dataset is None else dataset)
    if request.report is not None:
        _check_report_file(request.report)
        _check_import_report(request.report, plan, folder)
    found = verify_import(folder, plan, quick=request.quick, jobs=request.jobs, progress=progress)
    if request.report is not None and request.report.endswith(".html"):
        from planbalance.options.audit import ReportRequest
        from planbalance.page.imported import write_import_page

        write_import_page(
            request.report, plan, dataset=folder, audit=found, samples=ReportRequest().samples, progress=progress
        )
    elif request.report is not None:
        _write_markdown(request.report, found, folder)
    return found


def _check_import_report(report: str, plan: ImportPlan, dataset: str) -> None:
    """Refuse a report that lies in an input or in the dataset; for a page, its libraries must be there (UsageError)."""
    if report.endswith(".html"):
        from planbalance.page.imported import check_import_page

        check_import_page(report, plan, dataset)
        return
    place = {"report": os.path.abspath(report)}
    path_safety.refuse_files(place, plan.header.inputs)
    path_safety.refuse_files(place, [dataset, plan.header.output], what="dataset")


def _audit(dataset: str | None, request: "VerifyRequest", progress: Progress | None) -> Audit:
    from planbalance import audit

    imported = _import_plan(dataset, request.plan)
    if imported is not None:
        return _verify_import(imported, dataset, request, progress)
    options = resolve.verify_options(request, progress)
    if request.shard is not None:
        part = resolve.shard_of(request)
        assert part is not None
        return audit.verify_shard(dataset, options, part, progress)
    if request.finish:
        return audit.finish_audit(dataset, options, progress)
    if request.executor == "dask":
        from planbalance.cluster.dask import verify_on_dask

        return verify_on_dask(dataset, options, scheduler=request.scheduler, progress=progress or Silent())
    resolve.refuse_scheduler(request)
    return audit.verify(dataset, options, progress or Silent())


def check_report(report: str, dataset: str | None, request: "VerifyRequest") -> None:
    """Check, before a long audit, that its report can be written and lies in none of the datasets that are read.

    Raises:
        UsageError: it lies in one, has another suffix than `.md` or `.html`, or its folder is not there.
    """
    if request.shard is not None:
        raise UsageError(
            "--report is for the whole audit: give it with --finish.", kind="usage", hint="Leave --report out here."
        )
    _check_report_file(report)
    if dataset is None:
        dataset = open_plan(request.plan or DEFAULT_PLAN).header.output
    places = [os.path.abspath(one) for one in (dataset, *request.against)]
    folders = [os.path.dirname(place) if os.path.isfile(place) else place for place in places]
    path_safety.refuse_files({"report": os.path.abspath(report)}, folders, what="dataset")
    if report.endswith(".html"):
        from planbalance.page.html import check_page

        check_page(report, *_audited(dataset, request.plan))


def _check_report_file(report: str) -> None:
    if not report.endswith((".md", ".html")):
        raise UsageError(
            f"--report {report}: a report is Markdown or HTML, so give a file FILE.md or FILE.html.",
            kind="report-format",
            hint=f"--report {os.path.splitext(report)[0]}.html, for example.",
        )
    if not os.path.isdir(os.path.dirname(os.path.abspath(report))):
        raise UsageError(f"The folder of the report {report} does not exist.", kind="report-place", paths=[report])
    if report.endswith(".md"):
        text_file.refuse_others_file(os.path.abspath(report), "# Audit of ")


def _audited(dataset: str | None, plan: str | None) -> tuple[PlanFile | None, str]:
    """Return what a report shows beside the audit: the dataset's own plan where it has one, and its folder."""
    from planbalance.page.subject import folder_of, open_subject

    if dataset is None:
        dataset = open_plan(plan or DEFAULT_PLAN).header.output
    found = os.path.abspath(dataset)
    try:
        return open_subject(found).plan, folder_of(found)
    except PlanError:
        return None, folder_of(found)  # the audit says what is wrong with its plan


def _write_report(path: str, audit: Audit, plan: PlanFile | None, dataset: str) -> None:
    if path.endswith(".html"):
        from planbalance.page.html import PageOptions, write_page

        write_page(path, plan, PageOptions(dataset=dataset, audit=audit))
        return
    _write_markdown(path, audit, dataset)


def _write_markdown(path: str, audit: Audit, dataset: str) -> None:
    from planbalance.render.statement import statement
    from planbalance.render.verify import verify_document, verify_markdown

    sentence = statement(audit, dataset=dataset, tool=f"planbalance {tool_version()}")
    text_file.write_text(os.path.abspath(path), verify_markdown(verify_document(audit), sentence))


def report(
    subject: str | Sequence[str] = DEFAULT_PLAN,
    *,
    html: str,
    options: "ReportRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> Reported:
    """Write the page to review a plan, or a dataset with its audit.

    Example:
        `report("balanced", html="balanced.html", audit="full")`

    Args:
        subject: a plan file, or a dataset: its folder or yaml. One that planbalance did not build is audited in full,
            and its page shows the leaks first. A folder of folds or of variants, or several datasets: one page with a
            table across them.
        html: the page to write, outside of inputs and dataset.
        options: what is audited and shown.
        progress: where to report to.
        keywords: fields of `ReportRequest`, in place of `options` or to change them.

    Raises:
        UsageError: the page cannot be written there, or its extra is not installed.
        PlanError: the plan is refused. InputError: the dataset is refused.
    """
    from planbalance.options.audit import ReportRequest
    from planbalance.page.html import PageOptions, check_page, write_page
    from planbalance.page.subject import open_subject

    request: ReportRequest = made(ReportRequest, options, keywords)
    named = _single_subjects(subject)
    if not isinstance(subject, str) and len(subject) == 1:
        (subject,) = subject
    if not isinstance(subject, str) or named != [subject]:
        return _report_folds(subject, named, html, request, progress)
    imported = open_import(subject) if is_import(subject) else _import_plan(subject, None)
    if imported is not None:
        return _report_import(imported, _dataset_at(subject), html, request, progress)
    plan, dataset = open_subject(subject)
    check_page(html, plan, dataset)  # before a long audit
    found = None
    if dataset is not None and request.audit != "none":
        quick = request.audit == "quick" and plan is not None and not request.near_duplicates
        found = verify(dataset, quick=quick, near_duplicates=request.near_duplicates, progress=progress)
    shown = plan if plan is not None or dataset is None else _as_it_is(dataset, progress)
    if shown is None and found is None:
        raise UsageError(
            f"No volume can be shown of {dataset}: it has no plan, and its images are in no split, "
            "or their names cannot be read.",
            kind="no-plan",
            hint="Leave --audit none out, and the page shows the audit.",
        )
    page = PageOptions(dataset, found, request.samples, as_found=plan is None)
    written = write_page(html, shown, page, progress)
    digest, ok = None if plan is None else plan.header.digest, None if found is None else found.ok
    return Reported(written.path, written.bytes, digest, dataset, found, ok)


def _report_folds(
    subject: str | Sequence[str],
    datasets: Sequence[str],
    html: str,
    request: "ReportRequest",
    progress: Progress | None,
) -> Reported:
    """Write the page of several datasets: a table across them, and their audit."""
    from planbalance.page.folds import check_folds_page, write_folds_page

    plans = [one for one in datasets if os.path.isfile(one) and not one.endswith((".yaml", ".yml"))]
    if plans or request.audit == "none":
        raise UsageError(
            f"A page shows one plan, or several datasets that are built: {plans[0]} is no folder."
            if plans
            else "A page of several datasets shows their audit: leave --audit none out.",
            kind="report-several",
            hint="`planbalance report PLAN` shows one plan; `--format md` takes all folds of one.",
        )
    folders = [os.path.abspath(one) for one in datasets]
    folder = os.path.abspath(subject) if isinstance(subject, str) else os.path.dirname(folders[0])
    check_folds_page(os.path.abspath(html), folders)  # before long audits
    quick = request.audit == "quick" and not request.near_duplicates
    found = verify_folds(folders, quick=quick, near_duplicates=request.near_duplicates, progress=progress)
    written = write_folds_page(html, folder, found)
    return Reported(written.path, written.bytes, None, folder, None, found.ok)


def _report_import(
    plan: ImportPlan, dataset: str | None, html: str, request: "ReportRequest", progress: Progress | None
) -> Reported:
    """Write the page of an import, with its audit where it was built."""
    from planbalance.importing import verify_import
    from planbalance.page.imported import check_import_page, write_import_page

    resolve.refuse_given(
        request,
        ("near_duplicates",),
        _NOT_OF_IMPORT,
        "Leave it out here; `planbalance verify` of the divided dataset takes it.",
    )
    check_import_page(html, plan, dataset)  # before a long audit
    found = None
    if dataset is not None and request.audit != "none":
        found = verify_import(dataset, plan, quick=request.audit == "quick", progress=progress)
    written = write_import_page(html, plan, dataset=dataset, audit=found, samples=request.samples, progress=progress)
    ok = None if found is None else found.ok
    return Reported(written.path, written.bytes, plan.header.digest, dataset, found, ok)


def report_markdown(
    subjects: str | Sequence[str] = DEFAULT_PLAN,
    *,
    output: str | None = None,
    options: "ReportRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> MarkdownReport:
    """Return what CLAIM 2024 and STARD-AI ask about partitions, as Markdown to paste into a paper.

    Example:
        `report_markdown("balanced", audit="full").text`

    Args:
        subjects: a plan or a dataset; all folds of one plan, or the folder that holds them; an import.
        output: the file to write, outside of inputs and datasets; None: only the text is returned. An older file is
            replaced where planbalance wrote it.
        options: what is audited; `samples` has no meaning here.
        progress: where to report to.
        keywords: fields of `ReportRequest`, in place of `options` or to change them.

    Raises:
        UsageError: the file cannot be written there, or several subjects are no folds.
        PlanError: the plan is refused. InputError: the dataset is refused.
    """
    from planbalance.options.audit import ReportRequest
    from planbalance.page.subject import open_subject
    from planbalance.render.methods import MARK, methods_text

    request: ReportRequest = made(ReportRequest, options, keywords)
    path = "" if output is None else os.path.abspath(output)
    named = _single_subjects(subjects)
    imported = [one for one in named if is_import(one) or _import_plan(one, None) is not None]
    if imported:
        return _import_markdown(named, path, request, progress)
    found = [open_subject(one) for one in named]
    if path:
        _check_text_place(
            path, [one.plan.header for one in found if one.plan], [one.dataset for one in found if one.dataset]
        )
        text_file.refuse_others_file(path, MARK)
    if len(found) > 1 and not _are_folds([one.plan for one in found]):
        raise UsageError(
            f"{len(found)} plans or datasets are given, and they are not folds of one plan.",
            kind="not-folds",
            hint="Write the report of each of them by itself.",
        )
    audited = _audited_folds(found, request, progress) if len(found) > 1 else None
    parts = [_partitioned(one, request, progress, audit=len(found) == 1) for one in found]
    text = methods_text(parts, tool=f"planbalance {tool_version()}", folds=audited)
    if path:
        text_file.write_text(path, text)
    ok = parts[0].audit.ok if parts[0].audit is not None else None if audited is None else audited.ok
    digests = tuple(part.header.digest for part in parts if part.header.digest)
    return MarkdownReport(path, text, digests, tuple(one.dataset for one in found if one.dataset), ok)


def _are_folds(plans: Sequence[PlanFile | None]) -> bool:
    """Return whether plans are folds of the same volumes, made with the same options."""
    headers = [plan.header for plan in plans if plan is not None]
    if len(headers) < len(plans) or not all(header.parameters.get("fold") for header in headers):
        return False
    of_each = ("fold", "split_seed", "sample_seed")
    given = [{name: value for name, value in each.parameters.items() if name not in of_each} for each in headers]
    volumes = [{(one.id, one.group, one.slices) for one in each.volumes} for each in headers]
    return all(one == given[0] for one in given) and all(one == volumes[0] for one in volumes)


def _audited_folds(
    found: "Sequence[Subject]", request: "ReportRequest", progress: Progress | None
) -> FoldsAudit | None:
    """Return the audit of all folds; None where one is only a plan, or none was asked for."""
    datasets = [one.dataset for one in found if one.dataset is not None]
    if len(datasets) < len(found) or request.audit == "none":
        return None
    quick = request.audit == "quick" and not request.near_duplicates
    return verify_folds(datasets, quick=quick, near_duplicates=request.near_duplicates, progress=progress)


def _partitioned(
    subject: "Subject", request: "ReportRequest", progress: Progress | None, *, audit: bool
) -> "Partitioned":
    """Return what is told of one plan or dataset, with its audit where that is asked for.

    Raises:
        UsageError: nothing can be told: no plan, and names that cannot be read.
    """
    from planbalance.page.boxes import box_facts
    from planbalance.page.samples import Places, count_all_boxes
    from planbalance.render.methods import Partitioned
    from planbalance.render.plan_facts import Tally, split_facts

    plan, dataset = subject
    found = None
    if dataset is not None and audit and request.audit != "none":
        quick = request.audit == "quick" and plan is not None and not request.near_duplicates
        found = verify(dataset, quick=quick, near_duplicates=request.near_duplicates, progress=progress)
    shown = plan if plan is not None or dataset is None else _as_it_is(dataset, progress)
    if shown is None:
        raise UsageError(
            f"Nothing can be told of the splits of {dataset}: it has no plan, and its images are in no split, "
            "or their names cannot be read.",
            kind="no-plan",
            hint="`planbalance verify` says what can be read.",
        )
    tally = Tally(shown.header)
    for operation in shown.operations():
        tally.add(operation)
    places = Places(shown.header, None if plan is None else dataset)
    boxes = box_facts(shown.header.names, count_all_boxes(shown, tally.labelled, places, progress or Silent()))
    rows = [
        {"class": row.class_id, "name": row.name}
        | {
            split: {"boxes": row.boxes[at], "slices": row.slices[at], "units": row.units[at]}
            for at, split in enumerate(SPLITS)
        }
        for row in boxes.rows
    ]
    splits = split_facts(shown.header, tally)
    return Partitioned(shown.header, splits, found, dataset is not None, plan is None, rows, boxes.note)


def _import_markdown(
    named: Sequence[str], path: str, request: "ReportRequest", progress: Progress | None
) -> MarkdownReport:
    """Return what is told of an import, which has no splits yet, with its audit where it was built."""
    from planbalance.importing import verify_import
    from planbalance.render.methods import MARK, import_methods_text

    if len(named) > 1:
        raise UsageError(
            f"{len(named)} plans or datasets are given, and one of them is an import.",
            kind="not-folds",
            hint="Write the report of each of them by itself.",
        )
    resolve.refuse_given(request, ("near_duplicates",), _NOT_OF_IMPORT, "Leave it out here.")
    (subject,) = named
    plan = open_import(subject) if is_import(subject) else _import_plan(subject, None)
    assert plan is not None, "the caller has seen that it is an import"
    dataset = _dataset_at(subject)
    if path:
        outputs = [each for each in (dataset, plan.header.output) if each]
        text_file.check_place(path, inputs=plan.header.inputs, outputs=outputs)
        text_file.refuse_others_file(path, MARK)
    found = None
    if dataset is not None and request.audit != "none":
        found = verify_import(dataset, plan, quick=request.audit == "quick", progress=progress)
    text = import_methods_text(plan.header, tool=f"planbalance {tool_version()}", audit=found)
    if path:
        text_file.write_text(path, text)
    datasets = () if dataset is None else (dataset,)
    return MarkdownReport(path, text, (plan.header.digest,), datasets, None if found is None else found.ok)


def _as_it_is(dataset: str, progress: Progress | None) -> "PageSource | None":
    """Return what the page shows of a dataset without a plan; None where its names cannot be read."""
    from planbalance.inputs import resolve_input
    from planbalance.page.unplanned import as_plan
    from planbalance.scan import scan as scan_inputs

    if packed_dataset.inside(dataset) is not None:
        return None
    try:
        return as_plan(scan_inputs([resolve_input(InputSpec(path=dataset))], progress=progress or Silent()))
    except InputError:
        return None


# ---- export ---------------------------------------------------------------------------------------------------------


def export(
    subjects: str | Sequence[str] = DEFAULT_PLAN,
    *,
    output: str | None = None,
    options: "ExportRequest | None" = None,
    progress: Progress | None = None,
    **keywords: object,
) -> ExportedFile:
    """Write a split as a table or in the format of another program; inputs and datasets are only read.

    Example:
        `export("plan.json", output="splits_final.json", format="nnunet")`

    Args:
        subjects: a plan or a dataset; several, or the folder that holds all folds, for `csv` and `nnunet`.
        output: the file to write, outside of inputs and datasets; None: only the text is returned. An older file is
            replaced where planbalance wrote it.
        options: which format.
        progress: where to report to.
        keywords: fields of `ExportRequest`, in place of `options` or to change them.

    Raises:
        UsageError: the file cannot be written there, or the format takes one plan only.
        PlanError: the plan is refused. InputError: the dataset is refused, or the format cannot say its split.
    """
    from planbalance.export import EXPORT_MARKS, croissant_text, csv_text, monai_text, nnunet_text
    from planbalance.options.export import ExportRequest

    request: ExportRequest = made(ExportRequest, options, keywords)
    if request.cases is not None and request.format != "nnunet":
        raise UsageError("--cases is for --format nnunet.", kind="usage", hint="Leave --cases out.")
    found = [_to_export(one, request.format, progress) for one in _single_subjects(subjects)]
    if len(found) > 1 and request.format not in ("csv", "nnunet"):
        raise UsageError(
            f"--format {request.format} takes one plan or dataset, and {len(found)} are given.",
            kind="export-several",
            hint="Export each of them into a file of its own.",
        )
    splits = _told_apart([one for one, _ in found])
    path = "" if output is None else os.path.abspath(output)
    if path:
        _check_text_place(path, [one.plan.header for one in splits], [folder for _, folder in found])
    if request.format == "csv":
        content = csv_text(splits)
    elif request.format == "nnunet":
        content = nnunet_text(splits, slices=request.cases == "slice")
    elif request.format == "monai":
        content = monai_text(splits[0])
    else:
        content = croissant_text(splits[0], name=os.path.basename(found[0][1].rstrip("/")))
    if path:
        text_file.refuse_others_file(path, EXPORT_MARKS[request.format], content.text)
        text_file.write_text(path, content.text)
    digests = tuple(one.plan.header.digest for one in splits if one.plan.header.digest)
    return ExportedFile(path, content.text, content.notes, digests)


def _single_subjects(subjects: str | Sequence[str]) -> list[str]:
    """Return plans and datasets, each fold of a folder of folds by itself.

    Raises:
        UsageError: one is named twice.
    """
    named = [subjects] if isinstance(subjects, str) else list(subjects)
    found = [one for name in named for one in fold_datasets(name) or [name]]
    doubled = sorted(one for one, times in Counter(map(os.path.abspath, found)).items() if times > 1)
    if doubled:
        raise UsageError(f"{doubled[0]} is named twice.", kind="named-twice", hint="Name each one once.")
    return found


def _told_apart(splits: "list[NamedSplit]") -> "list[NamedSplit]":
    """Return splits with names that differ: those with one name are numbered, in the order given."""
    times = Counter(one.name for one in splits)
    seen: Counter[str] = Counter()
    for at, one in enumerate(splits):
        if times[one.name] > 1:
            seen[one.name] += 1
            splits[at] = one._replace(name=f"{one.name} ({seen[one.name]})")
    return splits


def _check_text_place(path: str, headers: Iterable[PlanHeader], datasets: Iterable[str]) -> None:
    """Refuse a text inside an input or a dataset (UsageError)."""
    known = list(headers)
    inputs = [folder for each in known for folder in all_guarded(each.inputs, each.sources)]
    text_file.check_place(path, inputs=inputs, outputs=[*datasets, *(each.output for each in known if each.output)])


def _to_export(subject: str, form: "ExportFormat", progress: Progress | None) -> "tuple[NamedSplit, str]":
    """Return the split of a plan or dataset, and the folder of the dataset, which may not be built yet.

    Raises:
        UsageError: the plan of an import, or slices that lie elsewhere. PlanError, InputError: it is refused.
    """
    from planbalance.export import NamedSplit
    from planbalance.page.subject import how_built, open_subject
    from planbalance.render.plan_facts import fold_name

    if is_import(subject) or _import_plan(subject, None) is not None:
        raise UsageError(
            f"{subject} is an import, which has no splits yet.",
            kind="not-split",
            hint="Divide it with `planbalance plan`, and export that plan.",
            paths=[subject],
        )
    plan, dataset = open_subject(subject)
    if plan is None:
        assert dataset is not None, "a plan that is not there is refused"
        shown = _as_it_is(dataset, progress)
        if shown is None:
            raise InputError(
                f"No split can be read of {dataset}: it has no plan, and its images are in no split, "
                "or their names cannot be read.",
                kind="no-plan",
                hint="Plan it with `planbalance plan`, and export that plan.",
                paths=[dataset],
            )
        return NamedSplit(os.path.basename(dataset), shown, as_found=True), shown.header.inputs[0]
    if dataset is not None and form in ("monai", "croissant") and how_built(dataset).mode == "list":
        raise UsageError(
            f"{dataset} was built with --mode list, so it holds no images, and --format {form} would name some.",
            kind="export-list-mode",
            hint="Export another format, or build the plan in another mode.",
            paths=[dataset],
        )
    name = fold_name(plan.header.parameters.get("fold")) or os.path.basename(dataset or plan.path)
    return NamedSplit(name, plan), dataset or plan.header.output


# ---- build ----------------------------------------------------------------------------------------------------------


def build(
    inputs: Inputs,
    *,
    output: str,
    plan_file: str | None = None,
    plan: "PlanRequest | None" = None,
    apply: "ApplyRequest | None" = None,
    progress: Progress | None = None,
    planned: Callable[[Planned], None] = lambda _: None,
    **keywords: object,
) -> Built:
    """Plan, apply, and verify what was written (`quick`, and labels by content): images are not read again.

    The same call again resumes an unfinished build: it makes the same plan, and the partial build holds its digest.

    Example:
        `build("yolo_dataset", output="balanced", mode="symlink", seed=42).audit.ok`

    Args:
        inputs: as in `plan`.
        output: the dataset to make.
        plan_file: where to save the plan too; None: it is saved in the output only.
        plan: what decides the plan.
        apply: how it is built.
        progress: where to report to.
        planned: called with the plan before anything is built, unless the output is there already.
        keywords: fields of `PlanRequest`, and those of `ApplyRequest` that a build has; `jobs` counts for both.

    Raises:
        PlanbalanceError: as `plan`, `apply` and `verify` do.
    """
    from planbalance import audit, engine
    from planbalance.options.apply import OF_BUILD, ApplyRequest
    from planbalance.options.plan import PlanRequest
    from planbalance.planner import make_plan

    of_plan = {name: value for name, value in keywords.items() if name not in OF_BUILD or name == "jobs"}
    of_apply = {name: value for name, value in keywords.items() if name in OF_BUILD}
    wanted: PlanRequest = made(PlanRequest, plan, of_plan)
    build_as: ApplyRequest = made(ApplyRequest, apply, of_apply)
    others = ("output", "map_input", "shard", "finish", "executor", "scheduler", "allow_edited")
    resolve.refuse_given(build_as, others, "is for apply, not for build")
    resolve.refuse_what_lists_decide(build_as, wanted.layout)
    wanted = replace(wanted, jobs=wanted.jobs or build_as.jobs)
    path = None if plan_file is None else os.path.abspath(plan_file)
    warnings = _place_warnings(output)
    made_plan = _saved(_sealed(inputs, output, path, wanted, make_plan, progress), path, warnings)
    made_plan = _with_pairs([made_plan], path)[0]
    if not warnings:  # an output that exists is refused next, so there is no need to show the plan
        planned(made_plan)
    outcome = engine.apply_plan(made_plan.plan, resolve.apply_options(build_as), progress or Silent())
    if build_as.dry_run:
        return Built(made_plan, outcome, None)
    options = audit.VerifyOptions(quick=True, labels_by_content=True, jobs=build_as.jobs)
    return Built(made_plan, outcome, audit.verify(outcome.output, options, progress or Silent()))
