"""A small MRI-like dataset, drawn from a seed: sagittal knee slices, dark menisci and, in some, a bright tear.

Nothing here is a patient. The set has the shape of the guide's: files named `IM<slice>-<volume>.png`, positive volumes
that hold negative slices too, an earlier split in its folders, labels that are empty where there is no tear.
"""

import hashlib
import math
import os
import random
import shutil
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from PIL import Image, ImageChops, ImageDraw

from planbalance.errors import PlanError

SIZE: Final = 96  # pixels, each way
MARKER: Final = ".planbalance-demo"
DATASET: Final = "knee_mri"
OUTPUT: Final = "balanced_knee_mri"
PLAN: Final = "plan.json"
PAGE: Final = "report.html"
VOLUMES: Final = 36
_POSITIVE_VOLUMES: Final = 12
_FINE: Final = 2 * SIZE  # drawn twice as large, then averaged: smooth edges


class DrawnBox(NamedTuple):
    """A box in pixels of the finished image: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def label(self) -> str:
        """Return the YOLO line of class 0: centre and size as shares of the image."""
        x, y = (self.left + self.right) / 2 / SIZE, (self.top + self.bottom) / 2 / SIZE
        return f"0 {x:.6f} {y:.6f} {(self.right - self.left) / SIZE:.6f} {(self.bottom - self.top) / SIZE:.6f}\n"


class DrawnVolume(NamedTuple):
    """One knee: its anatomy varies a little, its tear (if any) runs through neighbouring slices."""

    id: str
    slices: int
    tears: range  # slice numbers, from 1
    posterior: bool  # the tear lies in the posterior horn, else in the anterior one
    shift: tuple[float, float]  # of the joint, in pixels
    scale: float
    tilt: float  # of the tear, in radians


def prepare_folder(folder: str, folders: Sequence[str] = (), files: Sequence[str] = ()) -> None:
    """Make the folder, or empty one that an earlier demo made: only what the demo itself puts there is removed.

    `folders` and `files` are further names that a demo of another kind makes there.

    Raises:
        PlanError: it holds something and no demo made it (kind `output-exists`).
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise _occupied(folder, "is not a folder")
    if os.path.isdir(folder) and os.listdir(folder):
        if not os.path.isfile(os.path.join(folder, MARKER)):
            raise _occupied(folder, "is not empty and was not made by a demo")
        made = (DATASET, OUTPUT, *folders)
        for name in (*made, *(f".{one}.planbalance-partial" for one in made)):
            path = os.path.join(folder, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
        for name in (PLAN, PAGE, *files):
            if os.path.lexists(os.path.join(folder, name)):
                os.unlink(os.path.join(folder, name))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, MARKER), "w", encoding="ascii") as marker:
        marker.write("Made by `planbalance demo`, which may replace what it put here.\n")


def _occupied(folder: str, why: str) -> PlanError:
    return PlanError(
        f"The folder {folder} {why}: give the demo another one.",
        kind="output-exists",
        hint="planbalance demo my-demo, for example.",
        paths=[folder],
    )


def write_dataset(root: str, *, seed: int = 42) -> None:
    """Write the dataset below `root`: images, labels, dataset.yaml; the same bytes for the same seed."""
    for split in ("train", "val", "test"):
        for kind in ("images", "labels"):
            os.makedirs(os.path.join(root, kind, split))
    for index, volume in enumerate(knees(seed)):
        split = ("train", "train", "val", "train", "test")[index % 5]
        for number in range(1, volume.slices + 1):
            picture, box = draw_slice(volume, number)
            stem = f"{split}/IM{number}-{volume.id}"
            picture.save(f"{root}/images/{stem}.png")
            _write(f"{root}/labels/{stem}.txt", b"" if box is None else box.label().encode())
    lines = ["train: images/train", "val: images/val", "test: images/test", "names:", "  0: tear"]
    _write(f"{root}/dataset.yaml", "".join(f"{line}\n" for line in lines).encode())


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def knees(seed: int) -> Iterator[DrawnVolume]:
    """Yield the volumes, uneven in size; every third one has a tear in some of its slices."""
    draw = random.Random(seed)  # noqa: S311 - a picture, not a secret; only random() is used: it is stable across versions
    for index in range(VOLUMES):
        slices = 8 + int(draw.random() * 10)
        length = 2 + int(draw.random() * 3) + slices // 5
        first = 2 + int(draw.random() * (slices - length - 1))
        positive = index * _POSITIVE_VOLUMES % VOLUMES < _POSITIVE_VOLUMES
        yield DrawnVolume(
            id=f"01-02-{index + 1:05d}",
            slices=slices,
            tears=range(first, first + length) if positive else range(0),
            posterior=draw.random() < 0.7,
            shift=(6 * draw.random() - 3, 5 * draw.random() - 2.5),
            scale=0.94 + 0.12 * draw.random(),
            tilt=0.9 * draw.random() - 0.45,
        )


# ---- the picture ----------------------------------------------------------------------------------------------------


