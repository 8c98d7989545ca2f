"""The workers of a run: processes forked at the start, and threads of this process; each places one batch at a time.

Processes are used where files are small: they take more time in the interpreter than in the kernel, and processes do
not share one interpreter lock. Threads are used where calls wait for a disk or a server: a waiting thread costs almost
nothing, so there may be many.
"""

import errno
import os.path
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice, zip_longest
from typing import Any, Final, NamedTuple, Protocol

from planbalance import fs
from planbalance.engine.block_stats import BlockStats
from planbalance.engine.fd_cache import SOURCES_ALONE, SharedFolders
from planbalance.engine.job import Job
from planbalance.engine.manifest import Lines, block_lines
from planbalance.engine.packer import PackedTarget, Packer
from planbalance.engine.packing import Begin
from planbalance.engine.placer import BatchResult, Placer, SharedFlags
from planbalance.engine.schedule import Batch, shares
from planbalance.engine.spool import Spool
from planbalance.errors import IncompleteError
from planbalance.executor.autoscaler import Kind
from planbalance.executor.processes import Child, ChildGoneError
from planbalance.model import Block
from planbalance.modes import Mode

# A process is asked for the statistics of blocks of about so many operations at a time, and for so many portions ahead.
# More questions might not fit into the socket; then both ends would wait for the other one to read.
_OPERATIONS_ASKED: Final = 4_096
_BLOCKS_ASKED: Final = 256
_AHEAD: Final = 16


class PlacingSettings(NamedTuple):
    """What all workers of a run need to know before they place: the mode, what names may exist, and where.

    Attributes:
        mode: how images are placed, after a fallback.
        overwrite: names may exist already, from a run that was interrupted.
        tree: the staging folder; None where files are only checked.
        begins: where each block begins in the one file of a packed dataset; none of a folder.
        renders: images are rendered into spool files, before any goes into the one file.
        spool: where rendered images lie, that now go into the one file; None where none were rendered before.
    """

    mode: Mode
    overwrite: bool
    tree: fs.Tree | None
    begins: Sequence[Begin] = ()
    renders: bool = False
    spool: Spool | None = None


class Worker(Protocol):
    """One worker as the run sees it."""

    @property
    def kind(self) -> Kind:
        """Process or thread."""

    @property
    def owner(self) -> int | None:
        """Its number among those that have parsed blocks of their own."""

    @property
    def place(self) -> Callable[[Batch], BatchResult]:
        """Places a batch; blocks. Raises PlanError, IncompleteError where the worker died."""

    def close(self) -> None:
        """End it."""


class PlacerProcess(Child):
    """A worker process, from its parent's side.

    It is killed when its parent dies: no process may place names in a staging folder whose lock is free.
    """

    kind: Final = "processes"

    def __init__(self, number: int, job: Job, flags: SharedFlags, siblings: Sequence["PlacerProcess"]) -> None:
        super().__init__(lambda: PlacerService(job, flags), siblings, kill_with_parent=True)
        self.owner: int | None = number

    def place(self, batch: Batch) -> BatchResult:
        """Place a batch. Raises PlanError; IncompleteError where the process died."""
        with self.expected_alive():
            self.ask("place", batch)
            result: BatchResult = self.answer()
            return result

    @contextmanager
    def expected_alive(self) -> Iterator[None]:
        """Raise IncompleteError where the process turns out to be dead."""
        try:
            yield
        except ChildGoneError:
            raise IncompleteError(
                f"A worker process {self.reap()} before its work was done, perhaps because memory ran out",
                kind="worker-died",
                hint="run the same command again to resume; --jobs 1 works without worker processes",
            ) from None

    def close(self) -> None:
        """Tell it to end, and wait until it has; a second call does nothing."""
        self.hang_up()
        self.reap()


