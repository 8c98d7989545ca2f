"""An `os` that counts its calls and does something at the n-th: fails, shortens, or kills the process.

    with faulty.calls(fail(17, errno.EIO)) as seen: apply_plan(...)

Only what can fail on a disk is counted; `os.path` and plain constants pass through.
"""

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from planbalance import fs, platform_calls

_FILES = (
    "open",
    "close",
    "read",
    "readv",
    "write",
    "pread",
    "pwrite",
    "fchmod",
    "lseek",
    "ftruncate",
    "fsync",
    "copy_file_range",
    "sendfile",
)
_NAMES = ("symlink", "link", "unlink", "rename", "mkdir", "rmdir", "mknod", "utime", "readlink", "scandir")
_FACTS = ("stat", "lstat", "fstat", "statvfs")
COUNTED = frozenset((*_FILES, *_NAMES, *_FACTS))
Act = Callable[[int, str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class FaultyOs:
    """Stands in for the os module in `planbalance.fs`."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self._guard = threading.Lock()
        self.seen: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in COUNTED:
            return real

        def counted(*args: Any, **kwargs: Any) -> Any:
            return self.call(name, real, args, kwargs)

        return counted

    def call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._guard:
            self.seen.append(name)
            number = len(self.seen)
        return self._act(number, name, real, args, kwargs)


class _FaultyLibc:
    """Stands in for the C library's calls, counted with the others."""

    def __init__(self, counter: FaultyOs, real: Any) -> None:
        self._counter = counter
        self._real = real

    def openat2(self, *args: Any) -> int:
        fd: int = self._counter.call("openat2", self._real.openat2, args, {})
        return fd

    @property
    def clones_by_name(self) -> bool:
        return bool(self._real.clones_by_name)

    def rename_new(self, *args: Any) -> None:
        self._counter.call("rename_new", self._real.rename_new, args, {})

    def clone_new(self, *args: Any) -> None:
        self._counter.call("clone_new", self._real.clone_new, args, {})

    def fallocate(self, *args: Any) -> None:
        self._counter.call("fallocate", self._real.fallocate, args, {})

    def syncfs(self, *args: Any) -> None:
        self._counter.call("syncfs", self._real.syncfs, args, {})


class _Copying:
    """Stands in for the os module in `planbalance.platform_calls`, which copies files and asks about processes."""

    def __init__(self, counter: FaultyOs) -> None:
        self._counter = counter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._counter if name in ("copy_file_range", "sendfile") else os, name)


@contextmanager
def calls(act: Act) -> Iterator[FaultyOs]:
    """Put a counting os in place."""
    counter = FaultyOs(act)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fs, "os", counter)
        patch.setattr(platform_calls, "os", _Copying(counter))
        patch.setattr(fs, "_libc", _FaultyLibc(counter, fs._libc))  # the C library: no argument carries it
        yield counter


def only_count(
    _number: int, _name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Do what is asked."""
    return real(*args, **kwargs)


def fail(at: int, number: int, *, for_good: bool = False) -> Act:
    """Fail the call number `at`, once or for good. A failing close closes, as the kernel does."""

    def act(count: int, name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if count == at or (for_good and count > at and name != "close"):
            if name == "close":
                real(*args, **kwargs)
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    return act


def kill(at: int, *, after: bool) -> Act:
    """Kill this process before or after the call number `at`."""

    def act(count: int, _name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if count == at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return real(*args, **kwargs)
        finally:
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)

    return act


def short(every: int) -> Act:
    """Read and write at most one byte, or half, of what is asked at every `every`-th call."""

    def act(count: int, name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if count % every:
            return real(*args, **kwargs)
        if name in ("read", "pread"):
            return real(args[0], max(1, args[1] // 2), *args[2:])
        if name == "readv":
            (view,) = args[1]
            return real(args[0], (view[: max(1, len(view) // 2)],))
        if name in ("write", "pwrite"):
            return real(args[0], bytes(args[1])[: max(1, len(args[1]) // 2)], *args[2:])
        if name in ("copy_file_range", "sendfile"):
            return real(*args[:-1], max(1, args[-1] // 2))
        return real(*args, **kwargs)

    return act


ERRNOS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EMFILE,
    errno.EACCES,
    errno.EXDEV,
    errno.EMLINK,
    errno.ESTALE,
    errno.EINTR,
    errno.ETIMEDOUT,
    errno.EPERM,
    errno.EROFS,
    errno.EINVAL,
    errno.EOPNOTSUPP,
)


def not_supported(*_: object) -> None:
    """Be a call that this file system lacks."""
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
