"""NIfTI and .h5 files: which planes are slices, and how they are turned."""

from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from planbalance.errors import InputError, PlanbalanceError, UsageError
from planbalance.raw_images import ImageOptions, find_volumes, read_facts
from tests.raw_images.sources import (
    Array,
    alike,
    grey,
    only_volume,
    percentiles,
    pictures_of,
    pixels,
    window_of_volume,
)

CUBE = pixels(4, 5 * 6, 7).reshape(5, 6, 7)


def write_nifti(path: Path, array: Array, affine: Array | None = None, slope: float = 1, intercept: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine)
    image.header.set_slope_inter(slope, intercept)
    nibabel.save(image, path)
    return path


def write_h5(path: Path, array: Array | None, name: str = "reconstruction_rss", **attributes: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        if array is not None:
            file[name] = array
        file["kspace"] = np.zeros((2, 2), "f4")
        file.attrs.update(attributes)
    return path


def assert_slices(root: Path, wanted: list[Array], options: ImageOptions | None = None) -> None:
    low, high = percentiles(wanted)
    found = pictures_of(root, options)
    assert len(found) == len(wanted)
    assert all(alike(one, grey(each.astype(float), low, high)) for one, each in zip(found, wanted, strict=True))


def refused(root: Path, options: ImageOptions | None = None) -> PlanbalanceError:
    with pytest.raises(PlanbalanceError) as error:
        find_volumes(str(root), options or ImageOptions())
    return error.value


# ---- NIfTI -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", ["i2", "u1", "f4", "f8", "u2", "i4", ">i2"])
def test_slices_are_the_planes_of_the_last_axis_as_stored(tmp_path: Path, suffix: str, kind: str) -> None:
    cube = (CUBE % 250).astype(kind)
    write_nifti(tmp_path / "sub-01" / f"T1w{suffix}", cube)
    volume = only_volume(tmp_path)
    assert (volume.name, volume.kind) == ("sub-01-T1w", "nifti")
    assert [(frame.plane, frame.number, frame.width, frame.height) for frame in volume.frames][6] == (6, 6, 6, 5)
    assert_slices(tmp_path, [cube[:, :, plane] for plane in range(7)])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("flip", [(), ("up-down",), ("left-right",), ("up-down", "left-right")])
def test_axis_transposition_and_flips(tmp_path: Path, axis: int, transpose: bool, flip: tuple[str, ...]) -> None:
    write_nifti(tmp_path / "a.nii.gz", CUBE.astype("i2"))
    wanted = [np.take(CUBE, plane, axis) for plane in range(CUBE.shape[axis])]
    if transpose:
        wanted = [each.transpose() for each in wanted]
    if "up-down" in flip:
        wanted = [np.flipud(each) for each in wanted]
    if "left-right" in flip:
        wanted = [np.fliplr(each) for each in wanted]
    assert_slices(tmp_path, wanted, ImageOptions(axis=axis, transpose=transpose, flip=flip))


def test_the_scale_of_the_header_is_applied(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", CUBE.astype("i2"), slope=0.5, intercept=-1024)
    assert window_of_volume(tmp_path, ImageOptions(window="minmax")) == (-1024, 4000 / 2 - 1024)


def test_axis_codes_follow_the_picture(tmp_path: Path) -> None:
    affine = np.array([[0, 0, 2, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], float)  # to P, I, R
    write_nifti(tmp_path / "knee.nii.gz", CUBE.astype("i2"), affine)
    assert only_volume(tmp_path).orientation == "axis codes PIR: slices to R, down to P, right to I"
    turned = ImageOptions(transpose=True, flip=("left-right",))
    assert only_volume(tmp_path, turned).orientation == "axis codes PIR: slices to R, down to I, right to A"


def test_a_file_of_several_time_points_needs_one_of_them(tmp_path: Path) -> None:
    four = np.stack([CUBE, CUBE[::-1] // 2], axis=3).astype("i2")
    write_nifti(tmp_path / "bold.nii.gz", four)
    error = refused(tmp_path)
    assert isinstance(error, InputError)
    assert "--time" in error.message
    assert_slices(tmp_path, [four[:, :, plane, 1] for plane in range(7)], ImageOptions(time=1))
    assert "no time point 2" in refused(tmp_path, ImageOptions(time=2)).message


def test_values_that_are_no_numbers_are_black(tmp_path: Path) -> None:
    cube = CUBE.astype("f4")
    cube[0, 0, 0] = np.nan
    write_nifti(tmp_path / "a.nii", cube)
    assert pictures_of(tmp_path)[0][0, 0] == 0


def test_geometry_that_no_file_obeys_is_refused(tmp_path: Path) -> None:
    write_h5(tmp_path / "a.h5", CUBE)
    with pytest.raises(UsageError, match="--axis is about NIfTI files"):
        find_volumes(str(tmp_path), ImageOptions(axis=1))


# ---- .h5 -------------------------------------------------------------------------------------------------------------

STACK = (CUBE / 4001.0).astype("f4")
UP_DOWN = ImageOptions(flip=("up-down",))


def test_slices_of_fastmri_are_flipped_where_it_is_asked_for(tmp_path: Path) -> None:
    write_h5(tmp_path / "multicoil_train" / "file1000001.h5", STACK, patient_id="abc")
    volume = only_volume(tmp_path)
    assert (volume.name, volume.patient, volume.identity_tags) == ("file1000001", "abc", ("patient_id",))
    assert [(frame.number, frame.width, frame.height) for frame in volume.frames][4] == (4, 7, 6)
    assert_slices(tmp_path, list(STACK))
    assert_slices(tmp_path, [plane[::-1] for plane in STACK], UP_DOWN)
    assert only_volume(tmp_path, UP_DOWN).orientation == "flipped up-down"


def test_another_dataset_can_be_named(tmp_path: Path) -> None:
    write_h5(tmp_path / "a.h5", STACK, "reconstruction_esc")
    error = refused(tmp_path)
    assert error.kind == "no-images"
    assert_slices(tmp_path, list(STACK), ImageOptions(h5_dataset="reconstruction_esc"))


def test_files_with_k_space_only_are_said(tmp_path: Path) -> None:
    write_h5(tmp_path / "train" / "a.h5", STACK)
    write_h5(tmp_path / "test" / "b.h5", None)
    found = find_volumes(str(tmp_path), ImageOptions())
    assert [volume.name for volume in found.volumes] == ["a"]
    assert found.ignored == (("test/b.h5", "it holds k-space but no reconstruction_rss, as the test files of fastMRI"),)


def test_one_stem_in_singlecoil_and_multicoil_is_refused(tmp_path: Path) -> None:
    for folder in ("singlecoil_train", "multicoil_train"):
        write_h5(tmp_path / folder / "file1000001.h5", STACK)
    error = refused(tmp_path)
    assert (error.kind, error.exit_code) == ("colliding-names", 3)
    assert len(error.paths) == 2


def test_values_that_stand_in_another_file_are_refused(tmp_path: Path) -> None:
    secret = write_h5(tmp_path / "secret" / "s.h5", STACK)
    (tmp_path / "in").mkdir()
    with h5py.File(tmp_path / "in" / "a.h5", "w") as file:
        file["reconstruction_rss"] = h5py.ExternalLink(str(secret), "reconstruction_rss")
    assert refused(tmp_path / "in").kind == "unreadable-image"
    with h5py.File(tmp_path / "in" / "a.h5", "w") as file:
        layout = h5py.VirtualLayout(STACK.shape, "f4")
        layout[:] = h5py.VirtualSource(str(secret), "reconstruction_rss", STACK.shape)
        file.create_virtual_dataset("reconstruction_rss", layout)
    assert refused(tmp_path / "in").kind == "unreadable-image"
    (tmp_path / "raw").write_bytes(STACK.tobytes())
    with h5py.File(tmp_path / "in" / "a.h5", "w") as file:
        external = [(str(tmp_path / "raw"), 0, STACK.nbytes)]
        file.create_dataset("reconstruction_rss", STACK.shape, "f4", external=external)
    assert refused(tmp_path / "in").kind == "unreadable-image"


@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 4, 5), (0, 4, 4)])
def test_a_dataset_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write_h5(tmp_path / "a.h5", np.zeros(shape, "f4"))
    assert "holds no slices of rows and columns" in refused(tmp_path).message


def test_many_volumes_are_read_in_their_order(tmp_path: Path) -> None:
    for index in range(6):
        write_h5(tmp_path / f"file{index}.h5", STACK * (index + 1))
    options = ImageOptions(window="minmax")
    found = find_volumes(str(tmp_path), options).volumes
    facts = read_facts(str(tmp_path), found, options, jobs=2)
    assert [one.window.high for one in facts if one.window] == [float((STACK * (n + 1)).max()) for n in range(6)]
