"""Pascal VOC (Everingham et al. 2010, International Journal of Computer Vision 88:303): one XML file for each image.

Pixels count from 1 and both corners belong to the box: its left edge is xmin - 1, its right edge is xmax. Some tools
write from 0; a 0 proves it, and then `--origin 0` must be given: the left edge is xmin, the right edge is xmax.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from planbalance.annotations.drafts import (
    Draft,
    NoGeometryError,
    UnreadableError,
    box_of_corners,
    drafted,
    number_of,
    shown,
    size_of,
    source_of,
    text_of,
)
from planbalance.annotations.source import AnnotationSource, FormatOptions, Reviewed, SourceFile
from planbalance.annotations.voc_xml import Element, parse_voc
from planbalance.errors import InputError
from planbalance.import_model import Annotation, ImageKey, PathKey
from planbalance.text import counted, some

_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")


def read_voc(files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:
    """Return what the XML files say: an image with a file was reviewed, also without an object.

    Raises:
        InputError: a file is not of this format (kind `other-format`) or no safe XML (kind `bad-annotations`), or a
            coordinate is 0 and the origin was not given (kind `origin`).
    """
    stems = Counter(_stem(file.name) for file in files)
    annotations: list[Annotation] = []
    sizes: dict[ImageKey, tuple[int, int]] = {}
    reviewed: list[Reviewed] = []
    faults: list[str] = []
    difficult = 0
    for file in files:
        root = parse_voc(file)
        key = PathKey(_stem(file.name) if stems[_stem(file.name)] == 1 else _without_suffix(file.name))
        fault, size = _fault_and_size(file.name, root)
        if fault:
            faults.append(f"{file.name}: {fault}")
        else:
            reviewed.append(Reviewed(key))
            if size is not None:
                sizes[key] = size
        objects = root.all("object")
        difficult += sum(one.text("difficult") == "1" for one in objects)
        if options.origin is None:
            _require_from_1(file.name, objects)
        first = 1 if options.origin is None else options.origin
        for place, one in enumerate(objects, start=1):
            where = f"{file.name}, object {place}"
            annotations.append(_annotation(len(annotations) + 1, where, one, (key, fault, size), first))
    return source_of("voc", annotations, reviewed, stated_sizes=sizes, warnings=_warnings(difficult, faults))


def _warnings(difficult: int, faults: Sequence[str]) -> list[str]:
    warnings = []
    if difficult:
        warnings.append(f"{counted(difficult, 'object is', 'objects are')} marked as difficult; all are used.")
    if faults:
        warnings.append(f"{counted(len(faults), 'file')} cannot be used: {some(faults, 3)}.")
    return warnings


def _without_suffix(path: str) -> str:
    return path[: -len(".xml")] if path.lower().endswith(".xml") else path


def _stem(path: str) -> str:
    return _without_suffix(path.rpartition("/")[2])


def _fault_and_size(name: str, root: Element) -> tuple[str, tuple[int, int] | None]:
    """Return why the image of a file is unclear ("" if it is clear), and its stated size."""
    try:
        image = text_of(root.text("filename"), "filename", needed=False).replace("\\", "/").rpartition("/")[2]
        stem = _stem(name)
        if image and image != stem and image.rpartition(".")[0] != stem:
            return f"its name is not that of its image {shown(image)}", None
        size = root.first("size")
        return "", None if size is None else size_of(size.text("width"), size.text("height"))
    except UnreadableError as error:
        return str(error), None


def _require_from_1(name: str, objects: Sequence[Element]) -> None:
    for one in objects:
        box = one.first("bndbox")
        for corner in ("xmin", "ymin"):
            if box is not None and _is_zero(box.text(corner)):
                raise InputError(
                    f"The file {name} has {corner} 0, so its pixels count from 0 and not from 1 as in Pascal VOC.",
                    kind="origin",
                    hint="Give --origin 0 if all files count from 0, or --origin 1 if only this one is wrong.",
                    paths=[name],
                )


def _is_zero(text: str) -> bool:
    try:
        return number_of(text, "") == 0
    except UnreadableError:
        return False


def _annotation(
    number: int, where: str, one: Element, image: tuple[PathKey, str, tuple[int, int] | None], first: int
) -> Annotation:
    key, fault, size = image

    def fill(draft: Draft) -> None:
        draft.key, draft.stated_size = key, size
        draft.label = text_of(one.text("name"), "name")
        if fault:
            raise UnreadableError(fault)
        box = one.first("bndbox")
        if box is None:
            raise NoGeometryError("it has no bndbox")
        left, top, right, bottom = (number_of(box.text(name), name) for name in _CORNERS)
        draft.box = box_of_corners(left - first, top - first, right, bottom)

    return drafted(number, where, fill)
