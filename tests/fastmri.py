"""A dataset built from the real annotations of fastMRI+ (Zhao et al. 2021), where they are beside the project.

The annotation files are not part of this project: `PLANBALANCE_SHARED` names the folder that holds
`data/fastmri-plus`, else a folder `shared` beside the checkout is looked at. The number of slices of a volume is not in
the files: it is drawn here, 30 to 45, never fewer than the highest annotated slice + 1.
"""

import csv
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.builders import image_bytes

TEAR = "Meniscus Tear"
PIXELS = 320
SHARED = Path(os.environ.get("PLANBALANCE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
ANNOTATIONS = SHARED / "data" / "fastmri-plus"

needs_annotations = pytest.mark.skipif(
    not (ANNOTATIONS / "knee.csv").is_file(),
    reason="the fastMRI+ annotation files are not here (set PLANBALANCE_SHARED)",
)


class Box(NamedTuple):
    """One annotation in pixels of a 320 x 320 slice."""

    volume: str
    slice: int  # from 0
    label: str
    x: float
    y: float
    width: float
    height: float

    def yolo(self, class_id: int) -> str:
        """Return the line of a label file: centre and size as shares of the image."""
        centre_x, centre_y = (self.x + self.width / 2) / PIXELS, (self.y + self.height / 2) / PIXELS
        return f"{class_id} {centre_x:.6f} {centre_y:.6f} {self.width / PIXELS:.6f} {self.height / PIXELS:.6f}\n"


def boxes() -> Iterator[Box]:
    """Yield every annotation that has a box."""
    with open(ANNOTATIONS / "knee.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["x"]:
                numbers = (float(row[key]) for key in ("x", "y", "width", "height"))
                yield Box(row["file"], int(row["slice"]), row["label"].strip(), *numbers)


def volumes() -> list[str]:
    """Return the 1,172 reviewed volumes, those without a finding included.

    The list has 1,173 lines; the last one reads `Knee data` and is no volume.
    """
    lines = (ANNOTATIONS / "knee_file_list.csv").read_text().splitlines()
    return [line for line in lines if line.startswith("file")]


def class_names(*, every_pathology: bool) -> list[str]:
    """Return `Meniscus Tear` alone, or all 21 pathologies, it first."""
    return [TEAR, *sorted({box.label for box in boxes()} - {TEAR})] if every_pathology else [TEAR]


def label_texts(*, every_pathology: bool) -> dict[tuple[str, int], str]:
    """Return (volume, slice from 0) -> text of its label file, slices without a box left out."""
    names = class_names(every_pathology=every_pathology)
    texts: dict[tuple[str, int], str] = {}
    for box in boxes():
        if box.label in names:
            key = (box.volume, box.slice)
            texts[key] = texts.get(key, "") + box.yolo(names.index(box.label))
    return texts


def slice_counts() -> dict[str, int]:
    """Return a slice count for every volume, the same on every run."""
    draw = random.Random(20_220_803)
    highest: dict[str, int] = {}
    for box in boxes():
        highest[box.volume] = max(highest.get(box.volume, 0), box.slice + 1)
    return {volume: max(30 + int(draw.random() * 16), highest.get(volume, 0)) for volume in volumes()}


def knee_tree(root: Path, *, name: str, every_pathology: bool = False) -> Path:
    """Write the knee set as a YOLO dataset; `name` holds `{volume}` and `{slice}` (from 1) or `{index}` (from 0)."""
    texts = label_texts(every_pathology=every_pathology)
    os.makedirs(root / "images")
    os.makedirs(root / "labels")
    for volume, slices in slice_counts().items():
        for index in range(slices):
            stem = name.format(volume=volume, slice=index + 1, index=index)
            with open(f"{root}/images/{stem}.png", "wb") as image:
                image.write(image_bytes(f"{volume}/{index}", 32))
            with open(f"{root}/labels/{stem}.txt", "w") as label:
                label.write(texts.get((volume, index), ""))
    names = "".join(f"  {i}: {text!r}\n" for i, text in enumerate(class_names(every_pathology=every_pathology)))
    (root / "dataset.yaml").write_text(f"path: {root}\ntrain: images\nval: images\nnames:\n{names}")
    return root
