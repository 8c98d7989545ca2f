"""Elements of DICOM files as they are stored, so that no value is checked that is not needed.

The elements of plain files are found by `dicom_plain`, those of all others by pydicom.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, BinaryIO, Final, NamedTuple

from planbalance.decode import NoPictureError
from planbalance.raw_images.dicom_plain import EXPLICIT, IMPLICIT, PlainElements, plain_elements

_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"  # PS3.5 A.5: the whole file is inflated before anything is known of it
_HEAD: Final = 1 << 12  # bytes that meta elements take at most, as a rule
_BLANKS: Final = " \0"
_SHARED: Final = "SharedFunctionalGroupsSequence"
_PER_FRAME: Final = "PerFrameFunctionalGroupsSequence"
GROUPS: Final = (_SHARED, _PER_FRAME)
DAMAGED: Final = "its DICOM header is damaged"
ENCODED: Final = ("PatientID",)  # texts of which letters count, so that their character set matters


class _Element(NamedTuple):
    """An element of a plain file."""

    value: bytes
    is_little_endian: bool = True


class PlainDataset:
    """The elements of a plain file, asked for as those of pydicom's `Dataset`."""

    def __init__(self, elements: PlainElements) -> None:
        self._found = elements.found
        self.syntax = (EXPLICIT if elements.explicit else IMPLICIT).decode()

    def get_item(self, keyword: str) -> _Element | None:
        """Return an element, None where it is absent."""
        value = self._found.get(_tag(keyword))
        return None if value is None else _Element(value)

    def get(self, keyword: str) -> str:
        """Return a text of ASCII letters."""
        return text_of(self, keyword)


Dataset = Any  # a `PlainDataset`, or pydicom's


@cache  # there are as many as this package names
def _tag(keyword: str) -> int:
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(keyword) or 0


@cache  # likewise
def _tags(keywords: tuple[str, ...]) -> tuple[frozenset[int], frozenset[int]]:
    """Return the tags of elements, and those of sequences."""
    sequences = frozenset(_tag(keyword) for keyword in keywords if keyword.endswith("Sequence"))
    return frozenset(map(_tag, keywords)) - sequences, sequences


def read_dataset(file: BinaryIO, tags: tuple[str, ...]) -> Dataset:
    """Return the elements `tags` of a file; the file then stands at the element that holds its pixels, if it has one.

    Raises:
        NoPictureError: it is no DICOM file, or is compressed as a whole.
    """
    plain = plain_elements(file, *_tags(tags))
    if plain is not None and all(plain.found.get(_tag(keyword), b"").isascii() for keyword in ENCODED):
        file.seek(plain.end)
        return PlainDataset(plain)
    file.seek(0)
    return _read_by_pydicom(file, tags)


def _read_by_pydicom(file: BinaryIO, tags: tuple[str, ...]) -> Dataset:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    if _is_deflated(file):
        raise NoPictureError("deflated DICOM is not decoded here")
    try:
        return dcmread(file, stop_before_pixels=True, specific_tags=list(tags))
    except InvalidDicomError:
        raise NoPictureError("it is no DICOM file") from None
    except Exception as error:  # a damaged file raises whatever pydicom stumbles over
        raise NoPictureError(DAMAGED) from error


def _is_deflated(file: BinaryIO) -> bool:
    """Return whether the meta elements of a file name the deflated transfer syntax; others are not read so far."""
    head = file.read(_HEAD)
    if head[132:138] != b"\x02\x00\x00\x00UL" or int.from_bytes(head[140:144], "little") > len(head) - 144:
        head += file.read()  # nothing says where the meta elements end
    file.seek(0)
    return _DEFLATED in head


def syntax_of(dataset: Dataset) -> str:
    """Return the transfer syntax, `""` where the file does not name it."""
    if isinstance(dataset, PlainDataset):
        return dataset.syntax
    return str(dataset.file_meta.get("TransferSyntaxUID", "") or "")


def _element(dataset: Dataset, keyword: str) -> Any:  # noqa: ANN401 - an `_Element`, or one of pydicom's kinds
    try:
        return dataset.get_item(keyword)
    except Exception as error:  # pydicom reads elements of an unknown kind when they are asked for
        raise NoPictureError(DAMAGED) from error


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return an element as a text without blanks at its ends; `""` where it is absent or empty."""
    element = _element(dataset, keyword)
    value = None if element is None else element.value
    if value is None:
        return ""
    text = value.decode("latin-1") if isinstance(value, bytes) else _joined(value)
    return text.strip(_BLANKS)


def _joined(value: object) -> str:
    several = not isinstance(value, str) and hasattr(value, "__iter__")
    return "\\".join(map(str, value)) if several else str(value)  # type: ignore[call-overload]  # checked before


def numbers_of(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the numbers of an element of the kinds DS and IS; `()` where it is absent or empty.

    Raises:
        NoPictureError: they are no finite numbers.
    """
    text = text_of(dataset, keyword)
    if not text:
        return ()
    try:
        numbers = tuple(float(part) for part in text.replace("\0", " ").split("\\"))
    except ValueError:
        raise NoPictureError(f"its {keyword} is no number") from None
    if not all(map(math.isfinite, numbers)):
        raise NoPictureError(f"its {keyword} is no finite number")
    return numbers


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """Return the first number of an element, None where it is absent or empty. Raises NoPictureError."""
    numbers = numbers_of(dataset, keyword)
    return numbers[0] if numbers else None


def whole_of(dataset: Dataset, keyword: str, absent: int = 0) -> int:
    """Return an element of the kind US, `absent` where it is absent or empty. Raises NoPictureError."""
    element = _element(dataset, keyword)
    value = None if element is None else element.value
    if value in (None, b"", ""):
        return absent
    if isinstance(value, bytes) and len(value) == 2:
        return int.from_bytes(value, "little" if element.is_little_endian else "big")
    if isinstance(value, int):
        return value
    raise NoPictureError(f"its {keyword} is no whole number")


def signed_words_of(dataset: Dataset, keyword: str) -> int | None:
    """Return an element of the kind `US or SS` as its bits, None where it is absent or empty."""
    element = _element(dataset, keyword)
    value = None if element is None else element.value
    if isinstance(value, bytes):
        if not 0 < len(value) <= 4:
            return None
        return int.from_bytes(value, "little" if element.is_little_endian else "big")
    return value if isinstance(value, int) else None


def items_of(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence; none where it is absent. Raises NoPictureError."""
    try:
        if dataset.get_item(keyword) is None:
            return ()
        items: Sequence[Dataset] = dataset[keyword].value or ()
        return items if all(hasattr(item, "get_item") for item in items) else ()
    except Exception as error:  # a sequence is parsed when it is asked for
        raise NoPictureError(f"its {keyword} is damaged") from error


def group_of(dataset: Dataset, frame: int, keyword: str) -> Dataset | None:
    """Return the first item of a functional group (PS3.3 C.7.6.16): of this frame, else of all frames, else None."""
    per_frame = items_of(dataset, _PER_FRAME)
    sources = [per_frame[frame : frame + 1], items_of(dataset, _SHARED)[:1]]
    for source in sources:
        for item in source:
            if found := items_of(item, keyword):
                return found[0]
    return None
