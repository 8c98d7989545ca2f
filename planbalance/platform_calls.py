"""What Linux and macOS have under different names, and what only one of them has: no other module knows a system.

Whether a call is there is asked of Python and of the C library, not of the name of the system. Where it is not there, a
function does the same by other calls, or raises OSError with ENOSYS, and `fs` then takes the way that it takes on file
systems which refuse the call. Numbers and structures of macOS are those of the headers named beside them. They were not
tried on a Mac: tests call them through a library that stands in for its own.
"""

import ctypes
import errno
import math
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from planbalance import NO_WINDOWS

try:
    import fcntl
except ImportError:
    raise ImportError(NO_WINDOWS) from None

# A folder for relative calls only. O_PATH needs no permission to read it; macOS has no such flag.
PLACE: Final[int] = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
# What has one name on both systems and does less on macOS is used on Linux only.
_ON_LINUX: Final[bool] = sys.platform == "linux"
# Whether mknod(2) makes an empty file for every user: macOS allows it to root alone, and not for files.
MKNOD_MAKES_FILES: Final[bool] = _ON_LINUX and hasattr(os, "mknod")
# Every error by which a system says "not supported": two names for one number on Linux, two numbers on macOS.
NOT_SUPPORTED: Final = frozenset((errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP))

_RENAME_NOREPLACE: Final = 1  # renameat2(2)
_RENAME_EXCL: Final = 4  # renamex_np(2), <sys/stdio.h>
_AT_FDCWD: Final = -100
_FICLONE: Final = 0x40049409  # ioctl_ficlone(2)
_CLONE_NOOWNERCOPY: Final = 2  # fclonefileat(2), <sys/clonefile.h>
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_SIGKILL: Final = 9
_PROC_PIDTASKINFO: Final = 4  # proc_pidinfo, <sys/proc_info.h>
_TASKINFO_BYTES: Final = 96  # struct proc_taskinfo: six numbers of 64 bits, then twelve of 32
_THREADS_AT: Final = 84  # its `pti_threadnum`
_SYNCFS_TELLS: Final = (5, 8)  # syncfs(2), errors
# No C library wraps it; the number is the same wherever system calls got new ones together (Linux 5.6).
_OPENAT2: Final = 437
_OPENAT2_MACHINES: Final = frozenset(("x86_64", "aarch64", "ppc64le", "s390x", "riscv64"))
RESOLVE_BENEATH: Final = 0x08 | 0x04 | 0x02  # and RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS (openat2(2))
_UNLIMITED: Final = 1 << 16
# Tries to lock its standard input; its exit code tells whether another process holds the lock.
_HELD: Final = 3
_TRY_LOCK: Final = f"""
import fcntl
try:
    fcntl.lockf(0, fcntl.LOCK_EX | fcntl.LOCK_NB)
except (BlockingIOError, PermissionError):
    raise SystemExit({_HELD})
"""


def _missing(name: str) -> OSError:
    return OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), name)


# ---- the C library --------------------------------------------------------------------------------------------------


