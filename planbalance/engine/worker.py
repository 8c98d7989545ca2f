"""A worker process: parses blocks and keeps them, surveys them, places batches of them. Forked before any thread is.

It is asked over a socket and answers over it, one thing at a time. It ends when the socket ends, and at once when its
parent dies: nobody may place names in a staging folder whose lock is free.
"""

import ctypes
import errno
import os
import pickle
import signal
import socket
from typing import Final

from planbalance import fs
from planbalance.destination import Destinations
from planbalance.engine.folders import SOURCES_ALONE, SharedFolders
from planbalance.engine.job import Job
from planbalance.engine.manifest import Lines, block_lines
from planbalance.engine.schedule import Batch
from planbalance.engine.survey import BlockSurvey
from planbalance.engine.switches import Switches
from planbalance.engine.work import Placer, Result
from planbalance.model import Mode

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def serve(channel: socket.socket, parent: int, job: Job, switches: Switches) -> None:
    """Do what is asked for over `channel` until it is closed.

    Args:
        channel: this worker's end.
        parent: the process that forked it.
        job: what to build.
        switches: shared with the parent.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal and Slurm send them to all; the parent says what to do
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    worker = _Worker(job, switches)
    with channel, channel.makefile("rwb") as stream:
        while True:
            try:
                name, arguments = pickle.load(stream)  # noqa: S301 - from its own parent
            except (EOFError, ConnectionError):
                return
            stream.write(pickle.dumps(_answer(worker, name, arguments), pickle.HIGHEST_PROTOCOL))
            stream.flush()


def _answer(worker: "_Worker", name: str, arguments: tuple[object, ...]) -> tuple[str, object]:
    """Return ("done", value) or ("raised", exception)."""
    try:
        return "done", getattr(worker, name)(*arguments)
    except Exception as error:  # raised again in the parent
        return "raised", error


class _Worker:
    """What can be asked for, by name."""

    def __init__(self, job: Job, switches: Switches) -> None:
        self._job = job
        self._switches = switches
        self._placer: Placer | None = None

    def survey(self, index: int) -> BlockSurvey:
        """Parse a block, keep it, and say what it holds. Raises PlanError."""
        return self._job.survey.surveyor.of(index, self._job.plan.read_block(index))

    def begin(self, way: Mode, redo: bool, tree: tuple[int, int] | None) -> None:  # noqa: FBT001 - sent by position
        """Make ready to place; `tree` is device and inode of the staging folder, None where nothing is placed."""
        opened = None if tree is None else fs.Tree(self._job.staging)
        if opened is not None and fs.open_identity(opened.fd) != tree:
            raise OSError(errno.ESTALE, "it was replaced", self._job.staging)
        folders = SharedFolders(opened, SOURCES_ALONE)
        self._placer = Placer(self._job, way, folders, self._switches, redo=redo, copier=fs.Copier())

    def place(self, batch: Batch) -> Result:
        """Place a batch. Raises PlanError where the plan file changed under the run."""
        assert self._placer is not None
        return self._placer.place(batch)

    def manifest(self, index: int, sums: bytes) -> tuple[Lines, Lines]:
        """Return a block's lines of the manifest."""
        return manifest_of(self._job, index, sums)


def manifest_of(job: Job, index: int, sums: bytes) -> tuple[Lines, Lines]:
    """Return the manifest's lines of block `index`; `sums` are its images', end to end. Raises PlanError."""
    header = job.plan.header
    return block_lines(Destinations(header.sources, header.parameters["layout"]), job.plan.read_block(index), sums)
