"""Patients from DICOM headers: `--group-from dicom:PatientID`. Needs the extra `dicom`; only a keyed hash goes further.

No plan, report or log carries an identity: `PatientID` becomes HMAC-SHA256 under a key that stays on this machine, so
short ids cannot be found again by trying them all. Data sets that shall agree on their groups need the same key.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from planbalance.errors import InputError, UsageError
from planbalance.grouping import GroupMap, counted, keyed_group, some
from planbalance.model import Input, Progress, Silent, Volume

_KEY_BYTES: Final = 32

ReadId = Callable[[str], str | None]


def group_key(path: str) -> bytes:
    """Return the key in a file; where there is no such file, make one that only its owner may read.

    Raises:
        UsageError: it cannot be read or made, or is shorter than 16 bytes (kind `bad-key`).
    """
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            with open(path, "rb") as file:
                key = file.read()
        else:
            key = os.urandom(_KEY_BYTES).hex().encode()
            with open(made, "wb") as file:
                file.write(key)
    except OSError as error:
        raise UsageError(
            f"The group key {path} cannot be used: {error.strerror}.", kind="bad-key", paths=[path]
        ) from None
    if len(key) < _KEY_BYTES // 2:
        raise UsageError(
            f"The group key {path} is shorter than {_KEY_BYTES // 2} bytes.",
            kind="bad-key",
            hint="Give it random bytes, or delete it and have a new one made.",
            paths=[path],
        )
    return key


def groups_from_headers(
    inputs: Sequence[Input], volumes: Sequence[Volume], key: bytes, progress: Progress | None = None
) -> GroupMap:
    """Return the patients of volumes, as keyed hashes, from `PatientID` (0010,0020) of each one's first and last image.

    Raises:
        UsageError: pydicom is not installed (kind `extra-missing`).
        InputError: images are not DICOM or have no `PatientID` (kind `no-patient-id`), or a volume has two (kind
            `two-patients`); all are listed.
    """
    read = _reader()
    progress = progress or Silent()
    progress.begin("read patients", len(volumes), "volumes")
    try:
        found = [_patients(inputs, volume, read, progress) for volume in volumes]
    finally:
        progress.end()
    unread = [path for ids in found for path, patient in ids if not patient]
    if unread:
        raise _refusal(
            f"{counted(len(unread), 'image')} without a DICOM PatientID: {some(unread, 3)}.", "no-patient-id", unread
        )
    torn = [volume.id for volume, ids in zip(volumes, found, strict=True) if len({patient for _, patient in ids}) > 1]
    if torn:
        raise _refusal(
            f"{counted(len(torn), 'volume')} with images of two patients: {some(torn)}.", "two-patients", torn
        )
    groups = {volume.id: keyed_group(ids[0][1], key) for volume, ids in zip(volumes, found, strict=True)}
    return GroupMap(groups, source="dicom", name="dicom:PatientID")


def _patients(inputs: Sequence[Input], volume: Volume, read: ReadId, progress: Progress) -> list[tuple[str, str]]:
    """Return (path, patient or "") of the volume's first and last image."""
    ends = dict.fromkeys((volume.slices[0].file, volume.slices[-1].file))
    paths = [f"{inputs[file.input].root.rstrip('/')}/{file.path}" for file in ends]
    found = [(path, (read(path) or "").strip(" \0")) for path in paths]
    progress.advance(1)
    return found


def _reader() -> ReadId:
    try:
        from pydicom import dcmread  # noqa: PLC0415 - an extra: only who asks for patients needs it
    except ImportError:
        raise UsageError(
            "--group-from dicom:PatientID needs pydicom, which is not installed.",
            kind="extra-missing",
            hint="pip install 'planbalance[dicom]'",
        ) from None

    def read(path: str) -> str | None:
        try:
            header: Any = dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
            patient = header.get("PatientID")
        except Exception:
            return None
        return None if patient is None else str(patient)

    return read


def _refusal(message: str, kind: str, paths: Sequence[str]) -> InputError:
    hint = "Name the patients in a CSV file with --group-map, or leave these volumes out with --exclude."
    return InputError(message, kind=kind, hint=hint, paths=paths)
