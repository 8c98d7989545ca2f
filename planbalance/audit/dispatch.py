"""One pass over a planned dataset: each block of the plan is parsed once, its slices are judged, results are merged.

On a fast file system the interpreter takes most of the time: blocks go to worker processes, each of which parses,
judges and counts a block and returns a small result. Slow file systems, small plans and shards are judged in threads.
"""

import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from planbalance import packed_dataset
from planbalance.audit.file_facts import list_names, look
from planbalance.audit.partial_result import PartialResult, PassResult, packed
from planbalance.audit.slice_facts import ReadOptions
from planbalance.audit.slices import SliceJudge, judge_in_threads
from planbalance.executor import autoscaler
from planbalance.executor.processes import ProcessPool, available_cores
from planbalance.executor.threads import without_collecting
from planbalance.model import Progress
from planbalance.planfile import BlockFacts, Facts
from planbalance.planstore import PlanFile

_FAR_WORKERS: Final = 16
_SAMPLE: Final = 32
# A block of large images is judged in pieces of about so many bytes, so that the progress bar moves.
PIECE_BYTES: Final = 256 << 20


class SlicePass(NamedTuple):
    """One pass over a dataset.

    Attributes:
        root: the dataset's folder.
        plan: only its first line was checked so far.
        facts: finds what must be known of a block to check the plan.
        judge: judges the slices of some operations.
        reading: what is read of each slice.
        jobs: workers asked for, or None.
    """

    root: str
    plan: PlanFile
    facts: Facts
    judge: SliceJudge
    reading: ReadOptions
    jobs: int | None

    def run(self, progress: Progress) -> PassResult:
        """Check the plan and judge its slices.

        Raises:
            PlanError: the plan is damaged or hostile.
        """
        storage = _storage(self)
        slices = sum(block.count for block in self.plan.header.blocks)
        if not storage.far and slices >= autoscaler.LIMITS.worth_forking and self.jobs != 1:
            with without_collecting():
                return _in_processes(self, storage, progress)
        self.plan.check()
        pass_result = PassResult(PartialResult())
        jobs = self.jobs or (max(_FAR_WORKERS, available_cores()) if storage.far else self._threads())

        judge_in_threads(self.plan, self.judge, pass_result.result.merge, jobs=jobs, progress=progress)
        return pass_result

    def _threads(self) -> int:
        return available_cores() if self.reading.images else 1

    def of_parts(self, parts: Iterable[PartialResult]) -> PassResult:
        """Return the results of shards, merged into one pass. Raises PlanError."""
        self.plan.check()
        pass_result = PassResult(PartialResult())
        for judged in parts:
            pass_result.result.merge(judged)
        return pass_result


class _Storage(NamedTuple):
    """Whether a call takes long (a network or a remote disk), and how large images are on average."""

    far: bool
    image_bytes: float


def _storage(work: SlicePass) -> _Storage:
    """Return what a look at a few images of the first block's folder shows."""
    blocks = work.plan.header.blocks
    folder = f"{work.root}/{blocks[0].folder}" if blocks else work.root
    place = packed_dataset.inside(folder)
    if place is not None:
        first = place.dataset.names(place.path)[:_SAMPLE]
        found = [place.dataset.entry(f"{place.path}/{name}") for name in first]
        return _Storage(far=False, image_bytes=sum(each.size for each in found if each) / max(1, len(first)))
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _SAMPLE)]
    except OSError:
        return _Storage(far=False, image_bytes=0.0)
    start = time.perf_counter()
    sizes = [look(f"{folder}/{name}", follow=True).size for name in names]
    took = time.perf_counter() - start
    return _Storage(took > autoscaler.LIMITS.far_seconds * len(names), sum(sizes) / max(1, len(sizes)))


# ---- in processes ---------------------------------------------------------------------------------------------------


class _Piece(NamedTuple):
    """A task: judge a piece of a block or, where `block` is negative, list the folders of the plan."""

    block: int
    piece: int
    pieces: int


@dataclass(slots=True)
class _PieceResult:
    """What a worker has found out."""

    task: _Piece
    result: PartialResult = field(default_factory=PartialResult)
    slices: int = 0
    facts: BlockFacts | None = None
    listed: dict[str, str] = field(default_factory=dict)


_current_pass: list[SlicePass] = []  # the pass that workers run: it is here when they are forked


def _in_processes(work: SlicePass, storage: _Storage, progress: Progress) -> PassResult:
    blocks = work.plan.header.blocks
    pass_result = PassResult(PartialResult())
    facts: dict[int, BlockFacts] = {}
    _current_pass.append(work)
    try:
        with ProcessPool(work.jobs or available_cores()) as processes:  # forked before the progress bar starts a thread
            progress.begin("verify", sum(block.count for block in blocks), "slices")
            try:
                for _, done in processes.work_off(_judge_piece, _tasks(work, storage)):
                    pass_result.result.merge(done.result)
                    pass_result.listed.update(done.listed)
                    if done.facts is not None:
                        facts[done.task.block] = done.facts
                    progress.advance(done.slices, done.result.size)
            finally:
                progress.end()
    finally:
        _current_pass.remove(work)
    work.plan.check((index, facts[index]) for index in range(len(blocks)))
    pass_result.kept = [facts[index].kept for index in range(len(blocks))]
    return pass_result


def _tasks(work: SlicePass, storage: _Storage) -> Iterator[_Piece]:
    """Yield the tasks, the largest blocks first, so that all workers end at about the same time."""
    yield _Piece(-1, 0, 1)
    for index, block in sorted(enumerate(work.plan.header.blocks), key=lambda block: -block[1].count):
        pieces = 1
        if work.reading.images:
            pieces = min(block.count, math.ceil(storage.image_bytes * block.count / PIECE_BYTES)) or 1
        for piece in range(pieces):
            yield _Piece(index, piece, pieces)


def _judge_piece(task: _Piece) -> _PieceResult:
    """Do one task, in a worker or here. Raises PlanError."""
    work = _current_pass[-1]
    if task.block < 0:
        return _PieceResult(task, listed=_listed(work))
    operations = work.plan.read_block(task.block)
    done = _PieceResult(task)
    if task.piece == 0:
        done.facts = work.facts.of(work.plan.header.blocks[task.block].folder, operations)
    size = math.ceil(len(operations) / task.pieces)
    mine = operations[task.piece * size : (task.piece + 1) * size]
    done.result, done.slices = work.judge(mine), len(mine)
    return done


def _listed(work: SlicePass) -> dict[str, str]:
    """Return the names in the folders of the plan, packed as `PartialResult.are_all_of` needs them."""
    folders = {block.folder for block in work.plan.header.blocks}
    folders |= {f"labels{folder.removeprefix('images')}" for folder in folders}
    listed = {}
    for folder in sorted(folders):
        with suppress(OSError):  # the search for unplanned files reports it
            listed[folder] = packed(sorted(list_names(f"{work.root}/{folder}")))
    return listed
