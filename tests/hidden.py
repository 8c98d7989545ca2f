"""Volumes that are one patient's in secret: the same scan again, altered, under an id that tells nothing.

The volumes are drawn by `tests.mri` (one anatomy, deformed as for different people) and by the demo (one model knee,
moved and scaled only, which makes different knees look more alike than those of people).
"""

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from planbalance import demo
from tests.builders import write

Pictures = list[Image.Image]
Encode = Callable[[Image.Image], tuple[bytes, str]]


def _png(image: Image.Image) -> tuple[bytes, str]:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue(), "png"


def _jpeg(quality: int) -> Encode:
    def encode(image: Image.Image) -> tuple[bytes, str]:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return file.getvalue(), "jpg"

    return encode


def _each(change: Callable[[Image.Image], Image.Image]) -> Callable[[Pictures], Pictures]:
    return lambda pictures: list(map(change, pictures))


def _levels(change: Callable[[int], float]) -> Callable[[Pictures], Pictures]:
    return _each(lambda image: image.point(lambda value: int(min(255, max(0, change(value))))))


def _moved(pixels: int) -> Callable[[Pictures], Pictures]:
    return _each(lambda image: Image.fromarray(np.roll(np.asarray(image), (pixels, pixels), (0, 1))))


def _scaled(factor: float) -> Callable[[Pictures], Pictures]:
    return _each(
        lambda image: image.resize(
            (round(image.width * factor), round(image.height * factor)), Image.Resampling.BILINEAR
        )
    )


def _cropped(image: Image.Image) -> Image.Image:
    edge = image.width // 10
    return image.crop((edge, edge, image.width - edge, image.height - edge))


class Alteration(NamedTuple):
    """How a scan is written a second time."""

    change: Callable[[Pictures], Pictures]
    encode: Encode = _png


SAME: Final = Alteration(list)
# What must be found.
FOUND: Final[dict[str, Alteration]] = {
    "re-encoded as JPEG 95": Alteration(list, _jpeg(95)),
    "re-encoded as JPEG 75": Alteration(list, _jpeg(75)),
    "brighter by a fifth": Alteration(_levels(lambda value: value * 1.2)),
    "another window of grey levels": Alteration(_levels(lambda value: (value - 15) * 1.25)),
    "gamma 0.8": Alteration(_levels(lambda value: 255 * (value / 255) ** 0.8)),
    "moved by 1 pixel": Alteration(_moved(1)),
    "moved by 2 pixels": Alteration(_moved(2)),
    "half the size": Alteration(_scaled(0.5)),
    "1.3 times the size": Alteration(_scaled(1.3)),
    "every other slice": Alteration(lambda pictures: pictures[1::2]),
    "slices in the opposite order": Alteration(lambda pictures: pictures[::-1]),
    "the middle third": Alteration(lambda pictures: pictures[len(pictures) // 3 : 2 * len(pictures) // 3 + 1]),
    "brighter, smaller, half the slices, JPEG": Alteration(
        lambda pictures: _scaled(0.8)(_levels(lambda value: value * 1.15)(pictures[::2])), _jpeg(85)
    ),
}
# What changes more than that: some are found, and none must be relied on.
HARD: Final[dict[str, Alteration]] = {
    "re-encoded as JPEG 30": Alteration(list, _jpeg(30)),
    "a narrow window that clips grey levels": Alteration(_levels(lambda value: (value - 40) * 1.6)),
    "turned by 2 degrees": Alteration(_each(lambda image: image.rotate(2, Image.Resampling.BILINEAR))),
    "cut by a tenth at each edge": Alteration(_each(_cropped)),
    "mirrored": Alteration(_each(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))),
    "inverted grey levels": Alteration(_levels(lambda value: 255 - value)),
}


class PlantedPair(NamedTuple):
    """A scan and its altered copy, by the ids of their volumes; `kind` is how it was altered."""

    original: str
    copy: str
    kind: str


def demo_volumes(seed: int) -> list[Pictures]:
    """Return the volumes of the demo's dataset."""
    return [[demo.draw_slice(knee, number)[0] for number in range(1, knee.slices + 1)] for knee in demo.knees(seed)]


def write_volume(root: Path, volume: str, pictures: Sequence[Image.Image], how: Alteration = SAME) -> None:
    """Write a volume with labels; every third slice of a volume whose number is even is positive."""
    for number, image in enumerate(how.change(list(pictures)), start=1):
        data, suffix = how.encode(image)
        stem = f"IM{number}-{volume}"
        write(root / f"images/train/{stem}.{suffix}", data)
        positive = number % 3 == 0 and int(volume.rpartition("-")[2]) % 2 == 0
        write(root / f"labels/train/{stem}.txt", b"0 0.5 0.5 0.1 0.1\n" if positive else b"")


def plant_patients(
    root: Path, volumes: Iterable[Sequence[Image.Image]], kinds: dict[str, Alteration], *, every: int
) -> list[PlantedPair]:
    """Write a dataset with the volumes, and an altered copy of every `every`-th; the kinds take turns."""
    names = list(kinds)
    planted: list[PlantedPair] = []
    for index, pictures in enumerate(volumes):
        volume = f"01-{index + 1:04d}"
        write_volume(root, volume, pictures)
        if index % every == 0:
            kind = names[len(planted) % len(names)]
            copy = f"77-{9000 - index:04d}"
            write_volume(root, copy, pictures, kinds[kind])
            planted.append(PlantedPair(volume, copy, kind))
    write(root / "dataset.yaml", b"train: images/train\nval: images/train\nnames: [tear]\n")
    return planted
