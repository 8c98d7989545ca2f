"""The only module that writes below an output: relative to open folders, never through a link, never over a file.

Every call uses this module's `os` and `_libc`, looked up at the moment of the call, so that a test can replace them by
faulty or recording ones without cost for other runs.

Folders below the output are opened by one openat2(2) with RESOLVE_BENEATH. Where the kernel lacks it, and where folders
are made, they are opened one component at a time with `O_NOFOLLOW` (openat(2)), each relative to the one before. So
nothing is made outside the output, even if another process replaces a folder by a link meanwhile.
"""

import errno
import hashlib
import io
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from planbalance import platform_calls
from planbalance.lock_owner import has_ended

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Files of a build, in `.planbalance/` of its staging folder.
LOCK: Final = "lock"
HEADER: Final = "staging.json"
JOURNAL: Final = "journal"
README: Final = "README"
SPOOL: Final = "rendered-"  # how the names of files begin that hold rendered images until they have their places
SPOOL_NAME: Final = re.compile(rf"{SPOOL}[0-9a-f]{{16}}\Z")
PARTIAL_SUFFIX: Final = ".planbalance-partial"
# How the name of a shard's file begins until it is whole. No suffix: no trainer takes it for an image.
TEMPORARY: Final = ".planbalance-new-"

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A name that became a pipe must not block; for a file O_NONBLOCK means nothing (open(2)).
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1 << 19
NOTHING_SHA256: Final = hashlib.sha256().hexdigest()  # hex; of a file without a byte, as most labels are
# A file of at most this many bytes is copied by read(2) and write(2): 14 us at 4 KiB on tmpfs, where copy_file_range(2)
# takes 22 and sendfile(2) 18; at 64 KiB all three take 50. Sharing blocks, or a copy within the file server, saves time
# with larger files only.
SMALL: Final = 1 << 15
# In a copy with holes, this many zero bytes become a hole: no file system allocates less.
_PIECE: Final = 1 << 12
_ZEROS: Final = bytes(_PIECE)
# The errors by which a file system says that it cannot put the names of a folder on disk.
_NO_FOLDER_SYNC: Final = frozenset((errno.EINVAL, errno.ENOTSUP, errno.EROFS))
# The errors by which a file system says that it does not support a call, or not between these two files.
NOT_HERE: Final = platform_calls.NOT_SUPPORTED | {errno.EINVAL, errno.EXDEV, errno.EPERM, errno.ENOTTY}
# Older kernels, and containers whose filter of system calls does not know it.
_NO_OPENAT2: Final = frozenset((errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG))
# How often, and after how many seconds each, a name is looked for that another node has made and that this node does
# not see yet.
_LOOKS: Final = 50
LOOK_SECONDS: Final = 0.1
# How the signature of a shared lock's holder begins in the lock file.
_SHARED: Final = b"shared "


_libc = platform_calls.C_LIBRARY


# ---- folders --------------------------------------------------------------------------------------------------------


def partial_path(output: str) -> str:
    """Return the staging folder of an output: `<parent>/.<name>.planbalance-partial`."""
    parent, name = os.path.split(output)
    return os.path.join(parent, f".{name}{PARTIAL_SUFFIX}")


class Tree:
    """A folder opened once; what is made below it goes through its descriptor.

    Raises OSError where `path` is not a folder (a link to one included).
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = os.open(path, _FOLDER)
        self._beneath = True

    def folder(self, path: str, *, make: bool = False) -> int:
        """Return a new descriptor of the folder `path` below the tree; with `make`, what is missing is made.

        Raises OSError: ELOOP, ENOTDIR or EXDEV where a component is a link or leads out.
        """
        if self._beneath and not make:
            try:
                return _libc.openat2(path, self.fd, _FOLDER, platform_calls.RESOLVE_BENEATH)
            except OSError as error:
                if error.errno in _NO_OPENAT2:
                    self._beneath = False
                elif error.errno != errno.EAGAIN:  # EAGAIN: something was renamed on the way
                    raise
        return self._by_steps(path, make_below if make else _open_inner)

    def _by_steps(self, path: str, step: Callable[[int, str], int]) -> int:
        current = self.fd
        for part in path.split("/"):
            try:
                following = step(current, part)
            finally:
                if current != self.fd:
                    close(current)
            current = following
        return current

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            close(fd)


def make_below(dir_fd: int, name: str) -> int:
    """Return a descriptor of a folder in an open one, made where it is missing; OSError where it is a link.

    It is first made and then opened: on a remote file system, asking whether it exists takes as long as making it.
    """
    _refuse_way_out(name)
    try:
        os.mkdir(name, dir_fd=dir_fd)  # 0777 less umask; setgid comes from the parent
    except (
        FileExistsError
    ):  # another worker made it first, perhaps on another node, whose folder this node may see late
        for _ in range(_LOOKS):
            with suppress(FileNotFoundError):
                return open_below(dir_fd, name)
            time.sleep(LOOK_SECONDS)
    return open_below(dir_fd, name)


def _open_inner(dir_fd: int, name: str) -> int:
    _refuse_way_out(name)
    return open_below(dir_fd, name)


def _refuse_way_out(name: str) -> None:
    """Raise the OSError by which openat2(2) refuses a path that leads out, where one component of it would."""
    if name in {"", ".", ".."}:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)


def open_source_folder(path: str) -> int:
    """Return a descriptor of a source folder, for relative calls only; links in an input are followed."""
    return os.open(path, platform_calls.PLACE)


def close(fd: int) -> None:
    """Close a file that was only read, or whose write failed: an error of its close does not matter."""
    try:  # noqa: SIM105 - suppress() takes longer than the call
        os.close(fd)
    except OSError:
        pass


def close_written(fd: int) -> None:
    """Close a written file: some file systems report only now that they could not store it."""
    os.close(fd)


def spool_files(fd: int) -> dict[str, int]:
    """Return the files with rendered images in the folder of a staging folder's own files, with their lengths."""
    return {name: facts(name, fd).st_size for name in list_folder(fd) if SPOOL_NAME.match(name)}


