"""The one module that knows a system: no other one does, and calls of macOS get the arguments of its headers."""

import ast
import ctypes
import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import planbalance
from planbalance import fs, platform_calls
from planbalance.destination import fold
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import PlanError
from planbalance.executor.processes import Child
from planbalance.platform_calls import CLibrary
from planbalance.tune.names import file_system
from tests.builders import yolo_tree
from tests.engine.plans import saved_plan

PACKAGE = Path(planbalance.__file__).parent
ONE_PLACE = PACKAGE / "platform_calls.py"
# Attributes of modules that macOS lacks (mypy --platform darwin finds them too, where they are written plainly).
LINUX_ONLY = frozenset(
    (
        *("O_PATH", "O_TMPFILE", "O_DIRECT", "O_NOATIME", "O_LARGEFILE", "O_RSYNC", "copy_file_range", "sendfile"),
        *("splice", "fdatasync", "posix_fallocate", "posix_fadvise", "memfd_create", "eventfd", "pidfd_open", "setns"),
        *("sched_getaffinity", "sched_setaffinity", "process_cpu_count", "unshare", "getrandom", "waitid", "prlimit"),
        *("getxattr", "setxattr", "listxattr", "removexattr", "syncfs", "epoll", "sigtimedwait", "sigwaitinfo"),
        *("F_SETPIPE_SZ", "F_GETPIPE_SZ", "F_OFD_SETLK", "F_OFD_SETLKW", "F_OFD_GETLK", "F_NOTIFY", "F_ADD_SEALS"),
        # and what only macOS has
        *("st_birthtime", "O_EXLOCK", "O_SHLOCK", "O_EVTONLY", "O_SYMLINK", "F_FULLFSYNC", "F_NOCACHE", "kqueue"),
    )
)
# Of one system or of its own: only the one module imports them.
MODULES = frozenset(("ctypes", "fcntl", "resource", "multiprocessing", "_posixsubprocess", "platform"))
# A whole path or the beginning of one; a sentence that names one is no use of it.
FOLDERS = ("/proc", "/sys/", "/dev/shm", "/dev/fd", "/Volumes", "/System/")


def uses_of_a_system(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of each use of what one system has."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Attribute(attr=name) if name in LINUX_ONLY:
                yield line, name
            case ast.Attribute(value=ast.Name(id="sys"), attr="platform"):
                yield line, "sys.platform"
            case ast.Attribute(value=ast.Name(id="os"), attr="uname" | "name"):
                yield line, "os.uname or os.name"
            case ast.Import(names=names):
                yield from ((line, each.name) for each in names if each.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                if module.split(".")[0] in MODULES:
                    yield line, module
                yield from ((line, each.name) for each in names if each.name in LINUX_ONLY)
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                if text in LINUX_ONLY or text.startswith(FOLDERS):
                    yield line, text


def test_no_other_module_uses_what_one_system_has() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != ONE_PLACE
        for line, name in uses_of_a_system(ast.parse(path.read_text(encoding="utf-8")))
        if (path.relative_to(PACKAGE).as_posix(), name) not in ALLOWED
    ]
    assert found == []


# By module and name.
ALLOWED = {
    ("cli/__init__.py", "sys.platform"),  # Windows is told before anything is imported
    ("tune/probes.py", "copy_file_range"),  # the name of a probe, in documents
    ("tune/settings.py", "copy_file_range"),
    ("fs.py", "syncfs"),  # of `platform_calls.CLibrary`
    ("cli/version.py", "platform"),  # it prints the system
}


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.open('x', os.O_PATH)",
        "from os import sched_getaffinity",
        "getattr(os, 'O_TMPFILE')",
        "open(f'/proc/{pid}/stat')",
        "def f():\n    import ctypes.util",
        "from ctypes import CDLL",
        "if sys.platform == 'darwin': pass",
        "root = '/sys/fs/cgroup'",
    ],
)
def test_each_way_of_using_it_is_found(code: str) -> None:
    assert list(uses_of_a_system(ast.parse(code)))


# ---- macOS, its C library stood in for ------------------------------------------------------------------------------


class FakeLibrary:
    """A C library that has only what it is given, and remembers what it was asked."""

    def __init__(self, error: int = 0, **calls: Any) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._error = error
        self.__dict__.update(calls)

    def note(self, *arguments: Any) -> int:
        plain = (getattr(each, "value", each) for each in arguments)
        self.asked.append(tuple(plain))
        ctypes.set_errno(self._error)
        return -1 if self._error else 0


