"""Windows and digests of pixels are the same on every Python, numpy and machine, so that a plan stays true."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from planbalance.raw_images import ImageOptions, read_volume_facts
from tests.raw_images.sources import Array, multi_frame_groups, only_volume, write_dicom, write_series


def drawn(seed: int) -> Array:
    """Return a picture computed with integers alone."""
    rows, columns = np.mgrid[0:48, 0:40]
    found: Array = (rows * rows * 7 + columns * (seed + 3) * 11 + rows * columns * seed) % 4093
    return found


def series(root: Path) -> None:
    arrays = [(drawn(seed) - 1000).astype("i2") for seed in range(6)]
    write_series(root, arrays, RescaleSlope=lambda index: 0.1 + index / 8, RescaleIntercept=-3.3)


def inverted(root: Path) -> None:
    arrays = [drawn(seed).astype("u2") for seed in range(3)]
    write_series(root, arrays, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0)


def frames(root: Path) -> None:
    stack = np.stack([drawn(seed).astype("u2") for seed in range(4)])
    write_dicom(root / "a.dcm", stack, NumberOfFrames=4, **multi_frame_groups(4))


def floats(root: Path) -> None:
    with h5py.File(root / "a.h5", "w") as file:
        file["reconstruction_rss"] = (np.stack([drawn(seed) for seed in range(5)]) / 4099).astype("f4")


KNOWN = {
    "series": (-647.0999999999999, 2130.3749999999995, "c14648e56419e63c", "8681f5f6f25e1215"),
    "inverted": (28.0, 4063.0, "8503a8c73cef4f7c", "a07538f4836fd944"),
    "frames": (47.0, 15975.0, "c0a9dcd79a9c2151", "228c8020e2321609"),
    "floats": (0.004147353116422892, 0.9917052984237671, "b9edef2a14ba8018", "b7f308d44dc7326a"),
}


@pytest.mark.parametrize("write", [series, inverted, frames, floats], ids=lambda write: write.__name__)
def test_windows_and_digests_are_those_of_every_other_machine(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    found = read_volume_facts(str(tmp_path), only_volume(tmp_path), ImageOptions())
    assert found.window is not None
    assert (found.window.low, found.window.high, found.digests[0][:16], found.digests[-1][:16]) == KNOWN[write.__name__]