def list_folder(fd: int) -> dict[str, str]:
    """Return the names in a folder with what they are: `file`, `link`, `folder` or `other`.

    The folder is opened again: on Btrfs a descriptor lists only the names that existed when it was opened (Linux 6.5).
    """
    fresh = open_below(fd, ".")
    try:
        with os.scandir(fresh) as entries:
            return {entry.name: _entry_type(entry) for entry in entries}
    finally:
        close(fresh)


def _entry_type(entry: "os.DirEntry[str]") -> str:
    if entry.is_symlink():
        return "link"
    if entry.is_file(follow_symlinks=False):
        return "file"
    return "folder" if entry.is_dir(follow_symlinks=False) else "other"


def remove_tree(dir_fd: int, name: str, *, keep: tuple[str, ...] = ()) -> None:
    """Remove a folder and what is in it, no link followed; with `keep`, the folder and these names in it stay."""
    fd = open_below(dir_fd, name)
    try:
        remove_below(fd, keep=keep)
    finally:
        close(fd)
    if not keep:
        os.rmdir(name, dir_fd=dir_fd)


def remove_below(fd: int, *, keep: tuple[str, ...] = ()) -> None:
    """Remove what is in an open folder except for the names in `keep`, no link followed."""
    for name, kind in sorted(list_folder(fd).items()):
        if name in keep:
            continue
        if kind == "folder":
            remove_tree(fd, name)
        else:
            os.unlink(name, dir_fd=fd)


def open_below(dir_fd: int, name: str) -> int:
    """Return a descriptor of a folder in an open one; OSError where it is a link."""
    return os.open(name, _FOLDER, dir_fd=dir_fd)


def count_below(fd: int, *, leave_out: tuple[str, ...] = ()) -> tuple[int, int]:
    """Return how many files and links are in an open folder and below, and the sum of their sizes."""
    files = size = 0
    for name, kind in list_folder(fd).items():
        if name in leave_out:
            continue
        if kind != "folder":
            files += 1
            size += os.stat(name, dir_fd=fd, follow_symlinks=False).st_size
            continue
        inner = open_below(fd, name)
        try:
            more = count_below(inner)
        finally:
            close(inner)
        files, size = files + more[0], size + more[1]
    return files, size


def link_target(name: str, dir_fd: int) -> str:
    """Return the target of a symbolic link."""
    return os.readlink(name, dir_fd=dir_fd)


# ---- names ----------------------------------------------------------------------------------------------------------


def facts(name: str, dir_fd: int) -> os.stat_result:
    """Return the facts of a source file, links followed."""
    return os.stat(name, dir_fd=dir_fd)


