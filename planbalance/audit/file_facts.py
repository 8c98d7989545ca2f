"""Lists a dataset and reads its files: never writes, never blocks, and follows a link only where it is asked to.

The dataset may come from anybody, so a named pipe, a device, a loop of links or an unreadable folder raises nothing: it
is returned as a fact.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, NamedTuple

from planbalance import packed_dataset
from planbalance.fs import NOTHING_SHA256
from planbalance.packed.entry import Entry, PackedError
from planbalance.packed_dataset import Inside, PackedDataset
from planbalance.text import error_text

Kind = Literal["file", "link", "folder", "other", "missing", "unreadable"]

# Files that trainers write beside images and labels (docs/explanation/trainers.md): never reported as unplanned.
TRAINER_FILES: Final = (".cache", ".npy")
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
UNFOLLOWED: Final = _READ | os.O_NOFOLLOW
_PIECE: Final = 1 << 20
_DIGEST_OF_NOTHING: Final = bytes.fromhex(NOTHING_SHA256)


class FileFacts(NamedTuple):
    """What one file is. Of a link that was followed: what it leads to, with `target` kept."""

    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    device: int = 0
    inode: int = 0
    target: str | None = None  # of a symbolic link, as stored
    digest: bytes = b""  # SHA-256 where the content was read
    flat: bool = False  # read, and without a byte or of one value only
    data: bytes | None = None  # the content where it was asked for
    error: str = ""  # why it is unreadable


@dataclass(slots=True)
class TreeListing:
    """What was found below one root, links not followed.

    Attributes:
        kinds: of everything that is not a folder, by path relative to the root.
        unreadable: (path, reason) of folders that could not be listed.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def list_followed(root: str, *, leave_out: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the paths of everything below root but the folders in `leave_out`, sorted.

    Links to folders and files are followed as trainers do, each folder once, so that loops end. Folders that cannot be
    listed are skipped.
    """
    place = packed_dataset.inside(root)
    if place is not None:
        lead = f"{place.path}/" if place.path else ""
        below = [entry.path[len(lead) :] for entry in place.dataset.files() if entry.path.startswith(lead)]
        return iter(sorted(path for path in below if not any(path.startswith(f"{each}/") for each in leave_out)))
    found: list[str] = []
    waiting = [""]
    known: set[tuple[int, int]] = set()
    while waiting:
        folder = waiting.pop()
        at, prefix = (f"{root}/{folder}", folder + "/") if folder else (root, "")
        try:
            if not _is_new(at, known):
                continue
            with os.scandir(at) as entries:
                for entry in entries:
                    path = prefix + entry.name
                    if not entry.is_dir():
                        found.append(path)
                    elif path not in leave_out:
                        waiting.append(path)
        except OSError:
            continue
    return iter(sorted(found))


def list_unplanned(root: str, planned_names: Mapping[str, Iterable[str]], *, leave_out: frozenset[str]) -> TreeListing:
    """List everything below root but planned names, files that trainers write, and the folders in `leave_out`.

    No link is followed (the root itself may be one: the caller named it). Only what is not planned is looked at: of
    the other files, a hundred thousand, the names are enough.

    Args:
        root: absolute.
        planned_names: by folder, `""` the root.
        leave_out: folders.
    """
    listing = TreeListing()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            names = set(list_names(f"{root}/{folder}" if folder else root))
        except OSError as error:
            listing.unreadable.append((folder or ".", error_text(error)))
            continue
        names.difference_update(planned_names.get(folder, ()))
        prefix = folder + "/" if folder else ""
        for name in names:
            path = prefix + name
            kind = look(f"{root}/{path}").kind
            if kind == "folder":
                waiting += () if path in leave_out else (path,)
            elif not name.endswith(TRAINER_FILES):
                listing.kinds[path] = kind
    return listing


def list_names(folder: str) -> Sequence[str]:
    """Return the names in a folder. Raises OSError."""
    place = packed_dataset.inside(folder)
    return os.listdir(folder) if place is None else place.dataset.names(place.path)


def _is_new(folder: str, known: set[tuple[int, int]]) -> bool:
    facts = os.stat(folder)
    identity = facts.st_dev, facts.st_ino
    if identity in known:
        return False
    known.add(identity)
    return True


def look(path: str, *, follow: bool = False) -> FileFacts:
    """Return what is at a path by stat alone. With `follow`, a link's target is looked at, and the link's text kept."""
    place = packed_dataset.inside(path)
    if place is not None:
        return _packed_facts(place)
    try:
        facts = os.lstat(path)
        if not stat.S_ISLNK(facts.st_mode):
            return _facts(facts)
        target = os.readlink(path)
        if not follow:
            return FileFacts("link", target=target)
        return _facts(os.stat(path))._replace(target=target)
    except FileNotFoundError:
        return FileFacts("missing", target=_link_text(path) if follow else None)
    except (OSError, ValueError) as error:
        return FileFacts("unreadable", error=error_text(error), target=_link_text(path) if follow else None)


def read(path: str, *, follow: bool = False, keep: bool = False, most: int | None = None) -> FileFacts:
    """Return what is at a path, its content hashed (and kept with `keep`) where it is a regular file.

    Without `follow` a link is not opened; nothing but a regular file is ever read, and opening never blocks. A file of
    more than `most` bytes is not read either: its size alone says that it is wrong.
    """
    place = packed_dataset.inside(path)
    if place is not None:
        return _packed_content(place, keep=keep, most=most)
    try:
        descriptor = os.open(path, _READ if follow else UNFOLLOWED)
    except (OSError, ValueError) as error:
        found = look(path, follow=follow)
        return found._replace(kind="unreadable", error=error_text(error)) if found.kind == "file" else found
    try:
        facts = os.fstat(descriptor)
        wanted = stat.S_ISREG(facts.st_mode) and (most is None or facts.st_size <= most)
        return _content(descriptor, facts, keep=keep) if wanted else _facts(facts)
    except OSError as error:
        return FileFacts("unreadable", error=error_text(error))
    finally:
        os.close(descriptor)


def read_small(path: str, most: int) -> FileFacts:
    """Return a document's facts with its content; one of more than `most` bytes is `unreadable`. Follows no link."""
    found = look(path)
    if found.kind == "file" and found.size > most:
        return found._replace(kind="unreadable", error=f"{found.size} bytes where at most {most} were expected")
    return read(path, keep=True) if found.kind == "file" else found


def _packed_facts(place: Inside) -> FileFacts:
    """Return what is at a place of a packed dataset; a link in one is never followed."""
    if not place.path:
        return FileFacts("folder")
    entry = place.dataset.entry(place.path)
    if entry is None:
        return FileFacts("missing")
    return FileFacts(entry.kind, entry.size, entry.mtime * 1_000_000_000, 0, entry.at, entry.target or None)


def _packed_content(place: Inside, *, keep: bool, most: int | None) -> FileFacts:
    facts = _packed_facts(place)
    entry = place.dataset.entry(place.path)
    if entry is None or facts.kind != "file" or (most is not None and entry.size > most):
        return facts
    try:
        return _packed_read(place.dataset, entry, facts, keep=keep)
    except (PackedError, OSError) as error:
        return FileFacts("unreadable", error=str(error))


def _packed_read(dataset: PackedDataset, entry: Entry, facts: FileFacts, *, keep: bool) -> FileFacts:
    if entry.size <= _PIECE:
        data = dataset.read(entry, _PIECE)
        digest = sha256(data).digest() if data else _DIGEST_OF_NOTHING
        return facts._replace(digest=digest, flat=is_flat(data), data=data if keep else None)
    hashed, first, flat = sha256(), b"", True
    pieces = []
    for data in dataset.chunks(entry):
        first = first or data[:1]
        hashed.update(data)
        flat = flat and data[:1] == first and is_flat(data)
        if keep:
            pieces.append(data)
    return facts._replace(digest=hashed.digest(), flat=flat, data=b"".join(pieces) if keep else None)


def _content(descriptor: int, found: os.stat_result, *, keep: bool) -> FileFacts:
    """Read a regular file: an empty one in no call, a small one in one. Called 100,000 times, so kept short."""
    size = found.st_size
    data = os.read(descriptor, min(size, _PIECE) + 1) if size else b""
    if len(data) != size:
        return _large(descriptor, _facts(found), data, keep=keep)
    digest = sha256(data).digest() if size else _DIGEST_OF_NOTHING
    place = found.st_mtime_ns, found.st_dev, found.st_ino
    return FileFacts("file", size, *place, None, digest, is_flat(data), data if keep else None)


def _large(descriptor: int, facts: FileFacts, data: bytes, *, keep: bool) -> FileFacts:
    """Read to the end, also of a file that grows: what was read is what is judged."""
    hashed, size, first, flat = sha256(), 0, data[:1], True
    pieces = []
    while data:
        hashed.update(data)
        size += len(data)
        flat = flat and data[:1] == first and is_flat(data)
        if keep:
            pieces.append(data)
        data = os.read(descriptor, _PIECE)
    return facts._replace(size=size, digest=hashed.digest(), flat=flat, data=b"".join(pieces) if keep else None)


def is_flat(data: bytes) -> bool:
    """Return whether all bytes are one value (or there is none); cheap where the ends and the middle differ."""
    if not data:
        return True
    return data[0] == data[-1] == data[len(data) // 2] and data.count(data[:1]) == len(data)


def _facts(found: os.stat_result) -> FileFacts:
    mode = found.st_mode
    kind: Kind = "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"
    return FileFacts(kind, found.st_size, found.st_mtime_ns, found.st_dev, found.st_ino)


def _link_text(path: str) -> str | None:
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return None
