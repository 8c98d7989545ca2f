"""What `show --slice` prints: where one slice goes and why, whether it is kept or was left out."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from planbalance.destination import Destination, Destinations, label_of
from planbalance.model import Operation, PlanHeader, PlannedVolume
from planbalance.render.plan_facts import NumberOf, name_reader, stored_numbers
from planbalance.render.strips import runs_of
from planbalance.render.table import Group, Renderable, count, line, size


class SliceQuery(NamedTuple):
    """The slice that is asked for: a file name or path, or a number where a volume is given too."""

    slice: str
    volume: str | None = None


def slice_documents(header: PlanHeader, operations: Iterable[Operation], query: SliceQuery) -> list[dict[str, Any]]:
    """Return every slice of a plan that a name may mean: usually one; none where the plan has no such slice.

    Args:
        header: the plan's first line.
        operations: all of the plan's.
        query: a file's name with or without its suffix, its path in the input or in the output; or a slice number.
    """
    destinations = Destinations(header.sources, header.parameters["layout"])
    number_of = NumberOf(header)
    volumes = {volume.id: volume for volume in header.volumes}
    found = [
        _kept(header, volumes[operation.volume], operation, number, destination)
        for operation in operations
        if query.volume in (None, operation.volume)
        for number in [number_of(operation)]
        for destination in [destinations.of(operation)]
        if query.slice in _names(header, operation, destination) or _is_number(query, number)
    ]
    return found or list(_by_stored_number(header, volumes, query)) or list(_left_out(header, volumes, query))


def _names(header: PlanHeader, operation: Operation, destination: Destination) -> Iterator[str]:
    """Yield all names of a slice."""
    below = "/".join(destination)
    for path in (operation.image, below):
        yield path
        yield os.path.basename(path)
        yield os.path.splitext(os.path.basename(path))[0]
    yield f"{header.inputs[operation.input].rstrip('/')}/{operation.image}"
    yield f"{header.output.rstrip('/')}/{below}"


def _is_number(query: SliceQuery, number: int | None) -> bool:
    return query.volume is not None and number is not None and query.slice == str(number)


def _kept(
    header: PlanHeader, volume: PlannedVolume, operation: Operation, number: int | None, destination: Destination
) -> dict[str, Any]:
    root = header.inputs[operation.input].rstrip("/")
    return {
        **_where(volume, number),
        "kept": True,
        "positive": operation.positive,
        "image": f"{root}/{operation.image}",
        "image_size": operation.image_size,
        "label": None if operation.label is None else f"{root}/{operation.label}",
        "label_size": operation.label_size,
        "label_sha256": operation.label_sha256 or None,
        "to_image": "/".join(destination),
        "to_label": "/".join(label_of(destination)),
    }


def _where(volume: PlannedVolume, number: int | None) -> dict[str, Any]:
    return {"volume": volume.id, "group": volume.group, "split": volume.split, "slice": number}


def _by_stored_number(
    header: PlanHeader, volumes: Mapping[str, PlannedVolume], query: SliceQuery
) -> Iterator[dict[str, Any]]:
    """Yield a kept slice by a number that is not in its name: the plan has the number, but not which file it is."""
    if query.volume is None or not (query.slice.isdecimal() and query.slice.isascii()):
        return
    for positive, numbers in zip((True, False), stored_numbers(header, query.volume), strict=True):
        if int(query.slice) in numbers:
            nothing = dict.fromkeys(
                ("image", "image_size", "label", "label_size", "label_sha256", "to_image", "to_label")
            )
            where = _where(volumes[query.volume], int(query.slice))
            yield {**where, "kept": True, "positive": positive, **nothing}


def _left_out(header: PlanHeader, volumes: Mapping[str, PlannedVolume], query: SliceQuery) -> Iterator[dict[str, Any]]:
    """Yield the slice where sampling left it out: of such slices the plan has volume and number only."""
    for volume_id, number in _readings(header, query):
        volume = volumes.get(volume_id)
        if volume is not None and any(first <= number <= last for first, last in runs_of(volume.dropped)):
            yield {**_where(volume, number), "kept": False, "positive": False}
            return


def _readings(header: PlanHeader, query: SliceQuery) -> Iterator[tuple[str, int]]:
    """Yield the volume and number that a name may mean."""
    if query.volume is not None and query.slice.isdecimal() and query.slice.isascii():
        yield query.volume, int(query.slice)
        return
    read = name_reader(header)
    for path in _below_image_folders(header, query.slice):
        # A rule reads a stem: a name without a suffix gets one.
        for name in (read(path), read(path + ".png")):
            if name is not None and name.number is not None and query.volume in (None, name.volume):
                yield name.volume, name.number


def _below_image_folders(header: PlanHeader, path: str) -> Iterator[str]:
    """Yield a path as the naming rule saw it: without its input and its image folder."""
    yield path
    for root, source in zip(header.inputs, header.sources, strict=True):
        inside = path.removeprefix(root.rstrip("/") + "/")
        for folder in source.folders:
            yield inside.removeprefix(folder.images + "/")


def slice_text(documents: Iterable[Mapping[str, Any]]) -> Renderable:
    """Return slices for a person, an empty line between two."""
    lines: list[Renderable] = []
    for document in documents:
        lines += [line(), *_lines(document)] if lines else _lines(document)
    return Group(*lines)


def _lines(document: Mapping[str, Any]) -> Iterable[Renderable]:
    number = "" if document["slice"] is None else f", slice {document['slice']}"
    yield line(("Volume  ", "dim"), f"{document['volume']}{number}")
    if document["group"] != document["volume"]:
        yield line(("Group   ", "dim"), document["group"])
    yield line(("Split   ", "dim"), document["split"])
    if not document["kept"]:
        yield line(("Kept    ", "dim"), "no: negative, left out by the undersampling of train")
        return
    yield line(("Kept    ", "dim"), f"yes: {'positive' if document['positive'] else 'negative'}")
    if document["image"] is None:
        yield line(("Image   ", "dim"), "names do not tell its number: the slice map or its DICOM header does")
        return
    yield line(("Image   ", "dim"), f"{document['image']} ({size(document['image_size'])})")
    yield line(("        ", ""), f"-> {document['to_image']}")
    yield line(("Label   ", "dim"), _label(document))
    yield line(("        ", ""), f"-> {document['to_label']}")


def _label(document: Mapping[str, Any]) -> str:
    if document["label"] is None:
        return "missing: an empty file is made"
    return f"{document['label']} ({count(document['label_size'])} B)"
