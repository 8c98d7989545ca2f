"""What a worker process answers: it parses blocks and keeps them, surveys them, places batches of them."""

import errno
from collections.abc import Sequence

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


class PlacerService:
    """What a worker process answers, by name; `switches` are shared with its parent."""

    def __init__(self, job: Job, switches: Switches) -> None:
        self._job = job
        self._switches = switches
        self._placer: Placer | None = None

    def survey(self, indices: Sequence[int]) -> list[BlockSurvey]:
        """Parse blocks, keep them, and say what each holds. Raises PlanError."""
        return [self._job.survey.surveyor.of(index, self._job.plan.read_block(index)) for index in indices]

    def begin(self, way: Mode, redo: bool, tree: tuple[int, int] | None) -> None:  # noqa: FBT001 - sent by position
        """Make ready to place; `tree` is device and inode of the staging folder, None where nothing is placed."""
        opened = None if tree is None else fs.Tree(self._job.staging)
        if opened is not None and fs.open_identity(opened.fd) != tree:
            raise OSError(errno.ESTALE, "it was replaced", self._job.staging)
        self._job.plan.all_was_read()
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