def source_facts(name: str, dir_fd: int) -> os.stat_result | None:
    """Return the facts of a source file, links followed, or None where it is gone."""
    try:
        return os.stat(name, dir_fd=dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        return None


def symlink(target: str, name: str, dir_fd: int) -> None:
    """Make a symbolic link; FileExistsError where the name is taken."""
    os.symlink(target, name, dir_fd=dir_fd)


def hard_link(source: str, source_fd: int, name: str, dir_fd: int) -> None:
    """Link the final file of a source name; FileExistsError where the name is taken.

    Python 3.11 follows a link in `source` only where `src_dir_fd` is given (linkat(2), AT_SYMLINK_FOLLOW).
    """
    os.link(source, name, src_dir_fd=source_fd, dst_dir_fd=dir_fd, follow_symlinks=True)


def has(name: str, dir_fd: int) -> bool:
    """Return whether a name is taken, by a link too."""
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def unlink(name: str, dir_fd: int) -> None:
    """Remove a name that is not a folder."""
    os.unlink(name, dir_fd=dir_fd)


def rename_within(old: str, new: str, dir_fd: int) -> None:
    """Rename inside one folder, over an existing file."""
    os.rename(old, new, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)


def move_folder(old: str, new: str, *, onto_empty: bool) -> None:
    """Rename a folder in one step: onto nothing, or with `onto_empty` onto nothing or an empty folder.

    Without `onto_empty` the kernel refuses a name that is taken. Where a file system cannot (NFS: EINVAL), plain rename
    is the fallback, which takes an empty folder too and refuses a full one. Raises OSError: EEXIST or ENOTEMPTY where
    the name is taken.
    """
    if not onto_empty:
        try:
            _libc.rename_new(old, new)
        except OSError as error:
            if error.errno not in platform_calls.RENAME_NEW_REFUSED:
                raise
        else:
            return
    os.rename(old, new)


# ---- content --------------------------------------------------------------------------------------------------------


def open_source(name: str, dir_fd: int) -> int:
    """Open a source file for reading only; links are followed."""
    return os.open(name, _READ, dir_fd=dir_fd)


def open_facts(fd: int) -> os.stat_result:
    """Return the facts of an open file."""
    return os.fstat(fd)


def read_source(name: str, dir_fd: int, size: int) -> bytes:
    """Return a small source file's bytes: at most `size` + 1 of them, so that growth shows."""
    fd = os.open(name, _READ, dir_fd=dir_fd)
    try:
        return read_open(fd, size)
    finally:
        close(fd)


def read_dated(name: str, dir_fd: int, size: int) -> tuple[bytes, int]:
    """Return a small source file's bytes as `read_source` does, and its mtime in ns."""
    fd = os.open(name, _READ, dir_fd=dir_fd)
    try:
        return read_open(fd, size), os.fstat(fd).st_mtime_ns
    finally:
        close(fd)


def read_with_facts(name: str, dir_fd: int, size: int) -> tuple[bytes, os.stat_result]:
    """Return a small source file's bytes as `read_source` does, and its facts."""
    fd = os.open(name, _READ, dir_fd=dir_fd)
    try:
        return read_open(fd, size), os.fstat(fd)
    finally:
        close(fd)


def read_into(name: str, dir_fd: int, view: memoryview) -> tuple[int, os.stat_result]:
    """Read a small source file into memory; return how many bytes, and its facts.

    `view` has one byte more than the file is to have, so that growth shows. A file of another size, or that is empty,
    is not read.
    """
    fd = os.open(name, _READ, dir_fd=dir_fd)
    try:
        now = os.fstat(fd)
        most = len(view)
        if now.st_size + 1 != most or most == 1:
            return 0, now
        count = os.readv(fd, (view,))
        while 0 < count < most - 1:  # a short read, or a file that shrank
            more = os.readv(fd, (view[count:],))
            if not more:
                break
            count += more
        return count, now
    finally:
        close(fd)


def read_open(fd: int, size: int) -> bytes:
    """Return a small open file's bytes from here on, as `read_source` does."""
    data = os.read(fd, size + 1)
    while 0 < len(data) < size:  # a short read, or a file that shrank
        more = os.read(fd, size + 1 - len(data))
        if not more:
            break
        data += more
    return data


def read_whole(name: str, dir_fd: int) -> bytes:
    """Return the whole content of a file, which may be growing."""
    parts = []
    fd = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=dir_fd)
    try:
        while data := os.read(fd, 1 << 20):
            parts.append(data)
    finally:
        close(fd)
    return b"".join(parts)


