"""Who places batches: processes forked at the start, or threads of this process; each is a lane, one batch at a time.

Processes, since small files and links cost more in the interpreter than in the kernel, and two of them do not wait for
one interpreter lock. Threads where calls wait for a disk or a server: they cost next to nothing, so there may be many.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any, Final, NamedTuple, Protocol

from planbalance import fs
from planbalance.engine.folders import SharedFolders
from planbalance.engine.job import Job
from planbalance.engine.manifest import Lines
from planbalance.engine.schedule import Batch, shares
from planbalance.engine.survey import BlockSurvey
from planbalance.engine.switches import Switches
from planbalance.engine.work import Placer, Result
from planbalance.engine.worker import PlacerService, manifest_of
from planbalance.errors import IncompleteError
from planbalance.executor.autoscaler import Kind
from planbalance.executor.processes import Child, ChildGoneError
from planbalance.model import Block, Mode
from planbalance.planfile import BlockFacts

# A worker is asked to survey blocks of about so many operations at a time, and so many times ahead. More than these
# few short questions might not fit into the line, and both ends would wait for the other one to read.
_ASKED: Final = 4_096
_BLOCKS_ASKED: Final = 256
_AHEAD: Final = 16


class Lane(Protocol):
    """One worker as the run sees it."""

    @property
    def kind(self) -> Kind:
        """Which kind it is."""

    @property
    def owner(self) -> int | None:
        """Its number among those that have parsed blocks of their own."""

    def place(self, batch: Batch) -> Result:
        """Place a batch; blocks. Raises PlanError, IncompleteError where the worker died."""

    def close(self) -> None:
        """End it."""


class Placing(NamedTuple):
    """What all workers of a run are told before they place: the way, what names may be there, and where."""

    way: Mode
    redo: bool
    tree: fs.Tree | None


class Process(Child):
    """A worker process, from its parent's side.

    It is killed when its parent dies: nobody may place names in a staging folder whose lock is free.
    """

    kind: Final = "processes"

    def __init__(self, number: int, job: Job, switches: Switches, siblings: Sequence["Process"]) -> None:
        super().__init__(lambda: PlacerService(job, switches), siblings, kill_with_parent=True)
        self.owner: int | None = number

    def ask(self, method: str, *arguments: object) -> None:
        """Ask its `PlacerService` for something. Raises IncompleteError where it died."""
        try:
            super().ask(method, *arguments)
        except ChildGoneError:
            raise self._died() from None

    def answer(self) -> Any:  # noqa: ANN401 - whatever was asked for
        """Wait for the next answer. Raises what the worker raised; IncompleteError where it died."""
        try:
            return super().answer()
        except ChildGoneError:
            raise self._died() from None

    def place(self, batch: Batch) -> Result:
        """Place a batch."""
        self.ask("place", batch)
        result: Result = self.answer()
        return result

    def close(self) -> None:
        """Let it end, and wait for that; a second call does nothing."""
        self.hang_up()
        self.reap()

    def _died(self) -> IncompleteError:
        return IncompleteError(
            f"A worker process {self.reap()} before its work was done, perhaps for want of memory",
            kind="worker-died",
            hint="run the same command again to resume; --jobs 1 works without worker processes",
        )


class Thread:
    """A worker thread: any thread may call it, one at a time."""

    kind: Final = "threads"
    owner: Final = None

    def __init__(self, placer: Placer) -> None:
        self._placer = placer

    def place(self, batch: Batch) -> Result:
        """Place a batch."""
        return self._placer.place(batch)

    def close(self) -> None:
        """Close what it has open."""
        self._placer.close()


class _Surveys:
    """What a process is asked to survey: a few portions ahead, so that it need not wait while this process is busy.

    Attributes:
        asked: the portions whose answers are due.
    """

    def __init__(self, process: Process, portions: Sequence[Sequence[int]]) -> None:
        self._process = process
        self._left = iter(portions)
        self.asked: deque[Sequence[int]] = deque()
        for portion in islice(self._left, _AHEAD):
            self._ask(portion)

    def next(self) -> Iterator[tuple[int, BlockSurvey]]:
        """Yield the blocks of the next portion with their surveys. Raises PlanError, IncompleteError."""
        if not self.asked:
            return
        found = self._process.answer()
        yield from zip(self.asked.popleft(), found, strict=True)
        for portion in islice(self._left, 1):
            self._ask(portion)

    def _ask(self, portion: Sequence[int]) -> None:
        self._process.ask("survey", portion)
        self.asked.append(portion)


def _portions(blocks: Sequence[Block], owned: Sequence[int]) -> list[list[int]]:
    """Return the blocks that a worker owns, cut into what it is asked for at a time."""
    portions: list[list[int]] = []
    room = 0
    for index in owned:
        if room <= 0 or len(portions[-1]) == _BLOCKS_ASKED:
            portions.append([])
            room = _ASKED
        portions[-1].append(index)
        room -= blocks[index].count
    return portions


class Crew:
    """The workers of one run.

    Args:
        job: what to build.
        switches: how the run reaches its workers.
        processes: how many to fork; 0 for none.
    """

    def __init__(self, job: Job, switches: Switches, processes: int) -> None:
        self._job = job
        self._switches = switches
        self._copier = fs.Copier()
        self._folders: SharedFolders | None = None
        self._placing: Placing | None = None
        self._rested: list[Thread] = []
        self._processes: list[Process] = []
        self._surveys: list[_Surveys] = []
        self.owned: list[list[int]] = shares(job.plan.header.blocks, processes) if processes else []
        try:
            for number, owned in enumerate(self.owned):
                self._processes.append(Process(number, job, switches, self._processes))
                self._surveys.append(_Surveys(self._processes[-1], _portions(job.plan.header.blocks, owned)))
        except OSError:  # no process or memory left for this user: threads need neither
            self.close()
            self.owned = []
        except BaseException:
            self.close()
            raise
        self._idle = list(self._processes)

    @property
    def processes(self) -> int:
        """How many worker processes there are."""
        return len(self._processes)

    def survey(self) -> Iterator[tuple[int, BlockFacts]]:
        """Yield the facts of every block as the processes find them; all is known of these blocks once it ends.

        Nothing where there are no processes. Raises PlanError.
        """
        surveys = list(self._surveys)
        while surveys:
            for each in surveys:
                for index, found in each.next():
                    self._job.survey.add(index, found)
                    yield index, found.facts
            surveys = [each for each in surveys if each.asked]

    def begin(self, placing: Placing) -> None:
        """Make all ready to place."""
        self._placing = placing
        self._folders = SharedFolders(placing.tree)
        tree = None if placing.tree is None else fs.open_identity(placing.tree.fd)
        for process in self._processes:
            process.ask("begin", placing.way, placing.redo, tree)
        for process in self._processes:
            process.answer()

    def lane(self, kind: Kind) -> Lane | None:
        """Return an idle worker of a kind; a new thread where all are busy, None where there is no such process."""
        if kind == "processes":
            return self._idle.pop(0) if self._idle else None
        if self._rested:
            return self._rested.pop()
        assert self._placing is not None
        assert self._folders is not None
        way, redo, _ = self._placing
        return Thread(Placer(self._job, way, self._folders, self._switches, redo=redo, copier=self._copier))

    def rest(self, lane: Lane, *, spent: bool) -> None:
        """Take a worker back that has nothing to do; `spent`: a process will not have more later on."""
        if isinstance(lane, Thread):
            self._rested.append(lane)
        elif isinstance(lane, Process) and not spent:
            self._idle.append(lane)

    def manifest(self, sums: Mapping[int, bytes | bytearray]) -> Iterator[Lines]:
        """Yield the manifest's lines of every block, in any order, each made where the block was parsed.

        Args:
            sums: of every block's images, end to end.
        """
        if not self._processes:
            for index, of_block in sums.items():
                yield from manifest_of(self._job, index, bytes(of_block))
        for asked in zip_longest(*self.owned):  # one question at a time, or both ends would wait to be read
            pairs = [pair for pair in zip(self._processes, asked, strict=True) if pair[1] is not None]
            for process, index in pairs:
                process.ask("manifest", index, bytes(sums[index]))
            for process, _ in pairs:
                yield from process.answer()

    def dismiss(self) -> None:
        """Let idle processes end: nothing will be asked of them any more."""
        for process in self._processes:
            process.hang_up()

    def close(self) -> None:
        """End all workers and wait for them."""
        self.dismiss()
        lanes: tuple[Lane, ...] = (*self._processes, *self._rested)
        for lane in lanes:
            lane.close()
        self._processes, self._surveys, self._idle, self._rested = [], [], [], []
        if self._folders is not None:
            self._folders.close()
