"""Build a whole dataset: check, stage, place, write the metadata, publish. A second run resumes an interrupted one."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress

import anyio.to_thread

from planbalance.engine import preflight
from planbalance.engine.context import Context
from planbalance.engine.dispatcher import Dispatcher
from planbalance.engine.file_sum import FileSum
from planbalance.engine.job import Job, takes_sums
from planbalance.engine.journal import JournalFile
from planbalance.engine.metadata_files import NamedSums, count_files, finish_metadata, finish_packed, write_metadata
from planbalance.engine.packed_file import followed, make_file, publish_file, remove_file
from planbalance.engine.rendering import Rendered, render_all
from planbalance.engine.resume import ConfirmedWork, ImageSums, confirm, keeps_sums
from planbalance.engine.schedule import Range, count_operations, missing_ranges
from planbalance.engine.staging import Staging, publish
from planbalance.model import Outcome
from planbalance.modes import MODE_TABLE


async def build(
    context: Context,
    check: Callable[[Job], None] = lambda _: None,
    render: Callable[[Context, Staging], Awaitable[Rendered]] = render_all,
) -> Outcome:
    """Place every slice that no earlier run has placed, and publish the dataset.

    With durability safe, all of it is on disk before it is published.

    Args:
        context: of the run.
        check: a further check, before anything is locked.
        render: renders slices for one file, whose sizes say where each goes, or finds those that shards have rendered.
    """
    await context.step(lambda: preflight.check(context.job, context.pool))
    await context.step(lambda: check(context.job))
    async with context.open_staging() as staging:
        onto_empty = await context.begin(staging)
        rendered = await render(context, staging)
        job = context.job
        safe = job.options.durability == "safe"
        sums = ImageSums(job) if takes_sums(job, context.mode) else None
        journal = JournalFile(staging.own, staging.tree.fd, job.node, safe=safe, name=rendered.journal)
        try:
            earlier = await context.step(lambda: _earlier_work(context, staging, journal, sums))
            left = missing_ranges(job.plan.header.blocks, earlier.done)
            resumed = context.placed = job.slices - count_operations(left)
            if rendered.spool is not None and not resumed:  # of other sizes, perhaps: nothing of it is kept
                await context.step(lambda: remove_file(job, staging))
            if resumed:
                await context.step(
                    lambda: preflight.refuse_space(
                        job, context.mode, job.staging, share_left=1 - resumed / max(1, job.slices)
                    )
                )
            await journal.begin(earlier.gone)
            if job.packing is not None:
                await context.step(lambda: make_file(job, staging))
            tree = staging.tree if MODE_TABLE[context.mode].places_files else None
            await context.begin_workers(tree, overwrite=staging.resumed, spool=rendered.spool)
            dispatcher = Dispatcher(context, left, journal, keeps_sums(sums))
            metadata: NamedSums = []
            with _file_sum(context, staging, earlier, sums) as context.file_sum:
                await dispatcher.run(lambda: _write_meanwhile(context, staging, metadata))
                digest = await _finish(context, staging, journal, sums, metadata)
            if safe:
                await journal.checkpoint()
        finally:
            journal.close()
        await anyio.to_thread.run_sync(lambda: _publish(context, staging, digest, onto_empty=onto_empty))
    files = count_files(job, context.mode)
    return context.outcome(files, resumed=max(resumed, rendered.resumed), published=True)


def _file_sum(
    context: Context, staging: Staging, earlier: ConfirmedWork, sums: ImageSums | None
) -> AbstractContextManager[FileSum | None]:
    """Return what follows the workers and takes the sum of one file; nothing where one worker was asked for.

    Nothing either where calls wait: reading the file meanwhile makes its writers wait (a FUSE of 2 ms a call: 6.1 s
    instead of 4.6).
    """
    job = context.job
    far = context.call_wait > job.kind.limits().far_seconds
    if job.packing is None or sums is None or job.options.jobs == 1 or far:
        return nullcontext()
    done = [Range(block, *run) for block, runs in earlier.done.items() for run in runs]
    return followed(job, staging, done)


async def _finish(
    context: Context, staging: Staging, journal: JournalFile, sums: ImageSums | None, metadata: NamedSums
) -> bytes:
    """Write what is left once the slices are placed; return the SHA-256 of one file, where one is taken."""
    if context.stop or context.errors:
        with suppress(OSError):
            await journal.checkpoint()
    context.refuse_failures()
    if context.job.packing is not None:
        return await context.step(lambda: finish_packed(context, staging, sums))
    await context.step(lambda: finish_metadata(context, staging, metadata, sums))
    return b""


def _publish(context: Context, staging: Staging, digest: bytes, *, onto_empty: bool) -> None:
    if context.job.packing is None:
        publish(context.job, staging, onto_empty=onto_empty)
    else:
        publish_file(context.job, staging, digest)


def _earlier_work(context: Context, staging: Staging, journal: JournalFile, sums: ImageSums | None) -> ConfirmedWork:
    """Return what earlier runs have done, and add the sums of its images."""
    job = context.job
    records = journal.read_earlier(job.plan.header.blocks, with_sums=sums is not None)
    keep = keeps_sums(sums)
    for record in records:
        keep(record)
        context.permissions &= record.permissions
    return confirm(job, context.mode, staging.tree, records)


async def _write_meanwhile(context: Context, staging: Staging, metadata: NamedSums) -> None:
    """Write the metadata files, which depend on the plan alone, while slices are placed.

    Of one file, its tables are made meanwhile.
    """
    try:
        if context.job.packing is not None:
            await anyio.to_thread.run_sync(context.job.packing.exact_size)
            if context.file_sum is not None:
                context.file_sum.follow()
            return
        metadata.extend(await anyio.to_thread.run_sync(write_metadata, context.job, staging, context.mode))
    except Exception as error:  # raised by `refuse_failures`, once the workers have ended
        context.failure, context.stop = error, True
