"""Build a plan: select slices, group volumes, split the groups, sample negatives, write the header and operations."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any, Final

from planbalance.errors import InputError, UsageError
from planbalance.model import ImageFile, Operation, Snapshot
from planbalance.planfile import SealedPlan, seal
from planbalance.planner.groups import fixed_groups, topped_up, units_of
from planbalance.planner.options import PlanOptions, check_output, check_ratios, options_from_plan
from planbalance.planner.plan_header import Decisions, class_counts, header_of
from planbalance.planner.repair import Repair, mend
from planbalance.planner.select import select_slices
from planbalance.planner.split_dataset import SplitDataset
from planbalance.planner.undersample import Sampled, undersample
from planbalance.split import SplitRequest, SplitResult, Unit, describe_split, split_units
from planbalance.split.prove import SplitProof, prove_split
from planbalance.text import text_fault


def make_plan(snapshot: Snapshot, options: PlanOptions) -> SealedPlan:
    """Decide which slice goes where.

    The same snapshot and options give the same bytes, on every machine and Python. With `options.extend`, the naming
    rule, positive classes, ratios and seeds are those of the older plan, whatever the options say.

    Raises:
        UsageError: wrong ratios, an output that overlaps an input, a `--stratify` column that does not exist.
        InputError: the input is refused (exit code 3).
        PlanError: the plan to extend is refused.
    """
    if options.extend is not None:
        options = replace(options, **options_from_plan(options.extend.header))
    check_request(snapshot, options)
    selection = select_slices(snapshot, options)
    units = units_of(selection.volumes, options)
    fixed, warnings = fixed_groups(snapshot.inputs, selection.volumes, selection.grouped.by, options)
    request = SplitRequest(options.ratios, options.split_seed, options.split_method, options.balance, fixed)
    result, proof = _proven(units, request, split_units(units, request), options)
    sampled = undersample(snapshot.inputs, selection.volumes, result.split_of, options)
    sealed = sealed_plan(snapshot, Decisions(options, selection, result, sampled, None, tuple(warnings), proof))
    return sealed._replace(warnings=topped_up(result.split_of, fixed, selection.unit, options))


def _proven(
    units: Sequence[Unit], request: SplitRequest, result: SplitResult, options: PlanOptions
) -> tuple[SplitResult, SplitProof | None]:
    """Return the proof that was asked for, and the better split that it found where that is to be taken."""
    if options.prove is None:
        return result, None
    proof, best = prove_split(units, request, result.split_of, options.prove, improve=options.prove_split)
    if not options.prove_split or not proof.better_found:
        return result, proof
    return describe_split(units, request, best, proven=proof.levels[0].closed), proof._replace(taken=True)


def make_repair(dataset: SplitDataset, options: PlanOptions) -> tuple[Repair, SealedPlan]:
    """Return how a dataset is mended with the fewest slices moved or left out, and the plan for it.

    If no group lies in two splits, the plan is the dataset as it is. Nothing is undersampled.

    Raises:
        UsageError: an option leaves out slices of a kept split (kind `kept-split-changes`); as `make_plan`.
        InputError: as `make_plan` and `mend`.
    """
    snapshot = dataset.snapshot
    check_request(snapshot, options)
    selection = select_slices(snapshot, options)
    repair = mend(dataset, selection.volumes, options.positive_classes)
    mended = selection._replace(volumes=repair.volumes)
    request = SplitRequest(options.ratios, options.split_seed)
    result = describe_split(units_of(mended.volumes, options), request, repair.split_of, proven=False)
    warnings = (*dataset.warnings(), *repair.warnings())
    decisions = Decisions(options, mended, result, Sampled({}, 0, ()), None, warnings, None, repair)
    return repair, sealed_plan(snapshot, decisions)


def check_request(snapshot: Snapshot, options: PlanOptions, *texts: str) -> None:
    """Check what can be checked before slices are selected; `texts` are further ones that the plan stores.

    Raises:
        UsageError: wrong ratios, seeds or texts, an output that overlaps an input. InputError: there is no input.
    """
    check_ratios(options.ratios)
    check_output(options.output, snapshot.inputs)
    if not snapshot.inputs:
        raise InputError("There is no input.", kind="no-slices")
    for seed in (options.split_seed, options.sample_seed):
        if not -(2**63) <= seed < 2**63:
            raise UsageError(f"The seed {seed} is out of range.", kind="bad-number", hint="Give one below 2**63.")
    for text in (options.output, options.volume_pattern, *options.exclude, *options.stratify, *texts):
        fault = text_fault(text)
        if fault is not None:
            raise UsageError(f"{text!r} {fault}, so no plan can hold it.", kind="bad-text")


def sealed_plan(snapshot: Snapshot, decisions: Decisions) -> SealedPlan:
    """Return the plan of decisions that were made."""
    names = [one.name for volume in decisions.selection.volumes for one in decisions.kept(volume)]
    classes = class_counts(snapshot, decisions)
    return seal(header_of(snapshot, decisions, classes), _operations(decisions), names)._replace(
        classes=classes, proof=decisions.proof
    )


def _operations(decisions: Decisions) -> Iterator[Operation]:
    for volume in decisions.selection.volumes:
        split, identity = decisions.split(volume), volume.id
        starts = ((split, identity, False), (split, identity, True))
        for file, _, _, positive, _ in decisions.kept(volume):
            yield _new_operation(starts[positive] + _of_file(file))


# The fields that an operation takes from a file, in its order, after split, volume and whether it is positive.
_of_file: Final[Callable[[ImageFile], tuple[Any, ...]]] = itemgetter(
    *map(
        ImageFile._fields.index,
        ("input", "path", "label", "size", "mtime_ns", "label_size", "label_sha256", "image_sha256"),
    )
)
_new_operation: Final[Callable[[tuple[Any, ...]], Operation]] = partial(tuple.__new__, Operation)