def library(*names: str, error: int = 0) -> tuple[CLibrary, FakeLibrary]:
    fake = FakeLibrary(error)
    for name in names:
        setattr(fake, name, fake.note)
    return CLibrary(fake), fake


def test_a_new_name_is_taken_by_renamex_np_with_rename_excl() -> None:
    calls, fake = library("renamex_np", "renameat2")
    calls.rename_new("/a/é", "/b")
    assert fake.asked == [("/a/é".encode(), b"/b", 4)]


@pytest.mark.parametrize("number", [errno.EEXIST, errno.ENOTSUP, errno.EIO])
def test_what_renamex_np_refuses_is_raised(number: int) -> None:
    calls, _ = library("renamex_np", error=number)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is compared
        calls.rename_new("/a", "/b")
    assert caught.value.errno == number


@pytest.mark.parametrize("call", ["rename_new", "syncfs", "fallocate", "clone_new", "openat2", "statfs_type"])
def test_what_the_c_library_lacks_is_not_supported(call: str) -> None:
    arguments = {"rename_new": ("a", "b"), "syncfs": (0,), "fallocate": (0, 0, 1), "clone_new": (0, "a", 0)}
    calls, _ = library()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is compared
        getattr(calls, call)(*arguments.get(call, ("a", 0, 0, 0)[: 1 if call == "statfs_type" else 4]))
    assert caught.value.errno == errno.ENOSYS
    assert (calls.clones_by_name, calls.kills_with_parent, calls.threads(), calls.system_value("x")) == (
        False,
        False,
        None,
        "",
    )


def test_a_number_of_linux_is_no_call_of_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """437 is openat2(2) on Linux; on macOS it would be whatever has that number there."""
    monkeypatch.setattr(platform_calls, "_ON_LINUX", False)
    calls, fake = library("syscall", "statfs")
    with pytest.raises(OSError, match="not implemented"):
        calls.openat2("a", 0, 0, 0)
    with pytest.raises(OSError, match="not implemented"):
        calls.statfs_type("/")
    with pytest.raises(OSError, match="not implemented"):
        platform_calls.share_blocks(0, 1)
    with pytest.raises(OSError, match="not implemented"):
        platform_calls.send_file(0, 1, 1)
    assert fake.asked == []


def test_a_clone_is_made_by_fclonefileat_without_the_owner() -> None:
    calls, fake = library("fclonefileat")
    assert calls.clones_by_name
    calls.clone_new(5, "IM1.png", 7)
    assert fake.asked == [(5, 7, b"IM1.png", 2)]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_clone_by_name_has_the_permissions_of_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    class Clones:
        clones_by_name = True

        @staticmethod
        def clone_new(source: int, name: str, dir_fd: int) -> None:
            made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=dir_fd)
            os.write(made, os.pread(source, 100, 0))
            os.fchmod(made, 0o400)  # as the source may have it
            os.close(made)

    monkeypatch.setattr(fs, "_libc", Clones())
    (tmp_path / "source").write_bytes(b"content")
    folder, source = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path / "source", os.O_RDONLY)
    before = os.umask(umask)
    try:
        with fs.new_clone(source, "clone", folder) as made:
            fs.set_mtime(made, 5_000_000_000)
        with pytest.raises(FileExistsError), fs.new_clone(source, "clone", folder):
            pass
    finally:
        os.umask(before)
        os.close(folder)
        os.close(source)
    facts = (tmp_path / "clone").stat()
    assert (facts.st_mode & 0o777, facts.st_mtime_ns) == (0o666 & ~umask, 5_000_000_000)
    assert (tmp_path / "clone").read_bytes() == b"content"


def test_threads_are_counted_by_libproc() -> None:
    def proc_pidinfo(pid: int, flavor: int, _argument: Any, answer: Any, size: int) -> int:
        assert (pid, flavor, size) == (os.getpid(), 4, 96)
        ctypes.memmove(ctypes.addressof(answer) + 84, (3).to_bytes(4, sys.byteorder), 4)
        return size

    assert CLibrary(FakeLibrary(proc_pidinfo=proc_pidinfo)).threads() == 3
    assert CLibrary(FakeLibrary(proc_pidinfo=lambda *_: 0)).threads() is None  # refused: nothing is forked


