"""COCO object detection JSON (https://cocodataset.org/#format-data): images, categories and annotations.

A box is `bbox` where it is there, else the smallest one around the polygons, else around the run lengths.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from planbalance.annotations.coco_runs import box_of_runs
from planbalance.annotations.drafts import (
    Draft,
    NoGeometryError,
    UnreadableError,
    box_of_size,
    clean_text,
    drafted,
    hull_of,
    number_of,
    of_unnamed_labels,
    shown,
    size_of,
    source_of,
    text_of,
)
from planbalance.annotations.json_text import objects, parse_json
from planbalance.annotations.source import AnnotationSource, FormatOptions, Reviewed, SourceFile, refused
from planbalance.import_model import Annotation, Box, ImageKey, PathKey
from planbalance.text import counted

Id = int | str


class _CocoImage(NamedTuple):
    key: PathKey | None
    size: tuple[int, int] | None
    fault: str


def read_coco(files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:  # noqa: ARG001 - as all readers
    """Return what the files say: images without annotations were reviewed too.

    Raises:
        InputError: a file is not of this format (kind `other-format`), or an id stands for two images or two categories
            (kind `bad-annotations`).
    """
    annotations: list[Annotation] = []
    sizes: dict[ImageKey, tuple[int, int]] = {}
    reviewed: list[Reviewed] = []
    declared: list[str] = []
    warnings: list[str] = []
    for file in files:
        document = parse_json(file, "coco", ("images", "annotations", "categories"))
        images = _images(file.name, objects(document["images"]))
        labels = _labels(file.name, objects(document["categories"]))
        declared += labels.values()
        reviewed += [Reviewed(one.key) for one in images.values() if one.key is not None]
        sizes |= {one.key: one.size for one in images.values() if one.key is not None and one.size is not None}
        faults = [one.fault for one in images.values() if one.key is None]
        if faults:
            warnings.append(f"{file.name}: {counted(len(faults), 'image')} cannot be read: {faults[0]}.")
        for one in objects(document["annotations"]):
            annotations.append(_annotation(len(annotations) + 1, one, images, labels))
    warnings += of_unnamed_labels(annotations, declared)
    return source_of("coco", annotations, reviewed, declared=declared, stated_sizes=sizes, warnings=warnings)


def _id(value: object, what: str) -> Id:
    """Return an id: any integer, 0 too, or a text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise UnreadableError(f"{what} is no id: {shown(value)}")
    return value


def _images(name: str, values: Sequence[Mapping[str, Any]]) -> dict[Id, _CocoImage]:
    images: dict[Id, _CocoImage] = {}
    for value in values:
        try:
            identity = _id(value.get("id"), "id of an image")
        except UnreadableError as error:
            images[f"\0{len(images)}"] = _CocoImage(None, None, str(error))  # no annotation can name it
            continue
        image = _image(value)
        if images.setdefault(identity, image) != image:
            raise refused(name, f"has two images with the id {shown(identity)}", "Give each image an id of its own.")
    return images


def _image(value: Mapping[str, Any]) -> _CocoImage:
    try:
        path = text_of(value.get("file_name"), "file_name")
    except UnreadableError as error:
        return _CocoImage(None, None, f"image {clean_text(value.get('id'))}: {error}")
    try:
        return _CocoImage(PathKey(path), size_of(value.get("width"), value.get("height")), "")
    except UnreadableError as error:
        return _CocoImage(None, None, f"image {clean_text(value.get('id'))}: {error}")


def _labels(name: str, values: Sequence[Mapping[str, Any]]) -> dict[Id, str]:
    labels: dict[Id, str] = {}
    for value in values:
        try:
            identity = _id(value.get("id"), "id of a category")
            label = text_of(value.get("name"), "name of a category")
        except UnreadableError:
            continue  # its annotations show the id
        if labels.setdefault(identity, label) != label:
            raise refused(name, f"has two categories with the id {shown(identity)}", "Give each an id of its own.")
    return labels


def _annotation(
    number: int, one: Mapping[str, Any], images: Mapping[Id, _CocoImage], labels: Mapping[Id, str]
) -> Annotation:
    def fill(draft: Draft) -> None:
        image_id = _id(one.get("image_id"), "image_id")
        image = images.get(image_id)
        if image is None:
            draft.reason = f"images has no image with the id {shown(image_id)}"
        else:
            draft.key, draft.stated_size = image.key, image.size
        category = _id(one.get("category_id"), "category_id")
        draft.label = labels.get(category) or text_of(f"category {category}", "category_id")
        if image is not None and image.key is None:
            raise UnreadableError(f"its image cannot be read: {image.fault}")
        draft.box = _box_or_none(one, crowd=bool(one.get("iscrowd")))
        draft.kind = "crowd" if one.get("iscrowd") else "box"

    identity = clean_text(one.get("id"))
    return drafted(number, f"annotation {identity or number}", fill)


def _box_or_none(one: Mapping[str, Any], *, crowd: bool) -> Box | None:
    """Return the box; a crowd needs none, because it is never used."""
    try:
        return _box(one)
    except NoGeometryError:
        if crowd:
            return None
        raise


def _box(one: Mapping[str, Any]) -> Box:
    box = one.get("bbox")
    if box is not None and box != []:
        if not isinstance(box, list) or len(box) != 4:
            raise UnreadableError("bbox is not [x, y, width, height]")
        x, y, width, height = (number_of(value, "bbox") for value in box)
        return box_of_size(x, y, width, height)
    match one.get("segmentation"):
        case None | []:
            raise NoGeometryError("it has neither bbox nor segmentation")
        case {"size": size, "counts": counts}:
            return box_of_runs(size, counts)
        case [*polygons]:
            return hull_of(point for polygon in polygons for point in _points(polygon))
    raise UnreadableError("segmentation is neither polygons nor run lengths")


def _points(polygon: object) -> list[tuple[Any, Any]]:
    if not isinstance(polygon, list) or len(polygon) % 2:
        raise UnreadableError("a polygon is no list x, y, x, y, ...")
    return list(zip(polygon[::2], polygon[1::2], strict=True))
