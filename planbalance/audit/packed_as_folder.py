"""A packed dataset without a plan, laid out as a folder for the time of an audit, so that it is read as any folder is.

What decides how a dataset is read (folders, names, yaml files and lists) is there in a temporary folder. Images and
their labels are empty files: their content is read where it lies, in the image or tar. All empty files are one, with
many names: a hundred thousand files would take most of the time of the audit.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from planbalance import packed_dataset
from planbalance.destination import RESERVED_PARTS
from planbalance.errors import InputError
from planbalance.model import IMAGE_SUFFIXES, split_of_word
from planbalance.packed.entry import Entry, PackedError
from planbalance.packed_dataset import PackedDataset

_MOST_FILES: Final = 5_000_000
_DOCUMENT: Final = 64 << 20  # no label, yaml or list is larger
_MOST_CONTENT: Final = 4 << 30  # of all labels and documents
# A label holds nothing else; a text that names images or classes holds letters.
_OF_NUMBERS: Final = b"0123456789.+-eE \t\r\n"


class Laid(NamedTuple):
    """A dataset as it is read, and as it is called in texts."""

    at: str
    shown: str


@contextmanager
def as_folder(path: str) -> Iterator[Laid]:
    """Yield the folder of a packed dataset; of another dataset, its own path.

    A tar often holds one folder with everything in it: that folder is the dataset.

    Raises:
        InputError: the packed dataset cannot be read (kind `packed-unreadable`).
    """
    place = packed_dataset.inside(path)
    if place is None or place.path:
        yield Laid(path, path)
        return
    with tempfile.TemporaryDirectory(prefix="planbalance-") as made:
        folder = os.path.realpath(made)  # as who follows links sees it
        try:
            _lay_out(place.dataset, folder)
        except (PackedError, OSError) as error:
            raise InputError(
                f"The dataset {path} cannot be read: {error}.",
                kind="packed-unreadable",
                hint="Copy it again if it is damaged. Its labels are laid out in the folder for temporary files "
                "(TMPDIR), which needs room for them.",
                paths=(path,),
            ) from None
        packed_dataset.lead(folder, place.dataset)
        try:
            below = _only_folder(place.dataset)
            yield Laid(folder + below, path + below)
        except InputError as error:
            raise InputError(
                error.message.replace(folder, path),
                kind=error.kind,
                hint=error.hint.replace(folder, path),
                paths=[each.replace(folder, path) for each in error.paths],
            ) from None
        finally:
            packed_dataset.lead(folder, None)


def _only_folder(dataset: PackedDataset) -> str:
    """Return the path, with `/` before it, of the one folder that holds everything; "" where there is none."""
    names = dataset.names("")
    only = dataset.entry(names[0]) if len(names) == 1 else None
    is_dataset = only is None or only.kind != "folder" or split_of_word(only.path) or only.path in RESERVED_PARTS
    return "" if is_dataset or only is None else f"/{only.path}"


def _lay_out(dataset: PackedDataset, folder: str) -> None:
    left, empty, stems = _MOST_CONTENT, _EmptyFiles(), _stems_of_images(dataset)
    for number, entry in enumerate(dataset.everything()):
        if number > _MOST_FILES:
            raise PackedError(f"it holds more than {_MOST_FILES:,} files")
        at = os.fsencode(f"{folder}/{entry.path}")
        if entry.kind == "folder":
            os.makedirs(at, exist_ok=True)
        elif entry.kind == "file":
            stem, suffix = _parts(entry)
            if not entry.size or suffix.lower() in IMAGE_SUFFIXES:
                empty.make(at)
                continue
            data = dataset.read(entry, _DOCUMENT) if entry.size <= _DOCUMENT else None
            if data is not None and suffix == "txt" and stem in stems and not data.translate(None, _OF_NUMBERS):
                empty.make(at)
            else:
                _write(entry, data, at)
            left -= 0 if data is None else entry.size
            if left < 0:
                raise PackedError(f"its labels and documents take more than {_MOST_CONTENT:,} bytes")


def _stems_of_images(dataset: PackedDataset) -> set[str]:
    named = map(_parts, dataset.files())
    return {stem for stem, suffix in named if suffix.lower() in IMAGE_SUFFIXES}


def _parts(entry: Entry) -> tuple[str, str]:
    """Return the stem and the suffix of a name."""
    stem, _, suffix = entry.path.rpartition("/")[2].rpartition(".")
    return stem, suffix


class _EmptyFiles:
    """Makes empty files that are one file with many names, as far as the file system allows."""

    def __init__(self) -> None:
        self._first: bytes | None = None

    def make(self, at: bytes) -> None:
        """Make one. Raises OSError."""
        if self._first is not None:
            try:
                os.link(self._first, at)
            except OSError:  # it has as many names as it may have, or may have one only
                pass
            else:
                return
        os.close(os.open(at, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._first = at


def _write(entry: Entry, data: bytes | None, at: bytes) -> None:
    """Write a label or a document; one that is too large to be read (None) only has its size."""
    with open(at, "wb") as file:
        if data is None:
            file.truncate(entry.size)
            return
        file.write(data)
    os.utime(at, (entry.mtime, entry.mtime))


def renamed(value: Any, old: str, new: str) -> Any:  # noqa: ANN401 - of the type that it has
    """Return a result of an audit with the folder of `as_folder` replaced by the dataset's path, in every text."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, tuple):
        parts = [renamed(each, old, new) for each in value]
        return type(value)._make(parts) if hasattr(value, "_make") else tuple(parts)
    if isinstance(value, list):
        return [renamed(each, old, new) for each in value]
    if isinstance(value, dict):
        return {key: renamed(each, old, new) for key, each in value.items()}
    return value
