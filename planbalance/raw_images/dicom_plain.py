"""Elements of the headers of plain DICOM files: little endian, uncompressed, as almost all are.

pydicom takes half a millisecond to walk through a header, and each is read three times: for the volumes, for their
windows and when slices are rendered. This walk takes a tenth of that. It knows only what is common; for all other files
it returns None, and pydicom reads them.
"""

import struct
from collections.abc import Mapping
from typing import BinaryIO, Final, NamedTuple

_HEAD: Final = 1 << 16  # bytes that the elements before the pixels may take
_START: Final = 132  # a preamble, then `DICM` (PS3.10 section 7.1)
_META: Final = b"\x02\x00\x00\x00UL\x04\x00"  # the length of the meta elements
_SYNTAX: Final = b"\x02\x00\x10\x00UI"
IMPLICIT, EXPLICIT = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1"  # PS3.5 A.1, A.2
_LONG: Final = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT: Final = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS")
) | {b"ST", b"TM", b"UI", b"UL", b"US"}
_PIXELS: Final = 0x7FE00000  # the group of pixels: where the walk ends
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST: Final = 8  # sequences within sequences

_explicit_head = struct.Struct("<HH2sH").unpack_from
_implicit_head = struct.Struct("<HHI").unpack_from
_long = struct.Struct("<I").unpack_from


class PlainElements(NamedTuple):
    """The elements that were asked for, as bytes, by tag.

    Attributes:
        found: their values; those that are absent are missing.
        explicit: whether the file names the kind of each element.
        end: where the element with the pixels begins, in bytes from the start of the file.
    """

    found: Mapping[int, bytes]
    explicit: bool
    end: int


class _OtherError(Exception):
    """The header is not as plain as this walk needs it."""


def plain_elements(file: BinaryIO, wanted: frozenset[int], sequences: frozenset[int]) -> PlainElements | None:
    """Return the elements of a file's header, or None where pydicom must read it.

    Args:
        file: at its beginning; it may stand anywhere afterwards.
        wanted: the tags of elements that are no sequences.
        sequences: the tags of sequences, for which pydicom is needed wherever one of them is there.
    """
    head = file.read(_HEAD)
    try:
        start, explicit = _syntax(head)
        return _walk(head, start, wanted, sequences, explicit=explicit)
    except (_OtherError, struct.error):
        return None


def _syntax(head: bytes) -> tuple[int, bool]:
    """Return where the elements behind the meta elements begin, and whether they name their kinds."""
    if head[_START - 4 : _START] != b"DICM" or head[_START : _START + 8] != _META:
        raise _OtherError
    start: int = _START + 12 + _long(head, _START + 8)[0]
    at = head.find(_SYNTAX, _START, start)
    if at < 0 or start > len(head):
        raise _OtherError
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    syntax = head[at + 8 : at + 8 + length].rstrip(b"\0 ")
    if syntax not in (IMPLICIT, EXPLICIT):
        raise _OtherError
    return start, syntax == EXPLICIT


def _walk(head: bytes, at: int, wanted: frozenset[int], sequences: frozenset[int], *, explicit: bool) -> PlainElements:
    found: dict[int, bytes] = {}
    last = 0
    while True:
        tag, kind, length, start = _element(head, at, explicit=explicit)
        if tag <= last or tag in sequences:  # elements rise; else the file is odd
            raise _OtherError
        last = tag
        if tag >= _PIXELS:
            return PlainElements(found, explicit, at)
        if length == _UNDEFINED:
            if kind == b"UN":  # such a sequence is in the implicit form (PS3.5 6.2.2)
                raise _OtherError
            at = _behind_sequence(head, start, 0, explicit=explicit)
            continue
        at = start + length
        if tag in wanted:
            if kind == b"SQ" or at > len(head):
                raise _OtherError
            found[tag] = head[start:at]


def _element(head: bytes, at: int, *, explicit: bool) -> tuple[int, bytes, int, int]:
    """Return tag, kind, length, and where the value begins."""
    if not explicit:
        group, number, length = _implicit_head(head, at)
        return group << 16 | number, b"", length, at + 8
    group, number, kind, length = _explicit_head(head, at)
    if kind in _SHORT:
        return group << 16 | number, kind, length, at + 8
    if kind not in _LONG:
        raise _OtherError
    return group << 16 | number, kind, _long(head, at + 8)[0], at + 12


def _behind_sequence(head: bytes, at: int, depth: int, *, explicit: bool) -> int:
    """Return what follows a sequence without a length, whose items begin here (PS3.5 7.5.2)."""
    while True:
        group, number, length = _implicit_head(head, at)
        tag = group << 16 | number
        at += 8
        if tag == _SEQUENCE_END:
            return at
        if tag != _ITEM or depth > _DEEPEST:
            raise _OtherError
        at = _behind_item(head, at, depth, explicit=explicit) if length == _UNDEFINED else at + length


def _behind_item(head: bytes, at: int, depth: int, *, explicit: bool) -> int:
    while True:
        group, number, length = _implicit_head(head, at)
        if group << 16 | number == _ITEM_END:
            return at + 8
        _, kind, length, start = _element(head, at, explicit=explicit)
        if length == _UNDEFINED:
            if kind == b"UN":
                raise _OtherError
            at = _behind_sequence(head, start, depth + 1, explicit=explicit)
        else:
            at = start + length
