"""Open a packed dataset: a SquashFS image or a tar, told apart by its first bytes."""

from collections.abc import Iterator
from typing import Final, Protocol

from planbalance.packed.entry import Entry, PackedError
from planbalance.packed.folder import PackedFolder
from planbalance.packed.squashfs_layout import MAGIC
from planbalance.packed.squashfs_reader import ReadAt, SquashfsReader
from planbalance.packed.tar_reader import TarReader

_MAGIC: Final = MAGIC.to_bytes(4, "little")
_SWAPPED: Final = MAGIC.to_bytes(4, "big")


class PackedReader(Protocol):
    """A packed dataset. Every method raises PackedError where it is damaged, hostile or not supported."""

    def entries(self) -> Iterator[Entry]:
        """Yield everything in it."""

    def folders(self) -> dict[str, PackedFolder]:
        """Return everything by folder, each folder behind the one that holds it; `""` is the root."""

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield a file's content, in pieces of at most 1 MiB."""

    def runs(self, entry: Entry) -> tuple[int, int] | None:
        """Return where a file's content is, as (offset, size), if it is stored there in one run; else None."""


def open_packed(read_at: ReadAt, size: int) -> PackedReader:
    """Return a reader of a SquashFS image or a tar. Raises PackedError where it is neither.

    Args:
        read_at: returns `size` bytes at an offset, fewer where the file ends before.
        size: bytes of the file.
    """
    head = read_at(0, 4)
    if head == _MAGIC:
        return SquashfsReader(read_at, size)
    if head == _SWAPPED:
        raise PackedError("it is a SquashFS image of an old version, for machines with the other byte order")
    try:
        return TarReader(read_at, size)
    except PackedError as error:
        if str(error) == "it is not a tar":
            raise PackedError("it is neither a SquashFS image nor a tar") from None
        raise


def read_file(reader: PackedReader, entry: Entry, limit: int) -> bytes:
    """Return a file's content. Raises PackedError where it has more than `limit` bytes."""
    if entry.size > limit:
        raise PackedError(f"{entry.path!r} has {entry.size:,} bytes, more than the {limit:,} that are read")
    return b"".join(reader.chunks(entry))
