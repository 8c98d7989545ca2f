"""Find partial builds below a folder, describe them, and remove those that no process works on."""

import os.path
import time
from dataclasses import dataclass
from typing import Any, Final

import orjson

from planbalance import fs, lock_owner
from planbalance.dataset_files import OWN_FOLDER
from planbalance.errors import IncompleteError, InputError, PlanError
from planbalance.text import error_text

_DEPTH: Final = 8  # levels of folders that are searched; outputs are seldom deeper, images are
_HEADER_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PartialBuild:
    """One staging folder.

    Attributes:
        path: the folder.
        output: what it would have become.
        digest: of its plan; None where its header is missing or damaged.
        mode: how images are placed; None likewise.
        age: seconds since something was last done in it, as far as its journal tells.
        files: how many files and links are in it, without planbalance's own.
        bytes: their sizes, summed, and those of slices that are rendered; a hard link counts in full though it takes no
            room.
        holder: who is working on it right now, or None.
    """

    path: str
    output: str
    digest: str | None
    mode: str | None
    age: float
    files: int
    bytes: int
    holder: str | None


def find_partial(folder: str) -> list[PartialBuild]:
    """Return the partial builds in a folder and below it, sorted by path; links are not followed.

    Raises InputError where the folder is not there.
    """
    root = os.path.abspath(folder)
    if not os.path.isdir(root):
        raise InputError(
            f"{folder} is not a folder: name one to look into, or none for the working folder.",
            kind="input-not-found",
            paths=[folder],
        )
    found: list[str] = []
    _walk(root, _DEPTH, found)
    return [_described(path) for path in sorted(found)]


def _walk(path: str, depth: int, found: list[str]) -> None:
    if _is_partial_name(os.path.basename(path)):
        found.append(path)
        return
    if depth < 0:
        return
    try:
        tree = fs.Tree(path)
    except OSError:
        return  # not readable for this user, or gone meanwhile: nothing that could be removed either
    try:
        names = fs.list_folder(tree.fd)
    finally:
        tree.close()
    for name, kind in sorted(names.items()):
        if kind == "folder":
            _walk(f"{path.rstrip('/')}/{name}", depth - 1, found)


def _is_partial_name(name: str) -> bool:
    return name.startswith(".") and name.endswith(fs.PARTIAL_SUFFIX) and len(name) > len(fs.PARTIAL_SUFFIX) + 1


def _described(path: str) -> PartialBuild:
    parent, name = os.path.split(path)
    header, holder, changed = _own_files(path)
    files, size = _content(path)
    return PartialBuild(
        path=path,
        output=os.path.join(parent, name[1 : -len(fs.PARTIAL_SUFFIX)]),
        digest=_text(header, "digest"),
        mode=_text(header, "mode"),
        age=max(0.0, time.time() - changed),
        files=files,
        bytes=size,
        holder=holder,
    )


def _own_files(path: str) -> tuple[dict[str, Any], str | None, float]:
    """Return the header, the live holder, and when the journal (or else the folder) was last changed."""
    changed = (fs.look(path) or os.stat_result((0,) * 10)).st_mtime
    try:
        tree = fs.Tree(path)
    except OSError:
        return {}, None, changed
    own = -1
    try:
        own = tree.folder(OWN_FOLDER)
        journals = [name for name in fs.list_folder(own) if name.startswith(fs.JOURNAL)]  # one, or one of each shard
        changed = max((fs.facts(name, own).st_mtime for name in journals), default=changed)
        signature = fs.lock_holder(own)
        return _header(own), None if signature is None else lock_owner.describe(signature), changed
    except PermissionError:
        return {}, "unknown: its lock may not be looked at", changed
    except OSError:
        return {}, None, changed
    finally:
        if own >= 0:
            fs.close(own)
        tree.close()


def _header(own: int) -> dict[str, Any]:
    try:
        header = orjson.loads(fs.read_source(fs.HEADER, own, _HEADER_LIMIT))
    except (OSError, orjson.JSONDecodeError):
        return {}
    return header if isinstance(header, dict) else {}


def _text(header: dict[str, Any], key: str) -> str | None:
    value = header.get(key)
    return value if isinstance(value, str) else None


def _content(path: str) -> tuple[int, int]:
    try:
        tree = fs.Tree(path)
    except OSError:
        return 0, 0
    try:
        files, size = fs.count_below(tree.fd, leave_out=(OWN_FOLDER,))
        return files, size + _spooled(tree)
    finally:
        tree.close()


def _spooled(tree: fs.Tree) -> int:
    """Return the bytes of the slices that were rendered for one file, and have no place in it yet."""
    try:
        own = tree.folder(OWN_FOLDER)
    except OSError:
        return 0
    try:
        return sum(fs.spool_files(own).values())
    except OSError:  # they go when the build is published
        return 0
    finally:
        fs.close(own)


def remove_partial(partial: PartialBuild) -> None:
    """Remove a partial build.

    Raises IncompleteError where somebody works on it or it cannot be removed, PlanError where it is no partial build.
    """
    path = partial.path
    if not _is_partial_name(os.path.basename(path)):
        raise PlanError(f"{path} is not a partial build.", kind="not-a-partial-build", paths=[path])
    try:
        tree = fs.Tree(path)
    except FileNotFoundError:
        return  # somebody else removed it
    except OSError as error:
        raise _not_removed(path, error) from None
    own = -1
    try:
        own = tree.folder(OWN_FOLDER, make=not fs.list_folder(tree.fd))
        _empty_and_remove(path, tree, own)
    except FileNotFoundError:
        raise PlanError(
            f"{path} is in the way but holds no {OWN_FOLDER} folder: planbalance did not make it.",
            kind="not-a-partial-build",
            hint="Look into it, and remove it by hand.",
            paths=[path],
        ) from None
    except OSError as error:
        raise _not_removed(path, error) from None
    finally:
        if own >= 0:
            fs.close(own)
        tree.close()


def _empty_and_remove(path: str, tree: fs.Tree, own: int) -> None:
    try:
        lock = fs.Lock(own, lock_owner.sign())
    except fs.LockHeldError as held:
        raise IncompleteError(
            f"{path} is being built by {lock_owner.describe(held.holder)}.",
            kind="locked",
            hint="Wait for it, or end it first.",
            paths=[path],
        ) from None
    try:
        fs.remove_below(tree.fd, keep=(OWN_FOLDER,))
        fs.remove_tree(tree.fd, OWN_FOLDER)  # last: after an interrupted removal, the rest is still recognised as ours
        fs.remove_empty_folder(path)
    finally:
        lock.release()


def _not_removed(path: str, error: OSError) -> IncompleteError:
    return IncompleteError(
        f"{path} could not be removed: {error_text(error)}.",
        kind="not-removed",
        hint="Check its permissions, and run clean again.",
        paths=[path],
    )
