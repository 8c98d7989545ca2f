"""Each annotation format from its file to the labels that are written: the same three slices, the same boxes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from planbalance import api
from planbalance.errors import InputError, UsageError
from planbalance.options.importing import ImportRequest
from tests.importing.raw_study import COLUMNS, ROWS, label
from tests.raw_images.sources import pixels, write_series

# Slice 1 has a box and one over its lower edge, slice 2 was reviewed and has none; nobody looked at slice 3.
LABEL = label(2, 3, 6, 8) + label(10, 20, 15, 24)
Files = dict[str, str]


def voc(path: str, *boxes: str) -> str:
    objects = "".join(
        f"<object><name>tear</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in map(str.split, boxes)
    )
    size = f"<size><width>{COLUMNS}</width><height>{ROWS}</height></size>"
    return f"<annotation><filename>{path}</filename>{size}{objects}</annotation>"


COCO = {
    "images": [{"id": at, "file_name": f"knee-{at + 1}.png", "width": COLUMNS, "height": ROWS} for at in (0, 1)],
    "categories": [{"id": 0, "name": "tear"}],
    "annotations": [
        {"id": 1, "image_id": 0, "category_id": 0, "bbox": [2, 3, 4, 5]},
        {"id": 2, "image_id": 0, "category_id": 0, "bbox": [10, 20, 5, 9]},
    ],
}
PICTURES: dict[str, tuple[str, Files, dict[str, Any]]] = {
    "voc": (
        "xml",
        {"xml/knee-1.xml": voc("knee-1.png", "3 4 6 8", "11 21 15 29"), "xml/knee-2.xml": voc("knee-2.png")},
        {},
    ),
    "coco": ("coco.json", {"coco.json": json.dumps(COCO)}, {}),
    "rsna": (
        "rsna.csv",
        {"rsna.csv": "patientId,x,y,width,height,Target\nknee-1,2,3,4,5,1\nknee-1,10,20,5,9,1\nknee-2,,,,,0\n"},
        {},
    ),
    "retinanet": (
        "boxes.csv",
        {"boxes.csv": "/data/knee-1.png,2,3,6,8,tear\n/data/knee-1.png,10,20,15,29,tear\n/data/knee-2.png,,,,,\n"},
        {},
    ),
    "vinbigdata": (
        "train.csv",
        {
            "train.csv": "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\nknee-1,tear,0,R8,2,3,6,8\n"
            "knee-1,tear,0,R8,10,20,15,29\nknee-2,No finding,14,R8,,,,\n"
        },
        {},
    ),
    "boxes-csv": (
        "any.csv",
        {"any.csv": "f,a,b,c,d\nknee-1.png,3,4,6,8\nknee-1.png,11,21,15,29\nknee-2.png,,,,\n"},
        {"columns": "image=f,left=a,top=b,right=c,bottom=d", "box": "xyxy", "origin": 1},
    ),
}


def imported(folder: Path, name: str, annotations: str, **more: Any) -> tuple[dict[str, str], list[str]]:
    """Import; return the label texts by file name, and the fates."""
    request = ImportRequest(
        **{
            "format": name,
            "annotations": str(folder / annotations),
            "images": str(folder / "images"),
            "classes": "tear",
            "group_key": str(folder / "key"),
            **more,
        }
    )
    plan = api.import_dataset(output=str(folder / "out"), plan_file=str(folder / "plan.json"), options=request).plan
    api.apply(plan.path)
    with open(folder / "out/import_ledger.csv", newline="") as file:
        fates = [row["fate"] for row in csv.DictReader(file)]
    return {path.stem: path.read_text() for path in (folder / "out/labels").iterdir()}, fates


def write_files(folder: Path, files: Files) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def write_pictures(folder: Path, names: list[str], of: Callable[[int], Any]) -> None:
    for at, name in enumerate(names):
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(of(at)).save(folder / "images" / name)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(tmp_path: Path, name: str) -> None:
    annotations, files, options = PICTURES[name]
    write_files(tmp_path, files)
    write_pictures(
        tmp_path,
        ["knee-1.png", "knee-2.png", "knee-3.png"],
        lambda at: pixels(at, ROWS, COLUMNS, 0, 255).astype(np.uint8),
    )
    pattern = "image" if name == "rsna" else "trailing-number"  # each image of RSNA is of a patient of its own
    labels, fates = imported(tmp_path, name, annotations, volume_pattern=pattern, **options)
    assert list(labels.values()).count(LABEL) == 1
    assert sorted(labels.values()) == ["", LABEL]
    assert fates[:2] == ["used", "clipped"]
    assert fates[2:] == ([] if name in ("voc", "coco") else ["negative-mark"])


def test_deeplesion(tmp_path: Path) -> None:
    rows = ('000001_01_02_001.png,1,1,"2, 3, 6, 8"', '000001_01_02_001.png,1,1,"10, 20, 15, 29"')
    write_files(tmp_path, {"DL_info.csv": "\n".join(("File_name,Patient_index,Key_slice_index,Bounding_boxes", *rows))})
    write_pictures(
        tmp_path,
        [f"000001_01_02/{number:03d}.png" for number in (1, 2, 3)],
        lambda at: (pixels(at, ROWS, COLUMNS, 0, 2000) + 32768 - 1000).astype(np.uint16),
    )
    labels, fates = imported(tmp_path, "deeplesion", "DL_info.csv", volume_pattern="parent-dir")
    assert (list(labels.values()), fates) == ([LABEL], ["used", "clipped"])


@pytest.mark.parametrize("between", ["/", "_"])
def test_deeplesion_in_folders_or_all_in_one_is_read_without_an_option(tmp_path: Path, between: str) -> None:
    series = ("000001_01_02", "000001_02_01", "000007_01_01")
    rows = [f'{name}_009.png,{name[:6]},9,"2, 3, 6, 8"\n{name}_009.png,1,9,"10, 20, 15, 29"\n' for name in series]
    head = "File_name,Patient_index,Key_slice_index,Bounding_boxes\n"
    write_files(tmp_path, {"DL_info.csv": head + "".join(rows)})
    write_pictures(
        tmp_path,
        [f"{name}{between}{number:03d}.png" for name in series for number in (8, 9, 10)],
        lambda at: (pixels(at, ROWS, COLUMNS, 0, 2000) + 32768 - 1000).astype(np.uint16),
    )
    labels, fates = imported(tmp_path, "deeplesion", "DL_info.csv")
    assert labels == {f"IM9-{name}": LABEL for name in series}
    assert fates == ["used", "clipped"] * 3


def test_mdai_frame(tmp_path: Path) -> None:
    boxes = (
        "{'x': np.float64(2.0), 'y': 3, 'width': 4, 'height': 5}",
        "{'x': 10, 'y': 20, 'width': 5, 'height': np.float64(9.0)}",
    )
    rows = "".join(f'77,u1,{region},"{box}"\n' for region, box in zip(("body", "horn"), boxes, strict=True))
    key = "tbrecon_id,SOPInstanceUID_anon,InstanceNumber\n77,u1,1.0\n77,u2,2.0\n"
    write_files(tmp_path, {"frame.csv": f"TBreconID,SOPInstanceUID_anon,labelName,data\n{rows}", "key.csv": key})
    write_series(tmp_path / "images/77", [pixels(at, ROWS, COLUMNS).astype(np.uint16) for at in range(3)])
    labels, fates = imported(
        tmp_path,
        "mdai-frame",
        "frame.csv",
        key=str(tmp_path / "key.csv"),
        classes=None,
        map=(("body", "tear"), ("horn", "tear")),
    )
    assert (labels, fates) == ({"IM1-77": LABEL, "IM2-77": ""}, ["used", "clipped"])


def test_a_finding_that_nobody_names_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, PICTURES["rsna"][1] | PICTURES["boxes-csv"][1])
    write_pictures(tmp_path, ["knee-1.png"], lambda _: np.zeros((ROWS, COLUMNS), np.uint8))
    with pytest.raises(InputError, match="rsna knows one finding only"):
        imported(tmp_path, "rsna", "rsna.csv", classes=None)
    with pytest.raises(UsageError, match="knows one finding only, and --classes names several"):
        imported(tmp_path, "rsna", "rsna.csv", classes="a,b")
    with pytest.raises(InputError, match="--columns has no label"):
        imported(tmp_path, "boxes-csv", "any.csv", **{**PICTURES["boxes-csv"][2], "classes": "a,b"})
