"""One run of apply: its job, its workers, its results so far, and the steps that all kinds of run share.

The four kinds of run are in `apply`, `shard`, `finish` and `dry_run`, each from its first check to its last file.
"""

import asyncio
import math
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from planbalance import fs
from planbalance.engine import preflight
from planbalance.engine.errors import FULL, FileErrors, broken_off
from planbalance.engine.file_sum import FileSum
from planbalance.engine.job import Job, command
from planbalance.engine.placer import BatchResult, SharedFlags
from planbalance.engine.placer_pool import PlacerPool, PlacingSettings
from planbalance.engine.schedule import ANY_PERMISSIONS, count_operations
from planbalance.engine.spool import Spool
from planbalance.engine.staging import Staging
from planbalance.errors import InterruptedRunError
from planbalance.model import Outcome, Progress
from planbalance.modes import MODE_TABLE, Mode

Value = TypeVar("Value")

_CALLS: Final = 10  # the least that opening, and beginning, a staging folder makes
_LINK_WARNING: Final = "Images are {kind}s to the source: whatever writes through one changes the source"
_JPEG_WARNING: Final = ". Ultralytics before 8.4.175 and YOLOv5 re-save JPEGs that do not end in FF D9, in place"
_LIST_WARNING: Final = (
    "Ultralytics and YOLOv5 will write *.cache files into the SOURCE label folders; --mode symlink avoids it"
)


