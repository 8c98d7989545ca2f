"""Whether a source file is still what the plan was made from; checked for each operation when it is executed.

Labels are compared by content. Images are compared by size, and by content where the plan holds their sum
(`--hash-images`), else by mtime; where the inputs are in another place than planned, mtime says nothing and is not
compared. A file that was touched but not changed passes where its sum is in the plan. ctime is never compared: a hard
link changes it.
"""

import hashlib
import stat
from collections.abc import Sequence
from os import stat_result
from typing import Final

from planbalance.import_model import ImportOperation
from planbalance.model import Operation, Source


class StaleError(Exception):
    """A source file is not what was planned; the text says in what way."""


class RefusedError(StaleError):
    """A source file is what was planned, and cannot be part of such a dataset; the text says why."""


# What a call raises where a file, or a folder above it, is not there any more.
GONE: Final = (FileNotFoundError, NotADirectoryError)


class GoneError(StaleError):
    """A source file or its folder is not there any more."""

    def __init__(self) -> None:
        super().__init__("is gone")


def image_size(operation: Operation | ImportOperation, now: stat_result) -> None:
    """Raise StaleError where an image's size or type is not the planned one."""
    if now.st_size != operation.image_size:
        raise StaleError(f"has {now.st_size} bytes, {operation.image_size} were planned")
    if not now.st_size and not stat.S_ISREG(now.st_mode):
        raise StaleError("is not a file any more")


def needs_content(operation: Operation, now: stat_result, *, mapped: bool) -> bool:
    """Return whether the content has to be compared. Raises StaleError where an image is not the planned one.

    False without an error where size and mtime are the planned ones, which `placer.py` checks itself.
    """
    image_size(operation, now)
    if now.st_mtime_ns == operation.image_mtime_ns:
        return False
    if operation.image_sha256:
        return True
    if not mapped:
        raise StaleError("was modified after the plan was made")
    return False


def image_content(operation: Operation, sha256: str) -> None:
    """Raise StaleError where an image's content is not the planned one."""
    if sha256 != operation.image_sha256:
        raise StaleError("has other content than planned")


def label_content(operation: Operation, data: bytes) -> None:
    """Raise StaleError where a label's bytes are not the planned ones."""
    if len(data) != operation.label_size:
        found = f"more than {operation.label_size}" if len(data) > operation.label_size else len(data)
        raise StaleError(f"has {found} bytes, {operation.label_size} were planned")
    if hashlib.sha256(data).hexdigest() != operation.label_sha256:
        raise StaleError("has other content than planned")


def label_empty(now: stat_result) -> None:
    """Raise StaleError where a label that was planned empty is not."""
    if now.st_size or not stat.S_ISREG(now.st_mode):
        raise StaleError(f"has {now.st_size} bytes, 0 were planned")


class AbsentLabels:
    """Where the label of an image without one would be: it must still be absent."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._pairs = [
            sorted(((each.images, each.labels) for each in source.folders), key=lambda pair: (-len(pair[0]), pair))
            for source in sources
        ]
        self._folders: dict[tuple[int, str], str | None] = {}

    def of(self, operation: Operation) -> tuple[str, str] | None:
        """Return folder (relative to the input's root) and name of that label; None where no folder holds the image."""
        folder, _, name = operation.image.rpartition("/")
        key = (operation.input, folder)
        if key not in self._folders:
            self._folders[key] = self._label_folder(*key)
        labels = self._folders[key]
        stem, _, _ = name.rpartition(".")
        if not stem.strip("."):  # leading dots hide a file, they do not begin a suffix (os.path.splitext)
            stem = name
        return None if labels is None else (labels, stem + ".txt")

    def _label_folder(self, index: int, folder: str) -> str | None:
        for images, labels in self._pairs[index]:
            if folder == images:
                return labels
            if not images or folder.startswith(images + "/"):
                below = folder[len(images) + 1 :] if images else folder
                return f"{labels}/{below}" if labels else below
        return None
