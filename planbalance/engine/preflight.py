"""What is refused before a byte is written: overlapping paths, an existing output, no space, a mode that fails."""

import errno
import os.path
import shlex
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from planbalance import fs, guard
from planbalance.engine import words
from planbalance.engine.job import Job
from planbalance.engine.staging import PROBE, Staging
from planbalance.errors import IncompleteError, PlanError
from planbalance.model import Mode
from planbalance.places import all_guarded

_RECEIPT_LIMIT: Final = 1 << 20
# Files at the root, in hyps/ and in .planbalance/, and the folders that hold them.
_FIXED_INODES: Final = 20


# ---- where --------------------------------------------------------------------------------------------------------


def refuse_overlap(job: Job) -> None:
    """Refuse an output equal to, inside or around an input, by name and by device and inode (UsageError)."""
    guard.refuse_output(job.output, all_guarded(job.roots, job.plan.header.sources))


def refuse_output(job: Job) -> bool:
    """Refuse an output that exists and is not an empty folder (PlanError); return whether an empty one is there."""
    try:
        now = fs.look(job.output)
        if now is None:
            return False
        empty = fs.is_empty_folder(job.output) if not os.path.islink(job.output) else False
    except NotADirectoryError:
        empty = False
    except OSError as error:
        raise PlanError(
            f"The output {job.output} cannot be looked at: {words.reason(error)}",
            kind="output-exists",
            hint="choose another output",
            paths=[job.output],
        ) from None
    if empty:
        _refuse_mount_point(job)
        return True
    if _receipt_digest(job.output) == job.plan.header.digest:
        raise PlanError(
            f"{job.output} is already built, run verify",
            kind="already-built",
            hint=f"run verify: planbalance verify {job.output}",
            paths=[job.output],
        )
    raise PlanError(
        f"The output {job.output} exists and is not an empty folder",
        kind="output-exists",
        hint="choose another output, or move the old one away",
        paths=[job.output],
    )


def _refuse_mount_point(job: Job) -> None:
    """Refuse an empty folder on which another file system is mounted: no rename can put a data set there."""
    here, above = fs.identity(job.output), fs.identity(os.path.dirname(job.output))
    if here is not None and above is not None and here[0] != above[0]:
        raise PlanError(
            f"The output {job.output} is where another file system is mounted, which cannot be replaced",
            kind="output-is-mount-point",
            hint=f"build into a folder in it, such as {job.output}/dataset",
            paths=[job.output],
        )


def _receipt_digest(output: str) -> str | None:
    try:
        receipt = orjson.loads(fs.read_path(f"{output}/{fs.OWN}/{fs.RECEIPT}", _RECEIPT_LIMIT))
    except (OSError, orjson.JSONDecodeError):
        return None
    digest = receipt.get("digest") if isinstance(receipt, dict) else None
    return digest if isinstance(digest, str) else None


def refuse_parent(job: Job) -> str:
    """Refuse a parent in which no name can be made (PlanError); return the nearest folder that is there."""
    at = os.path.dirname(job.output)
    while fs.identity(at) is None and at != "/":
        at = os.path.dirname(at)
    if not os.path.isdir(at) or not fs.may_make_names(at):
        why = "it is not writable" if os.path.isdir(at) else "it is not a folder"
        raise PlanError(
            f"The output {job.output} cannot be made in {at}: {why}",
            kind="parent-not-writable",
            hint="choose another output, or ask for write access",
            paths=[at],
        )
    return at


def refuse_absent_inputs(job: Job) -> None:
    """Refuse a shard on a node that does not see an input (IncompleteError): on another node it can be done."""
    absent = {at: root for root, at in zip(job.plan.header.inputs, job.roots, strict=True) if fs.identity(at) is None}
    for at, root in absent.items():
        raise IncompleteError(
            f"This node ({socket.gethostname()}) does not see the input {at}; shard {job.options.shard} was not "
            "done here",
            kind="input-not-here",
            hint=f"mount it here, say where it is here with --map-input {shlex.quote(root)}=NEW, or run this shard on "
            "another node",
            paths=list(absent),
        )


def refuse_lists_misread(job: Job) -> None:
    """Refuse `--mode list` where trainers would not find an image, or a label by its image's path (PlanError)."""
    lists = list(job.survey.lists())
    torn = [path for each in lists for path in each.torn]
    if torn:
        raise _would_lose("images", torn, f"end a line at the separator in {len(torn):,} paths, such as {torn[0]!a}")
    lost = [path for each in lists for path in each.lost]
    if lost:
        why = "put /labels/ for the last /images/ in an image's path, and of "
        raise _would_lose("labels", lost, f"{why}{len(lost):,} images the label is not there, such as {lost[0]}")


def _would_lose(what: str, paths: Sequence[str], why: str) -> PlanError:
    return PlanError(
        f"--mode list would lose {what}: trainers {why}",
        kind=f"{what}-lost",
        hint="use --mode symlink or copy",
        paths=paths,
    )


# ---- how much -----------------------------------------------------------------------------------------------------