class PlacerService:
    """What a worker process answers, by name of the method: it parses blocks and keeps them, and places batches.

    Args:
        job: what to build.
        flags: shared with the parent.

    Attributes:
        place: `Placer.place`, from `begin` on.
    """

    place: Callable[[Batch], BatchResult]

    def __init__(self, job: Job, flags: SharedFlags) -> None:
        self._job = job
        self._flags = flags
        self._close: Callable[[], None] = lambda: None

    def block_stats(self, indices: Sequence[int]) -> list[BlockStats]:
        """Parse blocks, keep them, and return their statistics. Raises PlanError."""
        return [self._job.stats.maker.of(index, self._job.plan.read_block(index)) for index in indices]

    def begin(self, settings: PlacingSettings, tree: tuple[int, int] | None) -> None:
        """Get ready to place, perhaps not for the first time; `tree` is device and inode of the staging folder."""
        self._close()
        opened = None if tree is None else fs.Tree(self._job.staging)
        if opened is not None and fs.open_identity(opened.fd) != tree:
            raise OSError(errno.ESTALE, "it was replaced", self._job.staging)
        self._job.plan.all_was_read()
        folders = SharedFolders(opened, SOURCES_ALONE)
        settings = settings._replace(tree=opened)
        placer = _placer(self._job, settings, folders, self._flags, fs.Copier(), _packed_target(self._job, settings))
        self.place, self._close = placer.place, placer.close

    def manifest(self, index: int, sums: bytes) -> tuple[Lines, Lines]:
        """Return a block's lines of the manifest."""
        return _manifest_of(self._job, index, sums)


def _packed_target(job: Job, settings: PlacingSettings) -> PackedTarget | None:
    """Open the one file of a packed dataset; None of a folder, and where files are only checked."""
    if job.packing is None or settings.tree is None or settings.renders:
        return None
    file = fs.open_packed(os.path.basename(job.output), settings.tree.fd)
    try:
        return PackedTarget(job, settings.begins, file, settings.spool)
    except BaseException:
        fs.close(file)
        raise


def _placer(
    job: Job,
    settings: PlacingSettings,
    folders: SharedFolders,
    flags: SharedFlags,
    copier: fs.Copier,
    target: PackedTarget | None,
) -> Placer:
    """Return a worker's placer. The workers of a process have one `copier` and one `target`."""
    mode = settings.mode
    if target is not None:
        packed: Placer = (job.kind.packer or Packer)(job, mode, folders, flags, target)
        return packed
    placer = (job.kind.renderer if settings.renders else job.kind.placer) or Placer
    return placer(job, mode, folders, flags, overwrite=settings.overwrite, copier=copier)


def _manifest_of(job: Job, index: int, sums: bytes) -> tuple[Lines, Lines]:
    """Return the manifest's lines of block `index`; `sums` are its images', end to end. Raises PlanError."""
    return block_lines(job.kind.destinations, job.plan.read_block(index), sums)


class PlacerThread:
    """A worker thread: any thread of this process may call it, one at a time."""

    kind: Final = "threads"
    owner: Final = None

    def __init__(self, placer: Placer) -> None:
        self.place = placer.place
        self.close = placer.close


class _StatsQuestions:
    """Asks a process for block statistics, a few portions ahead, so that it never waits for this process.

    Attributes:
        asked: the portions that have not been answered yet.
    """

    def __init__(self, process: PlacerProcess, portions: Sequence[Sequence[int]]) -> None:
        self._process = process
        self._left = iter(portions)
        self.asked: deque[Sequence[int]] = deque()
        for portion in islice(self._left, _AHEAD):
            self._ask(portion)

    def next(self) -> Iterator[tuple[int, BlockStats]]:
        """Yield the blocks of the next portion with their statistics. Raises PlanError, IncompleteError."""
        if not self.asked:
            return
        with self._process.expected_alive():
            found = self._process.answer()
        yield from zip(self.asked.popleft(), found, strict=True)
        for portion in islice(self._left, 1):
            self._ask(portion)

    def _ask(self, portion: Sequence[int]) -> None:
        with self._process.expected_alive():
            self._process.ask("block_stats", portion)
        self.asked.append(portion)


def _portions(blocks: Sequence[Block], owned: Sequence[int]) -> list[list[int]]:
    """Return the blocks that a worker owns, cut into what it is asked for at a time."""
    portions: list[list[int]] = []
    room = 0
    for index in owned:
        if room <= 0 or len(portions[-1]) == _BLOCKS_ASKED:
            portions.append([])
            room = _OPERATIONS_ASKED
        portions[-1].append(index)
        room -= blocks[index].count
    return portions


