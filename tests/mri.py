"""MRI-like datasets with planted copies, drawn with numpy: difficult cases for a search for duplicates.

All volumes show the same anatomy, each stretched, bent, shaded and noisy in its own way, as scans of different people
are; a third of the slices lie outside the body and are black but for noise.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from planbalance.model import Split

Floats = NDArray[np.float32]
Slice = NDArray[np.uint8]

ANATOMY: Final = 7  # every volume's: the seed of the organs
SPLITS_OF: Final[tuple[Split, ...]] = ("train", "train", "train", "val", "test")


# ---- MRI-like volumes -----------------------------------------------------------------------------------------------


class Body(NamedTuple):
    """Ellipsoids: centres (n, 3), radii (n, 3) and brightness (n), in a body of -1 to 1."""

    centres: Floats
    radii: Floats
    brightness: Floats


def anatomy() -> Body:
    """Return what all volumes show: a limb's outline, marrow, cartilage, vessels and fat in it."""
    draw = np.random.default_rng(ANATOMY)
    count = 40
    centres = draw.uniform(-0.6, 0.6, (count, 3)) * (0.9, 0.9, 1.2)
    radii = draw.uniform(0.06, 0.35, (count, 3))
    brightness = draw.uniform(-0.5, 0.6, count)
    centres[0], radii[0], brightness[0] = 0, (0.8, 0.72, 1.0), 0.45
    return Body(centres.astype(np.float32), radii.astype(np.float32), brightness.astype(np.float32))


def volume(seed: int, *, size: int, slices: int, template: str | None = None) -> list[Slice]:
    """Return the slices of one volume: the anatomy as another person would show it on another day.

    `template` is a 3-D NumPy array of a real scan to use as the anatomy.
    """
    draw = np.random.default_rng(seed)
    stretch = np.eye(3) + draw.normal(0, 0.04, (3, 3))
    bends, waves, phases = draw.normal(0, 0.02, (3, 4)), draw.uniform(1, 3, (4, 3)), draw.uniform(0, 6.28, (3, 4))
    shade, gain, gamma = draw.normal(0, 0.15, 2), draw.uniform(0.6, 0.95), draw.uniform(0.8, 1.25)
    noise = draw.uniform(1.5, 4.0)
    across = np.linspace(-1.1, 1.1, size, dtype=np.float32)
    y, x = np.meshgrid(across, across, indexing="ij")
    drawn = []
    for height in np.linspace(-1.4, 1.4, slices) + draw.uniform(-0.02, 0.02):
        place = np.stack([x, y, np.full_like(x, height)])
        bent = np.tensordot(stretch, place, 1) + draw.normal(0, 0.003, (3, 1, 1))
        for axis in range(3):
            for wave in range(4):
                angle = waves[wave, 0] * x + waves[wave, 1] * y + waves[wave, 2] * height
                bent[axis] += bends[axis, wave] * np.sin(3 * angle + phases[axis, wave])
        places = bent.astype(np.float32)
        tissue = _scanned(places, template) if template else _drawn(places)
        signal = gain * 255 * np.clip(tissue, 0, 1) ** gamma * (1 + shade[0] * x + shade[1] * y)
        first, second = draw.normal(0, noise, (2, size, size))
        drawn.append(np.clip(np.hypot(signal + first, second), 0, 255).astype(np.uint8))  # Rician, as in MRI
    return drawn


def _drawn(places: Floats) -> Floats:
    body = anatomy()
    tissue = np.zeros(places.shape[1:], np.float32)
    outside = np.ones_like(tissue)
    for index, (centre, radius, brightness) in enumerate(zip(*body, strict=True)):
        depth = 1 - (((places - centre[:, None, None]) / radius[:, None, None]) ** 2).sum(0)
        inside = 1 / (1 + np.exp(-np.clip(depth * 30, -30, 30)))
        if index == 0:
            outside = inside
        tissue += brightness * inside
    grain = np.sin(places[0] * 37) * np.sin(places[1] * 41 + places[2] * 29) * 0.05
    return np.asarray((tissue + grain) * outside, np.float32)


