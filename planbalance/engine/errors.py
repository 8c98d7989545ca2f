"""The files that could not be placed, whether they end a build, and the kernel's error numbers in plain words."""

import errno
import os.path
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from planbalance.engine.job import Job, command
from planbalance.errors import IncompleteError, InputError, PlanError
from planbalance.modes import MODE_TABLE
from planbalance.text import counted, error_text

_MOST_ERRORS: Final = 1_000  # after so many I/O errors the rest is not tried
_NAMED: Final = 3

# ---- error numbers --------------------------------------------------------------------------------------------------

FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))

# A mode is pinned once a build was begun.
_OTHER_MODE: Final = "use --mode symlink or copy, with --restart where the build was begun already"

# What happened, and what to do.
_ERRNO_MESSAGES: Final = {
    errno.ENOSPC: ("no space (or no inodes) left", "make room, then run the same command again"),
    errno.EDQUOT: ("your disk quota is used up", "make room or ask for quota, then run the same command again"),
    errno.EXDEV: (
        "source and output lie on different file systems (or file sets)",
        f"build on the source's file system, or {_OTHER_MODE}",
    ),
    errno.EMLINK: (
        "the source file has as many hard links as this file system allows",
        _OTHER_MODE,
    ),
    errno.EPERM: (
        "not permitted (the kernel refuses hard links to another user's files: fs.protected_hardlinks)",
        _OTHER_MODE,
    ),
    errno.EACCES: ("permission denied", "ask the owner for access"),
    errno.EROFS: ("the file system is read-only", "choose another output"),
    errno.EMFILE: ("too many open files", "raise `ulimit -n` or lower --jobs"),
    errno.ENFILE: ("the system has too many open files", "lower --jobs"),
    errno.ESTALE: ("the network file system lost the file (stale handle)", "run the same command again"),
    errno.ETIMEDOUT: ("the file system did not answer in time", "run the same command again"),
    errno.EIO: ("the disk or the network file system failed to read or write", "check the system log"),
    errno.EOPNOTSUPP: ("this file system does not support it", _OTHER_MODE),
    errno.ENOTSUP: ("this file system does not support it", _OTHER_MODE),  # the same number on Linux, another on macOS
    errno.EEXIST: ("a file of this name exists already", "use --restart"),
}


def reason(error: OSError) -> str:
    """Return what went wrong, in words."""
    known = _ERRNO_MESSAGES.get(error.errno or 0)
    return known[0] if known else error_text(error).lower()


def advice(number: int | None) -> str:
    """Return what to do about an error number; running again where nothing better is known."""
    known = _ERRNO_MESSAGES.get(number or 0)
    return known[1] if known else "run the same command again to resume"


# ---- the errors of a build ------------------------------------------------------------------------------------------


class FileError(NamedTuple):
    """One file that was not placed.

    Attributes:
        stale: because the source is not what was planned.
        path: of the source.
        reason: in words.
        errno: of the call that failed.
        refused: because such a file cannot be part of the dataset.
    """

    stale: bool
    path: str
    reason: str
    errno: int | None
    refused: bool = False