def test_the_boot_is_known_by_its_session() -> None:
    def sysctlbyname(name: bytes, answer: Any, size: Any, new: None, length: Any) -> int:
        assert (name, size._obj.value, new, length.value) == (b"kern.bootsessionuuid", 256, None, 0)
        answer.value = b"5E9F3A2C"
        return 0

    assert CLibrary(FakeLibrary(sysctlbyname=sysctlbyname)).system_value("kern.bootsessionuuid") == "5E9F3A2C"


# ---- on the disk itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "synced"), [(0, 0), (errno.ENOTSUP, 1), (errno.EINVAL, 1), (errno.ENOTTY, 1)])
def test_safe_empties_the_cache_of_the_drive_or_syncs_as_far_as_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, synced: int
) -> None:
    asked: list[int] = []
    fsyncs: list[int] = []

    def control(_fd: int, request: int) -> int:
        asked.append(request)
        if number:
            raise OSError(number, os.strerror(number))
        return 0

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", fsyncs.append)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fs.write_new("a", folder, b"1", on_disk=True)
        assert (asked, len(fsyncs)) == ([51], synced)
    finally:
        os.close(folder)


def test_a_drive_that_fails_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def control(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    with pytest.raises(OSError, match="Input/output"):
        fs.sync_folder(str(tmp_path))


def test_after_a_sync_file_by_file_the_cache_of_the_drive_is_emptied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, _ = library()
    asked: list[int] = []
    monkeypatch.setattr(fs, "_libc", calls)
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda _fd, request: asked.append(request))
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"1")
    tree = fs.Tree(str(tmp_path))
    fs.sync_below(tree.fd)
    tree.close()
    assert asked == [51]


# ---- processes ------------------------------------------------------------------------------------------------------


class Sleeper:
    """What a child answers that has long to do."""

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(seconds)


@pytest.mark.parametrize("siblings", [0, 1])
def test_a_child_ends_with_its_parent_where_the_kernel_does_not_see_to_it(
    monkeypatch: pytest.MonkeyPatch, siblings: int
) -> None:
    calls, _ = library()
    monkeypatch.setattr(platform_calls, "C_LIBRARY", calls)
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.close(reading)
        children: list[Child] = []
        for _ in range(1 + siblings):
            children.append(Child(Sleeper, children, kill_with_parent=True))
            children[-1].ask("sleep", 60.0)
        os.write(writing, b"ready")
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    try:
        assert os.read(reading, 5) == b"ready"
        os.waitpid(parent, 0)
        began = time.monotonic()
        assert os.read(reading, 1) == b""  # nobody holds the other end any more: the children have ended
        assert time.monotonic() - began < 30
    finally:
        os.close(reading)


def test_a_child_that_is_told_to_end_ends_before_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, _ = library()
    monkeypatch.setattr(platform_calls, "C_LIBRARY", calls)
    before = len(os.listdir("/proc/self/fd"))
    child = Child(Sleeper, (), kill_with_parent=True)
    child.ask("sleep", 0.0)
    assert child.answer() is None
    child.hang_up()
    assert child.reap() == "ended"
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_start_of_a_process_is_printed_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert platform_calls._printed_start(ended.pid) is None
    monkeypatch.setattr(platform_calls, "_told", lambda *_: "S+    Mon Nov 30 09:05:01 2026    \n")
    assert platform_calls._printed_start(os.getpid()) == "Mon Nov 30 09:05:01 2026"
    monkeypatch.setattr(platform_calls, "_told", lambda *_: "Z+    Mon Nov 30 09:05:01 2026    \n")
    assert platform_calls._printed_start(os.getpid()) is None
    monkeypatch.setattr(platform_calls, "_told", lambda *_: "")
    assert platform_calls._printed_start(os.getpid()) == ""  # it lives, and that is all that is known


# ---- file systems ---------------------------------------------------------------------------------------------------

MOUNT = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)
/dev/disk4s2 on /Volumes/Old disk (hfs, local, nodev, nosuid, journaled, noowners)
//me@server/share on /Volumes/share (smbfs, nodev, nosuid, mounted by me)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""


