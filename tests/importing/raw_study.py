"""A small raw study with a truth of its own: MD.ai with DICOM series, COCO with pictures, fastMRI+ with an .h5 file.

What must come out is written down here by other code: labels from the boxes as they were drawn, pixels from the values
as they were drawn.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from planbalance.options.importing import ImportRequest
from tests.raw_images.sources import Array, pixels, write_series

ROWS, COLUMNS = 24, 20
TOML = """
classes = ["tear"]
[map]
Tear = "tear"
"Meniscus Tear" = "tear"

[[source]]
name = "clinic"
format = "mdai"
annotations = "export.json"
images = "dicom"

[[source]]
name = "photos"
format = "coco"
annotations = "instances.json"
images = "pictures"
volume-pattern = "trailing-number"

[[source]]
name = "fastmri"
format = "fastmri-plus"
annotations = "knee.csv"
images = "h5"
"""


@dataclass
class Study:
    """A raw study in a folder, and its truth.

    Attributes:
        root: the folder; `sources.toml` in it names the three sources.
        labels: name of a picture in the output without its suffix -> the text of its label.
        greys: the same name -> the picture as it must be, of those that are rendered.
        volumes: names of the volumes.
    """

    root: Path
    labels: dict[str, str] = field(default_factory=dict)
    greys: dict[str, Array] = field(default_factory=dict)
    volumes: set[str] = field(default_factory=set)

    @property
    def toml(self) -> Path:
        return self.root / "sources.toml"

    def request(self, **changes: Any) -> ImportRequest:
        values = {"sources": str(self.toml), "group_key": str(self.root / "key"), **changes}
        return ImportRequest(**values)


def write_study(root: Path, *, series: int = 2, slices: int = 4) -> Study:
    """Write the raw study: `series` DICOM series of `slices` slices, six pictures, and an .h5 file of five slices."""
    root.mkdir(parents=True, exist_ok=True)
    study = Study(root)
    _write_clinic(study, series, slices)
    _write_photos(study)
    _write_fastmri(study)
    study.toml.write_text(TOML)
    return study


def label(left: float, top: float, right: float, bottom: float, *, width: int = COLUMNS, height: int = ROWS) -> str:
    """Return the label of one box, by the definition of YOLO."""
    numbers = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height)
    return "0 " + " ".join(f"{number:.6f}" for number in numbers) + "\n"


def grey(values: Array, of_volume: Array) -> Array:
    """Return values as 8-bit grey, by a window over the whole volume whose ends are values that occur."""
    ordered = np.sort(of_volume.ravel())
    last = ordered.size - 1
    low, high = (float(ordered[place]) for place in (math.floor(0.005 * last), math.ceil(0.995 * last)))
    return np.clip(np.floor((values - low) * 255 / (high - low) + 0.5), 0, 255).astype(np.uint8)


def _write_clinic(study: Study, series: int, slices: int) -> None:
    annotations = []
    for number in range(series):
        name, uid = f"knee{number}", f"1.2.{number + 1}"
        arrays = [pixels(100 * number + at, ROWS, COLUMNS).astype(np.uint16) for at in range(slices)]
        write_series(
            study.root / "dicom" / name,
            arrays,
            SeriesInstanceUID=f"{uid}.9",
            StudyInstanceUID=uid,
            SOPInstanceUID=lambda at, uid=uid: f"{uid}.9.{at + 1}",
            PatientID=f"Patient-{number // 2}",
        )
        study.volumes.add(name)
        for at, array in enumerate(arrays):
            study.labels[f"IM{at + 1}-{name}"] = ""
            study.greys[f"IM{at + 1}-{name}"] = grey(array.astype(float), np.stack(arrays).astype(float))
        annotations.append(_mdai(f"A{number}", uid, 2, {"x": 3, "y": 4.5, "width": 6, "height": 9}))
        study.labels[f"IM2-{name}"] = label(3, 4.5, 9, 13.5)
    # over the right edge: clipped to the picture
    annotations.append(_mdai("over", "1.2.1", 3, {"x": 15, "y": 0, "width": 10, "height": 4}))
    study.labels["IM3-knee0"] = label(15, 0, 20, 4)
    annotations.append(_mdai("lost", "1.2.1", 99, {"x": 1, "y": 1, "width": 2, "height": 2}))
    groups = [{"id": "G", "name": "Reading", "labels": [_mdai_label("L", "Tear"), _mdai_label("M", "Effusion")]}]
    export = {"name": "study", "labelGroups": groups, "datasets": [{"id": "D", "annotations": annotations}]}
    (study.root / "export.json").write_text(json.dumps(export))


def _mdai_label(identity: str, name: str) -> dict[str, Any]:
    return {"id": identity, "name": name, "scope": "INSTANCE", "annotationMode": "bbox"}


def _mdai(identity: str, uid: str, number: int, data: dict[str, float]) -> dict[str, Any]:
    return {
        "id": identity,
        "labelId": "L",
        "StudyInstanceUID": uid,
        "SeriesInstanceUID": f"{uid}.9",
        "SOPInstanceUID": f"{uid}.9.{number}",
        "frameNumber": None,
        "width": COLUMNS,
        "height": ROWS,
        "createdById": "U",
        "data": data,
    }


def _write_photos(study: Study) -> None:
    folder = study.root / "pictures"
    folder.mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for volume in ("ankle1", "ankle2", "ankle3"):
        study.volumes.add(volume)
        for number in range(2):
            name = f"{volume}-{number}"
            Image.fromarray(pixels(len(images), ROWS, COLUMNS, 0, 255).astype(np.uint8)).save(folder / f"{name}.png")
            images.append({"id": len(images), "file_name": f"{name}.png", "width": COLUMNS, "height": ROWS})
            study.labels[f"IM{number}-{volume}"] = ""
    for image, category in ((0, 7), (3, 7), (4, 8)):
        box = [2, 3, 4, 5.5]
        annotations.append({"id": image, "image_id": image, "category_id": category, "bbox": box, "iscrowd": 0})
    for name in ("IM0-ankle1", "IM1-ankle2"):
        study.labels[name] = label(2, 3, 6, 8.5)
    categories = [{"id": 7, "name": "tear"}, {"id": 8, "name": "bruise"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (study.root / "instances.json").write_text(json.dumps(document))


def _write_fastmri(study: Study) -> None:
    folder = study.root / "h5"
    folder.mkdir()
    values = np.stack([pixels(500 + at, ROWS, COLUMNS) for at in range(5)]).astype(np.float32) / 7
    with h5py.File(folder / "file1.h5", "w") as file:
        file["reconstruction_rss"] = values
        file.attrs["patient_id"] = "P77"
    (study.root / "knee.csv").write_text(
        "file,slice,study_level,x,y,width,height,label\n"
        "file1,2,No,1,2,5,6,Meniscus Tear\n"
        "file1,2,No,1,2,5,6,Meniscus Tear\n"
        "file1,,Yes,,,,,Artifact\n"
    )
    (study.root / "knee_file_list.csv").write_text("file1\n")
    study.volumes.add("file1")
    for at in range(5):
        study.labels[f"IM{at}-file1"] = ""
        study.greys[f"IM{at}-file1"] = grey(values[at].astype(float), values.astype(float))[::-1]
    study.labels["IM2-file1"] = label(1, 2, 6, 8)  # boxes of fastMRI+ refer to the picture upside down
