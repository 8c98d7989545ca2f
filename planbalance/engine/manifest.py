"""The manifest: a line a file, sorted by path (UTF-8 bytes), as `sha256sum -c` reads it from the output's root.

The lines of a block are made where the block was parsed; at the end whole blocks are joined, which follow each
other unless folders lie within folders.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from planbalance.destination import label_path
from planbalance.fs import NOTHING_SHA256

_DIGITS: Final = 64


class Lines(NamedTuple):
    """Lines in the order of their paths, of which these are the first and the last one."""

    first: str
    last: str
    text: bytes


def lines_of(sums: Iterable[tuple[str, str]]) -> Lines:
    """Return the lines of some files, at least one, given as (path, SHA-256 in hex)."""
    pairs = sorted(sums)  # by code points, which is by UTF-8 bytes
    text = "".join([f"{digest}  {path}\n" for path, digest in pairs])
    if "\\" in text:
        text = "".join([_escaped(path, digest) for path, digest in pairs])
    return Lines(pairs[0][0], pairs[-1][0], text.encode())


def _escaped(path: str, digest: str) -> str:
    r"""Return a line; a backslash in a name is doubled, and the line begins with one (GNU coreutils, cksum)."""
    if "\\" in path:
        return "\\{}  {}\n".format(digest, path.replace("\\", "\\\\"))
    return f"{digest}  {path}\n"


class _Columns(Protocol):
    def columns(self, operations: Sequence[Any]) -> tuple[list[str], list[str]]: ...


def block_lines(destinations: _Columns, operations: Sequence[Any], sums: bytes) -> tuple[Lines, Lines]:
    """Return the lines of a block's images and of its labels; `sums` are the images', end to end."""
    folders, names = destinations.columns(operations)
    images = [f"{folder}/{name}" for folder, name in zip(folders, names, strict=True)]
    labels = [f"labels{label_path(image)[len('images') :]}" for image in images]
    digits = sums.hex()
    image_sums = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
    label_sums = [each.label_sha256 or NOTHING_SHA256 for each in operations]
    return lines_of(zip(images, image_sums, strict=True)), lines_of(zip(labels, label_sums, strict=True))


def in_order(parts: Iterable[Lines]) -> Iterator[bytes]:
    """Yield all lines in the order of their paths; only those of parts that lie within each other are sorted."""
    together: list[Lines] = []
    last = ""
    for part in sorted(parts):
        if together and part.first > last:
            yield _merged(together)
            together = []
        together.append(part)
        last = max(last, part.last)
    if together:
        yield _merged(together)


def _merged(parts: Sequence[Lines]) -> bytes:
    if len(parts) == 1:
        return parts[0].text
    lines = [line for part in parts for line in part.text.splitlines(keepends=True)]
    lines.sort(key=_path)
    return b"".join(lines)


def _path(line: bytes) -> bytes:
    if line.startswith(b"\\"):
        return line[_DIGITS + 3 :].replace(b"\\\\", b"\\")
    return line[_DIGITS + 2 :]
