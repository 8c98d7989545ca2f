"""MD.ai's JSON export of annotations (https://docs.md.ai/annotator/data/json/).

An annotation finds its image by the SOPInstanceUID of the header. Labels are in groups, which often stand for readers.
Nothing documents whether frames of a file are counted from 0 or from 1.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from planbalance.annotations.drafts import (
    Draft,
    UnreadableError,
    clean_text,
    drafted,
    of_unnamed_labels,
    size_of,
    source_of,
    text_of,
    whole_of,
)
from planbalance.annotations.json_text import objects, parse_json
from planbalance.annotations.mdai_shapes import box_of_shape, is_line
from planbalance.annotations.source import AnnotationSource, FormatOptions, Reviewed, SourceFile, refused
from planbalance.import_model import Annotation, UidKey, VolumeKey
from planbalance.text import counted

_EXAM_SCOPES: Final = frozenset({"EXAM", "STUDY"})
_WHOLE_SCOPES: Final = _EXAM_SCOPES | {"SERIES"}


class _Label(NamedTuple):
    name: str
    group: str
    scope: str
    mode: str


def read_mdai(files: Sequence[SourceFile], options: FormatOptions) -> AnnotationSource:
    """Return what the exports say. Raises InputError for a file of another format, or one that cannot be read."""
    annotations: list[Annotation] = []
    reviewed: list[Reviewed] = []
    declared: list[str] = []
    lines = 0
    for file in files:
        document = parse_json(file, "mdai", ("labelGroups", "datasets"))
        labels = _labels(objects(document["labelGroups"]))
        declared += [label.name for label in labels.values()]
        for one in (each for dataset in objects(document["datasets"]) for each in _annotations(file.name, dataset)):
            annotation = _annotation(len(annotations) + 1, one, labels, options.frame_base)
            annotations.append(annotation)
            reviewed += _reviewed(one, annotation)
            lines += annotation.kind == "box" and is_line(_label_of(one, labels).mode)
    warnings = [*([_of_lines(lines)] if lines else []), *of_unnamed_labels(annotations, declared)]
    source = source_of("mdai", annotations, reviewed, declared=declared, warnings=warnings)
    return replace(source, frame_base=options.frame_base)


def _annotations(name: str, dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the annotations of a dataset; it need not have any."""
    found = dataset.get("annotations")
    if found is not None and not isinstance(found, list):
        raise refused(name, "has a dataset whose annotations are no list")
    return objects(found)


def _of_lines(count: int) -> str:
    said = counted(count, "annotation is a line", "annotations are lines")
    return f"{said}: a box is the smallest one around its line, and may be smaller than the finding."


def _labels(groups: Sequence[Mapping[str, Any]]) -> dict[str, _Label]:
    """Return the labels by id. Groups of one name are told apart by their ids."""
    names = Counter(clean_text(group.get("name")) for group in groups)
    labels = {}
    for group in groups:
        name, identity = clean_text(group.get("name")), clean_text(group.get("id"))
        shown = f"{name} ({identity})" if names[name] > 1 or not name else name
        for label in objects(group.get("labels")):
            if key := clean_text(label.get("id")):
                mode, scope = clean_text(label.get("annotationMode")), clean_text(label.get("scope")).upper()
                labels[key] = _Label(clean_text(label.get("name")) or key, shown, scope, mode)
    return labels


def _label_of(one: Mapping[str, Any], labels: Mapping[str, _Label]) -> _Label:
    identity = text_of(one.get("labelId"), "labelId")
    return labels.get(identity) or _Label(identity, "", "", "")  # deleted in the project: its id is all that is known


def _annotation(
    number: int, one: Mapping[str, Any], labels: Mapping[str, _Label], frame_base: int | None
) -> Annotation:
    def fill(draft: Draft) -> None:
        study, series, image = (
            text_of(one.get(name), name, needed=False)
            for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        )
        if not (study or series or image):
            raise UnreadableError("it names no image, series or study")
        draft.key = VolumeKey(series_uid=series, study_uid="" if series else study)
        draft.reader = text_of(one.get("createdById"), "createdById", needed=False)
        label = _label_of(one, labels)
        draft.label, draft.label_group = label.name, label.group
        data = one.get("data")
        if not image or (data is None and label.scope in _WHOLE_SCOPES):
            if data:
                raise UnreadableError("it has a shape, but names no image")
            draft.kind = "study"
            if study and label.scope in _EXAM_SCOPES:
                draft.key = VolumeKey(study_uid=study)
            return
        draft.key = UidKey(image, _frame(one.get("frameNumber"), frame_base))
        draft.stated_size = size_of(one.get("width"), one.get("height"))
        draft.box = box_of_shape(data)

    identity = clean_text(one.get("id"))
    return drafted(number, f"annotation {identity or number}", fill)


def _frame(value: object, base: int | None) -> int | None:
    return None if value is None else whole_of(value, "frameNumber") - (base or 0)


def _reviewed(one: Mapping[str, Any], annotation: Annotation) -> list[Reviewed]:
    """Return the study of an annotation as looked at by its reader."""
    study = clean_text(one.get("StudyInstanceUID"))
    if annotation.kind == "unreadable" or not study:
        return []
    return [Reviewed(VolumeKey(study_uid=study), annotation.reader, annotation.label_group)]
