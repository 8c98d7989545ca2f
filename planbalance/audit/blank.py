"""Whether a picture shows nothing: one value throughout. Two black slices are equal bytes and no leak.

PNG is decoded here (PNG specification, 2nd edition, clauses 7, 9, 10 and 11); others where Pillow is installed.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from planbalance.audit.file_facts import read
from planbalance.decode import NoPictureError, decode

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# A hostile file may promise any size: larger pictures than these are not looked into.
_MOST_BYTES: Final = 1 << 28
_PICTURE_BYTES: Final = 1 << 26


def shows_nothing(data: bytes) -> bool:
    """Return whether a file has no byte, one byte value only, or is a picture of equal pixels."""
    if not data or data.count(data[:1]) == len(data):
        return True
    return _png_of_one_value(data) if data.startswith(_SIGNATURE) else _of_one_value(data)


def _of_one_value(data: bytes) -> bool:
    try:
        extrema = decode(data, dicom=data[128:132] == b"DICM").image.getextrema()
    except NoPictureError:
        return False
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in bands)


def blank_at(path: str, *, follow: bool) -> bool:
    """Return whether the image at a path shows nothing."""
    facts = read(path, follow=follow, keep=True, most=_PICTURE_BYTES)
    return facts.data is not None and shows_nothing(facts.data)


def _png_of_one_value(data: bytes) -> bool:
    try:
        chunks = list(_chunks(data))
        width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
        bits = depth * _CHANNELS[colour]
        row = (width * bits + 7) // 8
        if interlace or not width or not height or (row + 1) * height > _MOST_BYTES:
            return False
        packed = b"".join(content for name, content in chunks if name == b"IDAT")
        return _rows_equal(_inflated(packed, row + 1, height), bits, width)
    except (IndexError, KeyError, ValueError, struct.error, zlib.error):
        return False


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_SIGNATURE)
    while place + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        yield name, data[place + 8 : place + 8 + length]
        if name == b"IEND":
            return
        place += 12 + length


def _inflated(packed: bytes, row: int, height: int) -> Iterator[bytes]:
    """Yield the filtered rows, each with its filter type in front, inflating only as far as they are asked for."""
    stream = zlib.decompressobj()
    waiting = b""
    for _ in range(height):
        while len(waiting) < row:
            piece = stream.decompress(packed, max(row, 1 << 16))
            packed = stream.unconsumed_tail
            if not piece:
                raise ValueError
            waiting += piece
        yield waiting[:row]
        waiting = waiting[row:]


def _rows_equal(rows: Iterator[bytes], pixel: int, width: int) -> bool:
    """Return whether all rows are one pixel over and over; stops at the first that is not."""
    above: bytes | None = None
    step = max(1, pixel // 8)
    for filtered in rows:
        row = _unfiltered(filtered, above or bytes(len(filtered) - 1), step)
        if above is None:
            if not _one_pixel(row, pixel, width):
                return False
        elif row != above:
            return False
        above = row
    return True


def _one_pixel(row: bytes, pixel: int, width: int) -> bool:
    """Return whether a row repeats its first pixel of `pixel` bits; bits of padding in its last byte do not count."""
    if pixel >= 8:
        return row == row[: pixel // 8] * width
    value = row[0] >> (8 - pixel)
    full = bytes([value * (255 // ((1 << pixel) - 1))])
    whole, rest = divmod(width * pixel, 8)
    return row[:whole] == full * whole and (not rest or row[-1] >> (8 - rest) == full[0] >> (8 - rest))


def _unfiltered(filtered: bytes, above: bytes, step: int) -> bytes:
    kind, row = filtered[0], bytearray(filtered[1:])
    if kind > 4:
        raise ValueError
    if not kind:
        return bytes(row)
    for place in range(len(row)):
        left = row[place - step] if place >= step else 0
        corner = above[place - step] if place >= step else 0
        row[place] = (row[place] + _predicted(kind, left, above[place], corner)) & 255
    return bytes(row)


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind < 3:
        return left if kind == 1 else up
    if kind == 3:
        return (left + up) // 2
    guess = left + up - corner
    return min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
