"""Apply: a plan becomes a dataset, complete in one step or not at all.

`apply_plan` forks the workers and then does one of four things: `apply`, `shard`, `finish` or `dry_run`.
"""

import time

from planbalance.engine.build_kind import DatasetKind
from planbalance.engine.job import ApplyOptions, MakeKind, make_job
from planbalance.engine.placer import SharedFlags
from planbalance.engine.placer_pool import PlacerPool
from planbalance.executor.processes import process_count
from planbalance.executor.threads import without_collecting
from planbalance.model import Outcome, Progress, Silent
from planbalance.planstore import ImportPlan, PlanFile

__all__ = ["ApplyOptions", "MakeKind", "apply_plan", "make_job"]


def apply_plan(
    plan: PlanFile | ImportPlan,
    options: ApplyOptions,
    progress: Progress | None = None,
    kind: MakeKind = DatasetKind,
) -> Outcome:
    """Build the dataset that a plan of a kind describes; publish it in one step, or not at all.

    Raises UsageError (options, overlap with an input, other options than the first run pinned), PlanError (damaged,
    stale, output exists, no room, mode refused), IncompleteError (I/O errors, locked), InterruptedRunError (SIGINT,
    SIGTERM); after the last two the same call resumes.
    """
    began = time.monotonic()
    job, flags = make_job(plan, options, kind), SharedFlags()
    # Batches make no reference cycles, and each collection would visit all slices of the plan.
    with without_collecting():
        # Workers are forked while this process is small and has no thread.
        pool = PlacerPool(job, flags, process_count(job.slices, options.jobs, job.kind.limits()))
        try:
            # These imports take 50 ms and more, in which the workers parse the plan.
            from planbalance.engine.apply import build  # noqa: PLC0415
            from planbalance.engine.context import Context, run_until_signal  # noqa: PLC0415
            from planbalance.engine.dry_run import check_only  # noqa: PLC0415
            from planbalance.engine.finish import publish_shards  # noqa: PLC0415
            from planbalance.engine.shard import build_shard  # noqa: PLC0415

            context = Context(job, pool, flags, progress or Silent(), began)
            whole = publish_shards if options.finish else build
            run = check_only if options.dry_run else whole if options.shard is None else build_shard
            return run_until_signal(context, run)
        finally:
            pool.close()
