"""Open folders of a run: opened once for all workers of a process, and kept open while they may be used again.

On a remote file system, making and opening a folder costs as many round trips as placing several slices. So the first
worker that needs a folder makes it in its open parent, and the others wait for it.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from planbalance import fs
from planbalance.destination import Destination, label_of
from planbalance.engine.staleness import GONE, GoneError

# How many folders one worker holds open at a time, and how many stay open though no worker uses them. With two open
# files for each worker, 128 workers stay below `ulimit -n` (1,024).
_SOURCES: Final = 3
# For a worker that is alone in its process: images and labels of three splits may alternate in one block.
SOURCES_ALONE: Final = 6
_TARGETS: Final = 1
_UNUSED: Final = 32

Opened = TypeVar("Opened")


class _Recent(dict[str, Opened]):
    """The last few things opened, by name: a missing one is opened, and the oldest one closed.

    A dict, since it is looked up for every file.
    """

    def __init__(self, most: int, open_: Callable[[str], Opened], close: Callable[[str], None]) -> None:
        super().__init__()
        self._most = most
        self._open = open_
        self._close = close

    def __missing__(self, name: str) -> Opened:
        if len(self) >= self._most:
            oldest = next(iter(self))
            del self[oldest]
            self._close(oldest)
        opened = self[name] = self._open(name)
        return opened

    def close(self) -> None:
        while self:
            self._close(self.popitem()[0])


class _Entry:
    """A folder that is in use or kept open."""

    def __init__(self) -> None:
        self.fd = -1
        self.users = 0
        self.opening = threading.Lock()


class FdCache:
    """Open folders by name, shared by threads; those that no thread uses are closed, the longest unused first.

    Args:
        open_: opens one; called once for all threads that wait for it, and again by the next one where it raised.
        unused: how many are kept open though no thread uses them.
    """

    def __init__(self, open_: Callable[[str], int], unused: int = _UNUSED) -> None:
        self._open = open_
        self._most_unused = unused
        self._entries: dict[str, _Entry] = {}
        self._unused: dict[str, None] = {}  # the longest unused first
        self._lock = threading.Lock()

    def take(self, name: str) -> int:
        """Return a folder's descriptor, which stays open until `give` is called. Raises what opening it raises."""
        with self._lock:
            entry = self._entries.setdefault(name, _Entry())
            entry.users += 1
            self._unused.pop(name, None)
        try:
            with entry.opening:
                if entry.fd < 0:
                    entry.fd = self._open(name)
        except BaseException:
            self.give(name)
            raise
        return entry.fd

    def give(self, name: str) -> None:
        """Stop using a folder."""
        with self._lock:
            entry = self._entries[name]
            entry.users -= 1
            if entry.users:
                return
            if entry.fd < 0:
                del self._entries[name]
                return
            self._unused[name] = None
            if len(self._unused) <= self._most_unused:
                return
            oldest = next(iter(self._unused))
            del self._unused[oldest]
            closing = self._entries.pop(oldest)
        fs.close(closing.fd)

    def close(self) -> None:
        """Close what is not in use."""
        with self._lock:
            unused, self._unused = self._unused, {}
            closing = [self._entries.pop(name) for name in unused]
        for entry in closing:
            fs.close(entry.fd)


class Targets(NamedTuple):
    """Descriptors of the two folders below the output that a block fills."""

    images: int
    labels: int


class SharedFolders:
    """The open folders that all workers of one process share.

    Args:
        tree: the staging folder; None where no file is placed.
        sources: how many source folders one worker holds at a time.
    """

    def __init__(self, tree: fs.Tree | None, sources: int = _SOURCES) -> None:
        self.tree = tree
        self.sources_each = sources
        self.sources = FdCache(_open_source)
        self.made = FdCache(self._make)

    def _make(self, path: str) -> int:
        assert self.tree is not None
        parent, _, name = path.rpartition("/")
        if not parent:
            return fs.make_below(self.tree.fd, name)
        above = self.made.take(parent)
        try:
            return fs.make_below(above, name)
        finally:
            self.made.give(parent)

    def close(self) -> None:
        """Close what is not in use."""
        self.sources.close()
        self.made.close()


class Folders:
    """One worker's folders, source and target.

    Args:
        shared: those of its process.

    Attributes:
        sources: descriptors of source folders by path, each valid until the next one is requested. Raises StaleError
            where the folder is gone; OSError.
    """

    def __init__(self, shared: SharedFolders) -> None:
        self._made = shared.made
        self.sources: Mapping[str, int]
        self.sources = self._sources = _Recent(shared.sources_each, shared.sources.take, shared.sources.give)
        self._targets = _Recent(_TARGETS, self._open_targets, self._close_targets)

    def targets(self, folder: str) -> Targets:
        """Return the two folders of a destination such as `images/train`, made where missing. Raises OSError."""
        return self._targets[folder]

    def close(self) -> None:
        """Stop using them; they are opened again when they are needed."""
        self._sources.close()
        self._targets.close()

    def _open_targets(self, folder: str) -> Targets:
        images = self._made.take(folder)
        try:
            return Targets(images, self._made.take(_labels(folder)))
        except BaseException:
            self._made.give(folder)
            raise

    def _close_targets(self, folder: str) -> None:
        self._made.give(folder)
        self._made.give(_labels(folder))


def _labels(folder: str) -> str:
    return label_of(Destination(folder, "")).folder


def _open_source(path: str) -> int:
    try:
        return fs.open_source_folder(path)
    except GONE:
        raise GoneError from None
