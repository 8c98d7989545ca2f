"""Whether a picture shows nothing: one value throughout. Two black slices are equal bytes and no leak."""

from typing import Final

from planbalance.audit.file_facts import read
from planbalance.decode import NoPictureError, decode, is_one_value

_PICTURE_BYTES: Final = 1 << 26


def shows_nothing(data: bytes) -> bool:
    """Return whether a file has no byte, one byte value only, or is a picture of equal pixels."""
    if not data or data.count(data[:1]) == len(data):
        return True
    try:
        return is_one_value(decode(data, dicom=data[128:132] == b"DICM").image)
    except NoPictureError:
        return False


def blank_at(path: str, *, follow: bool) -> bool:
    """Return whether the image at a path shows nothing."""
    facts = read(path, follow=follow, keep=True, most=_PICTURE_BYTES)
    return facts.data is not None and shows_nothing(facts.data)