class Context:
    """One run of apply. Only the event loop's thread uses it; workers read `flags` and nothing else.

    Args:
        job: what to build.
        pool: its workers, which are parsing the plan.
        flags: read by the workers before each file.
        progress: where to report to.
        began: when, by the monotonic clock.

    Attributes:
        mode: how images are placed: as asked for, or after a fallback.
        errors: files that could not be placed.
        failure: an error of writing the metadata while slices are placed.
        stop: no new batch starts.
        placed: slices in place, by this run and earlier ones; while slices are rendered for one file, those that are.
        done_as: what is true of these slices, for a message.
        copied: bytes of content.
        warnings: sentences.
        permissions: bits that every source of a packed dataset has, of those that are in place.
        file_sum: follows the workers; None where it does not, or no sum is taken.
        call_wait: seconds that a call on the output's file system waits: the shortest measured, since a longer one may
            include waiting for a processor core.
    """

    def __init__(self, job: Job, pool: PlacerPool, flags: SharedFlags, progress: Progress, began: float) -> None:
        self.job = job
        self.pool = pool
        self.flags = flags
        self.progress = progress
        self.mode: Mode = job.options.mode
        self.errors = FileErrors()
        self.failure: Exception | None = None
        self.stop = False
        self.placed = 0
        self.done_as = "in place"
        self.copied = 0
        self.warnings: list[str] = []
        self.permissions = ANY_PERMISSIONS
        self.file_sum: FileSum | None = None
        self.call_wait = math.inf
        self._began = began
        self._signals = 0

    # ---- signals

    async def listen(self) -> None:
        """First: running batches finish. Second: workers stop at the next file. Third: the process ends at once."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            async for number in received:
                self._signals += 1
                self.stop = True
                self.flags.halt = self._signals > 1
                if self._signals > 2:
                    signal.signal(number, signal.SIG_DFL)
                    signal.raise_signal(number)

    def interrupted(self) -> InterruptedRunError:
        """Return the error to raise after a signal."""
        return InterruptedRunError(
            f"Interrupted with {self.placed:,} of {self.job.slices:,} slices {self.done_as}; nothing was published",
            kind="interrupted",
            hint=f"resume with: {command(self.job.plan.path, self.job.options)}",
            paths=[self.job.staging],
        )

    # ---- steps

    async def step(self, work: Callable[[], Value]) -> Value:
        """Run a step in a thread, so that signals are handled meanwhile; raise after it if one came."""
        value = await anyio.to_thread.run_sync(work)
        if self._signals:
            raise self.interrupted()
        return value

    @asynccontextmanager
    async def open_staging(self) -> AsyncIterator[Staging]:
        """Open and lock the staging folder. The workers end before the lock is released: none may write after that."""
        staging = await anyio.to_thread.run_sync(self._measured, lambda: Staging.open(self.job))
        try:
            yield staging
        finally:
            self.pool.close()
            staging.leave()

    async def begin(self, staging: Staging) -> bool:
        """Decide the mode and pin the options; return whether an empty folder is to be replaced. Raises PlanError."""
        return await self.step(lambda: self._measured(lambda: self._begin(staging)))

    def _begin(self, staging: Staging) -> bool:
        job = self.job
        onto_empty = preflight.refuse_output(job)  # again: another apply may have published before we had the lock
        self.mode, warning = preflight.settle_mode(job, staging)
        preflight.refuse_folders_that_meet(job, self.mode, staging.own)
        if warning is not None:
            self.warnings.append(warning)
            if not staging.resumed:
                preflight.refuse_space(job, self.mode, job.staging)
        traits = MODE_TABLE[self.mode]
        if not traits.places_files:
            self.warnings.append(_LIST_WARNING)
        if not staging.resumed or job.options.durability == "safe":
            staging.begin(job, self.mode)
            if job.options.shard is not None:  # another shard may have been the first
                self.mode, _ = preflight.settle_mode(job, staging)
        return onto_empty

    def _measured(self, work: Callable[[], Value]) -> Value:
        """Run what makes at least `_CALLS` calls on the output's file system, and measure how long each waits."""
        began, busy = time.monotonic(), time.thread_time()
        value = work()
        waited = time.monotonic() - began - (time.thread_time() - busy)
        self.call_wait = min(self.call_wait, waited / _CALLS)
        return value

    async def begin_workers(
        self, tree: fs.Tree | None, *, overwrite: bool, renders: bool = False, spool: Spool | None = None
    ) -> None:
        """Send the workers what they need before they can place. Raises PlanError, OSError.

        `renders`: they only render, for one file; `spool`: where the images lie that were rendered so.
        """
        packing = self.job.packing
        begins = [] if packing is None or tree is None or renders else packing.begins()
        settings = PlacingSettings(self.mode, overwrite, tree, begins, renders, spool)
        await anyio.to_thread.run_sync(self.pool.begin, settings)

    # ---- results

    def add(self, result: BatchResult) -> None:
        """Add the result of a batch."""
        self.progress.advance(result.count, result.copied)
        self.copied += result.copied
        self.placed += count_operations(result.done)
        self.permissions &= result.permissions
        if self.file_sum is not None:
            self.file_sum.placed(result.done)
        self.errors.add(result.errors)
        if self.errors.stale:
            self.flags.only_check = True
        if self.errors.give_up:
            self.stop = True

    def refuse_failures(self) -> None:
        """Raise what keeps this build from being published, if anything does."""
        self.errors.refuse(self.job, self.missing_room() if self.errors.is_full else "")
        if self.failure is not None:
            raise self.failure
        if self.stop:
            raise self.interrupted()

    def missing_room(self) -> str:
        """Return what the rest of the build needs beyond what is free, for a message."""
        left = 1 - min(1.0, self.placed / max(1, self.job.slices))
        return preflight.missing_room(self.job, self.mode, share_left=left)

    def outcome(self, files: int, *, resumed: int = 0, published: bool = False) -> Outcome:
        """Return what this run did."""
        commands, notes = self._train_commands()
        packing = None if self.job.options.shard else self.job.packing
        return Outcome(
            output=self.job.output,
            mode=self.mode,
            files=files,
            bytes=self.copied,
            seconds=time.monotonic() - self._began,
            resumed=resumed,
            published=published,
            warnings=(*self.warnings, *self._link_warning(), *notes),
            train_commands=commands,
            packed_size=None if packing is None or packing.estimated else packing.exact_size(),
            packed_about=packing.places.most if packing is not None and packing.estimated else None,
        )

    def _link_warning(self) -> tuple[str, ...]:
        """Return what writing through a link does, where images are links; of JPEGs, which trainers do write."""
        link = MODE_TABLE[self.mode].link
        if not link or not self.job.kind.takes_images:
            return ()
        trainers = _JPEG_WARNING if self.job.stats.may_hold_jpegs() else ""
        return (f"{_LINK_WARNING.format(kind=link)}{trainers}.",)

    def _train_commands(self) -> tuple[Mapping[str, str | None], tuple[str, ...]]:
        job = self.job
        place = job.output if job.packing is None else job.options.mount_at
        if place is not None:
            return job.kind.train_commands(place)
        notes = () if job.options.shard is not None else (job.kind.unmounted(self.mode),)
        return {"yolov5": None, "ultralytics": None}, notes


def _in_a_loop() -> bool:
    """Return whether this thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def run_until_signal(context: Context, run: Callable[[Context], Awaitable[Outcome]]) -> Outcome:
    """Run in an event loop while listening for SIGINT and SIGTERM; only the main thread can listen.

    The loop has a thread of its own where this thread already runs one (a notebook). Raises what `run` does;
    IncompleteError for an OSError; InterruptedRunError.
    """
    # Not returned by the task: asyncio formats a task's result when it closes, which takes a second for a large one.
    ended: list[Outcome | Exception] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            if threading.current_thread() is threading.main_thread():
                tasks.start_soon(context.listen)
            try:
                ended.append(await run(context))
            except Exception as error:  # raised below as itself, not in a group
                ended.append(error)
            tasks.cancel_scope.cancel()

    try:
        if not _in_a_loop():
            anyio.run(main)
        else:
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(anyio.run, main).result()
    except KeyboardInterrupt:
        raise context.interrupted() from None
    (end,) = ended
    if isinstance(end, OSError):
        missing = context.missing_room() if end.errno in FULL else ""
        raise broken_off(context.job.output, end, missing) from end
    if isinstance(end, Exception):
        raise end
    return end