def hash_source(name: str, dir_fd: int) -> str:
    """Return the SHA-256 of a source file, hex."""
    fd = os.open(name, _READ, dir_fd=dir_fd)
    try:
        return hash_open(fd)
    finally:
        close(fd)


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes, hex."""
    return hashlib.sha256(data).hexdigest()


def digest(data: "ReadableBuffer") -> bytes:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(data).digest()


def hash_open(fd: int) -> str:
    """Return the SHA-256 of an open file from its position to the end, hex."""
    digest = hashlib.sha256()
    while data := os.read(fd, _CHUNK):
        digest.update(data)
    return digest.hexdigest()


def write_new(name: str, dir_fd: int, data: bytes, mtime_ns: int | None = None, *, on_disk: bool = False) -> None:
    """Write a new file (0666 less umask); FileExistsError where the name is taken."""
    fd = os.open(name, _NEW, 0o666, dir_fd=dir_fd)
    try:
        _write_all(fd, data)
        if mtime_ns is not None:
            os.utime(fd, ns=(mtime_ns, mtime_ns))
        if on_disk:
            _sync(fd)
    except BaseException:
        close(fd)
        raise
    close_written(fd)


def open_new(name: str, dir_fd: int) -> int:
    """Open a new file for writing (0666 less umask); FileExistsError where the name is taken."""
    return os.open(name, _NEW, 0o666, dir_fd=dir_fd)


def write_all_new(name: str, dir_fd: int, chunks: Iterable[bytes], *, on_disk: bool = False) -> None:
    """Write a new file from chunks, small ones together: on a remote file system each write takes a round trip.

    FileExistsError where the name is taken; then no chunk was read.
    """
    with new_file(name, dir_fd) as fd:
        gathered: list[bytes] = []
        room = _CHUNK
        for chunk in chunks:
            gathered.append(chunk)
            room -= len(chunk)
            if room <= 0:
                _write_all(fd, b"".join(gathered))
                gathered, room = [], _CHUNK
        _write_all(fd, b"".join(gathered))
        if on_disk:
            _sync(fd)


def write_replacing(name: str, dir_fd: int, data: bytes, *, on_disk: bool = False) -> None:
    """Write a small file so that the name holds the old bytes or the new ones, never a part.

    With `on_disk` that holds after a power loss too: the bytes are on disk before the name is given to them.
    """
    temporary = f"{name}.new"
    try:
        write_new(temporary, dir_fd, data, on_disk=on_disk)
    except FileExistsError:  # left by a run that was killed
        os.unlink(temporary, dir_fd=dir_fd)
        write_new(temporary, dir_fd, data, on_disk=on_disk)
    rename_within(temporary, name, dir_fd)


def write_once(name: str, dir_fd: int, data: bytes, *, on_disk: bool = False) -> bool:
    """Write a small file that many nodes may want to write at once; return whether this one was the first.

    A reader finds the whole file or none, with `on_disk` after a power loss too. Where the file system has no hard
    links, nodes that write at the same moment may replace each other's file, and each of them returns True.
    """
    temporary = f"{name}.new.{os.urandom(8).hex()}"
    write_new(temporary, dir_fd, data, on_disk=on_disk)
    try:
        os.link(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
        if has(name, dir_fd):
            return False
        rename_within(temporary, name, dir_fd)
        return True
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=dir_fd)
    return True


def write_path(path: str, chunks: Iterable[bytes], *, on_disk: bool = False) -> None:
    """Write a file that the user has named: a reader finds the complete old file or the complete new one.

    With `on_disk` that holds after a power loss too. The folder must be there; a write that fails leaves nothing.
    """
    parent, name = os.path.split(path)
    folder = open_source_folder(parent)
    try:
        write_among_others(name, folder, chunks, on_disk=on_disk)
    finally:
        close(folder)
    if on_disk:
        try:
            sync_folder(parent)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise


def write_among_others(name: str, dir_fd: int, chunks: Iterable[bytes], *, on_disk: bool = False) -> None:
    """Write a file that other processes may write at the same time: it will hold the complete bytes of one of them."""
    temporary = next(temporary_names())
    try:
        write_all_new(temporary, dir_fd, chunks, on_disk=on_disk)
        rename_within(temporary, name, dir_fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=dir_fd)
        raise


@contextmanager
def kept_beside(path: str) -> Iterator[str]:
    """Keep a file that is replaced inside: as `<path>.bak`, where that is taken as `<path>.bak2`, and so on.

    Yield the name, which the file has from then on as a second one. A name that holds the same bytes already is taken
    as it is, and no other file is touched. If the replacing fails, the second name is removed again, unless another
    process has replaced the file meanwhile. OSError.
    """
    kept, is_new = _second_name(path)
    try:
        yield kept
    except BaseException:
        if is_new and _same_bytes(path, kept):
            with suppress(OSError):
                os.unlink(kept)
        raise


def _second_name(path: str) -> tuple[str, bool]:
    """Return the name under which a file is kept, and whether it was made now."""
    for number in count(1):
        kept = f"{path}.bak{'' if number == 1 else number}"
        try:
            if not os.path.lexists(kept):
                _link_or_copy(path, kept)
                return kept, True
        except FileExistsError:  # made by another process meanwhile
            pass
        if _same_bytes(path, kept):
            return kept, False
    raise AssertionError


def _link_or_copy(path: str, kept: str) -> None:
    try:
        os.link(path, kept, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {*NOT_HERE, errno.EMLINK}:
            raise
        _copy_to_free_name(path, kept)


def _copy_to_free_name(path: str, kept: str) -> None:
    """Copy a small file, with its time, to a name that is free: complete, or not at all. OSError."""
    parent, name = os.path.split(kept)
    folder = open_source_folder(parent)
    try:
        with open(path, "rb") as file:
            mtime_ns = os.fstat(file.fileno()).st_mtime_ns
            if not write_once(name, folder, file.read()):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), kept)
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=folder)
    finally:
        close(folder)


def _same_bytes(path: str, other: str) -> bool:
    """Return whether two names are regular files of the same bytes; False where that cannot be read."""
    try:
        facts = [os.stat(one, follow_symlinks=False) for one in (path, other)]
        if not all(stat.S_ISREG(each.st_mode) for each in facts) or facts[0].st_size != facts[1].st_size:
            return False
        return os.path.samestat(*facts) or _hash_at(path) == _hash_at(other)
    except OSError:
        return False


def _hash_at(path: str) -> str:
    with open(path, "rb") as file:
        return hash_open(file.fileno())


def owner_of_another(path: str) -> int | None:
    """Return the user id of a file's owner where that is not this user; None where it is, or nothing is there.

    A file system may give all files one owner (CIFS, some containers): then a new file there is looked at. OSError.
    """
    facts = os.stat(path) if os.path.lexists(path) else None
    if facts is None or facts.st_uid == os.geteuid():
        return None
    folder = open_source_folder(os.path.dirname(path))
    name = next(temporary_names())
    try:
        with new_file(name, folder) as fd:
            own = os.fstat(fd).st_uid
        os.unlink(name, dir_fd=folder)
    finally:
        close(folder)
    return None if own == facts.st_uid else facts.st_uid


def temporary_names() -> Iterator[str]:
    """Yield names for unfinished files that no other process on any node uses; `is_temporary` recognises them."""
    attempt = os.urandom(8).hex()
    for number in count():
        yield f"{TEMPORARY}{attempt}-{number:x}"


def is_temporary(name: str) -> bool:
    """Return whether a name is one of `temporary_names`."""
    return name.startswith(TEMPORARY)


@contextmanager
def new_file(name: str, dir_fd: int) -> Iterator[int]:
    """Open a new file for writing, and close it at the end; an error of the close is raised as one of the write."""
    fd = open_new(name, dir_fd)
    try:
        yield fd
    except BaseException:
        close(fd)
        raise
    close_written(fd)


def set_mtime(fd: int, mtime_ns: int) -> None:
    """Set the modification time of an open file (and the access time with it), in ns."""
    os.utime(fd, ns=(mtime_ns, mtime_ns))


def empty_new(name: str, dir_fd: int, mtime_ns: int | None = None) -> None:
    """Make an empty file by one call: on Linux every user may do so by mknod(2). By two where that is refused.

    A further call sets its time.
    """
    made = False
    if platform_calls.MKNOD_MAKES_FILES:
        try:
            os.mknod(name, stat.S_IFREG | 0o666, dir_fd=dir_fd)
            made = True
        except OSError as error:
            if error.errno not in NOT_HERE:
                raise
    if not made:
        close_written(os.open(name, _NEW, 0o666, dir_fd=dir_fd))
    if mtime_ns is not None:
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=dir_fd, follow_symlinks=False)


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data) if data else 0
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])


def clone(source: int, target: int) -> None:
    """Share the source's blocks with the target (reflink); OSError where the file system cannot."""
    platform_calls.share_blocks(source, target)


