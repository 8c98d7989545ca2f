"""What is checked before a byte is written: overlapping paths, an existing output, room, a mode that fails."""

import errno
import os.path
import re
import shlex
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from planbalance import dataset_files, fs, path_safety
from planbalance.destination import clashing_ids
from planbalance.engine.errors import FULL, advice, reason
from planbalance.engine.job import Job
from planbalance.engine.placer import place_unchecked
from planbalance.engine.placer_pool import PlacerPool
from planbalance.engine.staging import PROBE, Staging, effective_mode, refuse_other_there
from planbalance.errors import IncompleteError, PlanError
from planbalance.modes import MODE_TABLE, Mode
from planbalance.packed.entry import PackedError
from planbalance.packed_dataset import document
from planbalance.path_relation import all_guarded
from planbalance.text import counted, size

_LONGEST_SUM: Final = 512
_SUM: Final = re.compile(rb"[0-9a-f]{64}  [^\n]*\n?\Z|[0-9a-f]{0,64} {0,2}\0*\Z")
_RECEIPT_LIMIT: Final = 1 << 20
# Files at the root, in hyps/ and in .planbalance/, and the folders that hold them.
_FIXED_INODES: Final = 20

# The kind of the refusal, what is needed, what is free if that is known, and how such a number is written.
_Need = tuple[str, int, int | None, Callable[[int], str]]


def check(job: Job, pool: PlacerPool) -> None:
    """Check the whole plan, the inputs and the output (all errors that `apply_plan` names).

    A shard checks what it reads as it reads; what only the whole plan shows, `--finish` checks.
    """
    if job.options.shard is None:
        job.plan.check(pool.read_block_stats() if pool.processes else job.stats.facts())
    else:
        for _ in pool.read_block_stats():
            pass
        refuse_absent_inputs(job)
    refuse_overlap(job)
    refuse_output(job)
    refuse_lists_misread(job)
    at = refuse_parent(job)
    refuse_unsafe(job, at)
    if fs.look(job.staging) is None:
        refuse_space(job, job.options.mode, at)
    elif job.options.dry_run and not job.options.restart:
        refuse_other_there(job)


# ---- paths --------------------------------------------------------------------------------------------------------


def refuse_overlap(job: Job) -> None:
    """Refuse an output equal to, inside or around an input, by name and by device and inode (UsageError)."""
    path_safety.refuse_output(job.output, all_guarded(job.roots, job.kind.sources))


def refuse_output(job: Job) -> bool:
    """Refuse an output that exists and is not an empty folder (PlanError); return whether an empty one is there."""
    try:
        now = fs.look(job.output)
        if now is None:
            _refuse_sum_there(job)
            return False
        if job.packing is not None:
            raise _output_exists(job)
        empty = fs.is_empty_folder(job.output) if not os.path.islink(job.output) else False
    except NotADirectoryError:
        empty = False
    except OSError as error:
        raise PlanError(
            f"The output {job.output} cannot be looked at: {reason(error)}",
            kind="output-exists",
            hint="choose another output",
            paths=[job.output],
        ) from None
    if empty:
        _refuse_mount_point(job)
        return True
    raise _output_exists(job)


def _output_exists(job: Job) -> PlanError:
    if _receipt_digest(job.output) == job.plan.header.digest:
        hint = shlex.join(["planbalance", "verify", job.output])
        if job.packing is not None and fs.look(job.staging) is not None:
            hint += f"\na run that was killed has left {job.staging}: planbalance clean removes it"
        return PlanError(
            f"{job.output} is already built, run verify",
            kind="already-built",
            hint=hint,
            paths=[job.output],
        )
    return PlanError(
        f"The output {job.output} exists and is not an empty folder"
        if job.packing is None
        else f"The output {job.output} exists, and no file is written over",
        kind="output-exists",
        hint="choose another output, or move the old one away",
        paths=[job.output],
    )


def _refuse_sum_there(job: Job) -> None:
    """Refuse a packed dataset beside whose place another file than a sum lies (PlanError)."""
    path = job.output + dataset_files.SUM_SUFFIX
    if job.packing is None or fs.look(path) is None or is_left_behind(path):
        return
    raise PlanError(
        f"The output {path} exists, and no file is written over",
        kind="output-exists",
        hint="the sum of the output is to be written there: move it away, or choose another output",
        paths=[path],
    )


