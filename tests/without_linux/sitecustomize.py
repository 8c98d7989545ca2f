"""Takes away what only Linux has, in every Python that finds this folder on PYTHONPATH (`make test-without-linux`).

`PLANBALANCE_SYSTEM=bare`: nothing is there instead, as on a system that nobody thought of.
`PLANBALANCE_SYSTEM=macos`: what planbalance calls on macOS is there, with the arguments that macOS wants, done by what
Linux has. That shows the way which is taken there; it does not show what macOS itself does.

Tests that need what is taken away are skipped (`tests/systems.py`). Python imports this module at its start. Only what
`planbalance.platform_calls` asks for is refused of /proc and /sys: the tests themselves look there.
"""

import builtins
import ctypes
import errno
import fcntl
import os
import select
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_OS = (
    *("O_PATH", "O_TMPFILE", "O_DIRECT", "O_NOATIME", "O_LARGEFILE", "O_RSYNC"),
    *("copy_file_range", "sendfile", "splice", "fdatasync", "posix_fallocate", "posix_fadvise"),
    *("sched_getaffinity", "sched_setaffinity", "sched_getscheduler", "sched_getparam"),
    *("mknod", "memfd_create", "eventfd", "pidfd_open", "setns", "unshare", "getrandom"),
    *("getxattr", "setxattr", "listxattr", "removexattr"),
)
_FCNTL = ("F_SETPIPE_SZ", "F_GETPIPE_SZ", "F_OFD_SETLK", "F_OFD_SETLKW", "F_OFD_GETLK", "F_ADD_SEALS", "F_NOTIFY")
_C_LIBRARY = frozenset(("syscall", "renameat2", "statfs", "fallocate", "syncfs", "prctl"))
_FICLONE = 0x40049409

_libc = ctypes.CDLL(None, use_errno=True)
_ioctl, _thread_folder = fcntl.ioctl, os.listdir


def _asks_for_system(path: object) -> bool:
    """Return whether planbalance asks for a file that only Linux has."""
    asking = sys._getframe(2).f_globals.get("__name__")
    return asking == "planbalance.platform_calls" and str(path).startswith(("/proc/", "/sys/"))


def _without_system(real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        if arguments and _asks_for_system(arguments[0]):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), arguments[0])
        return real(*arguments, **named)

    return call


def _no_clone(fd: Any, request: int, *arguments: Any) -> Any:
    if request == _FICLONE and sys._getframe(1).f_globals.get("__name__") == "planbalance.platform_calls":
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
    return _ioctl(fd, request, *arguments)


class _CLibrary(ctypes.CDLL):
    """The C library without what only Linux has; with what stands in for that of macOS."""

    def __getattr__(self, name: str) -> Any:
        if not self._name and name in _C_LIBRARY:
            raise AttributeError(name)
        if not self._name and name in _STAND_INS:
            return _STAND_INS[name]
        return super().__getattr__(name)


# ---- what stands in for calls of macOS: each checks what it is given as the headers of macOS declare it -------------


def _renamex_np(old: bytes, new: bytes, flags: ctypes.c_uint) -> int:
    assert flags.value == 0x4  # RENAME_EXCL
    result: int = _libc.renameat2(-100, old, -100, new, ctypes.c_uint(1))
    return result


def _fclonefileat(source: ctypes.c_int, folder: ctypes.c_int, name: bytes, flags: ctypes.c_uint32) -> int:
    assert flags.value == 0x2  # CLONE_NOOWNERCOPY
    facts = os.fstat(source.value)
    try:
        made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder.value)
    except OSError as error:
        ctypes.set_errno(error.errno or errno.EIO)
        return -1
    try:
        _ioctl(made, _FICLONE, source.value)
        os.fchmod(made, stat.S_IMODE(facts.st_mode))
        os.utime(made, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    except OSError as error:
        os.unlink(name, dir_fd=folder.value)
        ctypes.set_errno(error.errno or errno.EIO)
        return -1
    finally:
        os.close(made)
    return 0


def _proc_pidinfo(pid: int, flavor: int, argument: ctypes.c_uint64, answer: Any, size: int) -> int:
    assert (pid, flavor, argument.value, size) == (os.getpid(), 4, 0, 96)  # PROC_PIDTASKINFO, struct proc_taskinfo
    threads = len(_thread_folder("/proc/self/task"))
    ctypes.memmove(ctypes.addressof(answer) + 84, threads.to_bytes(4, sys.byteorder), 4)
    return size


def _sysctlbyname(name: bytes, answer: Any, _size: Any, new: None, length: ctypes.c_size_t) -> int:
    assert (name, new, length.value) == (b"kern.bootsessionuuid", None, 0)
    with builtins.open("/proc/sys/kernel/random/boot_id", "rb") as file:
        answer.value = file.read().strip().upper()
    return 0


_STAND_INS: dict[str, Callable[..., int]] = {}
if os.environ.get("PLANBALANCE_SYSTEM") == "macos":
    _STAND_INS = {
        "renamex_np": _renamex_np,
        "fclonefileat": _fclonefileat,
        "proc_pidinfo": _proc_pidinfo,
        "sysctlbyname": _sysctlbyname,
    }

if os.environ.get("PLANBALANCE_SYSTEM") in ("bare", "macos"):
    for module, names in ((os, _OS), (fcntl, _FCNTL), (select, ("epoll",)), (signal, ("sigtimedwait", "sigwaitinfo"))):
        for each in names:
            with suppress(AttributeError):
                delattr(module, each)
    ctypes.CDLL = _CLibrary  # type: ignore[misc]  # for whoever asks for it from now on
    fcntl.ioctl = _no_clone
    builtins.open = _without_system(builtins.open)
    os.listdir, os.readlink = _without_system(os.listdir), _without_system(os.readlink)