@contextmanager
def new_clone(source: int, name: str, dir_fd: int) -> Iterator[int]:
    """Make a new file that shares an open file's blocks (reflink), and close it at the end as `new_file` does.

    Raises OSError: FileExistsError where the name is taken; another where the file system cannot.
    """
    by_name = _libc.clones_by_name
    fd = _clone_by_name(source, name, dir_fd) if by_name else open_new(name, dir_fd)
    try:
        if not by_name:
            clone(source, fd)
        yield fd
    except BaseException:
        close(fd)
        raise
    close_written(fd)


def _clone_by_name(source: int, name: str, dir_fd: int) -> int:
    """Clone by fclonefileat(2) (macOS), and return a descriptor of the clone.

    A clone has its source's permissions. It gets those of a new file here, which an empty file of its name shows first.
    """
    taken = open_new(name, dir_fd)
    mode = stat.S_IMODE(os.fstat(taken).st_mode)
    close(taken)
    os.unlink(name, dir_fd=dir_fd)
    _libc.clone_new(source, name, dir_fd)
    fd = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=dir_fd)
    try:
        os.fchmod(fd, mode)
    except BaseException:
        close(fd)
        raise
    return fd


# Copies at most `size` + 1 bytes from an open file to another; returns how many.
CopyMethod = Callable[[int, int, int], int]


def _by_clone(source: int, target: int, size: int) -> int:
    clone(source, target)
    return min(os.fstat(target).st_size, size + 1)


def _by_range(source: int, target: int, size: int) -> int:
    return _taken(lambda most: platform_calls.copy_range(source, target, most), size)


def _by_sendfile(source: int, target: int, size: int) -> int:
    return _taken(lambda most: platform_calls.send_file(source, target, most), size)


# In the order in which they are tried. Only the first one keeps holes.
IN_KERNEL: Final[tuple[CopyMethod, ...]] = (_by_clone, _by_range, _by_sendfile)


class Copier:
    """Copies files into one file system by the fastest method that works, which is found once for each source device.

    The methods are, in this order: blocks shared (`clone`), copy_file_range(2), sendfile(2), read(2) and write(2). The
    second and third may fill holes and show no bytes to hash, so where holes are kept or bytes are hashed, only the
    first and the last are used.

    Args:
        methods: those of `IN_KERNEL` to try before read(2) and write(2).
    """

    def __init__(self, methods: Sequence[CopyMethod] = IN_KERNEL) -> None:
        self._methods = methods
        self._exact = methods[:1] if _by_clone in methods else ()
        self._refused: dict[int, int] = {}  # device of the sources -> how many of the methods do not work

    def copy(
        self,
        source: int,
        target: int,
        size: int,
        *,
        device: int = 0,
        holes: bool = False,
        digest: "hashlib._Hash | None" = None,
    ) -> int:
        """Copy a whole file; return how many bytes there were, `size` + 1 standing for more than `size`.

        Where blocks are shared, the source is read for `digest` afterwards. Another process may have written to it in
        between: a caller that needs the sum must compare the source's size and mtime.

        Args:
            source: an open file, not read from yet.
            target: an open file that holds nothing.
            size: how many bytes there should be.
            device: the source's: one file system may refuse a call that another supports.
            holes: the source has holes, and they are kept.
            digest: is updated with every byte.
        """
        methods = self._exact if holes or digest is not None else self._methods
        while size > SMALL and (refused := self._refused.get(device, 0)) < len(methods):
            try:
                count = methods[refused](source, target, size)
            except OSError as error:
                if error.errno not in NOT_HERE:
                    raise
            else:
                if count:  # no byte of a file that has some: the call does not work here
                    return count if digest is None else _read(source, size, digest.update)
            self._refused[device] = max(self._refused.get(device, 0), refused + 1)
            os.lseek(source, 0, os.SEEK_SET)
            os.lseek(target, 0, os.SEEK_SET)
            os.ftruncate(target, 0)
        return _by_read_and_write(source, target, size, digest, holes=holes)


def has_holes(fd: int, now: os.stat_result) -> bool:
    """Return whether an open file, not read from yet, has holes; no call is made where it has all its blocks.

    Fewer blocks mean holes, or a file system that compresses or stores small files elsewhere: lseek(2) shows which.
    Where it cannot, the file counts as one with holes: its copy then looks for zeros, which costs little.
    """
    if now.st_blocks * 512 >= now.st_size:
        return False
    try:
        return os.lseek(fd, 0, os.SEEK_HOLE) < now.st_size
    except OSError:
        return True
    finally:
        os.lseek(fd, 0, os.SEEK_SET)


def _by_read_and_write(source: int, target: int, size: int, digest: "hashlib._Hash | None", *, holes: bool) -> int:
    write = partial(_write_around_zeros if holes else _write_all, target)
    count = _read(source, size, *(() if digest is None else (digest.update,)), write)
    if holes:  # it may end with one
        os.ftruncate(target, count)
    return count


