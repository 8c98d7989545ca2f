"""Rendering, digests and PNG files; work that several processes share; extras that are missing."""

import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from planbalance.errors import UsageError
from planbalance.raw_images import (
    ImageOptions,
    RenderedSlice,
    facts,
    find_volumes,
    pixel_digest,
    png_bytes,
    read_volume_facts,
    render,
)
from tests.raw_images.sources import only_volume, pixels, write_dicom, write_series


@pytest.fixture(params=["isal", "zlib"], scope="module")
def library(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have PNG files compressed by one of the two libraries."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "zlib":
            patch.setitem(sys.modules, "isal", None)
        yield


@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 99))
@pytest.mark.usefixtures("library")
def test_a_png_file_holds_the_pixels(width: int, height: int, colours: bool, seed: int) -> None:
    shape = (height, width, 3) if colours else (height, width)
    array = np.random.default_rng(seed).integers(0, 256, shape).astype("u1")
    data = png_bytes(RenderedSlice(width, height, array.tobytes()))
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.mode == ("RGB" if colours else "L")
        assert (np.asarray(image) == array).all()
    Image.open(io.BytesIO(data)).verify()


def test_a_digest_is_of_size_and_pixels() -> None:
    wanted = hashlib.sha256(b"\0\0\0\x03\0\0\0\x02" + b"abcdef").hexdigest()
    assert pixel_digest(3, 2, b"abcdef") == wanted
    assert pixel_digest(2, 3, b"abcdef") != wanted


def test_slices_come_in_the_order_in_which_they_are_asked_for(tmp_path: Path) -> None:
    write_series(tmp_path / "a", [pixels(seed).astype("u2") for seed in range(5)])
    stack = np.stack([pixels(seed).astype("u2") for seed in range(5)])
    write_dicom(tmp_path / "b" / "run.dcm", stack, NumberOfFrames=5, SeriesInstanceUID="7.7")
    options = ImageOptions()
    for volume in find_volumes(str(tmp_path), options).volumes:
        found = read_volume_facts(str(tmp_path), volume, options)
        asked = [3, 0, 4, 4, 1]
        digests = [pixel_digest(*one) for one in render(str(tmp_path), volume, asked, found.window, options)]
        assert digests == [found.digests[index] for index in asked]


def series(root: Path, count: int) -> None:
    for number in range(count):
        arrays = [pixels(10 * number + index).astype("i2") for index in range(3)]
        write_series(root / f"v{number}", arrays, SeriesInstanceUID=f"5.{number}")


_IN_PROCESSES = """
import sys
from collections.abc import Iterator
from planbalance.executor import autoscaler, processes
from planbalance.raw_images import ImageOptions, facts, find, find_volumes, read_facts

find.LIMITS = autoscaler.LIMITS._replace(worth_forking=2)
find._BATCH, facts._WORTH_FORKING = 2, 2

def read_all(jobs):
    found = find_volumes(sys.argv[1], ImageOptions(), jobs=jobs)
    assert "numpy" not in sys.modules or jobs == 1, "a process with its threads is not forked"
    return found, read_facts(sys.argv[1], found.volumes, ImageOptions(), jobs=jobs)

forked, fork = [], processes.os.fork
processes.os.fork = lambda: forked.append(1) or fork()
several = read_all(3)
assert len(forked) == 6, forked
assert several == read_all(1)
"""


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    series(tmp_path, 4)
    subprocess.run([sys.executable, "-W", "error", "-c", _IN_PROCESSES, str(tmp_path)], check=True)


def test_a_volume_that_is_too_large_to_be_kept_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series(tmp_path, 1)
    options = ImageOptions()
    volume = only_volume(tmp_path)
    kept = read_volume_facts(str(tmp_path), volume, options)
    monkeypatch.setattr(facts, "_KEPT", 300)
    assert read_volume_facts(str(tmp_path), volume, options) == kept


@pytest.mark.parametrize(
    ("name", "module"), [("a.dcm", "pydicom"), ("a.nii", "nibabel"), ("a.h5", "h5py"), ("a.dcm", "numpy")]
)
def test_a_missing_extra_is_named(tmp_path: Path, name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr("planbalance.raw_images.listing._is_installed", lambda wanted: wanted != module)
    with pytest.raises(UsageError, match=f"needs {module}, which is not installed") as error:
        find_volumes(str(tmp_path), ImageOptions())
    assert (error.value.kind, error.value.hint) == ("extra-missing", "pip install 'planbalance[import]'")
