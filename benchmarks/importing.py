"""`python -m benchmarks.importing`: slices that an import plans and renders in a second of processor time.

DICOM series of 16 bits are written to a temporary folder, and turned into 8-bit PNG files by `planbalance.raw_images`
(headers, windows over whole volumes, digests of all pixels, and then the rendering, whose digests are compared) and by
three peers, each in a process of its own that runs alone and does one thing after the other:

* a plain loop of pydicom and Pillow, which stretches each slice from its lowest to its highest value;
* dicom2jpg, which uses the window that each file states;
* a loop of pydicom and OpenCV, which stretches each slice likewise and computes no digest.

    pip install opencv-python-headless && pip install --no-deps dicom2jpg

What is not installed is left out. Start-up is not counted; reading and writing files is.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np

from benchmarks.measure import machine, save
from planbalance.raw_images import (
    ImageOptions,
    find_volumes,
    pixel_digest,
    png_bytes,
    read_facts,
    render,
)
from tests.mri import volume

GUIDE: Final = 94_440  # slices of the guide's dataset
SERIES: Final = 196  # slices of a series there
_DRAWN: Final = 49  # slices that are drawn; others are these, moved and with other noise
_ELEMENTS: Final = 90  # of a header, beside those that are read
MEMORY_MIB: Final = 150  # of a worker, beside one volume

Paths = Sequence[Path]


class Measured(NamedTuple):
    """What one case took.

    Attributes:
        slices: that it turned into PNG files.
        processor: seconds of processor time, start-up left out.
        written: bytes of the PNG files.
        peak_mib: memory of its process at most.
    """

    slices: int
    processor: float
    written: int
    peak_mib: float


# ---- the cases ------------------------------------------------------------------------------------------------------


def _import(root: Path, out: Path, _: Paths) -> None:
    """Plan and render, as an import does."""
    options = ImageOptions()
    found = find_volumes(str(root), options, jobs=1).volumes
    for one, facts in zip(found, read_facts(str(root), found, options, jobs=1), strict=True):
        pictures = render(str(root), one, range(len(one.frames)), facts.window, options)
        for frame, picture, digest in zip(one.frames, pictures, facts.digests, strict=True):
            assert pixel_digest(*picture) == digest
            (out / f"IM{frame.number}-{one.name}.png").write_bytes(png_bytes(picture))


def _pillow(_: Path, out: Path, paths: Paths) -> None:
    import pydicom  # noqa: PLC0415 - each case imports its own libraries
    from PIL import Image  # noqa: PLC0415 - likewise
    from pydicom.pixels.processing import apply_modality_lut  # noqa: PLC0415 - likewise

    for number, path in enumerate(paths):
        content = pydicom.dcmread(path)
        values = apply_modality_lut(content.pixel_array, content).astype(float)
        grey = (values - values.min()) / (values.max() - values.min()) * 255
        Image.fromarray(grey.astype(np.uint8)).save(out / f"{number}.png")


def _opencv(_: Path, out: Path, paths: Paths) -> None:
    import cv2  # noqa: PLC0415 - each case imports its own libraries
    import pydicom  # noqa: PLC0415 - likewise
    from pydicom.pixels.processing import apply_modality_lut  # noqa: PLC0415 - likewise

    cv2.setNumThreads(1)
    for number, path in enumerate(paths):
        content = pydicom.dcmread(path)
        values = apply_modality_lut(content.pixel_array, content)
        grey: Any = cv2.normalize(values, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)  # type: ignore[call-overload]  # None: a new array
        cv2.imwrite(str(out / f"{number}.png"), grey)


def _dicom2jpg(_: Path, out: Path, paths: Paths) -> None:
    import dicom2jpg  # noqa: PLC0415 - each case imports its own libraries

    dicom2jpg.dicom2png([str(path) for path in paths], target_root=str(out), multiprocessing=False)


class _Way(NamedTuple):
    """A way of making PNG files of DICOM files.

    Attributes:
        name: as the table shows it.
        work: takes the folder of the series, the folder for the PNG files, and the paths of all slices.
        needs: the module that it needs.
        goal: how many times as many slices as it in a second of processor time are wanted.
    """

    name: str
    work: Callable[[Path, Path, Paths], None]
    needs: str
    goal: float | None


WAYS: Final[dict[str, _Way]] = {
    "import": _Way("planbalance: headers, windows, digests, PNG files", _import, "pydicom", None),
    "pillow": _Way("pydicom + Pillow, a plain loop", _pillow, "pydicom", 5),
    "dicom2jpg": _Way("dicom2jpg (dicom2png, one process)", _dicom2jpg, "dicom2jpg", 1.7),
    "opencv": _Way("pydicom + OpenCV, a plain loop", _opencv, "cv2", 0.7),
}


# ---- the series -----------------------------------------------------------------------------------------------------


def write_series(root: Path, slices: int, size: int) -> None:
    """Write series of `SERIES` slices each, of `size` x `size` pixels of 16 bits, as many as `slices` need."""
    drawn = np.stack(volume(3, size=size, slices=_DRAWN)).astype(np.int16) * 12
    draw = np.random.default_rng(5)
    noise = draw.integers(0, 12, (size * 2, size), np.int16)
    for number, start in enumerate(range(0, slices, SERIES)):
        folder = root / f"TB{number:04}"
        folder.mkdir(parents=True)
        for index in range(min(SERIES, slices - start)):
            moved = int(draw.integers(0, size))
            pixels = drawn[index * _DRAWN // SERIES] + noise[moved : moved + size]
            _write(folder / f"{index + 1:04}.dcm", np.roll(pixels, number % 7, axis=1), number, index)


def _write(path: Path, pixels: "np.ndarray[Any, Any]", series: int, index: int) -> None:
    from tests.raw_images.sources import dataset  # noqa: PLC0415 - it needs pydicom

    content = dataset(
        pixels,
        SOPInstanceUID=f"1.2.3.{series + 1}.{index + 1}",
        SeriesInstanceUID=f"1.2.3.{series + 1}",
        StudyInstanceUID=f"1.2.{series + 1}",
        SeriesNumber=series + 1,
        PatientID=f"P{series + 1}",
        InstanceNumber=index + 1,
        ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
        ImagePositionPatient=[80 - 0.8 * index, -100, 100],
        RescaleSlope=1,
        RescaleIntercept=0,
        WindowCenter=1400 + index,
        WindowWidth=2800 + index,
    )
    block = content.private_block(0x0029, "PLANBALANCE BENCH", create=True)
    for number in range(_ELEMENTS):
        block.add_new(number, "LO", f"element {number} of a header")
    content.save_as(path, enforce_file_format=True)


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure(word: str, root: Path, limit: int) -> Measured:
    """Run one way in a process of its own, over the first `limit` slices."""
    with tempfile.TemporaryDirectory(dir=root.parent) as out:
        command = [sys.executable, "-m", "benchmarks.importing", "--way", word, "--root", str(root), "--out", out]
        done = subprocess.run([*command, "--slices", str(limit)], stdout=subprocess.PIPE, check=True)
        written = [path.stat().st_size for path in Path(out).rglob("*.png")]
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(written) == limit, f"{word} wrote {len(written):,} of {limit:,} slices"
    return Measured(limit, told["processor"], sum(written), told["peak_mib"])


def _run_way(word: str, root: Path, out: Path, limit: int) -> None:
    """Do the work of one way, and print what it took; the first series is worked on before, as a start-up."""
    paths = list(islice(_paths(root), limit))
    with tempfile.TemporaryDirectory(dir=root.parent) as first:
        WAYS[word].work(_part(root, Path(first), paths[:2]), Path(first), paths[:2])
    part = tempfile.TemporaryDirectory(dir=root.parent)
    below = _part(root, Path(part.name), paths) if word == "import" else root
    began = _processor()
    WAYS[word].work(below, out, paths)
    took = _processor() - began
    part.cleanup()
    print(json.dumps({"processor": took, "peak_mib": _peak_mib()}))


def _paths(root: Path) -> Iterator[Path]:
    for folder in sorted(root.iterdir()):
        yield from sorted(folder.iterdir())


def _part(root: Path, place: Path, paths: Paths) -> Path:
    """Return a folder with hard links to some slices."""
    below = place / "part"
    for path in paths:
        link = below / path.relative_to(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, link)
    return below


def _peak_mib() -> float:
    """Return the most memory of this program; getrusage would return its parent's where that had more."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def _processor() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(each.ru_utime + each.ru_stime for each in spent)


