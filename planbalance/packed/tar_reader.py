"""Read a tar of any tool through a function that reads bytes at an offset: ustar, pax, GNU's long names and numbers.

The tar is not trusted: sizes and offsets are checked, and no header may take more than a few MiB.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from planbalance.packed.entry import Entry, Kind, PackedError
from planbalance.packed.folder import PackedFolder, folders_of
from planbalance.packed.squashfs_reader import ENTRY_LIMIT, PATH_LIMIT, ReadAt

_BLOCK: Final = 512
_LARGEST_HEADER: Final = 2 << 20
_PIECE: Final = 1 << 20
_USED: Final = frozenset(("path", "linkpath", "size", "mtime"))  # of a pax header; others say nothing of content
_CHECKSUM: Final = slice(148, 156)
_KINDS: Final[dict[bytes, Kind]] = {
    b"0": "file", b"\0": "file", b"7": "file", b"1": "link", b"2": "link", b"5": "folder"
}  # fmt: skip
# Compressed tars begin so: gzip, bzip2, xz, zstd.
_COMPRESSED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


class TarReader:
    """A tar. Every method raises PackedError where it is damaged, hostile or not supported.

    Args:
        read_at: returns `size` bytes at an offset, fewer where the file ends before.
        size: bytes of the file.
    """

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self._read_at = read_at
        self._size = size
        head = read_at(0, _BLOCK)
        if head.startswith(_COMPRESSED):
            raise PackedError("it is compressed as a whole: decompress it first")
        if len(head) < _BLOCK or (any(head) and not _sum_is_right(head)):
            raise PackedError("it is not a tar")

    def entries(self) -> Iterator[Entry]:
        """Yield everything in the tar in its order; of a path that is there twice, both."""
        at = count = 0
        common: dict[str, bytes] = {}
        own: dict[str, bytes] = {}
        while at < self._size:
            head = self._read(at, _BLOCK)
            if not any(head):
                return
            if not _sum_is_right(head):
                raise PackedError(f"the header at byte {at:,} is damaged")
            count += 1
            if count > ENTRY_LIMIT:
                raise PackedError(f"it lists more than {ENTRY_LIMIT:,} names")
            kind, size = head[156:157], _number(head[124:136])
            at += _BLOCK
            if kind in b"xgLK" and kind:
                content = self._header_content(at, size)
                if kind == b"g":
                    common |= _pax_records(content)
                elif kind == b"x":
                    own |= _pax_records(content)
                else:
                    own["path" if kind == b"L" else "linkpath"] = content.split(b"\0", 1)[0]
                at += size + -size % _BLOCK
                continue
            entry = _entry(head, kind, size, at, common | own if own else common)
            own = {}
            if entry.kind == "file" and at + entry.size > self._size:
                raise PackedError(f"{entry.path!r} has {entry.size:,} bytes, but the tar ends before: it is cut off")
            if entry.path:
                yield entry
            taken = entry.size if entry.kind == "file" else size if kind not in b"123456" else 0
            at += taken + -taken % _BLOCK

    def folders(self) -> dict[str, PackedFolder]:
        """Return everything by folder, each folder behind the one that holds it; `""` is the root."""
        return folders_of(self.entries())

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield a file's content, in pieces of at most 1 MiB."""
        at, left = entry.at, entry.size
        while left:
            data = self._read(at, min(left, _PIECE))
            yield data
            at += len(data)
            left -= len(data)

    @staticmethod
    def runs(entry: Entry) -> tuple[int, int] | None:
        """Return where the content of a file is in the tar, as (offset, size)."""
        return entry.at, entry.size

    def _header_content(self, at: int, size: int) -> bytes:
        if size > _LARGEST_HEADER:
            raise PackedError(f"the header at byte {at:,} has {size:,} bytes, which is too many")
        return self._read(at, size)

    def _read(self, at: int, size: int) -> bytes:
        data = self._read_at(at, size)
        if len(data) != size:
            raise PackedError("the tar is cut off")
        return data


def _entry(head: bytes, kind: bytes, size: int, at: int, pax: dict[str, bytes]) -> Entry:
    if kind == b"S" or (pax and any(key.startswith("GNU.sparse") for key in pax)):
        raise PackedError("it holds files in GNU's sparse form, which is not read")
    name = _text(head[:100])
    if head[257:263] == b"ustar\0" and head[345]:
        name = _text(head[345:500]) + b"/" + name
    name = pax.get("path", name)
    path = _clean(name.decode("utf-8", "surrogateescape"))
    found = _KINDS.get(kind, "other")
    if found == "file" and name.endswith(b"/"):
        found = "folder"  # as before POSIX
    if "size" in pax:
        size = _decimal(pax["size"])
    mtime = _decimal(pax["mtime"].partition(b".")[0]) if "mtime" in pax else _number(head[136:148])
    mode = _number(head[100:108]) & 0o7777
    if found == "file":
        return Entry(path, found, size, mtime, mode, at, "", at)
    if found != "link":
        return Entry(path, found, 0, mtime, mode, at)
    link = pax.get("linkpath", _text(head[157:257]))
    return Entry(path, found, 0, mtime, mode, at, link.decode("utf-8", "surrogateescape"))


def _clean(path: str) -> str:
    """Return a path without `./` before it and `/` behind it. Raises PackedError where it leads out of the tar."""
    parts = path.split("/")
    if "" in parts or "." in parts:
        parts = [part for part in parts if part not in {"", "."}]
    if len(path) > PATH_LIMIT:
        raise PackedError(f"it holds a path of more than {PATH_LIMIT:,} characters")
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise PackedError(f"it holds the path {path!r}, which leads out of it")
    return "/".join(parts)


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _number(field: bytes) -> int:
    """Return a number of a header: octal digits, or GNU's base 256 for large ones."""
    if field[0] == 0x80:
        number = int.from_bytes(field[1:], "big")
    elif field[0] == 0xFF:
        number = int.from_bytes(field, "big", signed=True)
    else:
        digits = _text(field).strip(b" ") or b"0"
        try:
            number = int(digits if digits.isdigit() else b"", 8)
        except ValueError:
            raise PackedError("a header has a number that is not octal") from None
    if number < 0:
        raise PackedError("a header has a negative number")
    return number


def _decimal(text: bytes) -> int:
    if not (text.isdigit() and len(text) < 20):
        raise PackedError("a pax header has a number that is none")
    return int(text)


def _pax_records(content: bytes) -> dict[str, bytes]:
    records = {}
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 12)
        if space < 0 or not content[at:space].isdigit():
            if not any(content[at:]):
                break
            raise PackedError("a pax header is damaged")
        end = at + int(content[at:space])
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if end > len(content) or end <= space + 1 or not equals or content[end - 1 : end] != b"\n":
            raise PackedError("a pax header is damaged")
        name = key.decode("utf-8", "surrogateescape")
        if name in _USED or name.startswith("GNU.sparse"):
            records[name] = value
        at = end
    return records


def _sum_is_right(head: bytes) -> bool:
    field = head[_CHECKSUM]
    try:
        written = int(field.replace(b"\0", b" ").strip() or b"0", 8)
    except ValueError:
        return False
    return written == _sum(head[:256]) + _sum(head[256:]) - sum(field) + 8 * 0x20


def _sum(data: bytes) -> int:
    """Return the sum of at most 256 bytes, in a fifth of the time of `sum`: Adler-32 has it (RFC 1950), and one."""
    return (zlib.adler32(data) & 0xFFFF) - 1