def is_left_behind(path: str) -> bool:
    """Return whether a file is the sum of an output that is not there: it says nothing of any file, and is replaced.

    A run that was killed has left it, or a machine that failed, perhaps with zeros in it. Raises OSError.
    """
    now = fs.look(path)
    return now is not None and stat.S_ISREG(now.st_mode) and bool(_SUM.match(fs.read_path(path, _LONGEST_SUM)))


def _refuse_mount_point(job: Job) -> None:
    """Refuse an empty folder on which another file system is mounted: no rename can put a dataset there."""
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
        packed = document(output, dataset_files.RECEIPT, _RECEIPT_LIMIT)
        receipt = orjson.loads(
            packed if packed is not None else fs.read_path(f"{output}/{dataset_files.RECEIPT}", _RECEIPT_LIMIT)
        )
    except (OSError, PackedError, orjson.JSONDecodeError):
        return None
    digest = receipt.get("digest") if isinstance(receipt, dict) else None
    return digest if isinstance(digest, str) else None


def refuse_parent(job: Job) -> str:
    """Refuse an output that cannot be made in its parent folder (PlanError); return the nearest folder that exists."""
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
    lists = list(job.stats.lists())
    broken = [path for each in lists for path in each.broken]
    if broken:
        raise _would_lose(
            "images", broken, f"end a line at the separator in {len(broken):,} paths, such as {broken[0]!a}"
        )
    lost = [path for each in lists for path in each.without_label]
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


# ---- free space -----------------------------------------------------------------------------------------------------


def refuse_space(job: Job, mode: Mode, at: str, *, share_left: float = 1.0) -> None:
    """Refuse a build for which the file system under `at` has no room, by an estimate for the mode (PlanError).

    `share_left`: the share of the operations that an earlier run has not done yet.
    """
    other = "choose another output" if MODE_TABLE[mode].by_path else "choose another output, or use --mode symlink"
    what = ""
    if job.renders_first and job.options.shard is None:
        what = " (for the rendered slices, and for the file that they are then copied into)"
        other = "choose another output, or build a folder with --mode copy, which needs half of that"
    for kind, wanted, free, shown in _room(job, mode, at, share_left):
        if free is not None and wanted > free:
            asked = shown(wanted) + (what if kind == "no-space" else "")
            raise PlanError(
                f"Not enough room for {job.output}: about {asked} are needed (an estimate), and {shown(free)} are "
                f"free, so {shown(wanted - free)} are missing: make room, and run the same command again",
                kind=kind,
                hint=f"or {other}; a quota may allow even less than what is free",
                paths=[at],
            )


def missing_room(job: Job, mode: Mode, *, share_left: float) -> str:
    """Return what the rest of a build needs beyond what is free, for a message; "" where the file system is silent.

    A quota shows more room than there is: then what the rest needs is said.
    """
    try:
        needs = list(_room(job, mode, job.staging, share_left))
    except OSError:
        return ""
    missing = [shown(wanted - free) for _, wanted, free, shown in needs if free is not None and wanted > free]
    if missing:
        return f"about {' and '.join(missing)} more are needed (an estimate)"
    return f"about {needs[0][3](needs[0][1])} are still needed (an estimate)"


def _room(job: Job, mode: Mode, at: str, share_left: float) -> Iterator[_Need]:
    """Yield what the rest of a build needs of bytes and of inodes, and what is free. OSError."""
    room = fs.room(at)
    whole, inodes = _estimate(job, mode, room.block)
    wanted = int(whole * share_left)
    if job.packing is not None and job.renders_first and job.options.shard is None:
        wanted += job.packing.places.most  # has not been given yet
    yield "no-space", wanted, room.free, size
    yield "no-inodes", int(inodes * share_left), room.inodes, lambda number: counted(number, "inode")


def _estimate(job: Job, mode: Mode, block: int) -> tuple[int, int]:
    """Return bytes and inodes: content in whole blocks where it is copied; names, links and folders in any case."""
    traits = MODE_TABLE[mode]
    if job.renders_first:
        return job.stats.rendered(), _FIXED_INODES
    if job.packing is not None:
        given = job.options.shard or fs.look(job.staging)  # by `packed_file.make_file`
        return (0 if given else job.packing.places.most), _FIXED_INODES
    if not traits.places_files:
        return sum(len(each.lines) for each in job.stats.lists()), _FIXED_INODES
    slices = job.slices
    folders = 2 * len({each.folder for each in job.plan.header.blocks})
    names = 2 * slices * 64  # a directory entry and its share of an index
    labels_take_inode = traits.takes_inode or job.options.labels == "copy"
    inodes = slices * (traits.takes_inode or job.kind.renders) + slices * labels_take_inode
    if not (traits.copies_images or job.kind.renders):
        return names + folders * block, inodes + folders + _FIXED_INODES
    return job.stats.content() + names, inodes + folders + _FIXED_INODES