@click.command()
@click.option("--slices", default=10_000, show_default=True, help="Slices that planbalance plans and renders.")
@click.option("--peer-slices", default=1_000, show_default=True, help="Slices that each peer renders.")
@click.option("--size", default=512, show_default=True, help="Rows and columns of a slice.")
@click.option("--on", default=tempfile.gettempdir(), show_default=True, help="The folder for files: 0.6 MB a slice.")
@click.option(
    "--json", "json_file", default="benchmarks/results/importing.json", show_default=True, help="The figures."
)
@click.option("--way", hidden=True, type=click.Choice(list(WAYS)))
@click.option("--root", hidden=True)
@click.option("--out", hidden=True)
def main(  # noqa: PLR0913 - the options
    *,
    slices: int,
    peer_slices: int,
    size: int,
    on: str,
    json_file: str,
    way: str | None,
    root: str | None,
    out: str | None,
) -> None:
    """Measure planning and rendering of DICOM series beside three peers, per second of processor time."""
    if way and root and out:
        _run_way(way, Path(root), Path(out), slices)
        return
    with tempfile.TemporaryDirectory(prefix="planbalance-importing-", dir=on) as folder:
        series = Path(folder) / "series"
        began = time.perf_counter()
        write_series(series, slices, size)
        print(f"wrote {slices:,} slices in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        words = [word for word, each in WAYS.items() if find_spec(each.needs)]
        found = {}
        for word in words:
            found[word] = measure(word, series, slices if word == "import" else min(slices, peer_slices))
            print(f"{word}: {found[word]}", file=sys.stderr)
    _report(found, size, on, json_file)


def _report(found: dict[str, Measured], size: int, on: str, json_file: str) -> None:
    ours = found["import"]
    rate = ours.slices / ours.processor
    print(f"\n{ours.slices:,} slices of {size} × {size} pixels, 16 bits, series of {SERIES}.\n")
    print("| | slices | ms of a processor a slice | KB a PNG file | peak MiB | slices per second, ours to it | goal |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    rows = []
    for word, each in found.items():
        own, goal = each.slices / each.processor, WAYS[word].goal
        ratio = "" if goal is None else f"{rate / own:.2f}"
        print(
            f"| {WAYS[word].name} | {each.slices:,} | {1000 / own:.2f} | {each.written / each.slices / 1000:.0f} "
            f"| {each.peak_mib:.0f} | {ratio} | {goal or ''} |"
        )
        rows.append({"way": WAYS[word].name, **each._asdict(), "ratio": rate / own, "goal": goal})
    one_volume = SERIES * size * size * 2 / 2**20
    print(f"\nThe guide's {GUIDE:,} slices would take {GUIDE / rate:,.0f} s of one processor.")
    print(
        f"Memory: {ours.peak_mib - one_volume:.0f} MiB beside one volume of {one_volume:.0f} MiB ({MEMORY_MIB} wanted)."
    )
    names = ("numpy", "pydicom", "pillow", "isal", "opencv-python-headless", "dicom2jpg")
    save({"machine": machine(on), "versions": dict(_versions(names)), "rows": rows}, json_file)


def _versions(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


if __name__ == "__main__":
    main()