def _read(source: int, size: int, *takers: Callable[[bytes], object]) -> int:
    """Read a file piece by piece and call all takers with each; return as `_taken` does."""

    def step(most: int) -> int:
        data = os.read(source, min(_CHUNK, most))
        for take in takers:
            take(data)
        return len(data)

    return _taken(step, size)


def _taken(step: Callable[[int], int], size: int) -> int:
    """Call `step` with how many bytes it may take, until there are no more or `size` are; return how many it took.

    That is one more than `size` where the file holds more.
    """
    count = 0
    while count <= size:
        took = step(size + 1 - count)
        count += took
        if took == 0 or count == size:
            break
    return count


def _write_around_zeros(fd: int, data: bytes) -> None:
    """Write the bytes that are not zeros and skip the zeros, which then are holes.

    Zeros are found in the bytes themselves: no content depends on where lseek(2) reports holes.
    """
    start, end = 0, len(data)
    for at in range(0, end, _PIECE):
        if data[at : at + _PIECE] == _ZEROS[: end - at]:
            _write_all(fd, data[start:at])
            start = min(at + _PIECE, end)
            os.lseek(fd, start - at, os.SEEK_CUR)
    _write_all(fd, data[start:])


# ---- one file that many workers fill --------------------------------------------------------------------------------


def open_packed(name: str, dir_fd: int) -> int:
    """Open the one file of a packed dataset for reading and writing, made where it is missing.

    Nobody else may read it before its permissions are known (`set_permissions`).
    """
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=dir_fd)


def allocate(fd: int, start: int, size: int, *, alone: bool) -> None:
    """Let an open file have `size` bytes from `start` on, on disk too, so that no write finds the disk full.

    Its other bytes stay. Where the file system cannot give room ahead (NFS before 4.2), the file only gets its length
    (the C library would write into each block, which takes as long as the content), and not even that where this node
    is not `alone`: a new length could cut off what another node has written meanwhile. Raises OSError: ENOSPC, EDQUOT.
    """
    if not size:
        return
    try:
        _libc.fallocate(fd, start, size)
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
        if alone and os.fstat(fd).st_size < start + size:
            os.ftruncate(fd, start + size)


def write_at(fd: int, data: bytes | memoryview, at: int) -> None:
    """Write bytes at an offset of an open file; other threads and processes may write at other offsets."""
    written = os.pwrite(fd, data, at) if data else 0
    while written < len(data):
        written += os.pwrite(fd, memoryview(data)[written:], at + written)


def copy_at(source: int, fd: int, at: int, size: int, digest: "hashlib._Hash | None") -> int:
    """Copy an open file, not read from yet, to an offset of another; return how many bytes, at most `size`.

    One more is returned where the source holds more. `digest` is updated with every byte.
    """
    place = at

    def take(data: bytes) -> None:
        nonlocal place
        write_at(fd, data[: at + size - place], place)  # not over what stands behind
        place += len(data)

    return _read(source, size, take, *(() if digest is None else (digest.update,)))


def read_at(fd: int, size: int, at: int) -> bytes:
    """Return bytes of an open file at an offset, fewer where it ends before."""
    parts = []
    while size and (data := os.pread(fd, size, at)):
        parts.append(data)
        size -= len(data)
        at += len(data)
    return b"".join(parts)


def cut_file(fd: int, size: int) -> None:
    """Remove everything behind `size` bytes of an open file."""
    os.ftruncate(fd, size)


def set_permissions(fd: int, mode: int) -> None:
    """Set the permissions of an open file."""
    os.fchmod(fd, mode)


def new_file_mode() -> int:
    """Return the permissions that a new file gets here: 0666 less umask."""
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask


def move_over(old: str, new: str) -> None:
    """Rename a file over another one."""
    os.rename(old, new)


def move_file(old: str, new: str) -> None:
    """Rename a file in one step onto a name that is free. Raises OSError: EEXIST where it is taken.

    Where the rename cannot refuse a name that is taken (NFS), a hard link does so.
    """
    try:
        _libc.rename_new(old, new)
    except OSError as error:
        if error.errno not in platform_calls.RENAME_NEW_REFUSED:
            raise
        os.link(old, new, follow_symlinks=False)
        os.unlink(old)


# ---- disks ----------------------------------------------------------------------------------------------------------


def sync_below(fd: int, *, sure: bool = True) -> None:
    """Put everything in an open folder and below on disk; after a failure, do not call it again.

    One syncfs(2) of the whole file system. Where there is none (macOS), and with `sure` before Linux 5.8, where it does
    not report data that could not be written: fsync(2) of every file and folder.
    """
    if platform_calls.syncfs_tells() or not sure:
        try:
            _libc.syncfs(fd)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
        else:
            return
    _sync_each(fd)
    platform_calls.empty_drive_cache(fd)  # once, since it empties all of it


def _sync(fd: int) -> None:
    """Put an open file or folder on disk: fsync(2), on macOS with the cache of the drive."""
    if not platform_calls.empty_drive_cache(fd):
        os.fsync(fd)


def _sync_each(fd: int) -> None:
    for name, kind in list_folder(fd).items():
        if kind == "folder":
            inner = open_below(fd, name)
            try:
                _sync_each(inner)
            finally:
                close(inner)
        elif kind == "file":  # a link has no bytes of its own
            file = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=fd)
            try:
                os.fsync(file)
            finally:
                close(file)
    os.fsync(fd)


