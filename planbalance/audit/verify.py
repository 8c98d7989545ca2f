"""The audit from beginning to end: find the plan, read the dataset once, make the checks, put them in order."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from planbalance.audit.check_builder import CheckBuilder, noted
from planbalance.audit.checks.against import against_check
from planbalance.audit.fold_checks import are_folds_of_one_command
from planbalance.audit.leak_counts import Leak
from planbalance.audit.options import VerifyOptions
from planbalance.audit.packed_as_folder import Laid, as_folder, renamed
from planbalance.audit.partial_result import PartialResult
from planbalance.audit.planned import audit_planned
from planbalance.audit.planned_dataset import find_folder, find_planned_dataset, open_named
from planbalance.audit.result import DatasetResult, NamesRead
from planbalance.audit.summary import failures, sentence
from planbalance.dataset_files import PLAN
from planbalance.decode import quiet_decoders
from planbalance.errors import PlanError, UsageError
from planbalance.model import SPLITS, Audit, Check, Problem, Progress, Silent, SplitCount
from planbalance.planstore import PlanFile
from planbalance.text import counted, texts_of

_DOUBT = "the reading of names is in doubt"


def verify(
    dataset: str | None,
    options: VerifyOptions,
    progress: Progress | None = None,
    parts: Iterable[PartialResult] | None = None,
) -> Audit:
    """Audit a dataset and change nothing.

    Args:
        dataset: a folder or a yaml; None: the output of the plan.
        options: what to look at.
        progress: where to report to.
        parts: what shards have judged, so that no slice of this dataset is read here.

    Raises:
        InputError: the dataset is not there, still a partial build, or its names are ambiguous.
        PlanError: the plan of `options.plan` is refused.
        UsageError: the dataset is to be compared with itself.
    """
    return audit_dataset(dataset, options, progress, parts)[0]


@quiet_decoders
def audit_dataset(
    dataset: str | None,
    options: VerifyOptions,
    progress: Progress | None = None,
    parts: Iterable[PartialResult] | None = None,
) -> tuple[Audit, DatasetResult]:
    """Audit a dataset as `verify` does; return the audit, and what it was made of."""
    shown = progress or Silent()
    path, given = open_named(dataset, options.plan)
    others = _others(path, options.against)
    with ExitStack() as folders:
        audited, plan, laid = _audited(path, given, options, shown, folders, parts)
        across, leaks = _against(others, audited, options, shown)
    overlaps = audited.overlaps
    # leaks come first: no evaluation can be trusted where there are any
    checks = [*overlaps.checks, *across, _plan_check(plan), *audited.checks]
    audit = _audit(checks, [*overlaps.leaks, *leaks], audited)
    audit = audit._replace(
        look_alikes=overlaps.look_alikes,
        to_move=overlaps.to_move,
        leaves_train=overlaps.leaves_train,
        plan_digest="" if audited.header is None else audited.header.digest,
        loads=audited.loads,
        classes=audited.classes,
        targets={} if audited.header is None else audited.header.targets,
        yaml=None if audited.source is None else audited.source.yaml,
        differences=() if audited.source is None else audited.source.differences,
    )
    return (audit if laid.at == path else renamed(audit, *laid)), audited


def _audited(
    path: str,
    given: PlanFile | None,
    options: VerifyOptions,
    progress: Progress,
    folders: ExitStack,
    parts: Iterable[PartialResult] | None = None,
) -> tuple[DatasetResult, CheckBuilder, Laid]:
    """Audit a dataset with its plan where it has one, else by what it is.

    Returns the result, the check of the plan, and where the dataset was read: of a packed dataset without a plan that
    is a folder that is there until `folders` ends.
    """
    planned, plan = find_planned_dataset(path, given, whole=False)
    if planned is not None:
        try:
            return audit_planned(planned, options, progress, parts), plan, Laid(path, path)
        except PlanError as error:
            if given is not None:
                raise
            _, plan = find_planned_dataset(path, None)  # says what is wrong with it
            if not plan.failed:
                plan.error("metadata", PLAN, error.message)
    from planbalance.audit.unplanned import audit_unplanned  # noqa: PLC0415 - scan and naming rules take 20 ms

    laid = folders.enter_context(as_folder(path))
    return audit_unplanned(laid.at, options, progress), plan, laid


def _others(path: str, against: Sequence[str]) -> list[str]:
    others = [find_folder(other) for other in against]
    if path in others:
        raise UsageError(
            f"--against names the dataset itself: {path}.", kind="against-itself", hint="Name another dataset."
        )
    return others


def _against(
    others: Sequence[str], here: DatasetResult, options: VerifyOptions, progress: Progress
) -> tuple[list[Check], list[Leak]]:
    """Compare with every other dataset: each is read as if it were audited itself, by its own plan if it has one."""
    checks: list[Check] = []
    leaks: list[Leak] = []
    if not others:
        return checks, leaks
    content = here.content()
    # an image of no split may have been used for training there
    as_other = replace(options, plan=None, against=(), group_map=None, near_duplicates=False, unsplit_as="train")
    for other in others:
        with ExitStack() as folders:
            there, _, laid = _audited(other, None, as_other, progress, folders)
            folds = are_folds_of_one_command(here.header, there.header)
            check, more = against_check(content, there.content(), other, here.statistics.totals, folds=folds)
        checks.append(renamed(_with_reading(check, other, there.names), *laid))
        leaks += more
    return checks, leaks


def _with_reading(check: Check, other: str, names: NamesRead) -> Check:
    """Return a check against another dataset with a note on how that one's names were read: it is compared by them."""
    example = "".join(f" ({one})" for one in texts_of(names.naming, "examples")[:1])
    volumes = counted(0 if names.slices is None else names.slices.volumes, "volume")
    rule = "of no rule" if names.naming is None else f"by the rule {names.naming.get('rule')}"
    note = f"its names are read {rule}{example}: {volumes}"
    doubts = tuple(
        Problem("volume-overlap", "warning", other, warning) for warning in texts_of(names.naming, "warnings")
    )
    return noted(check._replace(reason=note, problems=(*check.problems, *doubts)), check.reason)


def _plan_check(plan: CheckBuilder) -> Check:
    """Return the check of the plan: of a dataset that never had one it is NOT CHECKED, not failed."""
    check = plan.check()
    return check if plan.count or plan.failed else check._replace(ok=None)


def _audit(checks: Sequence[Check], leaks: Sequence[Leak], audited: DatasetResult) -> Audit:
    statistics, names = audited.statistics, audited.names
    doubts = texts_of(names.naming, "warnings")
    splits = [split for split in SPLITS if statistics.totals[split]]
    labels_read = any(check.name == "labels" and check.ok is not None for check in checks)
    return Audit(
        ok=not any(check.ok is False for check in checks),
        summary=sentence(
            checks, leaks, splits, [*(empty.clause for empty in audited.empty_splits), *([_DOUBT] if doubts else [])]
        ),
        checks=tuple(checks),
        leaks=tuple(leak.as_json() for leak in leaks),
        counts=tuple(
            SplitCount(split, statistics.totals[split], statistics.positives[split] if labels_read else None)
            for split in splits
        ),
        naming=names.naming,
        slices_per_volume=names.slices,
        grouped_by=names.grouped_by,
        groups=names.groups,
        warnings=(*doubts, *(empty.sentence for empty in audited.empty_splits)),
        failures=failures(checks, leaks),
    )
