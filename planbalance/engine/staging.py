"""The staging folder: one per output, locked while a run works in it, its options pinned by the first run.

`<parent>/.<output name>.planbalance-partial/` holds `images/`, `labels/` and the rest of the new tree, and in its
`.planbalance/` the files `staging.json`, `lock`, `journal` and `README`. It becomes the output by one rename.
"""

import errno
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, Self

import orjson

from planbalance import dataset_files, fs, lock_owner
from planbalance.engine.errors import advice, reason
from planbalance.engine.job import PINNED, ApplyOptions, Job, command, make_job
from planbalance.engine.packing import RULE as PACKING_RULE
from planbalance.errors import IncompleteError, PlanError, UsageError
from planbalance.modes import MODE_TABLE, Mode, known_mode
from planbalance.options.declare import spelled
from planbalance.planstore import PlanFile
from planbalance.shards import RULE, Shard

SCHEMA: Final = "planbalance/staging/1"
_LIMIT: Final = 1 << 20
PROBE: Final = "probe"
# How the names begin of what is made before the header.
_PREPARATIONS: Final = (fs.LOCK, fs.README, f"{fs.HEADER}.new", PROBE)
SEEN_SECONDS: Final = 60.0  # NFS may show another node's new file so late (acdirmax, nfs(5))
_README: Final = """\
This folder is an unfinished dataset. `planbalance apply` builds it here and renames it to

    {output}

once it is complete. Running the same command again resumes the work:

    {command}

To remove it: `planbalance clean` (which refuses while a run works on it). Do not train on it.
"""
_README_SHARDS: Final = """\
This folder is an unfinished dataset. Shards of `planbalance apply` build it here, perhaps on many nodes, and

    {command}

renames it to

    {output}

once all of them are done; before that it says which are missing and how to run them.
To remove it: `planbalance clean` (which refuses while a run works on it). Do not train on it.
"""


def pins(job: Job) -> dict[str, Any]:
    """Return what a staging folder is bound to: digest, pinned options, and the inputs' paths if files hold them."""
    pinned: dict[str, Any] = {"schema": SCHEMA, "digest": job.plan.header.digest}
    pinned |= {name: getattr(job.options, name) for name in PINNED}
    pinned["shards"] = job.options.shard.total if job.options.shard is not None else None
    pinned["shard_rule"] = RULE
    if job.packing is not None:
        pinned["packing_rule"] = PACKING_RULE
    pinned["map_input"] = (
        [list(pair) for pair in job.options.map_input] if MODE_TABLE[job.options.mode].pins_inputs else []
    )
    return pinned


def read_header(tree: fs.Tree) -> dict[str, Any] | None:
    """Return a staging folder's header; None where there is none. Raises PlanError where it is not one."""
    try:
        own = tree.folder(dataset_files.OWN_FOLDER)
    except FileNotFoundError:
        return None
    try:
        data = fs.read_source(fs.HEADER, own, _LIMIT)
        header = orjson.loads(data)
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError:
        header = None
    finally:
        fs.close(own)
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise _not_ours(tree.path, "its header is damaged")
    return header


def refuse_other(job: Job, header: Mapping[str, Any]) -> None:
    """Refuse to go on with another plan's partial build (PlanError) or with other options than pinned (UsageError)."""
    wanted = pins(job)
    if header.get("way") not in (header.get("mode"), "copy"):
        raise _not_ours(job.staging, "its header is damaged")
    if header.get("digest") != wanted["digest"]:
        raise PlanError(
            f"{job.staging} holds a partial build of another plan (digest {str(header.get('digest'))[:12]}, "
            f"this one is {wanted['digest'][:12]})",
            kind="partial-build-of-another-plan",
            hint="--restart removes it and begins again",
            paths=[job.staging],
        )
    _refuse_other_rule(job, header, wanted)
    differing = [name for name in (*PINNED, "map_input") if header.get(name) != wanted[name]]
    named = [f"{spelled(name)} {_shown(header.get(name))}" for name in differing]
    if not shards_of(header) if job.options.finish else header.get("shards") != wanted["shards"]:
        named.append(f"--shard I/{header.get('shards')}" if shards_of(header) else "no --shard")
    if named:
        remove_by = "planbalance clean" if job.options.shard or job.options.finish else "--restart"
        raise UsageError(
            f"The build in {job.staging} was begun with {', '.join(named)}, which cannot change during a build",
            kind="pinned-options",
            hint=f"resume it with: {pinned_command(job, header)}   (or remove it with {remove_by})",
        )


