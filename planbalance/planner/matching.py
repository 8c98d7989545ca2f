"""Match slices with the entries of `--exclude` and `--always-keep`: a path, a name, a volume, a glob."""

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import translate
from typing import Final

from planbalance.model import ImageFile, Input
from planbalance.path_relation import path_in

_GLOB: Final = frozenset("*?[")


class Matcher:
    """Entries to match; it remembers which of them matched anything.

    An entry is compared as it is with each spelling of a slice: its path below the image folder, below the input, and
    from the root of the file system; its file name with and without the input's prefix, with and without the suffix.
    Entries that hold `*`, `?` or `[` are globs too, in which `*` also matches `/`. Upper and lower case differ.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = tuple(dict.fromkeys(stripped for entry in entries if (stripped := entry.strip())))
        self._exact = frozenset(self._entries)
        self._globs = [(entry, re.compile(translate(entry)).match) for entry in self._entries if _GLOB & set(entry)]
        self._matched: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Entries that matched nothing yet, in the order given."""
        return tuple(entry for entry in self._entries if entry not in self._matched)

    def matches(self, spellings: Sequence[str]) -> bool:
        """Return whether an entry matches one of the spellings; remember every entry that does."""
        found = {spelling for spelling in spellings if spelling in self._exact}
        found.update(entry for entry, match in self._globs if any(map(match, spellings)))
        self._matched |= found
        return bool(found)


def spellings(file: ImageFile, source: Input, below: str) -> tuple[str, ...]:
    """Return the names that people may write for a slice; `below` is its path below the image folder."""
    name = below.rpartition("/")[2]
    return tuple(dict.fromkeys(_spellings(file, source, below, name)))


def _spellings(file: ImageFile, source: Input, below: str, name: str) -> Iterator[str]:
    yield below
    yield file.path
    yield path_in(source.root, file.path)
    yield name
    yield source.prefix + name
    stem = name.rpartition(".")[0]
    if stem:
        yield stem
        yield source.prefix + stem
