"""The story of one apply: check, stage, place, write the root files, publish. Run again, it goes on from there."""

import math
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from planbalance import fs, handoff
from planbalance.engine import preflight
from planbalance.engine.crew import Crew, Placing
from planbalance.engine.faults import Faults, broken_off, refuse_gone_inputs
from planbalance.engine.finish import gather, nothing_begun, refuse_missing
from planbalance.engine.job import Job, command, takes_sums
from planbalance.engine.journal import Record
from planbalance.engine.journal_file import JournalFile
from planbalance.engine.papers import Papers, files_of, write_manifest, write_papers
from planbalance.engine.placing import place_all
from planbalance.engine.publish import publish
from planbalance.engine.resume import Proven, Sums, proven
from planbalance.engine.schedule import Range, Schedule, missing_ranges
from planbalance.engine.shard_journals import Reader, is_done, new_name, opening_line, taken_over
from planbalance.engine.staging import Staging, refuse_other_there
from planbalance.engine.switches import Switches
from planbalance.engine.work import Result
from planbalance.errors import InterruptedRunError
from planbalance.executor import autoscaler
from planbalance.executor.autoscaler import Autoscaler
from planbalance.executor.processes import available_cores
from planbalance.executor.threads import run_loop
from planbalance.model import Mode, Outcome, Progress

Value = TypeVar("Value")

_CALLS: Final = 10  # of opening and of beginning a staging folder
_LINK_WARNING: Final = (
    "Images are {kind}s to the source: whatever writes through one changes the source. Ultralytics before 8.4.175 and "
    "YOLOv5 re-save JPEGs that do not end in FF D9, in place"
)

_LIST_WARNING: Final = (
    "Ultralytics and YOLOv5 will write *.cache files into the SOURCE label folders; --mode symlink avoids it"
)


