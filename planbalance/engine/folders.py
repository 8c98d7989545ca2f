"""The folders that one worker has open: opened once, kept while they are in use, closed with the worker."""

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

from planbalance import fs
from planbalance.destination import Destination, label_of
from planbalance.engine.check import StaleError

# Kept open at a time by one worker: few, so that many workers stay far below `ulimit -n` (1,024).
_SOURCES: Final = 6
_TARGETS: Final = 3

Opened = TypeVar("Opened")


class _Latest(Generic[Opened]):
    """The last few things opened, by name; the one opened first is closed for a new one."""

    def __init__(self, most: int, open_: Callable[[str], Opened], close: Callable[[Opened], None]) -> None:
        self._most = most
        self._open = open_
        self._close = close
        self._kept: dict[str, Opened] = {}

    def of(self, name: str) -> Opened:
        opened = self._kept.get(name)
        if opened is None:
            if len(self._kept) >= self._most:
                self._close(self._kept.pop(next(iter(self._kept))))
            opened = self._kept[name] = self._open(name)
        return opened

    def close(self) -> None:
        while self._kept:
            self._close(self._kept.popitem()[1])


class Targets(NamedTuple):
    """Descriptors of the two folders below the output that a block fills."""

    images: int
    labels: int


class Folders:
    """A worker's open folders, source and target.

    Args:
        tree: the staging folder; None where nothing is placed.
    """

    def __init__(self, tree: fs.Tree | None) -> None:
        self._tree = tree
        self._sources = _Latest(_SOURCES, _open_source, fs.close)
        self._targets = _Latest(_TARGETS, self._open_targets, _close_targets)

    def source(self, path: str) -> int:
        """Return a descriptor of a source folder. Raises StaleError where it is gone."""
        return self._sources.of(path)

    def targets(self, folder: str) -> Targets:
        """Return the two folders of a destination such as `images/train`, made where missing. Raises OSError."""
        return self._targets.of(folder)

    def close(self) -> None:
        """Close them all; they are opened anew when asked for again."""
        self._sources.close()
        self._targets.close()

    def _open_targets(self, folder: str) -> Targets:
        assert self._tree is not None
        images = self._tree.folder(folder, make=True)
        try:
            return Targets(images, self._tree.folder(label_of(Destination(folder, "")).folder, make=True))
        except BaseException:
            fs.close(images)
            raise


def _open_source(path: str) -> int:
    try:
        return fs.open_source_folder(path)
    except (FileNotFoundError, NotADirectoryError):
        raise StaleError("is gone") from None


def _close_targets(targets: Targets) -> None:
    for fd in targets:
        fs.close(fd)
