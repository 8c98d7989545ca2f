"""A model of what a disk holds after the power went: recorded calls, and every way of losing what was not synced.

    log = record(folder, lambda: apply_plan(...))
    for state in crash_states(log, at=17, draw=random.Random(1), most=60): ...

What a file system may do with calls that no sync has followed, taken as POSIX and Linux leave it open, not as one file
system behaves: names reach the disk in any order and each may be lost, though a rename is one step; the bytes of a file
are there, or are those of an earlier moment, or half, or zeros, whatever became of its name. fsync(2) of a file keeps
its bytes and not its name; of a folder, the names in it; syncfs(2) keeps everything. After a sync that failed, the
bytes that it should have kept are in the cache and never on the disk (Linux marks the pages clean).
"""

import itertools
import os
import random
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.faults import faulty

ROOT: Final = 0
_EXHAUSTIVE: Final = 4  # so many times what is asked for at one moment is still taken, where that is all there is


class Thing(NamedTuple):
    """What a name leads to: `folder`, `file`, `link` (text: its target) or `outside` (text: a source file)."""

    kind: str
    text: str = ""


class Names(NamedTuple):
    """One step that changes names: each (folder, name) leads to a thing, or to nothing. A rename has two."""

    changes: tuple[tuple[int, str, int | None], ...]


class Bytes(NamedTuple):
    """A file holds these bytes from here on."""

    number: int
    data: bytes


class Sync(NamedTuple):
    """What is on disk now: one thing, or everything; or a sync that failed."""

    number: int | None
    failed: bool = False


Op = Names | Bytes | Sync
# path below the folder -> kind and bytes: what can be put on a real disk, and compared
State = dict[str, tuple[str, bytes]]


@dataclass
class Log:
    """A folder as it was, and what was done to it.

    Attributes:
        things: what each number stands for.
        names: (folder, name) -> thing, at the beginning.
        data: a file's bytes, at the beginning.
        ops: in the order in which the calls returned.
        in_place: files that are written at any offset, so that bytes which are on disk stay.
    """

    things: dict[int, Thing] = field(default_factory=lambda: {ROOT: Thing("folder")})
    names: dict[tuple[int, str], int] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    in_place: set[int] = field(default_factory=set)


# ---- recording ------------------------------------------------------------------------------------------------------


def record(folder: Path, work: Callable[[], object], *, fail_sync: int = 0) -> Log:
    """Run `work` and return what its calls through the seam did to `folder`; what else it touches is not looked at.

    No sync reaches the machine's disk. The `fail_sync`-th one fails.
    """
    recorder = _Recorder(folder, fail_sync)
    with faulty.calls(recorder.act):
        work()
    return recorder.log


