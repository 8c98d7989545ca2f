"""Writes a text to a file that a person has named, and never over a file that planbalance did not write."""

import errno
import os
from collections.abc import Iterable
from typing import Final

from planbalance import fs, path_safety
from planbalance.errors import UsageError
from planbalance.text import error_text, size

_LOOKED_AT: Final = 16 << 10  # bytes at the start of an older file


def check_place(path: str, *, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Check, before long work, that a text can be written to a path.

    Args:
        path: absolute.
        inputs: absolute folders that are only read.
        outputs: datasets, which hold nothing else than what was planned.

    Raises:
        UsageError: it lies in one of them, or its folder is not there.
    """
    folder, name = os.path.split(path)
    if not os.path.isdir(folder) or os.path.isdir(path):
        fault = "it is a folder" if os.path.isdir(path) else "its folder does not exist"
        raise UsageError(
            f"{path} cannot be written: {fault}.",
            kind="text-not-written",
            hint="Give a file name in a folder that exists.",
            paths=[path],
        )
    place = {"file": f"{os.path.realpath(folder)}/{name}"}
    path_safety.refuse_files(place, inputs)
    path_safety.refuse_files(place, outputs, what="dataset")


def refuse_others_file(path: str, mark: str, text: str = "") -> None:
    """Refuse a path where a file lies that planbalance did not write.

    Args:
        path: absolute.
        mark: what stands near the start of such a file of planbalance; "" where its format has no place for a mark.
        text: what is to be written: a file that holds it already is not refused.

    Raises:
        UsageError: there is such a file (kind `text-exists`).
    """
    if not os.path.lexists(path):
        return
    whole = text.encode("utf-8", "backslashreplace")
    start = _start(path, max(_LOOKED_AT, len(whole) + 1))
    ours = bool(mark) and mark.encode() in start[:_LOOKED_AT]
    if not ours and (not whole or start != whole):
        raise UsageError(
            f"{path} exists, and planbalance did not write it."
            if mark
            else f"{path} exists and holds something else, and such a file does not say who wrote it.",
            kind="text-exists",
            hint="Remove it, or choose another file." if os.path.isfile(path) else "Choose another file.",
            paths=[path],
        )


def write_text(path: str, text: str) -> int:
    """Write a text in one step and return its bytes. Raises UsageError where it cannot be written."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        fs.write_path(path, (data,))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error_text(error)}.",
            kind="text-not-written",
            hint=hint_to_write(error, len(data)),
            paths=[path],
        ) from error
    return len(data)


def hint_to_write(error: OSError, length: int) -> str:
    """Return what to do where a file of so many bytes could not be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"Make room for {size(length)}, then run the same command again."
    return "Choose another file; its folder must exist."


def _start(path: str, size: int) -> bytes:
    """Return the first bytes of a regular file; nothing of any other, and of one that cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, size)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
