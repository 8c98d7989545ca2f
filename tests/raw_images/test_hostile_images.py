"""Damaged and hostile files: one clear sentence, in bounded memory, and nothing else."""

import gzip
import io
import os
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import compress
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

from planbalance.errors import InputError, PlanbalanceError
from planbalance.raw_images import ImageOptions, find_volumes, read_volume_facts, render
from tests.raw_images.sources import dataset, multi_frame_groups, only_volume, pixels, write_dicom, write_series

MANY = 200 << 20  # bytes that nothing here may take


def read_all(root: Path, options: ImageOptions) -> None:
    for volume in find_volumes(str(root), options).volumes:
        facts = read_volume_facts(str(root), volume, options)
        assert len(facts.digests) == len(volume.frames)


def refused(root: Path, options: ImageOptions | None = None) -> PlanbalanceError:
    """Return the refusal of a folder, at the latest when its pixels are read."""
    options = options or ImageOptions()
    tracemalloc.start()
    try:
        with pytest.raises(PlanbalanceError) as error:
            read_all(root, options)
        assert tracemalloc.get_traced_memory()[1] < MANY
    finally:
        tracemalloc.stop()
    assert error.value.exit_code == 3
    return error.value


def test_files_of_another_kind_are_all_named(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / name).write_bytes(b"no image at all")
    error = refused(tmp_path)
    assert error.kind == "unreadable-image"
    assert error.paths == (str(tmp_path / "a.dcm"), str(tmp_path / "b.dcm"))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.nii", "a.nii.gz", "a.h5", "a.dcm", "a.webp", "a.dng"])
@pytest.mark.parametrize(
    "content", [b"", b"\0" * 3000, b"\x89PNG\r\n\x1a\n" + b"x" * 99], ids=["empty", "zeros", "head"]
)
def test_no_image_in_a_file_with_the_suffix_of_one(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path).kind == "unreadable-image"


def test_no_file_but_a_pipe_a_folder_or_a_link_to_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.dcm")
    assert "not a regular file" in refused(tmp_path).message
    (tmp_path / "a.dcm").unlink()
    (tmp_path / "b.dcm").symlink_to("nowhere")
    assert "No such file" in refused(tmp_path).message
    (tmp_path / "b.dcm").unlink()
    (tmp_path / "c.dcm").mkdir()
    assert refused(tmp_path).kind == "no-images"
    assert refused(tmp_path / "absent").kind == "input-not-found"


def test_a_file_that_ends_before_its_last_pixel(tmp_path: Path) -> None:
    path = write_series(tmp_path, [pixels(1).astype("u2")])[0]
    path.write_bytes(path.read_bytes()[:-1])
    assert "ends before its last pixel" in refused(tmp_path).message


def test_sizes_that_no_file_can_hold(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a" / "1.dcm", pixels(1).astype("u2"), Rows=65535, Columns=65535)
    assert "too many" in refused(tmp_path / "a").message
    write_dicom(tmp_path / "b" / "1.dcm", pixels(1).astype("u2"), NumberOfFrames=2_000_000_000)
    assert "cannot hold 2,000,000,000 frames" in refused(tmp_path / "b").message
    write_dicom(tmp_path / "c" / "1.dcm", pixels(1).astype("u2"), Rows=7000, Columns=7000)
    assert refused(tmp_path / "c").kind == "unreadable-image"


def test_a_whole_file_that_is_deflated(tmp_path: Path) -> None:
    content = dataset(np.zeros((4000, 4000), "u2"), syntax=DeflatedExplicitVRLittleEndian)
    content.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert "deflated" in refused(tmp_path).message
    data = (tmp_path / "a.dcm").read_bytes()
    private = b"\x02\x00\x01\x00OB\x00\x00" + struct.pack("<I", 1 << 20) + b"x" * (1 << 20)
    (tmp_path / "a.dcm").write_bytes(data[:132] + private + data[144:])  # the length is replaced by what hides the rest
    assert "deflated" in refused(tmp_path).message


def test_compressed_pixels_of_another_size_are_not_decoded(tmp_path: Path) -> None:
    content = dataset(pixels(1, 64, 72).astype("u2"))
    compress(content, JPEG2000Lossless)
    content.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    data = (tmp_path / "a.dcm").read_bytes()
    at = data.index(b"\xff\x4f\xff\x51") + 8
    for size in ((60_000, 60_000), (65, 72), (72, 64)):
        changed = data[:at] + struct.pack(">2I", *size) + data[at + 8 :]
        (tmp_path / "a.dcm").write_bytes(changed)
        if size == (72, 64):
            assert len(read_volume_facts(str(tmp_path), only_volume(tmp_path), ImageOptions()).digests) == 1
        else:
            assert "another size" in refused(tmp_path).message


def test_jpeg_pixels_of_another_size_are_not_decoded(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(pixels(1, 64, 72, high=255).astype("u1")).save(file, "JPEG")
    for rows in (64, 65):
        content = dataset(pixels(1, rows, 72, high=255).astype("u1"))
        content.PixelData = encapsulate([file.getvalue()])
        content["PixelData"].VR = "OB"
        content.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        content.save_as(tmp_path / "a.dcm", enforce_file_format=True)
        if rows == 64:
            assert len(read_volume_facts(str(tmp_path), only_volume(tmp_path), ImageOptions()).digests) == 1
        else:
            assert "another size" in refused(tmp_path).message


@pytest.mark.parametrize("kind", ["nan", "inf", "1e999", "x"])
def test_a_rescale_that_is_no_number(tmp_path: Path, kind: str) -> None:
    path = write_series(tmp_path, [pixels(1).astype("u2")], RescaleSlope="1.5000")[0]
    path.write_bytes(path.read_bytes().replace(b"1.5000", kind.encode().ljust(6)))
    assert "RescaleSlope" in refused(tmp_path).message


def test_a_nifti_file_that_claims_more_than_it_holds(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4), "i2"), np.eye(4)), tmp_path / "a.nii")
    data = bytearray((tmp_path / "a.nii").read_bytes())
    for sides in ((32767, 32767, 32767), (4, 4, 400), (1000, 1000, 900), (0, 4, 4), (-1, 4, 4)):
        data[42:48] = struct.pack("<3h", *sides)
        (tmp_path / "a.nii").write_bytes(data)
        assert refused(tmp_path).kind == "unreadable-image"
        (tmp_path / "a.nii").unlink()
        (tmp_path / "b.nii.gz").write_bytes(gzip.compress(data))
        assert refused(tmp_path).kind == "unreadable-image"
        (tmp_path / "b.nii.gz").unlink()