class Canvas:
    """A picture twice as large as the finished one, so that averaging it makes smooth edges."""

    def __init__(self, volume: DrawnVolume) -> None:
        self._image = Image.new("L", (_FINE, _FINE), 6)
        self._draw = ImageDraw.Draw(self._image)
        self._volume = volume

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the model knee (in pixels of the finished image) lies in this volume's fine grid."""
        middle, (dx, dy), scale = SIZE / 2, self._volume.shift, self._volume.scale
        return 2 * (middle + (x - middle) * scale + dx), 2 * (middle + (y - middle) * scale + dy)

    def ellipse(self, x: float, y: float, width: float, height: float, grey: int) -> None:
        """Fill an ellipse given by its centre and half axes."""
        centre_x, centre_y = self.place(x, y)
        half_x, half_y = 2 * width * self._volume.scale, 2 * height * self._volume.scale
        self._draw.ellipse((centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y), fill=grey)

    def polygon(self, corners: Sequence[tuple[float, float]], grey: int) -> None:
        """Fill a polygon."""
        self._draw.polygon([self.place(x, y) for x, y in corners], fill=grey)

    def finished(self, key: str) -> Image.Image:
        """Return the image: averaged to half the size, with the noise of a scanner, drawn from `key`."""
        noise = hashlib.shake_128(key.encode()).digest(2 * SIZE * SIZE)
        one, other = (Image.frombytes("L", (SIZE, SIZE), half) for half in (noise[::2], noise[1::2]))
        # The difference of two bytes makes a triangle from -255 to 255; a 16th of it is grain.
        brighter, darker = (ImageChops.subtract(*pair, scale=16) for pair in ((one, other), (other, one)))
        return ImageChops.subtract(ImageChops.add(self._image.reduce(2), brighter), darker)


def draw_slice(volume: DrawnVolume, number: int) -> tuple[Image.Image, DrawnBox | None]:
    """Return the picture of one slice, and the tear's box where there is one."""
    canvas = Canvas(volume)
    depth = (number - 0.5) / volume.slices - 0.5  # -0.5 at one side of the knee, 0.5 at the other
    width = 1 - 0.5 * depth * depth  # bones and leg are rounder towards the sides
    _leg(canvas, width)
    _bones(canvas, width)
    _menisci(canvas)
    box = _tear(canvas, volume, number) if number in volume.tears else None
    return canvas.finished(f"{volume.id}/{number}"), box


def _leg(canvas: Canvas, width: float) -> None:
    """Skin and fat, then muscle behind and fat in front."""
    canvas.polygon([(8, -20), (90, -20), (88, 40), (86, 120), (14, 120), (9, 50)], 150)
    canvas.polygon([(13, -20), (86, -20), (84, 40), (82, 120), (19, 120), (14, 50)], 66)
    canvas.ellipse(76, 14, 9 * width, 34, 84)
    canvas.ellipse(77, 84, 8 * width, 28, 78)
    canvas.ellipse(20, 50, 8, 15, 168)  # the fat pad behind the patellar tendon
    canvas.polygon([(11, 30), (14, 30), (19, 76), (16, 76)], 22)  # patellar tendon
    canvas.ellipse(16, 22, 6.5, 12, 22)
    canvas.ellipse(16, 22, 5, 10.5, 126)  # patella


def _bones(canvas: Canvas, width: float) -> None:
    """Femur above and tibia below: a dark rim of cortex, brighter marrow, a bright line of cartilage."""
    canvas.polygon([(30, -20), (58, -20), (62, 26), (28, 26)], 24)
    canvas.ellipse(47, 30, 24.5 * width, 20.5, 176)  # cartilage
    canvas.ellipse(47, 29, 23 * width, 19.5, 24)
    canvas.ellipse(47, 28.6, 21.8 * width, 18.4, 132)
    canvas.polygon([(31.5, -20), (56.5, -20), (60, 26), (30, 26)], 132)
    canvas.ellipse(40, 20, 7, 9, 142)
    canvas.ellipse(55, 33, 6, 5, 122)
    half = 25 * width
    canvas.polygon([(47 - half, 58.5), (47 + half, 58.5), (47 + half, 61), (47 - half, 61)], 172)  # cartilage
    canvas.polygon([(47 - half, 60.5), (47 + half, 60.5), (45 + half * 0.7, 82), (47 - half * 0.7, 82)], 24)
    canvas.polygon([(48 - half, 62), (46 + half, 62), (44 + half * 0.68, 82), (48 - half * 0.68, 82)], 124)
    canvas.polygon([(47 - half * 0.7, 80), (45 + half * 0.7, 80), (60, 125), (34, 125)], 24)
    canvas.polygon([(48.5 - half * 0.7, 80), (43.5 + half * 0.7, 80), (58.5, 125), (35.5, 125)], 124)
    canvas.ellipse(50, 72, 9, 5, 134)


_ANTERIOR: Final = ((23.0, 45.5), (23.0, 58.5), (40.0, 57.5))
_POSTERIOR: Final = ((71.5, 43.0), (72.0, 58.5), (52.0, 57.5))


def _menisci(canvas: Canvas) -> None:
    """Two dark triangles between the bones, their tips towards each other."""
    canvas.polygon(_ANTERIOR, 14)
    canvas.polygon(_POSTERIOR, 14)


def _tear(canvas: Canvas, volume: DrawnVolume, number: int) -> DrawnBox:
    """Draw a bright line through one meniscus, and return the box around it."""
    x, y = (65.0, 53.5) if volume.posterior else (28.5, 54.0)
    inside = 1 - abs((number - volume.tears.start + 0.5) / len(volume.tears) - 0.5)
    length, half = 3.2 + 2.4 * inside, 0.95
    along = (math.cos(volume.tilt) * length, math.sin(volume.tilt) * length)
    across = (-math.sin(volume.tilt) * half, math.cos(volume.tilt) * half)
    corners = [
        (x + side * along[0] + edge * across[0], y + side * along[1] + edge * across[1])
        for side, edge in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    canvas.polygon(corners, 250)
    placed = [canvas.place(*corner) for corner in corners]
    xs, ys = [px / 2 for px, _ in placed], [py / 2 for _, py in placed]
    return DrawnBox(min(xs) - 1.5, min(ys) - 1.5, max(xs) + 1.5, max(ys) + 1.5)
