"""The first pass of a build of one file whose images are rendered: their sizes decide where each goes in that file.

It has workers, a journal and a resume as the second one has, which copies the images to their places (`apply`).
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from planbalance import fs
from planbalance.engine import preflight
from planbalance.engine.context import Context
from planbalance.engine.dispatcher import Dispatcher
from planbalance.engine.journal import JournalFile, Record
from planbalance.engine.packed_file import packing_of
from planbalance.engine.schedule import Done, Range, count_operations, missing_ranges, ranges_by_block
from planbalance.engine.spool import Spool, lost, spool_files
from planbalance.engine.staging import Staging

_JOURNAL: Final = f"{fs.JOURNAL}-rendered"


class Rendered(NamedTuple):
    """What the second pass needs of the first one.

    Attributes:
        spool: where the images lie; None where there is no first pass.
        journal: the name of the second pass's journal. It names the sizes, for its lines say nothing of a file in which
            others had other places.
        resumed: how many slices an earlier run had rendered.
    """

    spool: Spool | None
    journal: str
    resumed: int


NOTHING_RENDERED: Final = Rendered(None, fs.JOURNAL, 0)


async def render_all(context: Context, staging: Staging) -> Rendered:
    """Render every slice that no earlier run has rendered; then the places of all are known to the context's job.

    Raises what a build raises.
    """
    job = context.job
    packing, safe = packing_of(job), job.options.durability == "safe"
    spool = Spool(packing.columns(index).sizes for index in range(len(job.plan.header.blocks)))
    journal = JournalFile(staging.own, staging.tree.fd, job.node, safe=safe, name=_JOURNAL)
    try:
        done, gone = await context.step(lambda: _earlier_work(context, staging, journal, spool))
        resumed = sum(stop - start for runs in done.values() for start, stop in runs)
        left = await context.step(lambda: missing_ranges(job.plan.header.blocks, _with_planned_sizes(context, done)))
        context.placed, context.done_as = job.slices - count_operations(left), "rendered"
        if staging.resumed:
            share = count_operations(left) / max(1, job.slices)
            await context.step(lambda: preflight.refuse_space(job, context.mode, job.staging, share_left=share))
        await journal.begin(gone)
        if left:
            await context.begin_workers(staging.tree, overwrite=staging.resumed, renders=True)
            await Dispatcher(context, left, journal, _keeps_places(spool), what="render").run()
        if context.stop or context.errors:
            with suppress(OSError):
                await journal.checkpoint()
        context.refuse_failures()
        if safe:
            await journal.checkpoint()
    finally:
        journal.close()
    context.job = job._replace(packing=packing.with_sizes(spool.sizes))
    context.placed, context.done_as = 0, "in place"
    return Rendered(spool, f"{fs.JOURNAL}-of-{spool.digest()}", resumed)


def _keeps_places(spool: Spool) -> Callable[[Record], None]:
    def keep(record: Record) -> None:
        if record.spooled is not None:
            spool.add(record.ranges, record.spooled)

    return keep


def _earlier_work(
    context: Context, staging: Staging, journal: JournalFile, spool: Spool
) -> tuple[dict[int, list[tuple[int, int]]], list[Range]]:
    """Return the ranges that earlier runs have rendered, per block, and those whose images are gone since."""
    there = spool_files(staging.own)
    found: list[Range] = []
    gone: list[Range] = []
    for record in journal.read_earlier(context.job.plan.header.blocks, with_sums=False):
        if record.spooled is None:
            continue
        away = list(lost(record.ranges, record.spooled, there))
        gone += away
        if not away:
            spool.add(record.ranges, record.spooled)
            found += record.ranges
            context.permissions &= record.permissions
    return ranges_by_block(found), gone


def _with_planned_sizes(context: Context, done: Done) -> Done:
    """Add what need not be rendered: the images that are taken as they are. Raises PlanError."""
    job, all_done = context.job, {block: list(runs) for block, runs in done.items()}
    for block in range(len(job.plan.header.blocks)):
        for position, operation in enumerate(job.plan.read_block(block)):
            if not job.kind.is_rendered(operation):
                all_done.setdefault(block, []).append((position, position + 1))
    return all_done
