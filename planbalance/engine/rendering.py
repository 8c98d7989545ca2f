"""The first pass of a build of one file whose images are rendered: their sizes decide where each goes in that file.

It has workers, a journal and a resume as the second one has, which copies the images to their places (`apply`).
"""

from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from planbalance import fs
from planbalance.dataset_files import OWN_FOLDER
from planbalance.engine import preflight
from planbalance.engine.context import Context
from planbalance.engine.dispatcher import Dispatcher
from planbalance.engine.job import Job
from planbalance.engine.journal import JournalFile, Record
from planbalance.engine.packed_file import packing_of
from planbalance.engine.resume import ConfirmedWork, confirm
from planbalance.engine.schedule import count_operations, missing_ranges
from planbalance.engine.spool import Spool
from planbalance.engine.staging import Staging

_JOURNAL: Final = f"{fs.JOURNAL}-rendered"
_PLACES: Final = f"{fs.JOURNAL}-of-"  # and a name of the sizes


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

    Nothing where the places are known without it. Raises what a build raises.
    """
    job = context.job
    if not job.renders_first:
        return NOTHING_RENDERED
    spool, safe = Spool(planned_sizes(job)), job.options.durability == "safe"
    journal = JournalFile(staging.own, staging.tree.fd, job.node, safe=safe, name=_JOURNAL)
    try:
        earlier = await context.step(lambda: _earlier_work(context, staging, journal, spool))
        left = missing_ranges(job.plan.header.blocks, earlier.done)
        context.placed, context.done_as = job.slices - count_operations(left), "rendered"
        if staging.resumed and left:
            await context.step(lambda: _refuse_space(context, spool, count_operations(left) / job.slices))
        await journal.begin(earlier.gone)
        if left:
            await context.begin_workers(staging.tree, overwrite=staging.resumed, renders=True)
            await Dispatcher(context, left, journal, lambda record: keep_places(spool, record), what="render").run()
        if context.stop or context.errors:
            with suppress(OSError):
                await journal.checkpoint()
        context.refuse_failures()
        if safe:
            await journal.checkpoint()
    finally:
        journal.close()
    resumed = sum(count_operations(record.ranges) for record in earlier.spooled)
    return await all_rendered(context, staging, spool, resumed)


def planned_sizes(job: Job) -> Iterator["array[int]"]:
    """Yield the sizes of the images of each block, as far as the plan knows them. Raises PlanError."""
    packing = packing_of(job)
    for index in range(len(job.plan.header.blocks)):
        yield packing.columns(index).sizes


def keep_places(spool: Spool, record: Record) -> None:
    """Add the images of a finished batch to the spool."""
    if record.spooled is not None:
        spool.add(record.ranges, record.spooled)


async def all_rendered(context: Context, staging: Staging, spool: Spool, resumed: int) -> Rendered:
    """Let the context's job know the places of all slices, now that all sizes are known; return what comes next."""
    job = context.job
    journal = f"{_PLACES}{spool.digest()}"
    await context.step(lambda: _forget_other_places(job, staging, journal))
    context.job = job._replace(packing=packing_of(job).with_sizes(spool.sizes))
    context.placed, context.done_as = 0, "in place"
    return Rendered(spool, journal, resumed)


def _forget_other_places(job: Job, staging: Staging, journal: str) -> None:
    """Remove journals that say what lies where in a file of other sizes, since this run makes that file anew."""
    others = [name for name in fs.list_folder(staging.own) if name.startswith(_PLACES) and name != journal]
    for name in others:
        fs.unlink(name, staging.own)
    if others and job.options.durability == "safe":  # no power failure may bring one back beside the new file
        fs.sync_folder(f"{staging.path}/{OWN_FOLDER}")


def _refuse_space(context: Context, spool: Spool, share_left: float) -> None:
    """Refuse to go on where the rest has no room (PlanError); of slices that are rendered, the sizes are known."""
    job = context.job
    packing = packing_of(job).with_sizes(spool.sizes, estimated=True)
    preflight.refuse_space(job._replace(packing=packing), context.mode, job.staging, share_left=share_left)


def _earlier_work(context: Context, staging: Staging, journal: JournalFile, spool: Spool) -> ConfirmedWork:
    """Return what earlier runs have rendered, and add it to the spool; spool files that do not count are removed."""
    job = context.job
    earlier = confirm(job, context.mode, staging.tree, journal.read_earlier(job.plan.header.blocks, with_sums=False))
    for record in earlier.spooled:
        keep_places(spool, record)
        context.permissions &= record.permissions
    for name in fs.spool_files(staging.own).keys() - set(spool.names):
        fs.unlink(name, staging.own)
    return earlier