class Run:
    """One apply while it runs. Everything here belongs to the loop's thread; `switches` alone is read by workers.

    Args:
        job: what to build.
        crew: its workers, who are parsing the plan.
        switches: how they are reached.
        progress: where to report to.
        began: when, by the monotonic clock.
    """

    def __init__(self, job: Job, crew: Crew, switches: Switches, progress: Progress, began: float) -> None:
        self._job = job
        self._options = job.options
        self._crew = crew
        self._switches = switches
        self._progress = progress
        self._began = began
        self._signals = 0
        self._faults = Faults()
        self._failure: Exception | None = None  # of what is written while slices are placed
        self._stop = False
        self._copied = 0
        self._placed = 0
        self._warnings: list[str] = []
        self._waits = math.inf  # seconds that a call waits: what took the shortest wait tells, others wait for a core

    def to_its_end(self) -> Outcome:
        """Run it; raises what `apply_plan` does."""
        try:
            return run_loop(self.guarded)
        except KeyboardInterrupt:
            raise self.interrupted() from None

    # ---- signals

    async def guarded(self) -> Outcome:
        """Run the story while listening for SIGINT and SIGTERM; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return await self._story()
        return await _side_by_side(self._story, self._listen, endless=True)

    async def _listen(self) -> None:
        """First: running batches finish. Second: workers stop at the next file. Third: the process ends at once."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            async for number in received:
                self._signals += 1
                self._stop = True
                self._switches.halt = self._signals > 1
                if self._signals > 2:
                    signal.signal(number, signal.SIG_DFL)
                    signal.raise_signal(number)

    async def _step(self, work: Callable[[], Value]) -> Value:
        """Run a step in a thread, so that signals are heard meanwhile; stop after it if one came."""
        value = await anyio.to_thread.run_sync(work)
        if self._signals:
            raise self.interrupted()
        return value

    def _watched(self, work: Callable[[], Value]) -> Value:
        """Do what makes at least `_CALLS` calls on the output's file system, and see how long each waits at most."""
        began, busy = time.monotonic(), time.thread_time()
        value = work()
        waited = time.monotonic() - began - (time.thread_time() - busy)
        self._waits = min(self._waits, waited / _CALLS)
        return value

    def interrupted(self) -> InterruptedRunError:
        """Return what to say after a signal."""
        return InterruptedRunError(
            f"Interrupted with {self._placed:,} of {self._job.slices:,} slices in place; nothing was published",
            kind="interrupted",
            hint=f"resume with: {command(self._job.plan.path, self._options)}",
        )

    # ---- the story

    async def _story(self) -> Outcome:
        try:
            return await self._told()
        except OSError as error:
            raise broken_off(self._job.output, error) from error

    async def _told(self) -> Outcome:
        job = await self._step(self._prepare)
        if self._options.dry_run:
            return await self._dry_run(job)
        shard = job.options.shard
        if shard is not None and not job.slices:  # more shards than folders, or blocks, to share out
            return self._outcome(job, job.options.mode, 0, 0, published=False)
        if job.options.finish:
            await self._step(lambda: refuse_missing(job))
        staging = await anyio.to_thread.run_sync(lambda: self._watched(lambda: Staging.open(job)))
        try:
            if job.options.finish and staging.header is None:
                raise nothing_begun(job)
            way, onto_empty = await self._step(lambda: self._watched(lambda: self._begin(job, staging)))
            gather = self._gather if job.options.finish else self._build
            resumed, files = await gather(job, staging, way)
            if shard is not None:
                return self._outcome(job, way, files, resumed, published=False)
            await anyio.to_thread.run_sync(lambda: publish(job, staging, onto_empty=onto_empty))
        finally:
            self._crew.close()  # nobody may place a name where the lock is given up
            staging.leave()
        return self._outcome(job, way, files, resumed, published=True)

    def _prepare(self) -> Job:
        job = self._job
        if self._options.shard is None:
            job.plan.check(self._crew.survey() if self._crew.processes else job.survey.facts())
        else:  # what a shard reads it checks as it reads; what only the whole shows, --finish checks
            for _ in self._crew.survey():
                pass
            preflight.refuse_absent_inputs(job)
        preflight.refuse_overlap(job)
        preflight.refuse_output(job)
        preflight.refuse_lists_misread(job)
        at = preflight.refuse_parent(job)
        preflight.refuse_unsafe(job, at)
        if fs.look(job.staging) is None:
            preflight.refuse_space(job, self._options.mode, at)
        elif self._options.dry_run and not self._options.restart:
            refuse_other_there(job)
        return job

    def _begin(self, job: Job, staging: Staging) -> tuple[Mode, bool]:
        onto_empty = preflight.refuse_output(job)  # again: another apply may have published before the lock was ours
        way, warning = preflight.settle_mode(job, staging)
        if warning is not None:
            self._warnings.append(warning)
            if not staging.resumed:
                preflight.refuse_space(job, way, job.staging)
        if way == "list":
            self._warnings.append(_LIST_WARNING)
        if way in ("hardlink", "symlink"):
            self._warnings.append(_LINK_WARNING.format(kind="hard link" if way == "hardlink" else "symbolic link"))
        if not staging.resumed or job.options.durability == "safe":
            staging.begin(job, way)
            if job.options.shard is not None:  # another shard may have been the first
                way, _ = preflight.settle_mode(job, staging)
        return way, onto_empty

    async def _build(self, job: Job, staging: Staging, way: Mode) -> tuple[int, int]:
        """Place everything that no earlier run did; return how many operations one did, and how many files there are.

        With durability safe it is all on disk then.
        """
        safe, shard = job.options.durability == "safe", job.options.shard
        with_sums = takes_sums(job, way)
        if shard is not None and await self._step(lambda: is_done(job, staging, way, with_sums=with_sums)):
            return job.slices, 2 * job.slices
        name = fs.JOURNAL if shard is None else new_name(shard)
        journal = JournalFile(staging, safe=safe, name=name)
        sums = Sums(job) if with_sums else None
        try:
            left = await self._take_over(job, staging, way, journal, sums)
            resumed = self._placed
            papers = await self._place_and_write(job, staging, way, left, journal, sums)
            if self._stop or self._faults:
                with suppress(OSError):
                    await journal.vouch()
            self._refuse()
            if shard is not None:  # for the node that finishes
                await journal.vouch()
                return resumed, 2 * job.slices
            files = await self._step(lambda: self._finish_papers(job, staging, way, papers, sums))
            if safe:
                await journal.vouch()
        finally:
            journal.close()
        return resumed, files

    async def _take_over(
        self, job: Job, staging: Staging, way: Mode, journal: JournalFile, sums: Sums | None
    ) -> list[Range]:
        """Begin the journal with what earlier runs have done; return what is left to do."""
        shard = job.options.shard
        known = await self._step(lambda: self._resume(job, staging, way, journal, sums))
        left = missing_ranges(job.plan.header.blocks, known.done)
        self._placed = job.slices - sum(part.stop - part.start for part in left)
        if self._placed or shard is not None:
            share_left = 1 - self._placed / max(1, job.slices)
            await self._step(lambda: preflight.refuse_space(job, way, job.staging, share_left=share_left))
        if shard is None:
            await journal.begin(known.gone)
        else:
            await journal.begin((), opening_line(job, shard))
            for record in taken_over(known.done, sums):
                await journal.record(record)
        return left

    async def _gather(self, job: Job, staging: Staging, way: Mode) -> tuple[int, int]:
        """Take in what shards have built; return what `_build` does."""
        gathered = await gather(job, staging, way, self._progress)
        if len(gathered.tools) > 1:
            self._warnings.append(
                f"The shards were built by several versions of planbalance ({', '.join(sorted(gathered.tools))}); "
                "plan and journals are of one format, so the data set is the same"
            )
        papers = await self._step(lambda: write_papers(job, staging, way))
        files = await self._step(lambda: self._finish_papers(job, staging, way, papers, gathered.sums))
        if job.options.durability == "safe":
            await self._step(lambda: fs.sync_below(staging.tree.fd))
        return job.slices, files

    def _finish_papers(self, job: Job, staging: Staging, way: Mode, papers: Papers, sums: Sums | None) -> int:
        """Write what hangs on what was placed; return how many files there are outside `.planbalance/`."""
        blocks = None if sums is None else list(self._crew.manifest(sums.by_block))
        self._crew.dismiss()
        if blocks is not None:
            write_manifest(staging, papers, blocks)
        return files_of(job, way, summed=blocks is not None)

    def _resume(self, job: Job, staging: Staging, way: Mode, journal: JournalFile, sums: Sums | None) -> Proven:
        """Return what earlier runs have done."""
        blocks, shard = job.plan.header.blocks, job.options.shard
        records: Sequence[Record]
        if shard is None:
            records = journal.take_up(blocks, with_sums=sums is not None)
        else:
            journals = Reader(job, staging.own, with_sums=sums is not None).of(shard, blocks)
            records = [record for each in journals for record in each.records]
        if sums is not None:
            for record in records:
                sums.add(record.ranges, record.sums)
        return proven(job, way, staging.tree, records)

    # ---- placing

    async def _place_and_write(
        self, job: Job, staging: Staging, way: Mode, left: list[Range], journal: JournalFile, sums: Sums | None
    ) -> Papers:
        """Place what is left, and meanwhile write what does not hang on it; a shard leaves that to who finishes."""
        papers: Papers = []

        async def write() -> None:
            try:
                papers.extend(await anyio.to_thread.run_sync(lambda: write_papers(job, staging, way)))
            except Exception as error:  # raised once the workers have ended
                self._failure, self._stop = error, True

        async def place() -> None:
            await self._place(job, left, journal=journal, sums=sums)

        # Before anything else uses the interpreter: the workers have nothing to do until they are told.
        await self._begin_workers(way, redo=staging.resumed, tree=None if way == "list" else staging.tree)
        await (_side_by_side(place, write) if job.options.shard is None else place())
        return papers

    async def _begin_workers(self, way: Mode, *, redo: bool, tree: fs.Tree | None) -> None:
        placing = Placing(way, redo, tree)
        await anyio.to_thread.run_sync(lambda: self._crew.begin(placing))

    async def _place(
        self,
        job: Job,
        ranges: list[Range],
        *,
        journal: JournalFile | None = None,
        sums: Sums | None = None,
    ) -> None:
        async def finished(result: Result) -> None:
            if result.done and journal is not None:
                record = Record(tuple(result.done), bytes(result.sums))
                await journal.record(record)
                if sums is not None:
                    sums.add(record.ranges, record.sums)
            self._take_in(result)

        crew, limits = self._crew, autoscaler.LIMITS
        sources, most = job.survey.sources(), limits.worth_reading
        schedule = Schedule(job.plan.header.blocks, ranges, crew.owned, sources, worth_reading=most)
        waits = self._waits if journal is not None else 0.0
        cores = limits.cores or available_cores()
        scaler = Autoscaler(cores, crew.processes, self._options.jobs, waits=waits)
        self._progress.begin("check" if journal is None else "apply", job.slices, "slices")
        try:
            self._progress.advance(self._placed)
            await place_all(schedule, crew, scaler, finished=finished, stopping=lambda: self._stop)
        finally:
            self._progress.end()

    def _take_in(self, result: Result) -> None:
        self._progress.advance(result.count, result.copied)
        self._copied += result.copied
        self._placed += sum(part.stop - part.start for part in result.done)
        self._faults.add(result.faults)
        if self._faults.stale:
            self._switches.only_check = True
        if self._faults.hopeless:
            self._stop = True

    def _refuse(self) -> None:
        """Raise what keeps this build from being published, if anything does."""
        if self._faults.stale:
            refuse_gone_inputs(self._job)
        self._faults.refuse()
        if self._failure is not None:
            raise self._failure
        if self._stop:
            raise self.interrupted()

    # ---- ends

    async def _dry_run(self, job: Job) -> Outcome:
        ranges = missing_ranges(job.plan.header.blocks, {})
        await self._begin_workers(self._options.mode, redo=False, tree=None)
        await self._place(job, ranges)
        self._refuse()
        way = self._options.mode
        whole = self._options.shard is None
        files = files_of(job, way, summed=takes_sums(job, way)) if whole else 2 * job.slices
        return self._outcome(job, way, files, 0, published=False)

    def _outcome(self, job: Job, way: Mode, files: int, resumed: int, *, published: bool) -> Outcome:
        commands, notes = handoff.train_commands(job.plan.header, job.output)
        return Outcome(
            output=job.output,
            mode=way,
            files=files,
            bytes=self._copied,
            seconds=time.monotonic() - self._began,
            resumed=resumed,
            published=published,
            warnings=(*self._warnings, *notes),
            train_commands=commands,
        )


async def _side_by_side(
    story: Callable[[], Awaitable[Value]], companion: Callable[[], Coroutine[Any, Any, None]], *, endless: bool = False
) -> Value:
    """Return what the story does, once its companion has ended too; an endless one is cancelled after the story.

    What the story raises is raised as itself, not in a group.
    """
    outcome: list[Value] = []
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(companion)
        try:
            outcome.append(await story())
        except Exception as error:  # raised below
            failure = error
        if endless:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return outcome[0]
