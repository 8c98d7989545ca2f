"""Texts of messages: numbers, plurals, lists, percent and errors in one spelling each, and faults of texts. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_CONTROL: Final = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0))))  # Unicode category Cc
# The same without tab and newline, and halves of a surrogate pair.
_CONTROL_IN_LINES: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Return `1 volume` or `2,000 volumes`; `nouns` is the plural where it is not `noun` with an s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def some(names: Iterable[str], most: int = 5) -> str:
    """Return the first few names for a sentence: `a, b, c and 7 more`."""
    listed = list(names)
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def enumerated(names: Sequence[str], last: str = "and") -> str:
    """Return all names for a sentence: `a`, `a and b`, `a, b and c`; `last` stands before the last one."""
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def command_line(words: Iterable[str]) -> str:
    """Return a command of planbalance as a shell reads it; `words` are what stands behind `planbalance`."""
    import shlex  # noqa: PLC0415 - not every command prints another one

    return shlex.join(["planbalance", *words])


def named_texts(said: Sequence[tuple[str, Iterable[str]]]) -> dict[str, str]:
    """Return each text of several plans or datasets once, and how it is printed.

    `said` are their names, each with its texts. Where a text is not about all of them, their names are printed before.
    """
    names: dict[str, list[str]] = {}
    for name, texts in said:
        for text in texts:
            names.setdefault(text, []).append(name)
    return {text: text if len(of) == len(said) else f"In {some(of)}: {text}" for text, of in names.items()}


def texts_of(document: Mapping[str, Any] | None, key: str) -> tuple[str, ...]:
    """Return the texts of the list under a key of a document that may not be trusted; none where there is no list."""
    found = None if document is None else document.get(key)
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list | tuple) else ()


def percent(share: float) -> str:
    """Return a share as `12.3 %`; only 0 is printed as `0 %`, and only 1 as `100 %`."""
    text = f"{share * 100:.1f}"
    if text == "0.0" and share > 0:
        return "less than 0.1 %"
    if text == "100.0" and share < 1:
        return "more than 99.9 %"
    return f"{text.removesuffix('.0')} %"


def size(number: int) -> str:
    """Return bytes for a person: `812 B`, `14.2 MiB`."""
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{number} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def error_text(error: Exception) -> str:
    """Return an error as a few words, without the path: `Permission denied`."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def text_fault(text: str) -> str | None:
    """Return why a text cannot be stored in a plan (control characters, lone surrogates), or None where it can."""
    if text.isascii() and text.isprintable():
        return None
    if not _CONTROL.isdisjoint(text):
        return "holds a control character"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "is not valid Unicode"
    return None


def has_control(text: str) -> bool:
    """Return whether a text, perhaps of several lines, holds a control character or a lone surrogate."""
    return _CONTROL_IN_LINES.search(text) is not None
