"""Values of packed datasets: files to be laid out, and entries that were read."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

FILE_MODE: Final = 0o644
FOLDER_MODE: Final = 0o755
# Of all that has no time in the plan: 1980-01-01 00:00:00 UTC, the first that every archive format can hold.
FIXED_TIME: Final = 315_532_800
LATEST_TIME: Final = 0xFFFFFFFF  # SquashFS has 32 bits, without a sign; an earlier time than 1970 becomes 0


class Files(NamedTuple):
    """Files of one folder that are laid out together: columns of equal length.

    Attributes:
        folder: path of the folder in the dataset, such as `images/train`; `""` is the root.
        names: file names.
        sizes: bytes.
        times: modification times, in whole seconds since 1970.
        mode: permissions of all of them.
    """

    folder: str
    names: Sequence[str]
    sizes: Sequence[int]
    times: Sequence[int]
    mode: int = FILE_MODE

    def part(self, start: int, stop: int) -> "Files":
        """Return files `start` to `stop` (not included)."""
        names, sizes, times = self.names[start:stop], self.sizes[start:stop], self.times[start:stop]
        return Files(self.folder, names, sizes, times, self.mode)


Kind = Literal["file", "folder", "link", "other"]


class Entry(NamedTuple):
    """What a packed dataset holds under one path.

    Attributes:
        path: relative, without `.` or `..`; bytes that are not UTF-8 are surrogates (PEP 383).
        kind: what it is.
        size: bytes of a file, else 0.
        mtime: modification time, in whole seconds since 1970.
        mode: permissions.
        at: where the reader finds it; other code does not look at it.
        target: of a link.
        run: where its content begins in the packed dataset, if it is known to be stored there in one run; else -1.
    """

    path: str
    kind: Kind
    size: int
    mtime: int
    mode: int
    at: int
    target: str = ""
    run: int = -1


class PackedError(Exception):
    """A packed dataset cannot be read: damaged, hostile, or of a kind that is not supported. The text says why."""
