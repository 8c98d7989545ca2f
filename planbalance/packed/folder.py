"""What a folder of a packed dataset holds, as columns: a dataset has a hundred thousand files."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from planbalance.packed.entry import Entry, Kind, PackedError


class PackedFolder:
    """One folder. Columns have equal length; what they mean is said at `Entry`.

    Attributes:
        names: of everything in it.
        sizes: bytes of files, else 0.
        times: modification times.
        modes: permissions.
        ats: where the reader finds each.
        runs: where the content of each begins, else -1.
        kinds: of what is no file, by its number in the columns.
        targets: of links, by their number.
    """

    def __init__(self, names: Sequence[str], *columns: Sequence[int]) -> None:
        self.names = names
        self.sizes, self.times, self.modes, self.ats, self.runs = columns
        self.kinds: dict[int, Kind] = {}
        self.targets: dict[int, str] = {}

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The number of each name in the columns."""
        return dict(zip(self.names, range(len(self.names)), strict=True))

    def entry(self, path: str, number: int) -> Entry:
        """Return one entry by its number; `path` is its path."""
        return Entry(
            path,
            self.kinds.get(number, "file"),
            self.sizes[number],
            self.times[number],
            self.modes[number],
            self.ats[number],
            self.targets.get(number, ""),
            self.runs[number],
        )

    def files_of_size(self, names: Iterable[str], sizes: Iterable[int]) -> list[int]:
        """Return the number of each name, -1 where there is no file of the given size."""
        numbers, own, kinds = self.numbers, self.sizes, self.kinds
        found = [numbers.get(name, -1) for name in names]
        return [
            number if number >= 0 and own[number] == size and number not in kinds else -1
            for number, size in zip(found, sizes, strict=True)
        ]


class GrowingFolder(PackedFolder):
    """A folder to which one entry is added after the other."""

    def __init__(self) -> None:
        self._added: dict[str, int] = {}
        self._columns: tuple[list[Any], ...] = ([], [], [], [], [], [])
        super().__init__(*self._columns)

    def kind_of(self, name: str) -> Kind | None:
        """Return what is there under a name."""
        number = self._added.get(name)
        return None if number is None else self.kinds.get(number, "file")

    def add(self, name: str, entry: Entry) -> None:
        """Add an entry under a name that is not there."""
        number = self._added[name] = len(self._added)
        values = (name, entry.size, entry.mtime, entry.mode, entry.at, entry.run)
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        if entry.kind != "file":
            self.kinds[number] = entry.kind
        if entry.target:
            self.targets[number] = entry.target


def folders_of(entries: Iterable[Entry]) -> dict[str, PackedFolder]:
    """Return entries by folder, each folder behind the one that holds it; `""` is the root.

    Raises PackedError where two entries have the same path, or where the parent of an entry is not a folder.
    """
    folders = {"": GrowingFolder()}
    for entry in entries:
        _add(folders, entry)
    return dict(folders)


def _add(folders: dict[str, GrowingFolder], entry: Entry) -> None:
    parent, _, name = entry.path.rpartition("/")
    folder = folders.get(parent)
    if folder is None:
        if _kind_at(folders, parent) is not None:
            raise PackedError(f"it holds {entry.path!r}, though {parent!r} is no folder")
        _add(folders, Entry(parent, "folder", 0, 0, 0o755, 0))  # a tar need not name its folders
        folder = folders[parent]
    known = folder.kind_of(name)
    if known is not None:
        if entry.kind == "folder" == known:
            return  # tars may name a folder several times
        raise PackedError(f"it holds {entry.path!r} twice")
    folder.add(name, entry)
    if entry.kind == "folder":
        folders[entry.path] = GrowingFolder()


def _kind_at(folders: Mapping[str, GrowingFolder], path: str) -> Kind | None:
    parent, _, name = path.rpartition("/")
    folder = folders.get(parent)
    return None if folder is None else folder.kind_of(name)
