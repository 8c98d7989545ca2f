"""Pictures (PNG, JPEG, TIFF, BMP, ...) as volumes: their names say of which volume they are.

Sizes and pixels are those that trainers see: the EXIF orientation is applied, as `cv2.imread` does. Pictures of 8 bits
are taken as they are; those of more are rendered.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from planbalance.decode import MOST_PIXELS, NoPictureError, quiet_decoders
from planbalance.errors import InputError
from planbalance.import_model import Frame, RawFile, RawVolume
from planbalance.naming import Names, find_names
from planbalance.raw_images.grey import Coding, Plane
from planbalance.raw_images.request import ImageOptions
from planbalance.text import counted, error_text, some

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS: Final = frozenset(("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP"))
_DEEP: Final = ("I", "F")  # and `I;16` in its spellings
_GREY: Final = ("1", "L", "LA")
_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 0x0100, 0x0101  # TIFF 6.0, EXIF 2.3
_TURNED: Final = (5, 6, 7, 8)  # orientations that exchange width and height


class PictureHeader(NamedTuple):
    """What is needed of one picture.

    Attributes:
        fault: why it cannot be read; "" if it can.
        width: in pixels, as it is shown.
        height: likewise.
        deep: whether it has grey values of more than 8 bits.
    """

    fault: str = ""
    width: int = 0
    height: int = 0
    deep: bool = False


class Picture(NamedTuple):
    """A picture with its header."""

    file: RawFile
    header: PictureHeader


def read_picture_headers(files: tuple[str, Sequence[str]]) -> list[PictureHeader]:
    """Return the headers of files, given the root and paths relative to it."""
    root, paths = files
    return [_read_header(os.path.join(root, path)) for path in paths]


def _read_header(path: str) -> PictureHeader:
    from PIL import Image

    try:
        with quiet_decoders, Image.open(path) as image:
            _check(image)
            width, height = _shown_size(image)
            return PictureHeader("", width, height, _is_deep(image))
    except NoPictureError as error:
        return PictureHeader(str(error))
    except OSError as error:
        return PictureHeader(error_text(error) if error.errno else "it is no picture that can be decoded")
    except Exception:  # a damaged file raises whatever the decoder stumbles over
        return PictureHeader("it is no picture that can be decoded")


def _check(image: "Image") -> None:
    if not 0 < image.width * image.height <= MOST_PIXELS:
        raise NoPictureError(f"{image.width} × {image.height} pixels are too many")
    if image.format not in _FORMATS:
        raise NoPictureError(f"{image.format} is not decoded here")
    if image.format == "TIFF" and _has_more_pages(image):
        raise NoPictureError("it holds several pages, of which trainers read the first only")


def _has_more_pages(image: "Image") -> bool:
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _is_deep(image: "Image") -> bool:
    return image.mode in _DEEP or image.mode.startswith("I;16")


def _shown_size(image: "Image") -> tuple[int, int]:
    """Return width and height after the EXIF orientation is applied."""
    tags = getattr(image, "tag_v2", None)
    width, height = image.size if tags is None else (int(tags[_WIDTH]), int(tags[_HEIGHT]))
    if tags is not None:
        orientation = tags.get(_ORIENTATION, 1)
    elif image.format == "PNG" and "exif" not in image.info:  # `getexif` would decode the picture to look behind it
        orientation = 1
    else:
        orientation = image.getexif().get(_ORIENTATION, 1)
    return (height, width) if orientation in _TURNED else (width, height)


# ---- volumes --------------------------------------------------------------------------------------------------------


def volumes_of_pictures(pictures: Sequence[Picture], options: ImageOptions) -> tuple[list[RawVolume], tuple[str, ...]]:
    """Return the volumes of pictures, and what is to be said of their names.

    Raises:
        InputError: as `planbalance.naming.find_names`; a volume has two pictures of one number (kind
            `colliding-names`), or pictures of 8 bits and of more (kind `mixed-depth`).
        UsageError: as `planbalance.naming.find_names`.
    """
    names, said = _names([picture.file.path for picture in pictures], options.volume_pattern)
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, volume in enumerate(names.volumes):
        members[volume].append(index)
    volumes = []
    for name, indices in members.items():
        numbers = [names.numbers[index] for index in indices]
        patient = (names.patients[indices[0]] or "") if names.patients is not None else ""
        volumes.append(_volume(name, [pictures[index] for index in indices], numbers, patient, options))
    return volumes, said


def _names(paths: Sequence[str], pattern: str) -> tuple[Names, tuple[str, ...]]:
    """Return what names say, and what is to be said of them; where they say nothing, each folder is a volume."""
    try:
        reading = find_names(paths, pattern, tables=False)
    except InputError as error:
        if pattern != "auto" or error.kind not in ("unmatched-names", "image-names"):
            raise
        folders = [path.rpartition("/")[0] or "images" for path in paths]
        said = (
            f"The names of the pictures do not say of which volume they are, so each folder is one volume: "
            f"{counted(len(set(folders)), 'volume')}. If each picture stands alone: --volume-pattern image; else give "
            "a --volume-pattern with (?P<volume>...) and (?P<slice>...)."
        )
        return Names(folders, [None] * len(paths), None), (said,)
    return reading.names, (*reading.warnings, *reading.notes)


def _volume(
    name: str, pictures: Sequence[Picture], numbers: Sequence[int | None], patient: str, options: ImageOptions
) -> RawVolume:
    deep = {picture.header.deep for picture in pictures}
    if len(deep) > 1:
        raise InputError(
            f"The volume {name} has pictures of 8 bits and pictures of more bits, which one window cannot show.",
            kind="mixed-depth",
            hint="Keep pictures of one kind in the image folder.",
            paths=[picture.file.path for picture in pictures],
        )
    rendered = deep == {True}
    frames = [
        Frame(index, 0, number, picture.header.width, picture.header.height)
        for index, (number, picture) in enumerate(zip(_numbered(name, pictures, numbers), pictures, strict=True))
    ]
    return RawVolume(
        name=name.replace("/", "-"),
        kind="picture",
        files=tuple(picture.file for picture in pictures),
        frames=tuple(sorted(frames, key=lambda frame: frame.number)),
        patient=patient,
        rendered=rendered,
        has_units=rendered and options.stored_zero is not None,
    )


def _numbered(name: str, pictures: Sequence[Picture], numbers: Sequence[int | None]) -> list[int]:
    """Return the numbers of slices; where names have none, pictures are counted in the order of their names, from 0."""
    known = [number for number in numbers if number is not None]
    if not known:
        return list(range(len(pictures)))
    if len(known) == len(set(known)) == len(pictures):
        return known
    shown = [picture.file.path for picture, number in zip(pictures, numbers, strict=True) if numbers.count(number) > 1]
    raise InputError(
        f"The volume {name} has {counted(len(shown), 'picture')} whose names have the number of another one, or none: "
        f"{some(shown, 3)}.",
        kind="colliding-names",
        hint="Say how names are read with --volume-pattern, or leave pictures out of the image folder.",
        paths=shown,
    )


# ---- pixels ---------------------------------------------------------------------------------------------------------


def picture_planes(path: str, planes: Sequence[int], options: ImageOptions) -> Iterator[Plane]:
    """Yield the picture of a file, once for each of `planes`.

    Raises:
        NoPictureError: it cannot be decoded.
        OSError: it cannot be opened.
    """
    from PIL import Image, ImageOps

    with quiet_decoders:
        try:
            with Image.open(path) as image:
                _check(image)
                image.seek(0)
                image.load()  # it applies the orientation of TIFF files, whose tag older versions of Pillow leave there
                plane = _plane(image if image.format == "TIFF" else ImageOps.exif_transpose(image), options)
        except (NoPictureError, FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # a damaged file raises whatever the decoder stumbles over
            raise NoPictureError("it is no picture that can be decoded") from error
    for _ in planes:
        yield plane


def _plane(image: "Image", options: ImageOptions) -> Plane:
    import numpy as np

    if not _is_deep(image):
        return Plane(np.asarray(image.convert("L" if image.mode in _GREY else "RGB")), None)
    zero = float(options.stored_zero or 0)
    words = np.asarray(image)
    if words.dtype.kind == "f" or words.min() < 0 or words.max() > 0xFFFF:
        return Plane(words, Coding(0, intercept=-zero))
    return Plane(words.astype(np.uint16), Coding(16, 16, intercept=-zero))