@pytest.mark.parametrize(
    ("path", "name", "point"),
    [
        ("/Users/me/data", "APFS", "/"),
        ("/Volumes/Old disk/data", "HFS+", "/Volumes/Old disk"),
        ("/Volumes/share/data", "SMB", "/Volumes/share"),
    ],
)
def test_the_mounts_of_macos_are_read(path: str, name: str, point: str) -> None:
    found = file_system(path, platform_calls._printed_mounts(MOUNT), None)
    assert (found.name, found.mount_point) == (name, point)


# ---- Windows --------------------------------------------------------------------------------------------------------

# Python as it is on Windows: without the modules and functions of POSIX.
_ON_WINDOWS = """
import os, signal, sys
sys.platform = "win32"
missing = {"fcntl", "pwd", "grp", "termios", "resource", "posix", "tty", "pty", "syslog"}
class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing)
for name in missing:
    sys.modules.pop(name, None)
for name in ("O_PATH O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_NONBLOCK O_NOCTTY pread pwrite fork uname geteuid statvfs "
             "fchmod sched_getaffinity mknod copy_file_range sendfile SEEK_HOLE").split():
    delattr(os, name) if hasattr(os, name) else None
for name in ("SIGKILL", "SIGHUP", "pthread_sigmask"):
    delattr(signal, name)
"""


def on_windows(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", _ON_WINDOWS + code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--version"], ["plan", "x", "--output", "y"], []])
def test_on_windows_the_program_says_in_one_sentence_what_it_needs(arguments: list[str]) -> None:
    told = on_windows(f"sys.argv = ['planbalance', *{arguments}]\nfrom planbalance.__main__ import main\nmain()")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == f"Error: {planbalance.NO_WINDOWS}\n"


@pytest.mark.parametrize("module", ["api", "fs", "executor.processes"])
def test_on_windows_an_import_says_it_too(module: str) -> None:
    told = on_windows(f"import planbalance.{module}")
    assert told.stderr.splitlines()[-1] == f"ImportError: {planbalance.NO_WINDOWS}"


# ---- names that are one ----------------------------------------------------------------------------------------------


class IgnoresCase:
    """The os module on a file system that takes names for one which `fold` makes equal."""

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in ("mkdir", "stat", "open", "rmdir", "mknod", "utime", "symlink", "link", "unlink"):
            return real

        def call(*arguments: Any, **named: Any) -> Any:
            at = 1 if name in ("symlink", "link") else 0
            if "dir_fd" not in named and "dst_dir_fd" not in named:
                return real(*arguments, **named)
            return real(*arguments[:at], fold(arguments[at]), *arguments[at + 1 :], **named)

        return call


@pytest.mark.parametrize(("first", "second"), [("SiteA", "sitea"), ("sité", "site\u0301"), ("x/Ä/z", "x/ä/z")])
def test_folders_that_are_one_on_this_file_system_are_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    source = yolo_tree(tmp_path / "in", {"01-a": ".+_", "02-b": ".."})
    for kind in ("images", "labels"):
        for folder, volume in ((first, "01-a"), (second, "02-b")):
            (source / kind / "train" / folder).mkdir(parents=True)
            for path in sorted((source / kind / "train").glob(f"*-{volume}*")):
                path.rename(source / kind / "train" / folder / path.name)
    monkeypatch.setattr("tests.engine.plans.SPLITS", ("train", "train", "train"))
    plan = saved_plan([source], tmp_path / "out/set", tmp_path / "plan.json")
    assert apply_plan(plan, ApplyOptions(jobs=1, output=str(tmp_path / "elsewhere"))).published
    monkeypatch.setattr(fs, "os", IgnoresCase())
    with pytest.raises(PlanError, match="would be one folder") as caught:
        apply_plan(plan, ApplyOptions(jobs=1))
    assert caught.value.kind == "collision"
    assert len(caught.value.paths) == 2
    assert {fold(path) for path in caught.value.paths} <= {fold("images/train/" + first), "images/train/x/ä"}
    assert not (tmp_path / "out").exists()


def test_a_lock_that_cannot_be_tried_in_time_is_an_os_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def too_slow(words: Any, **_: Any) -> None:
        raise subprocess.TimeoutExpired(words, 60)

    monkeypatch.setattr(subprocess, "run", too_slow)
    with open(tmp_path / "file", "wb") as file, pytest.raises(TimeoutError):
        platform_calls.another_process_locks(file.fileno())