def refuse_other_there(job: Job) -> Mapping[str, Any] | None:
    """Return the header of the partial build that is there, None where there is none. Raises as `refuse_other` does."""
    try:
        tree = fs.Tree(job.staging)
    except FileNotFoundError:
        return None
    try:
        header = read_header(tree)
    finally:
        tree.close()
    if header is not None:
        refuse_other(job, header)
    return header


def _refuse_other_rule(job: Job, header: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if header.get("mode") == wanted["mode"] and header.get("packing_rule") != wanted.get("packing_rule"):
        raise UsageError(
            f"The file in {job.staging} was begun by another version of planbalance (rule "
            f"{header.get('packing_rule', 1)} of what goes where, this version has rule {wanted.get('packing_rule')})",
            kind="mixed-versions",
            hint="go on with that version; or remove the build with planbalance clean, and begin again",
            paths=[job.staging],
        )
    if shards_of(header) and header.get("shard_rule") != RULE:
        raise UsageError(
            f"The shards in {job.staging} were cut by another version of planbalance (rule {header.get('shard_rule')}, "
            f"this version cuts by rule {RULE})",
            kind="mixed-versions",
            hint="use the version that began this build on every node",
            paths=[job.staging],
        )


def shards_of(header: Mapping[str, Any]) -> int:
    """Return into how many shards a partial build is cut; 0 where it is not."""
    total = header.get("shards")
    return total if isinstance(total, int) and total > 0 else 0


def effective_mode(header: Mapping[str, Any]) -> Mode | None:
    """Return how the images of a partial build are placed: as asked for, or after a fallback."""
    return known_mode(header.get("way"))


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " ".join("=".join(map(str, pair)) for pair in value) or "(none)"
    return str(value)


def pinned_command(job: Job, header: Mapping[str, Any]) -> str:
    """Return the command that goes on with a partial build."""
    pinned = {name: header[name] for name in PINNED if isinstance(header.get(name), str)}
    mode = known_mode(header.get("mode"))
    if mode is not None and MODE_TABLE[mode].pins_inputs:
        pairs = header.get("map_input")
        pinned["map_input"] = tuple((str(a), str(b)) for a, b in pairs) if isinstance(pairs, list) else ()
    total = shards_of(header)
    own = job.options.shard
    pinned["shard"] = Shard(min(own.number, total), total) if own is not None and total else None
    pinned["finish"] = total > 0 and own is None
    return command(job.plan.path, replace(job.options, **pinned))


def _not_ours(path: str, why: str) -> PlanError:
    return PlanError(
        f"{path} cannot be used as the staging folder: {why}",
        kind="staging-damaged",
        hint="look at its content; --restart removes it and begins again",
        paths=[path],
    )


def _wait_for_header(tree: fs.Tree) -> dict[str, Any]:
    """Return a header that another node has written, once this node sees it. Raises IncompleteError."""
    until = time.monotonic() + SEEN_SECONDS
    while (header := read_header(tree)) is None:
        if time.monotonic() > until:
            raise IncompleteError(
                f"Another node began the build in {tree.path}; {socket.gethostname()} does not see its header yet",
                kind="seen-late",
                hint="run this shard again",
                paths=[tree.path],
            )
        time.sleep(0.2)
    return header


class Staging:
    """A staging folder, open and locked.

    Attributes:
        tree: the new tree.
        own: descriptor of its `.planbalance`.
        header: what the first run pinned; its `way` is the effective mode. None until `begin`.
        resumed: whether an earlier run began this build.
    """

    def __init__(self, path: str, tree: fs.Tree, own: int, lock: fs.Lock) -> None:
        self.path = path
        self.tree = tree
        self.own = own
        self.header: dict[str, Any] | None = None
        self.resumed = False
        self._lock = lock
        self._made: list[str] = []

    @classmethod
    def open(cls, job: Job) -> Self:
        """Make or open the staging folder and lock it.

        Raises PlanError where it cannot be made, is not ours or belongs to another plan; UsageError where the pinned
        options differ; IncompleteError where another run works in it.
        """
        made: list[str] = []
        try:
            staging = cls._locked(job, made)
        except BaseException:
            _remove_made(made)
            raise
        staging._made = made  # noqa: SLF001 - its own class
        try:
            staging._take_over(job)  # noqa: SLF001 - its own class
        except BaseException:
            staging.leave()
            raise
        return staging

    @classmethod
    def _locked(cls, job: Job, made: list[str]) -> Self:
        gone: OSError | None = None
        for _ in range(16):
            try:
                _make_with_parents(job.staging, made)
                staging = cls._lock_once(job)
            except FileNotFoundError as error:  # another run removed or published it at this moment
                gone = error
                _forget(job.staging, made)
                continue
            except NotADirectoryError:
                raise _not_ours(job.staging, "it is not a folder") from None
            except OSError as error:
                raise _cannot_make(job.staging, error) from None
            if staging is not None:
                return staging
            _forget(job.staging, made)
        raise _cannot_make(job.staging, gone or OSError("other runs make and remove it all the time"))

    @classmethod
    def _lock_once(cls, job: Job) -> Self | None:
        """Lock a staging folder (shards share the lock); None where the folder was removed before it was locked."""
        path = job.staging
        tree = fs.Tree(path)
        own = -1
        try:
            own = tree.folder(dataset_files.OWN_FOLDER, make=True)
            lock = fs.Lock(own, _signature(job), shared=job.options.shard is not None)
        except fs.LockHeldError as held:
            _close(tree, own)
            raise _held_error(path, held.holder) from None
        except BaseException:
            _close(tree, own)
            raise
        staging = cls(path, tree, own, lock)
        try:
            still_there = fs.identity(path) == fs.open_identity(tree.fd)
        except BaseException:
            staging.close()
            raise
        if still_there:
            return staging
        staging.close()
        return None

    def _take_over(self, job: Job) -> None:
        if job.options.restart:
            self.clear()
            if job.options.durability == "safe":  # a power failure must not bring old files back under a new header
                fs.sync_below(self.tree.fd)
            return
        self.header = read_header(self.tree)
        made_now = self.path in self._made  # then it holds only what this and other shards made before the header
        if self.header is None and not made_now and self._anything_else():
            self.header = self._header_seen_late(job)
            if self.header is None:
                raise _not_ours(self.path, "it holds files but no header of a partial build")
        if self.header is not None:
            refuse_other(job, self.header)
            self.resumed = True

    def _header_seen_late(self, job: Job) -> dict[str, Any] | None:
        """Return the header that another shard wrote meanwhile, or that this node sees later than the build's files."""
        if job.options.shard is None:
            return None
        with suppress(IncompleteError):
            return _wait_for_header(self.tree)
        return None

    def _anything_else(self) -> bool:
        return set(fs.list_folder(self.tree.fd)) != {dataset_files.OWN_FOLDER} or any(
            not name.startswith(_PREPARATIONS) for name in fs.list_folder(self.own)
        )

    def clear(self) -> None:
        """Remove everything but the lock; the header last, so that what an interruption leaves is known as a build."""
        fs.remove_below(self.tree.fd, keep=(dataset_files.OWN_FOLDER,))
        fs.remove_tree(self.tree.fd, dataset_files.OWN_FOLDER, keep=(fs.LOCK, fs.HEADER))
        with suppress(FileNotFoundError):
            fs.unlink(fs.HEADER, self.own)
        self.header = None

    def begin(self, job: Job, mode: str) -> None:
        """Pin the options: from here on this is a partial build that is kept. Raises OSError.

        With durability safe the header is on disk before anything else is made, so that no power failure leaves files
        without it. A resume writes it again, since the earlier run may have failed to sync it.
        """
        safe = job.options.durability == "safe"
        header = self.header or {**pins(job), "way": mode, **job.node._asdict()}
        if job.options.shard is not None:
            self._begin_together(job, header, on_disk=safe)
        else:
            text = _README.format(output=job.output, command=command(job.plan.path, job.options))
            fs.write_replacing(fs.README, self.own, text.encode())
            fs.write_replacing(fs.HEADER, self.own, orjson.dumps(header) + b"\n", on_disk=safe)
            self.header = header
        if safe:
            fs.sync_below(self.tree.fd)

    def _begin_together(self, job: Job, header: dict[str, Any], *, on_disk: bool) -> None:
        """Pin the options for all shards, or take over what another shard pinned at the same moment."""
        finish = command(job.plan.path, replace(job.options, shard=None, finish=True))
        fs.write_once(fs.README, self.own, _README_SHARDS.format(output=job.output, command=finish).encode())
        if fs.write_once(fs.HEADER, self.own, orjson.dumps(header) + b"\n", on_disk=on_disk):
            self.header = header
            return
        self.header = _wait_for_header(self.tree)
        refuse_other(job, self.header)

    def leave(self) -> None:
        """Release the lock. Where nothing was begun, the folder and the parents made for it are removed."""
        if self.header is None and self.tree.fd >= 0 and self._lock.alone() and not self._holds_other_files():
            with suppress(OSError):
                fs.remove_tree(self.tree.fd, dataset_files.OWN_FOLDER)
                fs.remove_empty_folder(self.path)
                _remove_made([path for path in self._made if path != self.path])
        self.close()

    def _holds_other_files(self) -> bool:
        """Return whether there is something that this run did not make and must not remove."""
        try:
            return self._anything_else()
        except OSError:
            return True

    def close(self) -> None:
        """Close everything; the lock is released."""
        self._lock.release()
        if self.own >= 0:
            fs.close(self.own)
            self.own = -1
        self.tree.close()


def _make_with_parents(path: str, made: list[str]) -> None:
    missing = []
    at = path
    while fs.look(at) is None and at != "/":
        missing.append(at)
        at = os.path.dirname(at)
    made.extend(folder for folder in reversed(missing) if fs.make_folder(folder))


def _forget(path: str, made: list[str]) -> None:
    """Note that a folder is gone: a later one of this path may belong to another run."""
    made[:] = [each for each in made if each != path]


def _remove_made(made: list[str]) -> None:
    for path in reversed(made):
        with suppress(OSError):
            fs.remove_empty_folder(path)


def _close(tree: fs.Tree, own: int) -> None:
    if own >= 0:
        fs.close(own)
    tree.close()


def _cannot_make(path: str, error: OSError) -> PlanError:
    return PlanError(
        f"Cannot make the staging folder {path}: {reason(error)}",
        kind="parent-not-writable",
        hint=advice(error.errno),
        paths=[path],
    )


def _signature(job: Job) -> bytes:
    return lock_owner.sign() if job.options.shard is None else lock_owner.sign(shard=str(job.options.shard))


def _held_error(path: str, signature: bytes) -> IncompleteError:
    """Return the error where another run works in a staging folder."""
    hint = "wait for it, or end it and run this command again"
    if lock_owner.has_ended(signature):
        hint = (
            "it has ended, but the file system still keeps its lock (of a node that died): wait until it is released, "
            f"or remove {path}/{dataset_files.OWN_FOLDER}/{fs.LOCK} and run this command again"
        )
    return IncompleteError(
        f"Another apply is building {path}: {lock_owner.describe(signature)}", kind="locked", hint=hint, paths=[path]
    )


def pinned_shards(plan: PlanFile, options: ApplyOptions) -> int:
    """Return into how many shards a partial build of this plan is cut already; 0 where there is none.

    Raises UsageError, PlanError where there is one of another plan or with other options.
    """
    header = refuse_other_there(make_job(plan, replace(options, shard=None, finish=True)))
    return 0 if header is None else shards_of(header)


# ---- publishing ------------------------------------------------------------------------------------------------------


def publish(job: Job, staging: Staging, *, onto_empty: bool) -> None:
    """Publish: rename the staging folder to the output in one step.

    With durability safe everything below is on disk already (`JournalFile.checkpoint`), and the output's name is put
    there.
    Raises PlanError where the output exists by now; IncompleteError where its name could not be put on disk; OSError.
    """
    try:
        fs.move_folder(job.staging, job.output, onto_empty=onto_empty)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise output_appeared(job, job.output) from None
    if job.options.durability == "safe":
        sync_parent(job)
    _remove_own_files(staging)


def output_appeared(job: Job, path: str) -> PlanError:
    """Return the error where a name of the output is taken when it is published."""
    return PlanError(
        f"The output {path} appeared while it was built",
        kind="output-exists",
        hint=f"move it away and run the same command again; the build is kept in {job.staging}",
        paths=[path],
    )


def sync_parent(job: Job) -> None:
    """Put the output's name on disk. Raises IncompleteError where that fails."""
    parent = os.path.dirname(job.output)
    try:
        fs.sync_folder(parent)
    except OSError as error:
        raise IncompleteError(
            f"{job.output} is complete, but its name could not be put on disk: {reason(error)}",
            kind="sync-failed",
            hint="verify it after the next boot",
            paths=[parent],
        ) from None


def _remove_own_files(staging: Staging) -> None:
    """Remove the working files from the published folder; what a killed process leaves there is harmless."""
    with suppress(OSError):
        kept = {os.path.basename(path) for path in (dataset_files.PLAN, dataset_files.RECEIPT)}
        for name in sorted(fs.list_folder(staging.own).keys() - kept):
            with suppress(OSError):
                fs.unlink(name, staging.own)
