"""The start of an apply: workers are forked while this process is small and has no thread, then the story is told."""

import time

from planbalance.engine.crew import Crew
from planbalance.engine.job import ApplyOptions, make_job
from planbalance.engine.switches import Switches
from planbalance.executor import autoscaler
from planbalance.executor.processes import process_count
from planbalance.executor.threads import without_collecting
from planbalance.model import Outcome, Progress, Silent
from planbalance.planstore import PlanFile
from planbalance.shards import cut


def apply_plan(plan: PlanFile, options: ApplyOptions, progress: Progress | None = None) -> Outcome:
    """Build the data set that a plan describes; publish it in one step, or not at all.

    Raises UsageError (options, overlap with an input, other options than the first run pinned), PlanError (damaged,
    stale, output exists, no room, mode refused), IncompleteError (I/O errors, locked), InterruptedRunError (SIGINT,
    SIGTERM); after the last two the same call resumes.
    """
    began = time.monotonic()
    if options.shard is not None:
        plan = plan.stretch(cut(plan.header.blocks, options.shard.total)[options.shard.number - 1])
    job, switches = make_job(plan, options), Switches()
    with without_collecting():  # no batch makes a cycle; a plan's slices would be walked through again and again
        crew = Crew(job, switches, process_count(job.slices, options.jobs, autoscaler.LIMITS))
        try:
            from planbalance.engine.run import Run  # noqa: PLC0415 - takes a while, in which the workers parse the plan

            return Run(job, crew, switches, progress or Silent(), began).to_its_end()
        finally:
            crew.close()
