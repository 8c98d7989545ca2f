"""Patients from attributes of .h5 files: `--group-from h5:patient_id` with `--h5-folder`. Needs the extra `h5`.

fastMRI and other collections of raw data have one HDF5 file for each volume, named as the volume, with the patient's
number in an attribute. No plan, report or log carries this number, but a keyed hash of it (`planbalance.dicom`).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from planbalance.errors import InputError, UsageError
from planbalance.group_sources import H5
from planbalance.grouping import GroupMap, keyed_value
from planbalance.text import counted, error_text, some

_SUFFIXES: Final = (".h5", ".hdf5")


def groups_from_h5(
    folders: Sequence[str], volumes: Sequence[str], key: bytes, *, attribute: str, prefixes: Sequence[str] = ()
) -> GroupMap:
    """Return the groups of volumes, as keyed hashes, from an attribute of the file that is named as the volume.

    Args:
        folders: with files `<volume>.h5` or `<volume>.hdf5`, in sub-folders too.
        volumes: ids of the volumes.
        key: of the hashes.
        attribute: of the file's root group.
        prefixes: of the inputs; an id may begin with one of them, and the file's name then does not.

    Raises:
        UsageError: h5py is not installed (kind `extra-missing`).
        InputError: a folder cannot be read (kind `input-not-found`), volumes have no file (kind `no-h5-file`), files
            have no such value (kind `no-h5-value`), or two files of one volume have different values (kind
            `two-patients`); all are listed.
    """
    _require_h5py()
    files = _files(folders)
    found = {volume: _named(files, volume, prefixes) for volume in volumes}
    lacking = [volume for volume, paths in found.items() if not paths]
    if lacking:
        raise InputError(
            f"{counted(len(lacking), 'volume')} without an .h5 file of that name in {some(folders)}: {some(lacking)}.",
            kind="no-h5-file",
            hint="Name all folders with such files by --h5-folder (repeatable), or leave volumes out with --exclude.",
            paths=lacking,
        )
    values = {path: _value(path, attribute) for paths in found.values() for path in paths}
    without = [f"{path} ({reason})" for path, (value, reason) in values.items() if not value]
    if without:
        raise InputError(
            f"{counted(len(without), 'file')} without a value of the attribute {attribute}: {some(without, 3)}.",
            kind="no-h5-value",
            hint="Name another attribute, or name the patients in a CSV file with --group-map.",
            paths=without,
        )
    mixed = [volume for volume, paths in found.items() if len({values[path][0] for path in paths}) > 1]
    if mixed:
        raise InputError(
            f"{counted(len(mixed), 'volume')} with several .h5 files that differ in {attribute}: {some(mixed)}.",
            kind="two-patients",
            hint="Name a folder that has one file for each volume, or name the patients with --group-map.",
            paths=[path for volume in mixed for path in found[volume]],
        )
    name = f"{H5}{attribute}"
    groups = {volume: keyed_value(name, values[paths[0]][0], key) for volume, paths in found.items()}
    return GroupMap(groups, source="h5", name=name)


def _require_h5py() -> None:
    try:
        import h5py  # noqa: F401, PLC0415 - an extra: only reading these files needs it
    except ImportError:
        raise UsageError(
            "Reading .h5 files needs h5py, which is not installed.",
            kind="extra-missing",
            hint="pip install 'planbalance[h5]'",
        ) from None


def _files(folders: Sequence[str]) -> dict[str, list[str]]:
    """Return the paths of the files in all folders, by name without suffix."""
    files: dict[str, list[str]] = {}
    for folder in folders:
        for path in sorted(_below(os.path.abspath(folder))):
            stem, suffix = os.path.splitext(os.path.basename(path))
            if suffix.lower() in _SUFFIXES:
                files.setdefault(stem, []).append(path)
    return files


def _below(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise InputError(
            f"The folder {error.filename} of --h5-folder cannot be read: {error_text(error)}.",
            kind="input-not-found",
            paths=[str(error.filename)],
        ) from error

    for root, _, names in os.walk(folder, onerror=refuse):
        yield from (os.path.join(root, name) for name in names)


def _named(files: Mapping[str, list[str]], volume: str, prefixes: Sequence[str]) -> list[str]:
    names = [volume, *(volume.removeprefix(prefix) for prefix in prefixes if prefix and volume.startswith(prefix))]
    return next((files[name] for name in names if name in files), [])


def _value(path: str, attribute: str) -> tuple[str, str]:
    """Return an attribute as a text, or `""` with the reason why there is none."""
    from h5py import File  # noqa: PLC0415 - as above

    try:
        with File(path, "r") as file:
            if attribute not in file.attrs:
                return "", "none"
            value: Any = file.attrs[attribute]
    except Exception:  # whatever HDF5 raises for another kind of file
        return "", "no HDF5 file that can be read"
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return (text.strip(" \0"), "empty") if getattr(value, "shape", ()) == () else ("", "several values")
