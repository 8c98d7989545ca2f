"""Raw sources for tests: volumes without pixels, and short ways to read and join."""

from collections.abc import Sequence
from typing import Any

import orjson

from planbalance.annotations import (
    AnnotationSource,
    FormatName,
    FormatOptions,
    Joined,
    JoinOptions,
    SourceFile,
    choose_classes,
    join,
    read_annotations,
)
from planbalance.import_model import Fate, Frame, RawFile, RawVolume, State


def file(path: str) -> RawFile:
    return RawFile(path, 1000, 0)


def pictures(*paths: str, size: tuple[int, int] = (200, 100), name: str = "") -> RawVolume:
    """Return a volume of one picture for each path, numbered from 1."""
    frames = tuple(Frame(place, 0, place + 1, *size) for place in range(len(paths)))
    return RawVolume(name=name or paths[0], kind="picture", files=tuple(map(file, paths)), frames=frames)


def each(*paths: str, size: tuple[int, int] = (200, 100)) -> list[RawVolume]:
    """Return a volume for each picture."""
    return [pictures(path, size=size) for path in paths]


def h5(name: str, slices: int, *, folder: str = "multicoil", size: tuple[int, int] = (320, 320)) -> RawVolume:
    frames = tuple(Frame(0, plane, plane, *size) for plane in range(slices))
    return RawVolume(name=name, kind="h5", files=(file(f"{folder}/{name}.h5"),), frames=frames)


def series(
    name: str,
    uids: Sequence[str],
    *,
    folder: str = "",
    size: tuple[int, int] = (512, 512),
    study: str = "1.2.3",
    first: int = 1,
) -> RawVolume:
    """Return a DICOM series of one file for each UID; the names of the files say nothing."""
    files = tuple(file(f"{folder or name}/{place:04d}.dcm") for place in range(len(uids)))
    frames = tuple(Frame(place, 0, place + first, *size, uid) for place, uid in enumerate(uids))
    return RawVolume(name=name, kind="dicom", files=files, frames=frames, series_uid=f"{study}.{name}", study_uid=study)


def multi_frame(name: str, uid: str, frames: int, *, size: tuple[int, int] = (512, 512)) -> RawVolume:
    return RawVolume(
        name=name,
        kind="dicom",
        files=(file(f"{name}.dcm"),),
        frames=tuple(Frame(0, plane, plane + 1, *size, uid) for plane in range(frames)),
        series_uid="9.1",
        study_uid="9",
    )


def read(name: FormatName, text: str | bytes, **options: Any) -> AnnotationSource:
    data = text.encode() if isinstance(text, str) else text
    return read_annotations(name, [SourceFile(f"annotations.{name}", data)], FormatOptions(**options))


def read_json(name: FormatName, document: object, **options: Any) -> AnnotationSource:
    return read(name, orjson.dumps(document), **options)


def joined(
    source: AnnotationSource,
    volumes: Sequence[RawVolume],
    classes: str = "",
    mapping: Sequence[tuple[str, str]] = (),
    **options: Any,
) -> Joined:
    """Join; `classes` as in `--classes`."""
    names = classes.split(",") if classes else []
    result = join(source, volumes, choose_classes([source], names, mapping), JoinOptions(**options), name="source")
    assert sum(result.fates.values()) == len(result.ledger) == len(source.annotations)
    return result


def fates(result: Joined) -> list[Fate]:
    """Return the fate of each annotation, in their order."""
    return [row.fate for row in result.ledger]


def states(result: Joined) -> list[State]:
    """Return the state of each slice, volume after volume."""
    return [outcome.state for volume in result.frames for outcome in volume]


def labels(result: Joined) -> dict[int, str]:
    """Return the label texts that are not empty, by the place of the slice over all volumes."""
    every = [outcome.label for volume in result.frames for outcome in volume]
    return {place: label for place, label in enumerate(every) if label}


def reasons(result: Joined) -> list[str]:
    return [row.reason for row in result.ledger]