def refuse_space(job: Job, way: Mode, at: str, *, share_left: float = 1.0) -> None:
    """Refuse a build that the file system under `at` has no room for: an estimate by mode (PlanError).

    `share_left`: the share of the operations that an earlier run has not done yet.
    """
    room = fs.room(at)
    size, inodes = _estimate(job, way, room.block)
    size, inodes = int(size * share_left), int(inodes * share_left)
    other = "choose another output" if way == "symlink" else "choose another output, or use --mode symlink"
    for wanted, free, what in ((size, room.free, "bytes"), (inodes, room.inodes, "inodes")):
        if free is not None and wanted > free:
            raise PlanError(
                f"Not enough room for {job.output}: about {wanted:,} {what} are needed (an estimate), {free:,} free",
                kind=f"no-{'space' if what == 'bytes' else what}",
                hint=f"make room, {other}; a quota may allow even less than what is free",
                paths=[at],
            )


def _estimate(job: Job, way: Mode, block: int) -> tuple[int, int]:
    """Return bytes and inodes: content in whole blocks where it is copied; names, links and folders in any case."""
    if way == "list":
        return sum(len(each.lines) for each in job.survey.lists()), _FIXED_INODES
    slices = job.slices
    folders = 2 * len({each.folder for each in job.plan.header.blocks})
    names = 2 * slices * 64  # a directory entry and its share of an index
    linked_labels = job.options.labels == "same" and way == "hardlink"
    inodes = {"hardlink": 0 if linked_labels else slices}.get(way, 2 * slices)
    if way != "copy":
        return names + folders * block, inodes + folders + _FIXED_INODES
    return job.survey.content() + names, inodes + folders + _FIXED_INODES


# ---- whether it works ---------------------------------------------------------------------------------------------


def settle_mode(job: Job, staging: Staging) -> tuple[Mode, str | None]:
    """Try the mode with a real link and a real rename; return how images are placed and a warning after a fallback.

    Raises PlanError where the file system refuses it and no fallback is allowed.
    """
    mode = job.options.mode
    if staging.header is not None:
        way: Any = staging.header.get("way", mode)
        return way, _fallback_warning(job, None) if way != mode else None
    refusal = None if mode in ("copy", "list") else _probe_all(job, mode, staging)
    if refusal is None:
        return mode, None
    if job.options.fallback == "copy":
        return "copy", _fallback_warning(job, refusal)
    raise PlanError(
        f"--mode {mode} does not work from {refusal[0]} to {os.path.dirname(job.output)}: {words.reason(refusal[1])}",
        kind="mode-refused",
        hint=f"{words.advice(refusal[1].errno)}; or give --fallback copy",
        paths=[refusal[0]],
    )


def _fallback_warning(job: Job, refusal: tuple[str, OSError] | None) -> str:
    why = f" ({words.reason(refusal[1])})" if refusal is not None else ""
    return f"--mode {job.options.mode} does not work here{why}: images were copied instead, as --fallback copy allows"


def _probe_all(job: Job, mode: Mode, staging: Staging) -> tuple[str, OSError] | None:
    for operation in job.survey.samples():
        folder, _, name = operation.image.rpartition("/")
        path = os.path.join(job.roots[operation.input], folder)
        refused = _probe(mode, path, name, staging.own)
        if refused is not None:
            return os.path.join(path, name), refused
    return None


def _probe(mode: Mode, folder: str, name: str, own: int) -> OSError | None:
    """Make a real link to a source file, rename it and take it away; return the refusal."""
    try:
        source = fs.open_source_folder(folder)
    except OSError:
        return None  # a stale plan, which is found and said later
    probe = f"{PROBE}-{next(fs.temporary_names())}"  # of its own: other shards may probe at the same moment
    try:
        return _refusal(mode, source, f"{folder}/{name}", name, own, probe)
    finally:
        fs.close(source)
        for left in (probe, f"{probe}.moved"):
            with suppress(FileNotFoundError):
                fs.unlink(left, own)


def _refusal(mode: Mode, source: int, path: str, name: str, own: int, probe: str) -> OSError | None:
    try:
        fs.facts(name, source)
    except OSError:
        return None
    try:
        if mode == "symlink":
            fs.symlink(path, probe, own)
        elif mode == "hardlink":
            fs.hard_link(name, source, probe, own)
        else:
            _probe_clone(name, source, own, probe)
        fs.rename_within(probe, f"{probe}.moved", own)
    except OSError as error:
        if error.errno in words.FULL:
            raise PlanError(
                f"No room to begin with: {words.reason(error)}",
                kind="no-space",
                hint=words.advice(error.errno),
            ) from None
        return error
    return None


def _probe_clone(name: str, source: int, own: int, probe: str) -> None:
    opened = fs.open_source(name, source)
    try:
        with fs.new_file(probe, own) as target:
            fs.clone(opened, target)
    finally:
        fs.close(opened)


def refuse_unsafe(job: Job, at: str) -> None:
    """Refuse `--durability safe` where a folder cannot be put on disk (PlanError)."""
    if job.options.durability != "safe":
        return
    try:
        fs.sync_folder(at)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise PlanError(
                f"--durability safe cannot be promised here: {at} cannot be synced ({words.reason(error)})",
                kind="durability-refused",
                hint="use --durability fast",
                paths=[at],
            ) from None
        raise
