"""An audit by many nodes: each judges one shard of the plan, and the last step makes one audit of their results."""

from collections.abc import Iterable

from planbalance.audit import shard_results
from planbalance.audit.options import VerifyOptions
from planbalance.audit.partial_result import PartialResult
from planbalance.audit.planned import judge_blocks
from planbalance.audit.planned_dataset import PlannedDataset, find_planned_dataset, open_named
from planbalance.audit.verify import verify
from planbalance.decode import quiet_decoders
from planbalance.errors import IncompleteError, UsageError
from planbalance.model import Audit, Progress, Silent
from planbalance.shards import Shard, cut


def subject_of(dataset: str | None, options: VerifyOptions) -> PlannedDataset:
    """Return a dataset that has a plan to be cut into shards; only the first line of the plan is checked.

    Raises:
        InputError, PlanError: as `verify`. UsageError: it has no plan.
    """
    path, given = open_named(dataset, options.plan)
    planned, _ = find_planned_dataset(path, given, whole=False)
    if planned is None:
        raise UsageError(
            f"{path} has no plan whose blocks could be shared out, so it cannot be verified in shards.",
            kind="shard",
            hint="Verify it on one machine, or name its plan with --plan.",
            paths=[path],
        )
    return planned


def judge_shard(
    planned: PlannedDataset, options: VerifyOptions, shard: Shard, progress: Progress | None = None
) -> bytes:
    """Judge one shard and return what was found, as bytes for `shard_results.unpacked`.

    Raises:
        PlanError: the plan is damaged. InputError: names do not fit.
    """
    return _packed(planned, options, shard, _judged(planned, options, shard, progress))


@quiet_decoders
def _judged(
    planned: PlannedDataset, options: VerifyOptions, shard: Shard, progress: Progress | None
) -> list[PartialResult]:
    blocks = cut(planned.header.blocks, shard.total)[shard.number - 1]
    return judge_blocks(planned, options, blocks, progress or Silent()) if blocks else []


def _packed(planned: PlannedDataset, options: VerifyOptions, shard: Shard, batches: Iterable[PartialResult]) -> bytes:
    return shard_results.packed(shard_results.bound_to(planned, options), shard, batches)


def verify_shard(dataset: str | None, options: VerifyOptions, shard: Shard, progress: Progress | None = None) -> Audit:
    """Judge one shard and keep its result in the dataset's own folder; `finish_audit` says whether the dataset is ok.

    Raises:
        InputError, PlanError, UsageError: as `subject_of`. IncompleteError: what was found cannot be kept.
    """
    planned = subject_of(dataset, options)
    if planned.traits.one_file:
        raise UsageError(
            f"The result of a shard is kept in the dataset, and {planned.root} is one file, which is never changed",
            kind="shard",
            hint="verify it without --shard; --executor dask divides the work among nodes and keeps nothing there",
        )
    found = _judged(planned, options, shard, progress)
    shard_results.save(planned, shard, _packed(planned, options, shard, found))
    slices = sum(batch.statistics.totals.total() for batch in found)
    problems = sum(len(batch.found) for batch in found)
    summary = f"Shard {shard}: {slices:,} slices looked at, {problems:,} problems; the verdict comes with --finish."
    return Audit(ok=True, summary=summary, checks=(), leaks=())


def finish_audit(dataset: str | None, options: VerifyOptions, progress: Progress | None = None) -> Audit:
    """Merge the results of all shards into one audit.

    Raises:
        IncompleteError: shards are missing. InputError, PlanError, UsageError: as `verify`.
    """
    planned = subject_of(dataset, options)
    audit = verify(dataset, options, progress, shard_results.load(planned, options))
    shard_results.remove(planned)
    return audit


def finish_from(
    dataset: str | None, options: VerifyOptions, packed: Iterable[tuple[Shard, bytes]], progress: Progress | None = None
) -> Audit:
    """Merge parts that are in memory into one audit.

    Raises:
        IncompleteError: one was made by another version. InputError, PlanError, UsageError: as `verify`.
    """
    planned = subject_of(dataset, options)
    bound = shard_results.bound_to(planned, options)

    def judged() -> Iterable[PartialResult]:
        for shard, part in packed:
            batches = shard_results.unpacked(part, bound, shard)
            if batches is None:
                raise IncompleteError(
                    f"What shard {shard} found is of another version of planbalance, or another plan",
                    kind="mixed-versions",
                    hint="use one version on all nodes",
                )
            yield from batches

    return verify(dataset, options, progress, judged())