class _OpenHow(ctypes.Structure):
    """`struct open_how` (openat2(2))."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class CLibrary:
    """Calls that Python's os module lacks, each raising OSError as os does; ENOSYS where the system has no such call.

    Args:
        calls: the C library, or what stands in for it.
    """

    def __init__(self, calls: Any = None) -> None:  # noqa: ANN401 - a ctypes library has any attribute
        self._calls: Any = calls or ctypes.CDLL(None, use_errno=True)
        # A number of Linux's is another call elsewhere.
        there = _ON_LINUX and os.uname().machine in _OPENAT2_MACHINES and hasattr(self._calls, "syscall")
        self._openat2 = _OPENAT2 if there else None
        if there:
            self._calls.syscall.restype = ctypes.c_long
        # What this system has decides how a thing is done.
        self.clones_by_name: Final = hasattr(self._calls, "fclonefileat")
        self.kills_with_parent: Final = hasattr(self._calls, "prctl")
        self.rename_new_call: Final = "renamex_np" if hasattr(self._calls, "renamex_np") else "renameat2"

    def openat2(self, path: str, dir_fd: int, flags: int, resolve: int) -> int:
        """Open a path below an open folder; the kernel checks each component. ENOSYS before Linux 5.6."""
        if self._openat2 is None:
            raise _missing(path)
        how = _OpenHow(flags, 0, resolve)
        number, size = ctypes.c_long(self._openat2), ctypes.c_size_t(ctypes.sizeof(how))
        fd: int = self._calls.syscall(number, ctypes.c_int(dir_fd), os.fsencode(path), ctypes.byref(how), size)
        if fd < 0:
            number_of_error = ctypes.get_errno()
            raise OSError(number_of_error, os.strerror(number_of_error), path)
        return fd

    def rename_new(self, old: str, new: str) -> None:
        """Rename in one step onto a name that is free: renameat2(2), or renamex_np(2). EEXIST where it is taken.

        Another error in `RENAME_NEW_REFUSED` says that this file system cannot refuse a taken name.
        """
        if self.rename_new_call == "renamex_np":
            self._checked("renamex_np", os.fsencode(old), os.fsencode(new), ctypes.c_uint(_RENAME_EXCL))
            return
        flags = ctypes.c_uint(_RENAME_NOREPLACE)
        self._checked("renameat2", _AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags)

    def clone_new(self, source: int, name: str, dir_fd: int) -> None:
        """Make a new file that shares the blocks of an open one (fclonefileat(2)). EEXIST where the name is taken.

        It has the permissions and times of the source, and this user as its owner.
        """
        flags = ctypes.c_uint32(_CLONE_NOOWNERCOPY)
        self._checked("fclonefileat", ctypes.c_int(source), ctypes.c_int(dir_fd), os.fsencode(name), flags)

    def statfs_type(self, path: str) -> int:
        """Return `f_type` of statfs(2), on Linux the first member of its answer."""
        if not _ON_LINUX:
            raise _missing("statfs")
        answer = ctypes.create_string_buffer(512)  # the structure has at most 120 bytes
        self._checked("statfs", os.fsencode(path), answer)
        length = 4 if os.uname().machine == "s390x" else ctypes.sizeof(ctypes.c_long)
        return int.from_bytes(answer.raw[:length], sys.byteorder)

    def fallocate(self, fd: int, start: int, size: int) -> None:
        """Give an open file its blocks; it grows to `start` + `size` (fallocate(2), mode 0)."""
        self._checked("fallocate", fd, 0, ctypes.c_long(start), ctypes.c_long(size))

    def syncfs(self, fd: int) -> None:
        """Write the whole file system of `fd` to its device."""
        self._checked("syncfs", fd)

    def kill_with_parent(self) -> None:
        """Have the kernel kill this process when its parent dies (prctl(2), PR_SET_PDEATHSIG)."""
        self._checked("prctl", _PR_SET_PDEATHSIG, _SIGKILL)

    def threads(self) -> int | None:
        """Return how many threads this process has, of which libproc knows (macOS); None where there is no libproc."""
        call = getattr(self._calls, "proc_pidinfo", None)
        answer = ctypes.create_string_buffer(_TASKINFO_BYTES)
        if call is None or call(os.getpid(), _PROC_PIDTASKINFO, ctypes.c_uint64(0), answer, _TASKINFO_BYTES) < len(
            answer
        ):
            return None
        return int.from_bytes(answer.raw[_THREADS_AT : _THREADS_AT + 4], sys.byteorder)

    def system_value(self, name: str) -> str:
        """Return a text of sysctlbyname(3) (macOS); "" where there is none."""
        call = getattr(self._calls, "sysctlbyname", None)
        answer, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
        if call is None or call(name.encode(), answer, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
            return ""
        return answer.value.decode("ascii", "replace")

    def _checked(self, name: str, *arguments: object) -> None:
        call = getattr(self._calls, name, None)
        if call is None:
            raise _missing(name)
        if call(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name)


C_LIBRARY: Final = CLibrary()
# The errors by which a file system says that it cannot refuse a name that is taken (NFS: EINVAL).
RENAME_NEW_REFUSED: Final = NOT_SUPPORTED | {errno.EINVAL}


# ---- files ----------------------------------------------------------------------------------------------------------


def share_blocks(source: int, target: int) -> None:
    """Share an open file's blocks with an empty open one (ioctl_ficlone(2)); ENOSYS on macOS, which makes new files."""
    if not _ON_LINUX or C_LIBRARY.clones_by_name:
        raise _missing("FICLONE")
    fcntl.ioctl(target, _FICLONE, source)


def copy_range(source: int, target: int, most: int) -> int:
    """Copy at most so many bytes from an open file to another inside the kernel by copy_file_range(2)."""
    call: Any = getattr(os, "copy_file_range", None)
    if call is None:
        raise _missing("copy_file_range")
    count: int = call(source, target, most)
    return count


def send_file(source: int, target: int, most: int) -> int:
    """Copy the same by sendfile(2), which on macOS writes to sockets only."""
    call: Any = getattr(os, "sendfile", None)
    if not _ON_LINUX or call is None:
        raise _missing("sendfile")
    count: int = call(target, source, None, most)
    return count


def unnamed_flags() -> int:
    """Return the flags of open(2) for a new file that has no name; ENOSYS where the system has none."""
    flags: int | None = getattr(os, "O_TMPFILE", None)
    if flags is None:
        raise _missing("O_TMPFILE")
    return flags | os.O_RDWR | os.O_CLOEXEC


def syncfs_tells() -> bool:
    """Return whether syncfs(2) reports data that could not be written: since Linux 5.8."""
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2]) >= _SYNCFS_TELLS


def empty_drive_cache(fd: int) -> bool:
    """Put an open file, and all that the drive holds in its cache, on the disk (macOS: fcntl(2), F_FULLFSYNC).

    Returns False where fsync(2) does all that can be done: on Linux, and where the file system refuses it.
    """
    request: int | None = getattr(fcntl, "F_FULLFSYNC", None)
    if request is None:
        return False
    try:
        fcntl.fcntl(fd, request)
    except OSError as error:
        if error.errno in NOT_SUPPORTED or error.errno in (errno.EINVAL, errno.ENOTTY):
            return False
        raise
    return True