def test_a_dataset_that_claims_more_than_it_holds(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("reconstruction_rss", (100_000, 8_000, 8_000), "f4", chunks=(1, 100, 100))
    assert refused(tmp_path).kind == "unreadable-image"


def test_a_picture_of_too_many_pixels(tmp_path: Path) -> None:
    Image.new("1", (10_000, 10_000)).save(tmp_path / "IM1-a.png")
    assert "too many" in refused(tmp_path).message


def test_a_file_that_is_another_one_than_it_was(tmp_path: Path) -> None:
    path = write_series(tmp_path, [pixels(1).astype("u2")])[0]
    volume = only_volume(tmp_path)
    window = read_volume_facts(str(tmp_path), volume, ImageOptions()).window
    write_dicom(path, pixels(1, 20, 20).astype("u2"))
    with pytest.raises(InputError, match="another one than it was"):
        list(render(str(tmp_path), volume, [0], window, ImageOptions()))
    write_dicom(
        path, np.zeros((12, 10, 3), "u1"), PhotometricInterpretation="RGB", SamplesPerPixel=3, PlanarConfiguration=0
    )
    with pytest.raises(InputError, match="of another kind than they were"):
        list(render(str(tmp_path), volume, [0], window, ImageOptions()))
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        list(render(str(tmp_path), volume, [0], window, ImageOptions()))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the bytes of a good file of each kind, by suffix."""
    folder = tmp_path_factory.mktemp("samples")
    write_dicom(folder / "a.dcm", pixels(1).astype("i2"), RescaleSlope=2, WindowCenter=4, PixelPaddingValue=3)
    stack = np.stack([pixels(seed).astype("i2") for seed in range(3)])
    write_dicom(folder / "frames.dcm", stack, NumberOfFrames=3, **multi_frame_groups(3))
    packed = dataset(pixels(1, 64, 72).astype("u2"))
    compress(packed, JPEG2000Lossless)
    packed.save_as(folder / "packed.dcm", enforce_file_format=True)
    nibabel.save(nibabel.Nifti1Image(pixels(2).astype("i2")[:, :, None], np.eye(4)), folder / "a.nii")
    nibabel.save(nibabel.Nifti1Image(pixels(2).astype("f4")[:, :, None], np.eye(4)), folder / "a.nii.gz")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("reconstruction_rss", data=pixels(3)[None].astype("f4"), compression="gzip")
    for suffix in ("png", "tif"):
        Image.fromarray(pixels(4).astype("u2")).save(folder / f"a.{suffix}")
    Image.fromarray(pixels(4, high=255).astype("u1")).save(folder / "a.jpg")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "name", ["a.dcm", "frames.dcm", "packed.dcm", "a.nii", "a.nii.gz", "a.h5", "a.png", "a.tif", "a.jpg"]
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(draws=st.data())
def test_changed_bytes_give_a_picture_or_a_refusal(
    tmp_path: Path, samples: dict[str, bytes], name: str, draws: st.DataObject
) -> None:
    data = bytearray(samples[name])
    for _ in range(draws.draw(st.integers(0, 5))):
        data[draws.draw(st.integers(0, len(data) - 1))] = draws.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(data[: draws.draw(st.integers(len(data) // 2, len(data)))])
    with suppress(InputError):
        read_all(tmp_path, ImageOptions(volume_pattern="image"))
