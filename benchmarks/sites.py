"""The file systems that are measured: a folder of anybody's, loop-mounted ones, and those that `places` makes far away.

What is mounted or started here is taken down whatever happens.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks.places import Place, moosefs, slow
from planbalance import fs
from planbalance.tune.latency import latencies
from planbalance.tune.names import file_system


class UnavailableError(Exception):
    """A file system cannot be had here; the text says why."""


@dataclass(frozen=True)
class Site:
    """A file system to measure on.

    Attributes:
        name: as the table shows it.
        root: a folder on it, empty.
        wait: milliseconds that a metadata call is known to wait; 0 for a near one.
        prepared: makes `root` answer at once while the data are written.
        measured: makes `root` answer as it does.
    """

    name: str
    root: Path
    wait: float = 0.0
    prepared: Callable[[], AbstractContextManager[None]] = nullcontext
    measured: Callable[[], AbstractContextManager[None]] = nullcontext


@contextmanager
def folder(root: str, name: str = "") -> Iterator[Site]:
    """Give a folder of our own below `root`."""
    place = Path(tempfile.mkdtemp(prefix="planbalance-bench-", dir=root))
    try:
        yield Site(name or file_system_of(root), place, _wait(place))
    finally:
        shutil.rmtree(place)


def file_system_of(root: str) -> str:
    """Return what the tool calls the file system of a folder."""
    return file_system(os.path.realpath(root), fs.mount_table(), fs.file_system_number(root)).name


def _wait(place: Path) -> float:
    """Return the milliseconds that a call waits there; 0 where it hardly does."""
    tree = fs.Tree(str(place))
    try:
        milliseconds = 1000 * latencies(tree)["create"].median
        fs.remove_below(tree.fd)
    finally:
        tree.close()
    return milliseconds if milliseconds > 0.5 else 0.0


@contextmanager
def loop(kind: str, gigabytes: int = 6) -> Iterator[Site]:
    """Give a file system of a kind in a file that is mounted."""
    _need(root=True, programs=(f"mkfs.{kind}",))
    place = Path(tempfile.mkdtemp(prefix=f"pb-{kind}-", dir="/dev/shm"))
    image, point = place / "disk", place / "mounted"
    point.mkdir()
    try:
        with open(image, "wb") as file:
            file.truncate(gigabytes << 30)
        subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
        _mount_or_say(["mount", "-o", "loop", str(image), str(point)])
        try:
            yield Site(f"{kind} (loop)", point)
        finally:
            _unmount(point)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def far(milliseconds: int) -> Iterator[Site]:
    """Give a FUSE pass-through where a metadata call waits so long, and a data call a quarter of it."""
    _need(root=True, programs=("gcc", "pkg-config", "fusermount3"))
    with slow(1000 * milliseconds, 250 * milliseconds) as place:
        yield _site(place, milliseconds)


@contextmanager
def moose() -> Iterator[Site]:
    """Give a MooseFS."""
    _need(root=True, programs=("mfsmaster", "mfschunkserver", "mfsmount", "nsenter"))
    with moosefs() as place:
        yield _site(place, 0.1)


def _site(place: Place, wait: float) -> Site:
    def mounting(words: str) -> Callable[[], AbstractContextManager[None]]:
        return lambda: _mounted(place, words)

    return Site(place.name, Path(place.point), wait, mounting(place.direct), mounting(place.mount))


@contextmanager
def _mounted(place: Place, words: str) -> Iterator[None]:
    """Mount a place for all to see, and unmount it again."""
    serving = subprocess.Popen([*place.within, "sh", "-c", f"exec {words}"], stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while not os.path.ismount(place.point):
            if time.monotonic() > until:
                raise UnavailableError(f"{place.name} does not come up")
            time.sleep(0.05)
        yield
    finally:
        _unmount(Path(place.point))
        try:
            serving.wait(10)
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.wait()


def _unmount(point: Path) -> None:
    while os.path.ismount(point):
        subprocess.run(["umount", "-l", point], check=True)


def _mount_or_say(words: list[str]) -> None:
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    if told.returncode != 0:
        raise UnavailableError(told.stderr.strip())


def _need(*, root: bool, programs: tuple[str, ...]) -> None:
    if root and os.geteuid() != 0:
        raise UnavailableError("needs root")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise UnavailableError(f"needs {', '.join(missing)}")


# By the word that --on takes.
SITES: dict[str, Callable[[], AbstractContextManager[Site]]] = {
    "tmpfs": lambda: folder("/dev/shm"),
    "disk": lambda: folder(tempfile.gettempdir()),
    "xfs": lambda: loop("xfs"),
    "btrfs": lambda: loop("btrfs"),
    "far1": lambda: far(1),
    "far2": lambda: far(2),
    "far5": lambda: far(5),
    "far20": lambda: far(20),
    "moosefs": moose,
}