# ---- the mode ---------------------------------------------------------------------------------------------


def settle_mode(job: Job, staging: Staging) -> tuple[Mode, str | None]:
    """Try the mode with a real link and a real rename; return how images are placed and a warning after a fallback.

    Raises PlanError where the file system refuses it and no fallback is allowed.
    """
    mode = job.options.mode
    if staging.header is not None:
        effective = effective_mode(staging.header) or mode
        return effective, _fallback_warning(job, None) if effective != mode else None
    refusal = _try_all(job, mode, staging) if MODE_TABLE[mode].may_be_refused else None
    if refusal is None:
        return mode, None
    if job.options.fallback == "copy":
        return "copy", _fallback_warning(job, refusal)
    raise PlanError(
        f"--mode {mode} does not work from {refusal[0]} to {os.path.dirname(job.output)}: {reason(refusal[1])}",
        kind="mode-refused",
        hint=f"{advice(refusal[1].errno)}; or give --fallback copy",
        paths=[refusal[0]],
    )


def _fallback_warning(job: Job, refusal: tuple[str, OSError] | None) -> str:
    why = f" ({reason(refusal[1])})" if refusal is not None else ""
    return f"--mode {job.options.mode} does not work here{why}: images were copied instead, as --fallback copy allows"


def _try_all(job: Job, mode: Mode, staging: Staging) -> tuple[str, OSError] | None:
    for operation in job.stats.samples():
        path = os.path.join(job.roots[operation.input], operation.image)
        refused = _try(mode, operation, path, staging.own)
        if refused is not None:
            return path, refused
    return None


def _try(mode: Mode, operation: Any, path: str, own: int) -> OSError | None:  # noqa: ANN401 - of the plan's kind
    """Place a source file as the mode does, rename it and remove it; return the refusal."""
    folder, name = os.path.split(path)
    try:
        source = fs.open_source_folder(folder)
    except OSError:
        return None  # the plan is stale, which is found and reported later
    probe = f"{PROBE}-{next(fs.temporary_names())}"  # a name of its own: other shards may try at the same time
    try:
        fs.facts(name, source)
    except OSError:
        fs.close(source)
        return None
    try:
        place_unchecked(mode, operation, (source, name, path), (own, probe))
        fs.rename_within(probe, f"{probe}.moved", own)
    except OSError as error:
        if error.errno in FULL:
            raise PlanError(
                f"There is no room for a first file: {reason(error)}",
                kind="no-space",
                hint=advice(error.errno),
            ) from None
        return error
    finally:
        fs.close(source)
        for left in (probe, f"{probe}.moved"):
            with suppress(FileNotFoundError):
                fs.unlink(left, own)
    return None


def refuse_folders_that_meet(job: Job, mode: Mode, own: int) -> None:
    """Refuse two folders of the output that this file system takes for one. Raises PlanError (kind `collision`).

    Two files that could meet so are refused with the plan, on every system; two folders can lie side by side on Linux.

    Args:
        job: what to build.
        mode: how images are placed.
        own: the open folder in which it is tried; only where folders differ in nothing but case or Unicode form.
    """
    if not MODE_TABLE[mode].places_files or job.packing is not None:
        return
    folders = {block.folder for block in job.plan.header.blocks}
    for folder in list(folders):
        above = folder.rpartition("/")[0]
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition("/")[0]
    for first, second, *_ in clashing_ids(folders):
        pairs = zip(first.split("/"), second.split("/"), strict=True)
        one, other = next(pair for pair in pairs if pair[0] != pair[1])
        if fs.are_one_name(one, other, f"{PROBE}-{next(fs.temporary_names())}", own):
            raise PlanError(
                f"The folders {first} and {second} would be one folder on the file system of {job.output}",
                kind="collision",
                hint="build on a file system that tells such names apart, or rename one of the folders in the input "
                "and plan again",
                paths=[first, second],
            )


def refuse_unsafe(job: Job, at: str) -> None:
    """Refuse `--durability safe` where a folder cannot be put on disk (PlanError)."""
    if job.options.durability != "safe":
        return
    try:
        fs.sync_folder(at)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS):
            raise PlanError(
                f"--durability safe cannot be promised here: {at} cannot be synced ({reason(error)})",
                kind="durability-refused",
                hint="use --durability fast",
                paths=[at],
            ) from None
        raise
