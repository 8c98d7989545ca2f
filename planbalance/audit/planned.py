"""The audit of a data set that has a plan: every slice read once, then every check from what was read."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from planbalance import handoff
from planbalance.audit import structure
from planbalance.audit.across import content_of
from planbalance.audit.audited import Audited, NamesRead
from planbalance.audit.blank import blank_at
from planbalance.audit.caches import stale_caches
from planbalance.audit.documents import DATASET_YAML, HYPS, MANIFEST, METADATA
from planbalance.audit.findings import Findings, not_checked
from planbalance.audit.gathered import Gathered
from planbalance.audit.leftovers import check_lists, check_strangers
from planbalance.audit.loading import loads_of
from planbalance.audit.manifest import Manifest
from planbalance.audit.options import VerifyOptions
from planbalance.audit.overlap import Images, overlap_checks
from planbalance.audit.paperwork import (
    check_manifest,
    dataset_yaml_check,
    hyps_check,
    metadata_check,
    read_manifest,
    wants_manifest,
)
from planbalance.audit.passes import Pass
from planbalance.audit.picture import looker
from planbalance.audit.placed import Reading
from planbalance.audit.slices import SliceJudge, judge_in_threads
from planbalance.audit.structure import Expected
from planbalance.audit.subject import Subject
from planbalance.audit.trainers_view import TRAINERS_VIEW, planned_view
from planbalance.audit.verdicts import Verdicts, count_checks, planned_gaps
from planbalance.audit.volumes import planned_volumes, with_note
from planbalance.decode import can_probe
from planbalance.executor.processes import available_cores
from planbalance.labels import KPT_SHAPE, keypoints_of, overshoot_sentence
from planbalance.model import SPLITS, Check, Progress, SlicesPerVolume, Split
from planbalance.planfile import Facts


def judged_part(subject: Subject, options: VerifyOptions, blocks: range, progress: Progress) -> list[Gathered]:
    """Judge the slices of some blocks of the plan: what a shard of an audit does.

    Raises as `audit_planned`.
    """
    volumes = planned_volumes(subject, options)
    expected = _expected(subject, options, read_manifest(subject)[0], _absent_inputs(subject))
    found: list[Gathered] = []
    judge = SliceJudge(subject, expected, volumes)
    jobs = options.jobs or available_cores()
    judge_in_threads(subject.plan.stretch(blocks), judge, found.append, jobs=jobs, progress=progress)
    return found


def _absent_inputs(subject: Subject) -> tuple[str, ...]:
    return tuple(root for root in subject.inputs if not os.path.isdir(root or "/"))


def _expected(subject: Subject, options: VerifyOptions, manifest: Manifest | None, absent: Sequence[str]) -> Expected:
    kept = subject.header.parameters.get("invalid_label") == "keep"
    return Expected(_reading(subject, options, absent), manifest, "warning" if kept else "error")


def audit_planned(
    subject: Subject, options: VerifyOptions, progress: Progress, parts: Iterable[Gathered] | None = None
) -> Audited:
    """Audit a data set against its plan; `parts`: what shards have judged, so that no slice is read here.

    Raises:
        InputError: the group map or naming pattern asked for does not fit the names.
        PlanError: the plan is damaged or hostile.
    """
    volumes = planned_volumes(subject, options)
    manifest, manifest_found = read_manifest(subject)
    absent = _absent_inputs(subject)
    expected = _expected(subject, options, manifest, absent)
    judge = SliceJudge(subject, expected, volumes)
    work = Pass(subject.root, subject.plan, Facts(subject.header), judge, expected.reading, options.jobs)
    looked = work.run(progress) if parts is None else work.of_parts(parts)
    gathered, tally = looked.gathered, looked.gathered.tally
    findings = {name: Findings(name) for name in structure.CHECKS}
    by_trainers = [problem for name, problem in gathered.found if name == TRAINERS_VIEW]
    if not options.quick:
        lists: dict[str, Split] = {f"{split}.txt": split for split in SPLITS} if subject.mode == "list" else {}
        by_trainers += stale_caches(gathered.newest, lists, partial(_at, subject))
    loads = loads_of(gathered.loads)
    for name, problem in gathered.found:
        if name != TRAINERS_VIEW:
            findings[name].add(problem)
    if gathered.overshoot is not None:
        findings[structure.LABELS].notes.append(overshoot_sentence(gathered.overshoot))
    check_strangers(subject, looked, _documents(subject), volumes, findings[structure.FILES])
    if subject.mode == "list":
        check_lists(subject, findings[structure.FILES])
    if manifest is not None and manifest_found is not None:
        check_manifest(subject, manifest, gathered, manifest_found)
    metadata_checked, metadata = metadata_check(subject, looked.kept)
    verdicts = Verdicts(subject, options, absent, expected, sum(block.count for block in subject.header.blocks))
    split_of = _split_of(subject)
    images = Images(split_of, partial(_blank, subject), partial(_at, subject))
    groups, grouped_by = _groups(subject, options)
    overlaps = overlap_checks(tally, groups=groups, images=images, options=options, progress=progress)
    split_gaps = planned_gaps(subject, tally, labels_read=expected.reading.labels)
    with_note(overlaps.checks, volumes.note)
    checks = [
        *verdicts.file_checks(findings),
        *count_checks(subject, tally, metadata, options, split_gaps),
        dataset_yaml_check(subject),
        metadata_checked,
        hyps_check(subject),
        manifest_found.check() if manifest_found is not None else _no_manifest(subject),
        verdicts.sources(findings[structure.SOURCES]),
        planned_view(subject.header, tally, subject.mode, by_trainers, loads),
    ]
    content = partial(content_of, tally, split_of, groups, images=not options.quick)
    names = NamesRead(
        volumes.document,
        SlicesPerVolume.of(tally.slices_of_volumes().values()),
        grouped_by,
        tally.count_groups(groups or {}),
    )
    return Audited(checks, overlaps, tally, content, names, split_gaps, subject.header.digest, loads)


def _reading(subject: Subject, options: VerifyOptions, absent: Sequence[str]) -> Reading:
    """Return what to read; sources are not looked at where an input is not on this machine."""
    sources = subject.mode == "hardlink" or (subject.mode in ("copy", "reflink") and not options.quick)
    names = subject.header.names
    return Reading(
        root=subject.root,
        inputs=subject.inputs,
        planned_inputs=tuple(root.rstrip("/") for root in subject.header.inputs),
        moved=subject.receipt.moved_inputs if subject.receipt is not None else (),
        mode=subject.mode,
        same_labels=subject.same_labels,
        images=not options.quick,
        labels=not options.quick or options.labels_by_content,
        sources=sources and not absent,
        times=subject.receipt is None or not subject.receipt.moved_inputs,
        class_count=len(names) if names is not None else None,
        probing=can_probe() and not options.quick,
        looker=looker() if options.near_duplicates and not options.quick else None,
        keypoints=keypoints_of(subject.header.yaml_keys.get(KPT_SHAPE)),
    )


def _documents(subject: Subject) -> Iterator[str]:
    """Yield what stands beside the slices by plan."""
    yield from (DATASET_YAML, METADATA)
    if handoff.hyp_yaml(subject.header) is not None:
        yield HYPS
    if wants_manifest(subject):
        yield MANIFEST
    if subject.mode == "list":
        yield from (f"{split}.txt" for split in SPLITS)


def _no_manifest(subject: Subject) -> Check:
    without = "built with --checksum none" if subject.mode == "copy" else f"{subject.mode} mode writes none"
    return not_checked("manifest", without)


def _groups(subject: Subject, options: VerifyOptions) -> tuple[dict[str, str] | None, str]:
    """Return group by volume where groups are known, and where they come from: the caller's map first, else the plan.

    Without groups, it is None and `volume`.
    """
    if options.group_map is not None:
        return dict(options.group_map.group_of), options.group_map.source
    told = subject.header.parameters.get("groups")
    by = told.get("by") if isinstance(told, dict) else None
    if by not in ("map", "patient", "slice-map", "dicom"):
        return None, "volume"
    return {volume.id: volume.group for volume in subject.header.volumes}, str(by)


def _split_of(subject: Subject) -> Callable[[str], tuple[Split, ...]]:
    """Return what gives an image's split by its path; in list mode the plan tells it."""
    if subject.mode != "list":
        return lambda path: tuple(split for split in SPLITS if path.startswith(f"images/{split}/"))
    known: dict[str, tuple[Split, ...]] = {}

    def listed(path: str) -> tuple[Split, ...]:
        if not known:
            for operation in subject.plan.operations():
                known[f"{subject.inputs[operation.input]}/{operation.image}"] = (operation.split,)
        return known[path]

    return listed


def _at(subject: Subject, path: str) -> str:
    return path if path.startswith("/") else f"{subject.root}/{path}"


def _blank(subject: Subject, path: str) -> bool:
    return blank_at(_at(subject, path), follow=subject.mode in ("symlink", "list"))
