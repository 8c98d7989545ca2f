"""The audit of a dataset that has a plan: reads every slice once, then makes every check from what was read."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from planbalance import dataset_files
from planbalance.audit.check_builder import CheckBuilder, not_checked
from planbalance.audit.check_status import CheckStatus
from planbalance.audit.check_table import (
    FILES,
    LABELS,
    MANIFEST_CHECK,
    TRAINERS_VIEW,
    in_reading_order,
    of_each_slice,
)
from planbalance.audit.checks.against import content_of
from planbalance.audit.checks.counts import count_checks, planned_empty_splits
from planbalance.audit.checks.documents import (
    check_manifest,
    dataset_yaml_check,
    hyps_check,
    metadata_check,
    read_manifest,
    wants_manifest,
)
from planbalance.audit.checks.each_slice import Expected
from planbalance.audit.checks.files import check_lists, check_unexpected_files
from planbalance.audit.checks.leaks import ImageLookup, overlap_checks
from planbalance.audit.checks.trainers import planned_view, stale_caches
from planbalance.audit.dispatch import SlicePass
from planbalance.audit.documents import Manifest
from planbalance.audit.options import VerifyOptions
from planbalance.audit.partial_result import PartialResult
from planbalance.audit.pictures import blank_at, fingerprinter
from planbalance.audit.planned_dataset import PlannedDataset
from planbalance.audit.result import DatasetResult, NamesRead
from planbalance.audit.slice_facts import ReadOptions
from planbalance.audit.slices import SliceJudge, judge_in_threads
from planbalance.audit.trainer_loading import loads_of
from planbalance.audit.volumes import planned_volumes, with_note
from planbalance.dataset_files import DATASET_YAML, HYP, MANIFEST, METADATA
from planbalance.executor.processes import available_cores
from planbalance.labels import KPT_SHAPE, keypoints_of, overshoot_sentence
from planbalance.model import SPLITS, Check, Progress, SlicesPerVolume, Split
from planbalance.planfile import Facts, grouped_by, knows_patients


def judge_blocks(
    dataset: PlannedDataset, options: VerifyOptions, blocks: range, progress: Progress
) -> list[PartialResult]:
    """Judge the slices of some blocks of the plan: what a shard of an audit does.

    Raises as `audit_planned`.
    """
    volumes = planned_volumes(dataset, options)
    expected = _expected(dataset, options, read_manifest(dataset)[0], dataset.absent_inputs())
    found: list[PartialResult] = []
    judge = SliceJudge(dataset, expected, volumes)
    jobs = options.jobs or available_cores()
    judge_in_threads(dataset.plan.stretch(blocks), judge, found.append, jobs=jobs, progress=progress)
    return found


def _expected(
    dataset: PlannedDataset, options: VerifyOptions, manifest: Manifest | None, absent: Sequence[str]
) -> Expected:
    kept = dataset.header.parameters.get("invalid_label") == "keep"
    return Expected(
        _reading(dataset, options, absent),
        manifest,
        "warning" if kept else "error",
        linked=not dataset.traits.owns_images,
        listed=not dataset.traits.places_files,
    )


def audit_planned(
    dataset: PlannedDataset, options: VerifyOptions, progress: Progress, parts: Iterable[PartialResult] | None = None
) -> DatasetResult:
    """Audit a dataset against its plan; `parts`: what shards have judged, so that no slice is read here.

    Raises:
        InputError: the group map or naming pattern asked for does not fit the names.
        PlanError: the plan is damaged or hostile.
    """
    volumes = planned_volumes(dataset, options)
    manifest, manifest_found = read_manifest(dataset)
    absent = dataset.absent_inputs()
    expected = _expected(dataset, options, manifest, absent)
    judge = SliceJudge(dataset, expected, volumes)
    work = SlicePass(dataset.root, dataset.plan, Facts(dataset.header), judge, expected.reading, options.jobs)
    pass_result = work.run(progress) if parts is None else work.of_parts(parts)
    result, statistics = pass_result.result, pass_result.result.statistics
    builders = {kind.name: CheckBuilder(kind.name) for kind in of_each_slice()}
    by_trainers = [problem for name, problem in result.found if name == TRAINERS_VIEW]
    if not options.quick:
        lists: dict[str, Split] = {} if dataset.traits.places_files else {f"{split}.txt": split for split in SPLITS}
        by_trainers += stale_caches(result.newest, lists, partial(_at, dataset))
    loads = loads_of(result.loads)
    for name, problem in result.found:
        if name != TRAINERS_VIEW:
            builders[name].add(problem)
    if result.overshoot is not None:
        builders[LABELS].notes.append(overshoot_sentence(result.overshoot))
    check_unexpected_files(dataset, pass_result, _documents(dataset), volumes, builders[FILES])
    if not dataset.traits.places_files:
        check_lists(dataset, builders[FILES])
    if manifest is not None and manifest_found is not None:
        check_manifest(dataset, manifest, result, manifest_found)
    metadata_checked, metadata = metadata_check(dataset, pass_result.kept)
    status = CheckStatus(dataset, absent, expected, sum(block.count for block in dataset.header.blocks))
    split_of = _split_of(dataset)
    images = ImageLookup(split_of, partial(_blank, dataset), partial(_at, dataset))
    groups, groups_from = _groups(dataset, options)
    overlaps = overlap_checks(
        statistics, groups=groups, images=images, options=options, progress=progress, joined=_joined(dataset)
    )
    empty_splits = planned_empty_splits(dataset, statistics, labels_read=expected.reading.labels)
    with_note(overlaps.checks, volumes.note)
    checks = in_reading_order(
        [
            *status.slice_checks(builders),
            *count_checks(dataset, statistics, metadata, options, empty_splits),
            dataset_yaml_check(dataset),
            metadata_checked,
            hyps_check(dataset),
            manifest_found.check() if manifest_found is not None else _no_manifest(dataset),
            planned_view(dataset.header, statistics, dataset.mode, by_trainers, loads),
        ]
    )
    content = partial(content_of, statistics, split_of, groups, images=not options.quick)
    names = NamesRead(
        volumes.document,
        SlicesPerVolume.of(statistics.slices_of_volumes().values()),
        groups_from,
        statistics.count_groups(groups or {}),
    )
    return DatasetResult(checks, overlaps, statistics, content, names, empty_splits, dataset.header, loads)


def _reading(dataset: PlannedDataset, options: VerifyOptions, absent: Sequence[str]) -> ReadOptions:
    """Return what to read; sources are not looked at where an input is not on this machine."""
    sources = dataset.mode == "hardlink" or (dataset.traits.owns_images and not options.quick)
    names = dataset.header.names
    return ReadOptions(
        root=dataset.root,
        inputs=dataset.inputs,
        planned_inputs=tuple(root.rstrip("/") for root in dataset.header.inputs),
        moved=dataset.receipt.moved_inputs if dataset.receipt is not None else (),
        mode=dataset.mode,
        same_labels=dataset.same_labels,
        images=not options.quick,
        labels=not options.quick or options.labels_by_content,
        sources=sources and not absent,
        times=dataset.receipt is None or not dataset.receipt.moved_inputs,
        class_count=len(names) if names is not None else None,
        probing=not options.quick,
        fingerprinter=fingerprinter() if options.near_duplicates and not options.quick else None,
        keypoints=keypoints_of(dataset.header.yaml_keys.get(KPT_SHAPE)),
    )


def _documents(dataset: PlannedDataset) -> Iterator[str]:
    """Yield the paths of the planned files beside images and labels."""
    yield from (DATASET_YAML, METADATA)
    if dataset_files.hyp_yaml(dataset.header) is not None:
        yield HYP
    if wants_manifest(dataset):
        yield MANIFEST
    if not dataset.traits.places_files:
        yield from (f"{split}.txt" for split in SPLITS)


def _no_manifest(dataset: PlannedDataset) -> Check:
    without = "built with --checksum none" if dataset.traits.copies_images else f"{dataset.mode} mode writes none"
    return not_checked(MANIFEST_CHECK, without)


def _groups(dataset: PlannedDataset, options: VerifyOptions) -> tuple[dict[str, str] | None, str]:
    """Return group by volume where groups are known, and where they come from: the caller's map first, else the plan.

    Without groups, it is None and `volume`.
    """
    if options.group_map is not None:
        return dict(options.group_map.group_of), options.group_map.source
    by = grouped_by(dataset.header)
    if by is None or not knows_patients(by):
        return None, "volume"
    return {volume.id: volume.group for volume in dataset.header.volumes}, by


def _joined(dataset: PlannedDataset) -> dict[str, str]:
    """Return group by volume of the volumes that the plan joins with others."""
    sizes = Counter(volume.group for volume in dataset.header.volumes)
    return {volume.id: volume.group for volume in dataset.header.volumes if sizes[volume.group] > 1}


def _split_of(dataset: PlannedDataset) -> Callable[[str], tuple[Split, ...]]:
    """Return the function that gives an image's split by its path; in list mode it looks into the plan."""
    if dataset.traits.places_files:
        return lambda path: tuple(split for split in SPLITS if path.startswith(f"images/{split}/"))
    known: dict[str, tuple[Split, ...]] = {}

    def listed(path: str) -> tuple[Split, ...]:
        if not known:
            for operation in dataset.plan.operations():
                known[f"{dataset.inputs[operation.input]}/{operation.image}"] = (operation.split,)
        return known[path]

    return listed


def _at(dataset: PlannedDataset, path: str) -> str:
    return path if path.startswith("/") else f"{dataset.root}/{path}"


def _blank(dataset: PlannedDataset, path: str) -> bool:
    return blank_at(_at(dataset, path), follow=dataset.traits.by_path)
