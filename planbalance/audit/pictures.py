"""Decodes images for the audit: whether one shows nothing (two black slices are no leak), and its fingerprint."""

from typing import Final

from planbalance.audit.file_facts import is_flat, read
from planbalance.decode import NoPictureError, decode, is_one_value
from planbalance.errors import UsageError
from planbalance.fingerprint import Fingerprinter

_PICTURE_BYTES: Final = 1 << 26


def shows_nothing(data: bytes) -> bool:
    """Return whether a file has no byte, one byte value only, or is a picture of equal pixels."""
    if is_flat(data):
        return True
    try:
        return is_one_value(decode(data, dicom=data[128:132] == b"DICM").image)
    except NoPictureError:
        return False


def blank_at(path: str, *, follow: bool) -> bool:
    """Return whether the image at a path shows nothing."""
    facts = read(path, follow=follow, keep=True, most=_PICTURE_BYTES)
    return facts.data is not None and shows_nothing(facts.data)


def fingerprinter() -> Fingerprinter:
    """Return the function that makes the fingerprint of an image of its bytes and its path.

    Raises:
        UsageError: numpy is not installed.
    """
    try:
        from planbalance.likeness import fingerprint_of_file  # noqa: PLC0415 - needs an extra
    except ImportError:
        raise UsageError(
            "--near-duplicates needs numpy, which is not installed.",
            kind="extra-missing",
            hint="pip install 'planbalance[near-duplicates]'",
        ) from None
    return fingerprint_of_file