def lock_now(fd: int, *, shared: bool) -> None:
    """Lock an open file (fcntl(2)) or raise OSError at once: EACCES or EAGAIN where another process holds it."""
    fcntl.lockf(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def another_process_locks(fd: int) -> bool:
    """Return whether another process gets a lock on an open file. Raises OSError where it cannot be tried."""
    import subprocess  # noqa: PLC0415 - slow to import, and only `tune` asks

    if not sys.executable:
        raise _missing("sys.executable")
    try:
        tried = subprocess.run(  # noqa: S603 - Python itself
            [sys.executable, "-I", "-S", "-c", _TRY_LOCK], stdin=fd, stderr=subprocess.DEVNULL, check=False, timeout=60
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
    if tried.returncode not in (0, _HELD):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    return tried.returncode == 0


def widen_pipe(fd: int, size: int) -> None:
    """Give a pipe so many bytes of room (pipe(7)); where that is refused, or not there, it keeps what it has."""
    request: int | None = getattr(fcntl, "F_SETPIPE_SZ", None)
    if request is not None:
        try:
            fcntl.fcntl(fd, request, size)
        except OSError:
            return


def mount_table() -> str:
    """Return the mount table of this process in the form of proc_pid_mountinfo(5); `""` where there is none."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            return file.read(1 << 24).decode("utf-8", "surrogateescape")
    except OSError:
        return _printed_mounts(_told("/sbin/mount")) if sys.platform == "darwin" else ""


def _printed_mounts(printed: str) -> str:
    """Return what mount(8) prints on macOS, `DEVICE on FOLDER (TYPE, ...)`, in the form of proc_pid_mountinfo(5)."""
    found = re.findall(r"^(?:.*?) on (/.*) \(([^,()]+)[^()]*\)$", printed, re.MULTILINE)
    return "".join(f"0 0 0:0 / {point.replace(' ', chr(92) + '040')} rw - {kind} none rw\n" for point, kind in found)


def _told(*words: str) -> str:
    """Return what a program of the system prints; "" where it cannot be run or fails."""
    import subprocess  # noqa: PLC0415 - slow to import, and Linux needs no program

    try:
        told = subprocess.run(  # noqa: S603 - the system's own programs, by their path
            words, capture_output=True, check=False, timeout=10, env={**os.environ, "LC_ALL": "C", "TZ": "UTC"}
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.decode("utf-8", "surrogateescape") if told.returncode == 0 else ""


# ---- processes ------------------------------------------------------------------------------------------------------


def cores_of_affinity() -> int:
    """Return the cores that this process may run on; where there is no affinity, the machine's."""
    call: Any = getattr(os, "sched_getaffinity", None)
    return len(call(0)) if call is not None else os.cpu_count() or 1


def cores_of_cgroups(membership: str = "/proc/self/cgroup", root: str = "/sys/fs/cgroup") -> int:
    """Return how many cores' time the cgroups of this process are given, rounded up; many where nothing limits them.

    cgroups(7): a line of `membership` is `hierarchy:controllers:path`; hierarchy 0 is version 2 (`cpu.max`), each group
    within the limits of those above it.
    """
    least = float(_UNLIMITED)
    for files in _quota_files(membership, root):
        words = [word for file in files for word in _words(file)]
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            least = min(least, int(words[0]) / int(words[1]))
    return math.ceil(least)


def _quota_files(membership: str, root: str) -> Iterator[tuple[str, ...]]:
    """Yield the files that give quota and period of each group that this process is in."""
    for line in _words(membership):
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        parts = path.strip("/").split("/")
        for depth in range(len(parts) + 1):
            group = "/".join((root, *parts[:depth]))
            if hierarchy == "0":
                yield (f"{group}/cpu.max",)
            elif "cpu" in controllers.split(","):
                group = "/".join((root, "cpu", *parts[:depth]))
                yield f"{group}/cpu.cfs_quota_us", f"{group}/cpu.cfs_period_us"


def _words(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().split()
    except OSError:
        return []


def thread_count() -> int | None:
    """Return how many threads this process has, those of libraries too; None where that cannot be known."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return C_LIBRARY.threads()


def boot_id() -> str:
    """Return the kernel's id of this boot; "" where it has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return C_LIBRARY.system_value("kern.bootsessionuuid")


def pid_namespace() -> str:
    """Return in which namespace process ids count (containers have their own); "" where there is only one."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def process_start(pid: int) -> str | None:
    """Return when a process was started, as a text that no other process of this id has; None where there is none.

    On Linux in ticks since boot (proc_pid_stat(5), field 22), else as ps(1) prints it, in UTC. "" where there is such a
    process, and its start cannot be known.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return _printed_start(pid)
    return None if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")


def _printed_start(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except OSError:  # another user's
        pass
    state, _, start = _told("/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)).strip().partition(" ")
    return None if state.startswith("Z") else " ".join(start.split())