class PlacerPool:
    """The workers of one run.

    Args:
        job: what to build.
        flags: read by the workers before each file.
        processes: how many to fork; 0 for none.
    """

    def __init__(self, job: Job, flags: SharedFlags, processes: int) -> None:
        self._job = job
        self._flags = flags
        self._copier = fs.Copier()
        self._folders: SharedFolders | None = None
        self._target: PackedTarget | None = None
        self._settings: PlacingSettings | None = None
        self._idle_threads: list[PlacerThread] = []
        self._processes: list[PlacerProcess] = []
        self._questions: list[_StatsQuestions] = []
        self.owned: list[list[int]] = shares(job.plan.header.blocks, processes) if processes else []
        try:
            for number, owned in enumerate(self.owned):
                self._processes.append(PlacerProcess(number, job, flags, self._processes))
                self._questions.append(_StatsQuestions(self._processes[-1], _portions(job.plan.header.blocks, owned)))
        except OSError:  # no process or memory left for this user: threads need neither
            self.close()
            self.owned = []
        except BaseException:
            self.close()
            raise
        self._idle_processes = list(self._processes)

    @property
    def processes(self) -> int:
        """How many worker processes there are."""
        return len(self._processes)

    def read_block_stats(self) -> Iterator[tuple[int, Any]]:
        """Yield the facts of every block as the processes send them; `Job.stats` knows all blocks once it ends.

        Nothing where there are no processes. Raises PlanError.
        """
        questions = list(self._questions)
        while questions:
            for each in questions:
                for index, found in each.next():
                    self._job.stats.add(index, found)
                    yield index, found.facts
            questions = [each for each in questions if each.asked]

    def begin(self, settings: PlacingSettings) -> None:
        """Let all workers get ready to place; none of them may be at work."""
        self._end_threads()
        self._settings = settings
        self._folders = SharedFolders(settings.tree)
        self._target = _packed_target(self._job, settings)
        tree = None if settings.tree is None else fs.open_identity(settings.tree.fd)
        for process in self._processes:
            with process.expected_alive():
                process.ask("begin", settings._replace(tree=None), tree)
        for process in self._processes:
            with process.expected_alive():
                process.answer()

    def idle_worker(self, kind: Kind) -> Worker | None:
        """Return an idle worker of a kind; a new thread where all are busy, None where there is no such process."""
        if kind == "processes":
            return self._idle_processes.pop(0) if self._idle_processes else None
        if self._idle_threads:
            return self._idle_threads.pop()
        assert self._settings is not None
        assert self._folders is not None
        settings, copier = self._settings, self._copier
        return PlacerThread(_placer(self._job, settings, self._folders, self._flags, copier, self._target))

    def give_back(self, worker: Worker, *, spent: bool) -> None:
        """Take back an idle worker; `spent`: nothing is left that this process could be given."""
        if isinstance(worker, PlacerThread):
            self._idle_threads.append(worker)
        elif isinstance(worker, PlacerProcess) and not spent:
            self._idle_processes.append(worker)

    def manifest(self, sums: Mapping[int, bytes | bytearray]) -> Iterator[Lines]:
        """Yield the manifest's lines of every block, in any order, each made where the block was parsed.

        Args:
            sums: of every block's images, end to end.
        """
        if not self._processes:
            for index, of_block in sums.items():
                yield from _manifest_of(self._job, index, bytes(of_block))
        for asked in zip_longest(
            *self.owned
        ):  # one question at a time, or both ends would wait for the other one to read
            pairs = [pair for pair in zip(self._processes, asked, strict=True) if pair[1] is not None]
            for process, index in pairs:
                with process.expected_alive():
                    process.ask("manifest", index, bytes(sums[index]))
            for process, _ in pairs:
                with process.expected_alive():
                    lines = process.answer()
                yield from lines

    def dismiss(self) -> None:
        """Tell idle processes to end: there are no more questions."""
        for process in self._processes:
            process.hang_up()

    def close(self) -> None:
        """End all workers and wait for them."""
        self.dismiss()
        for process in self._processes:
            process.close()
        self._processes, self._questions, self._idle_processes = [], [], []
        self._end_threads()

    def _end_threads(self) -> None:
        """Close the workers that are threads, and what they share."""
        for thread in self._idle_threads:
            thread.close()
        self._idle_threads = []
        if self._folders is not None:
            self._folders.close()
            self._folders = None
        if self._target is not None:
            self._target.close()
            self._target = None
