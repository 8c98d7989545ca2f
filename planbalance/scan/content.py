"""Read labels and images, in any worker. Size and SHA-256 are of the same bytes, so they always agree."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from planbalance.errors import InputError
from planbalance.labels import read_label
from planbalance.model import Keypoints, Overshoot
from planbalance.packed.entry import Entry, PackedError
from planbalance.packed_dataset import PackedDataset
from planbalance.text import error_text

LABEL_LIMIT: Final = 1 << 26  # bytes: a million boxes
_CHUNK: Final = 1 << 20
_JPEG_START: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"


class LabelContent(NamedTuple):
    """The content of a label file."""

    size: int
    sha256: str  # "" where there is no byte
    annotations: int  # as in `labels.LabelFacts`, like the next three
    classes: tuple[int, ...]
    problems: tuple[tuple[int, str], ...]
    overshoot: Overshoot | None
    fault: str  # "" or why it could not be read


class ImageContent(NamedTuple):
    """The content of an image file, as far as the scan needs it."""

    sha256: str
    blank: bool  # no byte, or one byte value only
    fault: str  # "" or why it could not be read
    open_ended: bool = False  # a JPEG that does not end as one


def read_label_file(
    path: str, size: int, class_count: int | None, keypoints: Keypoints | None = None, *, folder: int | None = None
) -> LabelContent:
    """Read one label to its end; where it has the `size` that `stat` gave, one call is enough.

    `path` is relative to the open `folder`, if there is one.
    """
    if size > LABEL_LIMIT:
        return _too_large(size)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        try:
            data = os.read(handle, min(size, _CHUNK) + 1)
            if len(data) != size:  # it has changed since `stat`, or the read was short
                data = b"".join((data, *iter(lambda: os.read(handle, _CHUNK), b"")))
        finally:
            os.close(handle)
    except OSError as error:
        return _unread(f"cannot be read: {error_text(error)}")
    return _label_of(data, class_count, keypoints)


def read_packed_label(
    dataset: PackedDataset, entry: Entry, class_count: int | None, keypoints: Keypoints | None = None
) -> LabelContent:
    """Read one label of a dataset in one file, as `read_label_file` does."""
    if entry.size > LABEL_LIMIT:
        return _too_large(entry.size)
    try:
        data = dataset.read(entry, LABEL_LIMIT)
    except OSError as error:
        return _unread(f"cannot be read: {error_text(error)}")
    except PackedError as error:
        return _unread(f"cannot be read: {error}")
    return _label_of(data, class_count, keypoints)


def _label_of(data: bytes, class_count: int | None, keypoints: Keypoints | None) -> LabelContent:
    facts = read_label(data, class_count, keypoints)
    return LabelContent(len(data), hashlib.sha256(data).hexdigest() if data else "", *facts, "")


def _too_large(size: int) -> LabelContent:
    return _unread(f"has {size:,} bytes: no label file has more than {LABEL_LIMIT:,}")


def _unread(fault: str) -> LabelContent:
    return LabelContent(0, "", 0, (), (), None, fault)


def may_be_jpeg(path: str) -> bool:
    """Return whether an image's name ends as that of a JPEG."""
    return path[-5:].lower().endswith((".jpg", ".jpeg"))


def are_open_ended(files: list[tuple[str, int]]) -> list[bool]:
    """Return for each path and size whether it is a JPEG that does not end in FF D9; an unreadable file is not.

    Trainers rewrite such a file in place (Ultralytics before 8.4.175, YOLOv5: `verify_image_label`).
    """
    return [_is_open_ended(path, size) for path, size in files]


def _is_open_ended(path: str, size: int) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            start, end = os.pread(handle, 2, 0), os.pread(handle, 2, max(0, size - 2))
        finally:
            os.close(handle)
    except OSError:
        return False
    return start == _JPEG_START and end != _JPEG_END


def read_images(paths: list[str]) -> list[ImageContent]:
    """Read images to their ends."""
    return [read_image_file(path) for path in paths]


def image_digests(paths: Iterable[str]) -> list[str]:
    """Return the SHA-256 of the bytes of each image.

    Raises:
        InputError: one cannot be read (kind `unreadable`).
    """
    return [_digest(path) for path in paths]


def _digest(path: str) -> str:
    found = read_image_file(path)
    if found.fault:
        raise InputError(
            f"{path} {found.fault}.",
            kind="unreadable",
            hint="Check its permissions, or leave it out with --exclude.",
            paths=[path],
        )
    return found.sha256


def read_image_file(path: str) -> ImageContent:
    """Read one image."""
    digest = hashlib.sha256()
    value = start = end = b""
    blank = True
    try:
        for chunk in _chunks(path):
            digest.update(chunk)
            start, end = start or chunk[:2], (end + chunk[-2:])[-2:]
            value = value or chunk[:1]
            blank = blank and chunk.count(value) == len(chunk)
    except OSError as error:
        return ImageContent("", blank=False, fault=f"cannot be read: {error_text(error)}")
    open_ended = start == _JPEG_START and end != _JPEG_END and may_be_jpeg(path)
    return ImageContent(digest.hexdigest(), blank, "", open_ended)


def _chunks(path: str) -> Iterator[bytes]:
    handle = os.open(path, os.O_RDONLY)
    try:
        while chunk := os.read(handle, _CHUNK):
            yield chunk
    finally:
        os.close(handle)