def _scanned(places: Floats, template: str) -> Floats:
    scan = np.load(template)
    shape = np.array(scan.shape)[:, None, None]
    index = np.rint((places + 1) / 2 * (shape - 1)).astype(int)
    within = np.all((index >= 0) & (index < shape), axis=0)
    index = np.where(within, index, 0)
    return np.asarray(np.where(within, scan[tuple(index)], 0) / scan.max(), np.float32)


# ---- copies ---------------------------------------------------------------------------------------------------------


def _encoded(kind: str, **settings: object) -> Callable[[Image.Image], tuple[bytes, str]]:
    def encode(image: Image.Image) -> tuple[bytes, str]:
        file = io.BytesIO()
        image.save(file, kind, **settings)
        return file.getvalue(), kind.lower()

    return encode


def _as_png(change: Callable[[Image.Image], Image.Image]) -> Callable[[Image.Image], tuple[bytes, str]]:
    return lambda image: _encoded("PNG")(change(image))


def _moved(pixels: int) -> Callable[[Image.Image], Image.Image]:
    return lambda image: Image.fromarray(np.roll(np.asarray(image), (pixels, pixels), (0, 1)))


LOSSLESS: Final = (
    _encoded("PNG", compress_level=1),
    _encoded("BMP"),
    _encoded("TIFF", compression="tiff_lzw"),
    _encoded("WEBP", lossless=True),
)
LOSSY: Final = (_encoded("JPEG", quality=95), _encoded("JPEG", quality=90), _encoded("WEBP", quality=90))
COPIES: Final[dict[str, Sequence[Callable[[Image.Image], tuple[bytes, str]]]]] = {
    "re-encoded, pixels kept": LOSSLESS,
    "re-encoded, lossy (JPEG 95, 90, WebP 90)": LOSSY,
    "brightness x 1.2": (_as_png(lambda image: image.point(lambda value: min(255, int(value * 1.2)))),),
    "gamma 0.8": (_as_png(lambda image: image.point(lambda value: int(255 * (value / 255) ** 0.8))),),
    "shift of 1 pixel": (_as_png(_moved(1)),),
    "shift of 2 pixels": (_as_png(_moved(2)),),
    "JPEG 75": (_encoded("JPEG", quality=75),),
    "JPEG 50": (_encoded("JPEG", quality=50),),
    "JPEG 30": (_encoded("JPEG", quality=30),),
    "half the size": (
        _as_png(lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BILINEAR)),
    ),
}
IDENTICAL: Final = "identical bytes"


class Planted(NamedTuple):
    """A copy: how it was made, where it is, what it was made from."""

    kind: str
    path: str
    source: str
    dark: bool  # the source shows little but noise


def plant(root: Path, volumes: Iterable[Sequence[Slice]], *, each: int) -> list[Planted]:
    """Write a dataset with `each` copies of every kind, of train slices, in val and test, each a volume.

    Raises ValueError where there are not enough train slices: each is copied once.
    """
    sources: list[tuple[str, bool]] = []
    for index, slices in enumerate(volumes):
        split = SPLITS_OF[index % len(SPLITS_OF)]
        for number, pixels in enumerate(slices, start=1):
            path = root / f"images/{split}/IM{number}-{index:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            if split == "train":
                sources.append((str(path), bool(pixels.mean() < 8)))
    np.random.default_rng(1).shuffle(sources)
    kinds = [kind for kind in (IDENTICAL, *COPIES) for _ in range(each)]
    if len(kinds) > len(sources):
        raise ValueError(f"{len(sources)} train slices are too few for {len(kinds)} copies")
    numbered = enumerate(zip(kinds, sources, strict=False))
    return [_copied(root, kind, number, *source) for number, (kind, source) in numbered]


def _copied(root: Path, kind: str, number: int, source: str, dark: bool) -> Planted:
    data, suffix = Path(source).read_bytes(), "png"
    if kind != IDENTICAL:
        ways = COPIES[kind]
        with Image.open(source) as image:
            data, suffix = ways[number % len(ways)](image)
    path = root / f"images/{('val', 'test')[number % 2]}/IM1-copy{number:05d}.{suffix}"
    path.write_bytes(data)
    return Planted(kind, str(path), source, dark)