# ---- what a file system supports ------------------------------------------------------------------------------------


def file_system_number(path: str) -> int | None:
    """Return the number that tells the file system's type (statfs(2), `f_type`); None where the call fails."""
    try:
        return _libc.statfs_type(path)
    except OSError:
        return None


def open_unnamed(dir_fd: int) -> int:
    """Open a new file that has no name (O_TMPFILE, open(2)); OSError where the file system cannot."""
    return os.open(".", platform_calls.unnamed_flags(), 0o666, dir_fd=dir_fd)


def rename_if_free(old: str, new: str) -> None:
    """Rename, the kernel refusing a name that is taken; OSError EINVAL where the file system cannot (NFS)."""
    _libc.rename_new(old, new)


def copy_range(source: int, target: int, size: int) -> int:
    """Copy inside the kernel by copy_file_range(2) alone, and return how many bytes; OSError where it cannot."""
    return _by_range(source, target, size)


def keeps_locks(name: str, dir_fd: int) -> bool:
    """Return whether a lock on a new file of that name excludes a second holder; OSError where there are no locks.

    The second holder is another process, which opens nothing: it is given a second descriptor of the file.
    """
    first = open_new(name, dir_fd)
    try:
        platform_calls.lock_now(first, shared=False)
        second = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            return not platform_calls.another_process_locks(second)
        finally:
            close(second)
    finally:
        close(first)


class Room(NamedTuple):
    """The free bytes and inodes of a file system (None where it does not count them), and its block size."""

    free: int | None
    inodes: int | None
    block: int


def room(path: str) -> Room:
    """Return the free space for this user under `path`; statvfs(3) may not show quotas."""
    said = os.statvfs(path)
    return Room(
        said.f_bavail * said.f_frsize if said.f_blocks else None,
        said.f_favail if said.f_files else None,
        said.f_frsize or 4096,
    )


def look(path: str) -> os.stat_result | None:
    """Return the facts of a path itself (a link is not followed), or None where there is nothing."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def look_through(path: str) -> os.stat_result | None:
    """Return the facts of what a path leads to, links followed, or None where that is nothing."""
    try:
        return os.stat(path)
    except OSError:
        return None


def identity(path: str) -> tuple[int, int] | None:
    """Return device and inode of a path, links followed, or None where it leads to nothing."""
    try:
        return _key(os.stat(path))
    except OSError:
        return None


def open_identity(fd: int) -> tuple[int, int]:
    """Return device and inode of an open file or folder."""
    return _key(os.fstat(fd))


def real_path(path: str) -> str:
    """Return a path with every link resolved, as far as it exists."""
    return os.path.realpath(path)


def real_if_link(path: str) -> str:
    """Return where a folder really is, if its last component is a link; else the path as it is."""
    return os.path.realpath(path) if os.path.islink(path) else path


def is_empty_folder(path: str) -> bool:
    """Return whether a folder holds nothing."""
    with os.scandir(path) as entries:
        return next(entries, None) is None


def may_make_names(path: str) -> bool:
    """Return whether this user may make files in a folder; on a read-only file system nobody may."""
    return os.access(path, os.W_OK | os.X_OK)


def make_folder(path: str) -> bool:
    """Make a folder (0777 less umask); return whether it was missing. The folders above it must be there."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return False
    return True


def are_one_name(first: str, second: str, probe: str, dir_fd: int) -> bool:
    """Return whether a file system takes two names for one: macOS ignores case and Unicode form.

    It is tried in a new folder `probe` of an open folder.
    """
    inside = make_below(dir_fd, probe)
    try:
        os.mkdir(first, dir_fd=inside)
        return has(second, inside)
    finally:
        close(inside)
        remove_tree(dir_fd, probe)


def remove_empty_folder(path: str) -> None:
    """Remove a folder that holds nothing."""
    os.rmdir(path)


def sync_folder(path: str) -> None:
    """Put a folder's names on disk (fsync(2))."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(fd)
    finally:
        close(fd)


def read_path(path: str, limit: int) -> bytes:
    """Return a file's bytes, `limit` + 1 of them at most."""
    fd = os.open(path, _READ)
    try:
        return read_open(fd, limit)
    finally:
        close(fd)


def chunks_of(path: str) -> Iterator[bytes]:
    """Yield a file's bytes."""
    fd = os.open(path, _READ)
    try:
        while data := os.read(fd, _CHUNK):
            yield data
    finally:
        close(fd)


class AppendedFile(io.RawIOBase):
    """A file that is only ever appended to, its writes going through this module's `os`."""

    def __init__(self, name: str, dir_fd: int) -> None:
        super().__init__()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(name, flags, 0o666, dir_fd=dir_fd)

    def readable(self) -> bool:
        """No: `content` reads it."""
        return False

    def writable(self) -> bool:
        """Yes."""
        return True

    def content(self) -> bytes:
        """Return everything that is in it."""
        parts = []
        os.lseek(self._fd, 0, os.SEEK_SET)
        while data := os.read(self._fd, 1 << 20):
            parts.append(data)
        return b"".join(parts)

    def cut(self, length: int) -> None:
        """Remove everything after `length` bytes."""
        os.ftruncate(self._fd, length)

    def write(self, data: "ReadableBuffer") -> int:
        """Append; the kernel has the bytes when this returns."""
        try:
            return os.write(self._fd, data)
        except InterruptedError as error:  # io.BufferedWriter would repeat it for ever; os.write did so already
            raise OSError(errno.EIO, "the write was interrupted again and again") from error

    def sync(self) -> None:
        """Put it on disk."""
        _sync(self._fd)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def close(self) -> None:
        """Close it; a second call does nothing."""
        if not self.closed:
            super().close()
            close_written(self._fd)


