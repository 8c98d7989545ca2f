"""All image files below a folder, by kind; the extras that they need."""

import os
import stat
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from planbalance.errors import InputError, UsageError
from planbalance.import_model import RawFile
from planbalance.model import IMAGE_SUFFIXES
from planbalance.raw_images.request import Kind
from planbalance.text import error_text, text_fault

_DICOM_SUFFIXES: Final = frozenset((".dcm", ".dicom", ".ima"))
_NIFTI_SUFFIXES: Final = (".nii", ".nii.gz")
_H5_SUFFIXES: Final = frozenset((".h5", ".hdf5"))
_PICTURE_SUFFIXES: Final = frozenset(f".{suffix}" for suffix in IMAGE_SUFFIXES - {"dcm"})
# Files that are certainly no images; all others without a known suffix are opened, to see whether they are DICOM.
_OTHER_SUFFIXES: Final = frozenset((".csv", ".json", ".txt", ".xml", ".yaml", ".yml", ".toml", ".md", ".pdf", ".zip"))
_PREAMBLE: Final = 128
_SHORTEST: Final = 4  # letters of a value that is looked for in paths
_MAGIC: Final = b"DICM"

_NEEDS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "dicom": (("numpy", "pydicom"), "DICOM files"),
    "nifti": (("numpy", "nibabel"), "NIfTI files"),
    "h5": (("numpy", "h5py"), ".h5 files"),
    "picture": (("numpy",), "pictures of more than 8 bits"),
}


def require(kind: Kind) -> None:
    """Check that the libraries for files of a kind are installed.

    Raises:
        UsageError: one is not (kind `extra-missing`).
    """
    names, files = _NEEDS[kind]
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        raise UsageError(
            f"Reading {files} needs {missing[0]}, which is not installed.",
            kind="extra-missing",
            hint="pip install 'planbalance[import]'",
        )


def _is_installed(name: str) -> bool:
    return name in sys.modules or find_spec(name) is not None  # to look for a module takes longer than to read a header


def list_files(root: str, kinds: tuple[Kind, ...] = ()) -> dict[Kind, list[RawFile]]:
    """Return all image files below a folder, by kind and sorted by path.

    Hidden files and folders are passed over. Links are followed; a folder inside itself is entered once.

    Args:
        root: the folder.
        kinds: those that are wanted; empty: all.

    Raises:
        InputError: a folder or file cannot be read (kind `input-not-found`, `unreadable-image`), or a name cannot be
            stored in a plan (kind `name-refused`).
    """
    found: dict[Kind, list[RawFile]] = {}
    for entry, path in _entries(os.path.abspath(root), "", frozenset()):
        kind = _kind_by_name(path)
        if kind is None and not (kinds and "dicom" not in kinds):
            kind = _kind_by_content(entry.path, path)
        if kind is None or (kinds and kind not in kinds):
            continue
        if (fault := text_fault(path)) is not None:
            shown = path.encode("utf-8", "backslashreplace").decode()
            raise InputError(f"The name of {shown!a} {fault}.", kind="name-refused", paths=[shown])
        facts = _facts(entry)
        found.setdefault(kind, []).append(RawFile(path, facts.st_size, facts.st_mtime_ns))
    for files in found.values():
        files.sort()
    return found


def _facts(entry: "os.DirEntry[str]") -> os.stat_result:
    try:
        facts = entry.stat()
    except OSError as error:
        raise unreadable(entry.path, error_text(error)) from None
    if not stat.S_ISREG(facts.st_mode):  # to open a pipe would wait for its writer
        raise unreadable(entry.path, "it is not a regular file")
    return facts


def unreadable(path: str, reason: str) -> InputError:
    """Return the refusal of a file that cannot be read."""
    return InputError(
        f"{path} cannot be read: {reason}.",
        kind="unreadable-image",
        hint="Repair the file, or move it out of the image folder.",
        paths=[path],
    )


def _entries(folder: str, path: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple["os.DirEntry[str]", str]]:
    """Yield the files below a folder, each with its path relative to the root."""
    try:
        facts = os.stat(folder)
        identity = (facts.st_dev, facts.st_ino)
        if identity in above:
            return
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        message = f"The image folder {folder} cannot be read: {error_text(error)}."
        raise InputError(message, kind="input-not-found", paths=[folder]) from None
    for entry in found:
        if entry.name.startswith("."):
            continue
        below = f"{path}/{entry.name}" if path else entry.name
        if _is_folder(entry):
            yield from _entries(entry.path, below, above | {identity})
        else:
            yield entry, below


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def stem_of(path: str) -> str:
    """Return a path without the suffix of its file."""
    base = path[: -len(".gz")] if path.lower().endswith(".nii.gz") else path
    stem, suffix = os.path.splitext(base)
    return stem if suffix.lower() in _DICOM_SUFFIXES | _H5_SUFFIXES | _PICTURE_SUFFIXES | {".nii"} else path


def stands_in(path: str, value: str) -> bool:
    """Return whether a value that names a person is part of a path; one of few letters would be so by chance."""
    return len(value) >= _SHORTEST and value.casefold() in path.casefold()


def _kind_by_name(path: str) -> Kind | None:
    name = path.lower()
    suffix = os.path.splitext(name)[1]
    if suffix in _DICOM_SUFFIXES:
        return "dicom"
    if name.endswith(_NIFTI_SUFFIXES):
        return "nifti"
    if suffix in _H5_SUFFIXES:
        return "h5"
    return "picture" if suffix in _PICTURE_SUFFIXES else None


def _kind_by_content(absolute: str, path: str) -> Kind | None:
    """Return the kind of a file without a known suffix: DICOM files often have none, or a UID for a name."""
    if os.path.splitext(path)[1].lower() in _OTHER_SUFFIXES or path.rpartition("/")[2].upper() == "DICOMDIR":
        return None
    try:
        if not os.path.isfile(absolute):
            return None
        with open(absolute, "rb") as file:
            return "dicom" if file.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] == _MAGIC else None
    except OSError as error:
        raise unreadable(absolute, error_text(error)) from None