class FileErrors:
    """The files that a build could not place, in the order in which they were found.

    Attributes:
        stale: a source is not what was planned, so nothing will be published.
        give_up: the disk is full, or so many files fail that the rest is not tried.
    """

    def __init__(self) -> None:
        self.stale = self.give_up = False
        self._found: list[FileError] = []
        self._io_errors = 0

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._found)

    def add(self, errors: Iterable[FileError]) -> None:
        """Add those of a batch."""
        for error in errors:
            self._found.append(error)
            self.stale |= error.stale
            self._io_errors += not (error.stale or error.refused)
            self.give_up |= error.errno in FULL or self._io_errors >= _MOST_ERRORS

    @property
    def is_full(self) -> bool:
        """Whether the disk, or the user's part of it, is full."""
        return any(error.errno in FULL for error in self._found)

    def refuse(self, job: Job, missing: str = "") -> None:
        """Raise what keeps the build from being published, if anything does; `missing`: room, in words.

        Raises PlanError where the plan is stale, InputError where a source is refused, since running again would not
        help; else IncompleteError.
        """
        stale = [error for error in self._found if error.stale]
        if stale:
            _refuse_gone_inputs(job)
            raise PlanError(
                f"The plan is stale: {_counted(stale, 'source file')} not what was planned: {_examples(stale)}",
                kind="plan-stale",
                hint="make the plan again; what was built so far is kept until --restart or `planbalance clean`",
                paths=[error.path for error in stale],
            )
        refused = [error for error in self._found if error.refused]
        if refused:
            raise InputError(
                f"{_counted(refused, 'JPEG')} refused, since trainers would drop such an image from "
                f"a read-only dataset: {_examples(refused)}",
                kind="jpeg-cut",
                hint="save them again with any image program, or use --mode copy; --allow-cut-jpegs takes them as they "
                "are, for programs that read them",
                paths=[error.path for error in refused],
            )
        if self._found:
            raise IncompleteError(
                f"{_counted(self._found, 'file')} not placed: {_examples(self._found)}{missing and '; '}{missing}",
                kind="io-error",
                hint=_advice(self._found),
                paths=[error.path for error in self._found],
            )


def _refuse_gone_inputs(job: Job) -> None:
    """Refuse a stale plan of which a whole input is gone (PlanError): it was moved, or is not mounted here.

    An input is gone where not one of the images that the plan takes from it is there.
    """
    roots, planned = job.roots, job.plan.header.inputs
    asked: set[int] = set()
    there: set[int] = set()
    for operation in job.plan.operations():
        if len(there) == len(roots):
            return  # the usual stale plan: a few images changed, and all inputs are there
        index = operation.input
        asked.add(index)
        if index not in there and os.path.lexists(f"{roots[index].rstrip('/')}/{operation.image}"):
            there.add(index)
    gone = sorted(asked - there)
    if not gone:
        return
    paths = [roots[index] for index in gone]
    moved = {planned[index] for index in gone}
    kept = tuple(pair for pair in job.options.map_input if os.path.abspath(pair[0]) not in moved)
    options = replace(job.options, map_input=(*kept, *((root, "NEW") for root in sorted(moved))))
    # files of such a build hold the inputs' paths, so it cannot go on after the inputs moved
    restart = " --restart" if MODE_TABLE[options.mode].pins_inputs and options.shard is None else ""
    raise PlanError(
        f"The plan is stale: a whole input is gone, not one image of it is there: {', '.join(paths)}",
        kind="plan-stale",
        hint=f"if it was moved, or is mounted elsewhere, say where it is now, in place of NEW: "
        f"{command(job.plan.path, options)}{restart}",
        paths=paths,
    )


def _counted(errors: list[FileError], noun: str) -> str:
    return f"{counted(len(errors), noun)} {'is' if len(errors) == 1 else 'are'}"


def _examples(errors: list[FileError]) -> str:
    listed = "; ".join(
        f"{error.path} {'' if error.stale or error.refused else '- '}{error.reason}" for error in errors[:_NAMED]
    )
    return f"{listed}; and {len(errors) - _NAMED:,} more" if len(errors) > _NAMED else listed


def _advice(errors: list[FileError]) -> str:
    numbers = [error.errno for error in errors]
    return advice(next((number for number in numbers if number in FULL), numbers[0]))


def broken_off(output: str, error: OSError, missing: str = "") -> IncompleteError:
    """Return the error for a failed call on which the whole build depends; `missing`: room, in words."""
    at = f" ({error.filename})" if error.filename else ""
    return IncompleteError(
        f"The build of {output} broke off: {reason(error)}{at}{missing and '; '}{missing}",
        kind="io-error",
        hint=advice(error.errno),
        paths=[str(error.filename)] if error.filename else [output],
    )
