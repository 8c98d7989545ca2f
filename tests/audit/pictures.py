"""PNG files made by hand: any filter, any depth, so that no imaging library is needed."""

import struct
import zlib
from collections.abc import Sequence


def png(rows: Sequence[bytes], width: int, *, depth: int = 8, colour: int = 0, filters: Sequence[int] = (0,)) -> bytes:
    """Return a PNG of rows of packed pixels, row i filtered by filters[i % len(filters)]."""
    step = max(1, depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] // 8)
    above = bytes(len(rows[0]))
    packed = b""
    for index, row in enumerate(rows):
        kind = filters[index % len(filters)]
        packed += bytes([kind]) + _filtered(kind, row, above, step)
        above = row
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"tEXt", b"made by hand"), (b"IDAT", zlib.compress(packed)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _filtered(kind: int, row: bytes, above: bytes, step: int) -> bytes:
    left = bytes(step) + row[:-step]
    corner = bytes(step) + above[:-step]
    return bytes((x - _guess(kind, a, b, c)) & 255 for x, a, b, c in zip(row, left, above, corner, strict=True))


def _guess(kind: int, a: int, b: int, c: int) -> int:
    return (0, a, b, (a + b) // 2, _paeth(a, b, c))[kind]


def _paeth(a: int, b: int, c: int) -> int:
    p = a + b - c
    near = {0: abs(p - a), 1: abs(p - b), 2: abs(p - c)}
    return (a, b, c)[min(near, key=lambda index: near[index])]