class _Recorder:
    """Turns calls into steps. Things are known by device and inode as long as they have a name."""

    def __init__(self, folder: Path, fail_sync: int) -> None:
        self.log = Log()
        self._known: dict[tuple[int, int], int] = {_key(os.stat(folder)): ROOT}
        self._guard = threading.RLock()
        self._syncs_left = fail_sync
        self._take_in(str(folder), ROOT)

    def _take_in(self, path: str, number: int) -> None:
        for entry in os.scandir(path):
            child = self._new(entry.path)
            self.log.names[number, entry.name] = child
            if entry.is_dir(follow_symlinks=False):
                self._take_in(entry.path, child)
            elif entry.is_file(follow_symlinks=False):
                self.log.data[child] = Path(entry.path).read_bytes()

    def _new(self, path: str, dir_fd: int | None = None, source: str | None = None) -> int:
        facts = os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
        number = len(self.log.things)
        self._known[_key(facts)] = number
        if source is not None:
            thing = Thing("outside", source)
        elif stat.S_ISLNK(facts.st_mode):
            thing = Thing("link", os.readlink(path, dir_fd=dir_fd))
        else:
            thing = Thing("folder" if stat.S_ISDIR(facts.st_mode) else "file")
        self.log.things[number] = thing
        return number

    def act(
        self, _count: int, name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        handler = getattr(self, f"_{name}", None)
        if handler is None:
            return real(*args, **kwargs)
        with self._guard:
            return handler(real, *args, **kwargs)

    def _place(self, path: str, dir_fd: int | None) -> tuple[int, str] | None:
        """Return folder and name; None where the folder is none of ours."""
        parent, name = os.path.split(path)
        facts = os.fstat(dir_fd) if dir_fd is not None and not parent else os.stat(parent or ".", dir_fd=dir_fd)
        number = self._known.get(_key(facts))
        return None if number is None else (number, name)

    def _named(self, path: str, dir_fd: int | None, number: int | None) -> None:
        place = self._place(path, dir_fd)
        if place is not None:
            self.log.ops.append(Names(((*place, number),)))

    def _made(self, path: str, dir_fd: int | None) -> None:
        if self._place(path, dir_fd) is not None:
            self._named(path, dir_fd, self._new(path, dir_fd))

    # ---- names

    def _open(self, real: Any, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        fresh = bool(flags & os.O_CREAT) and not _lexists(path, dir_fd)
        fd: int = real(path, flags, mode, dir_fd=dir_fd)
        if fresh:
            self._made(path, dir_fd)
        return fd

    def _mkdir(self, real: Any, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        real(path, mode, dir_fd=dir_fd)
        self._made(path, dir_fd)

    def _mknod(self, real: Any, path: str, mode: int, *, dir_fd: int | None = None) -> None:
        real(path, mode, dir_fd=dir_fd)
        self._made(path, dir_fd)

    def _symlink(self, real: Any, target: str, path: str, *, dir_fd: int | None = None) -> None:
        real(target, path, dir_fd=dir_fd)
        self._made(path, dir_fd)

    def _link(
        self,
        real: Any,
        source: str,
        path: str,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        **kwargs: Any,
    ) -> None:
        real(source, path, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **kwargs)
        number = self._known.get(_key(os.stat(source, dir_fd=src_dir_fd)))
        if number is None:
            folder = "" if src_dir_fd is None else os.readlink(f"/proc/self/fd/{src_dir_fd}")
            number = self._new(path, dst_dir_fd, os.path.realpath(os.path.join(folder, source)))
        self._named(path, dst_dir_fd, number)

    def _unlink(self, real: Any, path: str, *, dir_fd: int | None = None) -> None:
        real(path, dir_fd=dir_fd)
        self._named(path, dir_fd, None)

    _rmdir = _unlink

    def _rename(
        self, real: Any, old: str, new: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        places = self._place(old, src_dir_fd), self._place(new, dst_dir_fd)
        number = self._known[_key(os.stat(old, dir_fd=src_dir_fd, follow_symlinks=False))]
        real(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        assert places[0] is not None
        assert places[1] is not None
        self.log.ops.append(Names(((*places[0], None), (*places[1], number))))

    def _rename_new(self, real: Any, old: str, new: str) -> None:
        self._rename(lambda *_, **__: real(old, new), old, new)

    # ---- bytes

    def _write(self, real: Any, fd: int, data: bytes) -> Any:
        return self._wrote(fd, real(fd, data))

    def _pwrite(self, real: Any, fd: int, data: bytes, offset: int) -> Any:
        self.log.in_place.add(self._known.get(_key(os.fstat(fd)), -1))
        return self._wrote(fd, real(fd, data, offset))

    def _ftruncate(self, real: Any, fd: int, length: int) -> Any:
        return self._wrote(fd, real(fd, length))

    def _fallocate(self, real: Any, fd: int, start: int, size: int) -> Any:
        self.log.in_place.add(self._known.get(_key(os.fstat(fd)), -1))
        return self._wrote(fd, real(fd, start, size))

    def _copy_file_range(self, real: Any, source: int, target: int, *args: Any) -> Any:
        return self._wrote(target, real(source, target, *args))

    def _sendfile(self, real: Any, target: int, *args: Any) -> Any:
        return self._wrote(target, real(target, *args))

    def _wrote(self, fd: int, result: Any) -> Any:
        number = self._known.get(_key(os.fstat(fd)))
        if number is not None:
            self.log.ops.append(Bytes(number, Path(f"/proc/self/fd/{fd}").read_bytes()))
        return result

    # ---- syncs

    def _fsync(self, _real: Any, fd: int) -> None:
        self._sync(self._known.get(_key(os.fstat(fd)), -1))

    def _syncfs(self, _real: Any, _fd: int) -> None:
        self._sync(None)

    def _sync(self, number: int | None) -> None:
        self._syncs_left -= 1
        failed = self._syncs_left == 0
        self.log.ops.append(Sync(number, failed))
        if failed:
            raise OSError(5, "Input/output error")


def _key(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _lexists(path: str, dir_fd: int | None) -> bool:
    try:
        os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


# ---- losing ---------------------------------------------------------------------------------------------------------


class _Disk:
    """What is certainly on disk at a moment, and what is still on its way."""

    def __init__(self, log: Log) -> None:
        self.things = log.things
        self.in_place = log.in_place
        self.names: dict[tuple[int, str], int | None] = dict(log.names)
        self.data = dict(log.data)
        self.coming: list[Names] = []
        self.versions: dict[int, list[bytes]] = {}

    def take(self, op: Op) -> None:
        """Go one step further."""
        if isinstance(op, Names):
            self.coming.append(op)
        elif isinstance(op, Bytes):
            self.versions.setdefault(op.number, []).append(op.data)
        elif op.failed:
            self.versions = {} if op.number is None else {k: v for k, v in self.versions.items() if k != op.number}
        elif op.number is None:
            for step in self.coming:
                self._keep(step)
            self.coming = []
            self.data.update((number, versions[-1]) for number, versions in self.versions.items())
            self.versions = {}
        else:
            self._sync_one(op.number)

    def _sync_one(self, number: int) -> None:
        if number in self.versions:
            self.data[number] = self.versions.pop(number)[-1]
        for step in [step for step in self.coming if any(change[0] == number for change in step.changes)]:
            self._keep(step)
            self.coming.remove(step)

    def _keep(self, step: Names) -> None:
        self.names.update(((folder, name), number) for folder, name, number in step.changes)

    def choices(self, number: int) -> list[bytes]:
        """Return what a file with bytes on their way may hold: as on disk, any later moment, half of it, or zeros."""
        kept, versions = self.data.get(number, b""), self.versions[number]
        last = versions[-1]
        grown = kept + bytes(max(0, len(last) - len(kept)))
        if number in self.in_place:
            return list(dict.fromkeys((*versions[-1:], kept, *versions[:-1], *_mixed(grown[: len(last)], last))))
        return list(
            dict.fromkeys((versions[-1], kept, *versions[:-1], last[: len(last) // 2], grown, bytes(len(last))))
        )

    def state(self, steps: tuple[bool, ...], data: dict[int, bytes]) -> State:
        """Return the tree where these steps arrived and files hold these bytes."""
        names = dict(self.names)
        for step, arrived in zip(self.coming, steps, strict=True):
            if arrived:
                names.update(((folder, name), number) for folder, name, number in step.changes)
        below: dict[int, list[tuple[str, int]]] = {}
        for (folder, name), number in names.items():
            if number is not None:
                below.setdefault(folder, []).append((name, number))
        held = {**self.data, **data}
        found: State = {}
        self._walk(ROOT, "", below, held, found)
        return found

    def _walk(
        self, folder: int, path: str, below: dict[int, list[tuple[str, int]]], held: dict[int, bytes], found: State
    ) -> None:
        for name, number in below.get(folder, ()):
            thing = self.things[number]
            found[path + name] = (thing.kind, held.get(number, b"") if thing.kind == "file" else thing.text.encode())
            if thing.kind == "folder":
                self._walk(number, f"{path}{name}/", below, held, found)


def _mixed(kept: bytes, last: bytes) -> Iterator[bytes]:
    """Yield a file that is written in place: what changed is there in one half alone, or is zeros."""
    half = len(last) // 2
    yield last[:half] + kept[half:]
    yield kept[:half] + last[half:]
    yield bytes(new if new == old else 0 for old, new in zip(kept, last, strict=True))


def crash_states(log: Log, at: int, draw: random.Random, most: int) -> Iterator[State]:
    """Yield states that a power loss after `at` steps can leave: all of them where they are few.

    Else `most` of them, every other one at random, the rest drawn from: nothing lost, all lost, each step lost alone
    and kept alone, the steps up to each lost or kept, all bytes lost under all names, each file's bytes in each of its
    ways and kept alone. States may be equal.
    """
    disk = _disk_at(log, at)
    count, files = len(disk.coming), {number: disk.choices(number) for number in disk.versions}
    total = 1 << min(count, 30)
    for choices in files.values():
        total *= len(choices)
    if total <= _EXHAUSTIVE * most:
        for steps in itertools.product((True, False), repeat=count):
            for data in itertools.product(*files.values()):
                yield disk.state(steps, dict(zip(files, data, strict=True)))
        return
    yield from itertools.islice(_chosen(disk, count, files, draw), most)


def _disk_at(log: Log, at: int) -> _Disk:
    disk = _Disk(log)
    for op in log.ops[:at]:
        disk.take(op)
    return disk


def _chosen(disk: _Disk, count: int, files: dict[int, list[bytes]], draw: random.Random) -> Iterator[State]:
    whole = {number: choices[0] for number, choices in files.items()}
    lost = {number: choices[1] if len(choices) > 1 else choices[0] for number, choices in files.items()}
    everything, nothing = (True,) * count, (False,) * count
    corners = [(everything, whole), (nothing, lost), (everything, lost), (nothing, whole)]
    corners += [(tuple(i != at for i in range(count)), whole) for at in range(count)]
    corners += [(tuple(i == at for i in range(count)), whole) for at in range(count)]
    corners += [(tuple(i >= at for i in range(count)), whole) for at in range(count)]
    corners += [(tuple(i < at for i in range(count)), whole) for at in range(count)]
    corners += [(everything, {**whole, number: other}) for number, choices in files.items() for other in choices[1:]]
    corners += [(everything, {**lost, number: whole[number]}) for number in files]
    draw.shuffle(corners)
    while True:
        if corners:
            yield disk.state(*corners.pop())
        share = draw.random()
        yield disk.state(
            tuple(draw.random() < share for _ in range(count)),
            {number: draw.choice(choices) for number, choices in files.items()},
        )


def only_kept(log: Log, at: int, name: str) -> State:
    """Return the state after `at` steps with every name, and no bytes that were not synced but those of `name`."""
    disk = _disk_at(log, at)
    changes = [change for step in disk.coming for change in step.changes]
    called = {number for (_, other), number in disk.names.items() if other == name}
    called |= {number for _, other, number in changes if other == name}
    data = {
        number: disk.choices(number)[0] if number in called else disk.data.get(number, b"") for number in disk.versions
    }
    return disk.state((True,) * len(disk.coming), data)


def materialise(state: State, folder: Path) -> None:
    """Put a state on a real disk, in an empty folder."""
    for path, (kind, data) in sorted(state.items()):
        place = f"{folder}/{path}"
        if kind == "folder":
            os.mkdir(place)
        elif kind == "link":
            os.symlink(data.decode(), place)
        elif kind == "outside":
            os.link(data.decode(), place)
        else:
            with open(place, "wb") as file:
                file.write(data)
