"""The end of a build: one rename, in which the output appears."""

import errno
import os.path
from contextlib import suppress

from planbalance import fs
from planbalance.engine import words
from planbalance.engine.job import Job
from planbalance.engine.staging import Staging
from planbalance.errors import IncompleteError, PlanError


def publish(job: Job, staging: Staging, *, onto_empty: bool) -> None:
    """Let the output appear in one step.

    With durability safe everything below is on disk already (`JournalFile.vouch`), and the output's name is put there.
    Raises PlanError where the output exists by now; IncompleteError where its name could not be put on disk; OSError.
    """
    try:
        fs.move_folder(job.staging, job.output, onto_empty=onto_empty)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise PlanError(
            f"The output {job.output} appeared while it was built",
            kind="output-exists",
            hint=f"move it away and run the same command again; the build is kept in {job.staging}",
            paths=[job.output],
        ) from None
    if job.options.durability == "safe":
        _sync_parent(job)
    _tidy(staging)


def _sync_parent(job: Job) -> None:
    parent = os.path.dirname(job.output)
    try:
        fs.sync_folder(parent)
    except OSError as error:
        raise IncompleteError(
            f"{job.output} is complete, but its name could not be put on disk: {words.reason(error)}",
            kind="sync-failed",
            hint="verify it after the next boot",
            paths=[parent],
        ) from None


def _tidy(staging: Staging) -> None:
    """Take the working files out of the published folder; what a kill leaves there is harmless."""
    with suppress(OSError):
        for name in sorted(fs.list_folder(staging.own).keys() - {fs.PLAN, fs.RECEIPT}):
            with suppress(OSError):
                fs.unlink(name, staging.own)
