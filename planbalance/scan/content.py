"""What labels and images hold, read in worker threads. Size and sum are of the bytes that were read, so they agree."""

import hashlib
import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from planbalance.labels import EMPTY, LabelFacts, read_label

LABELS_A_BATCH: Final = 512
IMAGES_A_BATCH: Final = 32
LABEL_LIMIT: Final = 1 << 26  # bytes: a million boxes
_CHUNK: Final = 1 << 20


class LabelContent(NamedTuple):
    """What was read from a label file."""

    size: int
    sha256: str  # "" where there is no byte
    facts: LabelFacts
    fault: str  # "" or why it could not be read


class ImageContent(NamedTuple):
    """What was read from an image file."""

    sha256: str
    blank: bool  # no byte, or one byte value only
    fault: str  # "" or why it could not be read


def read_label_file(path: str, size: int, class_count: int | None) -> LabelContent:
    """Read one label to its end; where that is at the `size` that `stat` told, one call is enough."""
    if size > LABEL_LIMIT:
        return LabelContent(0, "", EMPTY, f"has {size:,} bytes: no label file has more than {LABEL_LIMIT:,}")
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            data = os.read(handle, min(size, _CHUNK) + 1)
            if len(data) != size:  # it has changed since, or came in parts
                data = b"".join((data, *iter(lambda: os.read(handle, _CHUNK), b"")))
        finally:
            os.close(handle)
    except OSError as error:
        return LabelContent(0, "", EMPTY, f"cannot be read: {error.strerror}")
    return LabelContent(len(data), hashlib.sha256(data).hexdigest() if data else "", read_label(data, class_count), "")


def read_image_file(path: str) -> ImageContent:
    """Read one image."""
    digest = hashlib.sha256()
    value = b""
    blank = True
    try:
        for chunk in _chunks(path):
            digest.update(chunk)
            value = value or chunk[:1]
            blank = blank and chunk.count(value) == len(chunk)
    except OSError as error:
        return ImageContent("", blank=False, fault=f"cannot be read: {error.strerror}")
    return ImageContent(digest.hexdigest(), blank, "")


def _chunks(path: str) -> Iterator[bytes]:
    handle = os.open(path, os.O_RDONLY)
    try:
        while chunk := os.read(handle, _CHUNK):
            yield chunk
    finally:
        os.close(handle)
