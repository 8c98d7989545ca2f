"""The layout of a tar: the header of every file and where it goes, from names and sizes.

Headers are ustar; a name that does not fit or is not ASCII, and a size from 8 GiB, stand in a pax header before it
(POSIX 1003.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"). So each offset is known before the first
byte of content is read. Owner and group are 0 and have no names.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final

from planbalance.packed.entry import FIXED_TIME, FOLDER_MODE, LATEST_TIME, Files

BLOCK: Final = 512
_RECORD: Final = 20 * BLOCK  # a tar ends with a whole record
_NAME_BYTES: Final = 100
_PREFIX_BYTES: Final = 155
_LARGE: Final = 8**11  # the first size that has no room in 11 octal digits
_PAX_NAME: Final = b"PaxHeader"
_LONGEST_COMMENT: Final = 1 << 20  # some readers refuse a larger pax header


class TarLayout:
    """A tar that grows by groups of files. A group is one run of headers and content, in the order of its names.

    Attributes:
        end: where the next header goes.
    """

    def __init__(self, folders: Iterable[str] = ()) -> None:
        self.folders = folder_headers(folders)
        self.end = len(self.folders)

    def align(self, boundary: int) -> int:
        """Let the next group begin at a multiple of `boundary`, which is returned; `filler` goes into the gap.

        A gap has room for a pax header with at least one block of content: one of 512 bytes grows by `boundary`.
        """
        self.end = aligned(self.end, boundary)
        return self.end

    def add(self, files: Files) -> Sequence[int]:
        """Add files, and return where the header of each begins."""
        starts, self.end = offsets(self.end, files)
        return starts

    @property
    def size(self) -> int:
        """Bytes of the whole tar."""
        return self.end + len(self.tail())

    @property
    def most(self) -> int:
        """The same: nothing takes long."""
        return self.size

    def tail(self) -> bytes:
        """Return what follows the last file, to be written at `end`: two empty blocks, zeros up to a whole record."""
        return bytes(2 * BLOCK + -(self.end + 2 * BLOCK) % _RECORD)


def aligned(end: int, boundary: int) -> int:
    """Return where `TarLayout.align` lets the next group begin, behind one that ends at `end`."""
    gap = -end % boundary
    return end + (gap + boundary if gap == BLOCK else gap)


def folder_headers(folders: Iterable[str]) -> bytes:
    """Return the headers of all folders that lie on the way to the given ones, outer ones first."""
    paths = {folder[:cut] for folder in folders if folder for cut in _ends(folder)}
    return b"".join([header(f"{path}/", 0, FIXED_TIME, FOLDER_MODE) for path in sorted(paths)])


def _ends(path: str) -> list[int]:
    return [at for at, letter in enumerate(path) if letter == "/"] + [len(path)]


def offsets(start: int, files: Files) -> tuple[list[int], int]:
    """Return where the header of each file begins, and where the last one's content ends."""
    *starts, end = accumulate(lengths(files), initial=start)
    return starts, end


def lengths(files: Files) -> list[int]:
    """Return how many bytes each file takes, with its header and what follows its content."""
    lead = f"{files.folder}/" if files.folder else ""
    return [
        header_length(lead + name, size) + size + -size % BLOCK
        for name, size in zip(files.names, files.sizes, strict=True)
    ]


def header_length(path: str, size: int) -> int:
    """Return the length of what `header` returns."""
    if size < _LARGE and len(path) <= _NAME_BYTES and path.isascii():
        return BLOCK  # as most are
    return len(header(path, size, 0))


def header(path: str, size: int, mtime: int, mode: int = 0o644) -> bytes:
    """Return what stands before the content of a file; a path that ends in `/` is a folder's."""
    name = path.encode()
    records: list[tuple[bytes, bytes]] = []
    split = _split(name) if name.isascii() else None
    if split is None:
        records.append((b"path", name))
        split = (b"", name.decode("ascii", "replace").encode("ascii", "replace")[:_NAME_BYTES])
    if size >= _LARGE:
        records.append((b"size", str(size).encode()))
    time = min(max(mtime, 0), LATEST_TIME)
    kind = b"5" if path.endswith("/") else b"0"
    own = _block(split, size if size < _LARGE else 0, time, mode, kind)
    if not records:
        return own
    return _extended(b"".join([_pax_record(*record) for record in records])) + own


def filler(length: int) -> bytes:
    """Return a pax header that says nothing, of that length: it fills the gap that `TarLayout.align` leaves.

    It counts for the file behind it (a comment, which readers ignore). Nothing where the length is 0.
    """
    if not length:
        return b""
    content = length - BLOCK
    if length % BLOCK or not 0 < content <= _LONGEST_COMMENT:
        raise ValueError(f"no pax header has {length} bytes")
    digits = len(str(content))
    comment = bytes(content - digits - len(b" comment=\n")).replace(b"\0", b" ")
    return _extended(b"%d comment=%s\n" % (content, comment))


def _extended(records: bytes) -> bytes:
    return _block((b"", _PAX_NAME), len(records), FIXED_TIME, 0o644, b"x") + records + bytes(-len(records) % BLOCK)


def _pax_record(key: bytes, value: bytes) -> bytes:
    """Return `LENGTH key=value` and a newline; the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + 1
    while length != rest + len(str(length)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Return prefix and name of a path, or None where it does not fit into the two."""
    if len(name) <= _NAME_BYTES:
        return b"", name
    cut = name.find(b"/", len(name) - _NAME_BYTES - 1, len(name) - 1)  # a folder's name keeps its last `/`
    if 0 < cut <= _PREFIX_BYTES:
        return name[:cut], name[cut + 1 :]
    return None


def _block(split: tuple[bytes, bytes], size: int, mtime: int, mode: int, kind: bytes) -> bytes:
    prefix, name = split
    start = b"%s%07o\x000000000\x000000000\x00%011o\x00%011o\x00" % (name.ljust(100, b"\0"), mode, size, mtime)
    end, sum_of_end = _end(kind, prefix)
    return b"%s%06o\x00 %s" % (start, sum(start) + sum_of_end, end)


@lru_cache(64)
def _end(kind: bytes, prefix: bytes) -> tuple[bytes, int]:
    """Return what follows the checksum in a header, and the sum of it and of the checksum's own 8 spaces."""
    end = b"".join((kind, bytes(100), b"ustar\x0000", bytes(64), b"0000000\x000000000\x00", prefix))
    return end.ljust(BLOCK - 156, b"\0"), sum(end) + 8 * 0x20