# ---- locks ----------------------------------------------------------------------------------------------------------

# POSIX locks belong to the process: they do not exclude another thread of it, and closing ANY descriptor of the file
# releases them. So this process remembers here what it holds, and never opens such a file a second time.
_held: dict[tuple[int, int], "_Held"] = {}
_held_guard = threading.Lock()


class _Held:
    """A lock file that this process has open: the holder's text, and how many users in this process share it."""

    def __init__(self, fd: int, holder: bytes, *, shared: bool) -> None:
        self.fd = fd
        self.key = _key(os.fstat(fd))
        self.holder = holder
        self.shared = shared
        self.count = 1


class LockHeldError(Exception):
    """A live process holds the lock; `holder` is the text that it wrote into the file."""

    def __init__(self, holder: bytes) -> None:
        super().__init__(holder.decode("utf-8", "replace"))
        self.holder = holder


class Lock:
    """An fcntl lock on a file; the kernel releases it when its holder dies.

    Not flock(2): on GPFS its locks were seen to work on one node only, while those of fcntl(2) worked on all nodes.

    Args:
        dir_fd: the folder that holds the lock file.
        holder: a text about the holder, which others get when the lock is refused.
        shared: several such holders (shards) may have the lock at the same time, in one process too.

    Raises LockHeldError where it is held; OSError.
    """

    def __init__(self, dir_fd: int, holder: bytes, *, shared: bool = False) -> None:
        with _held_guard:
            own = _own(dir_fd)
            if own is not None:
                if not (shared and own.shared):
                    raise LockHeldError(own.holder)
                own.count += 1
                self._held: _Held | None = own
                return
            fd = _open_or_make(LOCK, dir_fd)
            try:
                _take(fd, shared=shared)
                signature = _SHARED + holder if shared else holder
                os.ftruncate(fd, 0)
                os.pwrite(fd, signature, 0)
                self._held = _Held(fd, holder, shared=shared)
                _held[self._held.key] = self._held
            except BaseException:
                close(fd)
                raise

    def alone(self) -> bool:
        """Make a shared lock exclusive, if nobody else holds it; return whether it is exclusive now."""
        with _held_guard:
            held = self._held
            if held is None or held.count > 1:
                return False
            try:
                platform_calls.lock_now(held.fd, shared=False)
            except OSError:  # shared, or no locks here: then it cannot be known
                return not held.shared
            held.shared = False
            return True

    def release(self) -> None:
        """Release it, and remove the holder's text from the file; a second call does nothing."""
        with _held_guard:
            held, self._held = self._held, None
            if held is None:
                return
            held.count -= 1
            if held.count:
                return
            del _held[held.key]
            with suppress(OSError):
                if os.pread(held.fd, 4096, 0) in {held.holder, _SHARED + held.holder}:  # not the text of another holder
                    os.ftruncate(held.fd, 0)
            close(held.fd)


def lock_holder(dir_fd: int) -> bytes | None:
    """Return what the live holder of a lock wrote, or None where nobody holds it; changes nothing."""
    with _held_guard:
        own = _own(dir_fd)
        if own is not None:
            return own.holder
        try:
            fd = os.open(LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        except FileNotFoundError:
            return None
        try:
            _take(fd, shared=False)
        except LockHeldError as held:
            return held.holder
        finally:
            close(fd)
    return None


def _key(now: os.stat_result) -> tuple[int, int]:
    return now.st_dev, now.st_ino


def _open_or_make(name: str, dir_fd: int) -> int:
    """Return a descriptor of a file, made where it is missing.

    On a network file system whose client does not see another node's new file yet, O_CREAT fails with EEXIST (seen on
    MooseFS), so it is tried again.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    for _ in range(_LOOKS):
        with suppress(FileNotFoundError):
            return os.open(name, flags, dir_fd=dir_fd)
        with suppress(FileExistsError):
            return os.open(name, flags | os.O_CREAT, 0o666, dir_fd=dir_fd)
        time.sleep(LOOK_SECONDS)
    return os.open(name, flags | os.O_CREAT, 0o666, dir_fd=dir_fd)


def _own(dir_fd: int) -> _Held | None:
    """Return the lock if this very process holds it."""
    try:
        return _held.get(_key(os.stat(LOCK, dir_fd=dir_fd, follow_symlinks=False)))
    except FileNotFoundError:
        return None


def _take(fd: int, *, shared: bool) -> None:
    try:
        platform_calls.lock_now(fd, shared=shared)
    except OSError as error:
        written = os.pread(fd, 4096, 0)
        holder = written.removeprefix(_SHARED)
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise LockHeldError(holder) from None
        if error.errno not in platform_calls.NOT_SUPPORTED | {errno.ENOLCK}:
            raise
        # No locks on this file system (Lustre without -o flock): a holder whose text is still in the file counts as
        # alive, unless it is known to be dead.
        if written and not (shared and written.startswith(_SHARED)) and not has_ended(holder):
            raise LockHeldError(holder) from None
