"""Decompress one block of a SquashFS image, never to more than it may hold.

The compressors are numbered as in the superblock. lzo, lz4 and zstd need a module that may not be installed.
"""

import importlib
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final

from planbalance.packed.entry import PackedError

Decompress = Callable[[bytes, int], bytes]

_MEMORY: Final = 64 << 20  # of an xz decoder; a dictionary is at most as large as a block, which is 1 MiB
_NAMES: Final = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_LZO: Final = 3
# The modules that decompress it, in the order of preference.
_MODULES: Final = {_LZO: ("lzo",), 5: ("lz4.block",), 6: ("compression.zstd", "zstandard")}


def decompressor(number: int) -> Decompress:
    """Return the function that decompresses blocks; it takes a block and the most bytes that it may hold.

    It raises PackedError where a block is damaged or holds more. Where no module for the compressor is installed, it
    says so in the error of the first block: an image may have none that is compressed.
    """
    if number == 1:
        return _zlib
    if number in {2, 4}:
        return _lzma if number == 2 else _xz
    if number not in _NAMES:
        raise PackedError(f"it names a compressor that SquashFS 4.0 does not have ({number})")
    for name in _MODULES[number]:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return _with_module(number, name, module)

    def missing(_data: bytes, _limit: int) -> bytes:
        needs = "the package python-lzo" if number == _LZO else "an extra: pip install 'planbalance[squashfs]'"
        raise PackedError(f"it is compressed with {_NAMES[number]}, which needs {needs}")

    return missing


def _zlib(data: bytes, limit: int) -> bytes:
    worker = zlib.decompressobj()
    try:
        whole = worker.decompress(data, limit + 1)
    except zlib.error as error:
        raise _damaged("zlib", error) from None
    if len(whole) > limit or not worker.eof:
        raise PackedError("a block holds more bytes than its size allows, or is cut off")
    return whole


def _lzma(data: bytes, limit: int) -> bytes:
    return _by_lzma(data, limit, lzma.FORMAT_ALONE)


def _xz(data: bytes, limit: int) -> bytes:
    return _by_lzma(data, limit, lzma.FORMAT_XZ)


def _by_lzma(data: bytes, limit: int, kind: int) -> bytes:
    try:
        whole = lzma.LZMADecompressor(kind, memlimit=_MEMORY).decompress(data, limit + 1)
    except (lzma.LZMAError, EOFError, ValueError) as error:
        raise _damaged("xz", error) from None
    if len(whole) > limit:
        raise PackedError("a block holds more bytes than its size allows")
    return whole


def _with_module(number: int, name: str, module: Any) -> Decompress:  # noqa: ANN401 - one of several modules
    def call(data: bytes, limit: int) -> bytes:
        try:
            if number == 3:
                whole = module.decompress(data, False, limit)  # noqa: FBT003 - it takes no keyword
            elif number == 5:
                whole = module.decompress(data, uncompressed_size=limit)
            elif name == "zstandard":
                whole = module.ZstdDecompressor(max_window_size=_MEMORY).stream_reader(data).read(limit + 1)
            else:
                whole = module.ZstdDecompressor().decompress(data, max_length=limit + 1)
        except Exception as error:  # each module has error classes of its own
            raise _damaged(_NAMES[number], error) from None
        if not isinstance(whole, bytes) or len(whole) > limit:
            raise PackedError("a block holds more bytes than its size allows")
        return whole

    return call


def _damaged(name: str, error: Exception) -> PackedError:
    return PackedError(f"a block that {name} should decompress is damaged ({error})")
