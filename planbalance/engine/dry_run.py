"""Dry run: check every source file, the output and the free space as a build would, and write nothing.

A module of its own beside `apply`, `shard` and `finish`, since it is one of the four things that a run can do.
"""

from planbalance.engine import preflight
from planbalance.engine.context import Context
from planbalance.engine.dispatcher import Dispatcher
from planbalance.engine.metadata_files import count_files
from planbalance.engine.schedule import missing_ranges
from planbalance.model import Outcome


async def check_only(context: Context) -> Outcome:
    """Check everything; return what a build would do. Raises what a build would raise."""
    job = context.job
    await context.step(lambda: preflight.check(job, context.pool))
    await context.begin_workers(None, overwrite=False)
    await Dispatcher(context, missing_ranges(job.plan.header.blocks, {})).run()
    context.refuse_failures()
    if job.options.shard is not None:
        return context.outcome(2 * job.slices)
    return context.outcome(count_files(job, context.mode))
