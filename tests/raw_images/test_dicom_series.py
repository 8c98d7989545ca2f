"""DICOM series: which images are a volume, in which order, and what their headers say."""

import hashlib
from pathlib import Path

import pytest

from planbalance.errors import InputError
from planbalance.import_model import Frame
from planbalance.raw_images import ImageOptions, find_volumes
from tests.raw_images.sources import SERIES, STUDY, only_volume, pixels, write_dicom, write_series

FOUR = [pixels(seed).astype("u2") for seed in range(4)]


def refused(root: Path, options: ImageOptions | None = None) -> InputError:
    with pytest.raises(InputError) as error:
        find_volumes(str(root), options or ImageOptions())
    assert error.value.exit_code == 3
    return error.value


def numbers(root: Path) -> list[tuple[int, str]]:
    volume = only_volume(root)
    return [(frame.number, volume.files[frame.file].path) for frame in volume.frames]


def test_a_series_is_a_volume_with_the_name_of_its_folder(tmp_path: Path) -> None:
    write_series(tmp_path / "TB1" / "T2", FOUR)
    volume = only_volume(tmp_path)
    assert (volume.name, volume.kind, volume.rendered, volume.has_units) == ("TB1-T2", "dicom", True, False)
    assert (volume.series_uid, volume.study_uid) == (SERIES, STUDY)
    assert volume.frames[2] == Frame(2, 0, 3, width=10, height=12, uid=f"{SERIES}.3")
    first = tmp_path / "TB1" / "T2" / "slice000.dcm"
    assert volume.files[0] == ("TB1/T2/slice000.dcm", first.stat().st_size, first.stat().st_mtime_ns)


def test_slices_have_their_instance_numbers_even_where_these_fall_with_the_place(tmp_path: Path) -> None:
    write_series(tmp_path, FOUR, InstanceNumber=lambda index: 11 - index)
    assert numbers(tmp_path) == [(8 + index, f"slice{3 - index:03}.dcm") for index in range(4)]
    assert only_volume(tmp_path).orientation == "sagittal, from left to right"


def test_an_instance_number_may_read_5_0(tmp_path: Path) -> None:
    paths = write_series(tmp_path, FOUR, InstanceNumber=lambda index: 5 + index)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"\x20\x00\x13\x00IS\x02\x005 ", b"\x20\x00\x13\x00IS\x04\x005.0 "))
    assert [number for number, _ in numbers(tmp_path)] == [5, 6, 7, 8]


def test_without_numbers_of_their_own_slices_are_numbered_by_their_place(tmp_path: Path) -> None:
    write_series(tmp_path, FOUR, InstanceNumber=1, ImagePositionPatient=lambda index: [-3.0 * index, 7, 7])
    # Rows lead to the back (0, 1, 0), columns to the feet (0, 0, -1): their product, the normal, is (-1, 0, 0).
    assert numbers(tmp_path) == [(1 + index, f"slice{index:03}.dcm") for index in range(4)]
    assert "numbered by their place" in only_volume(tmp_path).notes[0]


@pytest.mark.parametrize("number", [1, lambda index: index + 1], ids=["one number", "numbers"])
def test_two_images_at_one_place_are_refused(tmp_path: Path, number: object) -> None:
    write_series(tmp_path, FOUR, InstanceNumber=number, ImagePositionPatient=lambda index: [3.0 * (index % 2), 0, 0])
    error = refused(tmp_path)
    assert error.kind == "two-volumes"
    assert set(error.paths) in ({"slice000.dcm", "slice002.dcm"}, {"slice001.dcm", "slice003.dcm"})


def test_images_that_nothing_puts_in_order_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, FOUR, InstanceNumber=None, ImagePositionPatient=None)
    assert refused(tmp_path).kind == "no-order"


def test_two_spellings_of_the_orientation_are_one_volume(tmp_path: Path) -> None:
    spellings = [[0, 1, 0, 0, 0, -1], [-0.0, 0.99999988079071, 2.0511e-10, 2.0e-10, 4.9e-4, -0.99999988079071]]
    write_series(tmp_path, FOUR, ImageOrientationPatient=lambda index: spellings[index % 2])
    assert len(only_volume(tmp_path).frames) == 4


def test_a_series_of_two_orientations_is_two_volumes(tmp_path: Path) -> None:
    ways = [[0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]]
    write_series(
        tmp_path / "scout",
        FOUR,
        ImageOrientationPatient=lambda index: ways[index % 2],
        ImagePositionPatient=lambda index: [3.0 * index, 3.0 * index, 0],
    )
    found = find_volumes(str(tmp_path), ImageOptions()).volumes
    assert [(volume.name, volume.orientation) for volume in found] == [
        ("scout-1", "sagittal, from right to left"),
        ("scout-2", "coronal, from front to back"),
    ]
    assert [[frame.number for frame in volume.frames] for volume in found] == [[1, 3], [2, 4]]
    assert all("several sizes or orientations" in volume.notes[0] for volume in found)


def test_a_series_without_a_folder_of_its_own_is_named_by_a_hash_of_its_uid(tmp_path: Path) -> None:
    write_series(tmp_path / "all", FOUR[:2])
    for index, array in enumerate(FOUR[2:]):
        write_dicom(tmp_path / "all" / f"other{index}.dcm", array, SeriesInstanceUID="9.8", InstanceNumber=index)
    names = {volume.series_uid: volume.name for volume in find_volumes(str(tmp_path), ImageOptions()).volumes}
    assert names == {uid: f"series-{hashlib.sha256(uid.encode()).hexdigest()[:16]}" for uid in (SERIES, "9.8")}


def test_a_series_in_two_folders_is_one_volume(tmp_path: Path) -> None:
    for index, array in enumerate(FOUR):
        write_dicom(tmp_path / f"disk{index % 2}" / f"{index}.dcm", array, InstanceNumber=index)
    assert len(only_volume(tmp_path).frames) == 4
    assert only_volume(tmp_path).name.startswith("series-")


def test_folders_whose_paths_give_one_name_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "a" / "b", FOUR[:2])
    write_series(tmp_path / "a-b", FOUR[2:], SeriesInstanceUID="9.8")
    error = refused(tmp_path)
    assert error.kind == "colliding-names"
    assert set(error.paths) == {"a-b/slice000.dcm", "a/b/slice000.dcm"}


def test_filled_identity_tags_are_named_and_their_values_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "DOEJOHN_19700101"
    write_series(folder, FOUR[:2], PatientName="DOEJOHN^X", PatientID="", InstitutionName="St Mary", AccessionNumber="")
    volume = only_volume(tmp_path)
    assert volume.identity_tags == ("InstitutionName", "PatientName")
    assert volume.tags_in_paths == ("PatientName",)
    assert "Mary" not in repr(volume)


def test_the_patient_is_the_patient_id(tmp_path: Path) -> None:
    write_series(tmp_path, FOUR[:2], PatientID=" P7 ")
    assert only_volume(tmp_path).patient == "P7"


def test_a_series_of_two_patients_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, FOUR[:2], PatientID=lambda index: f"P{index}")
    assert refused(tmp_path).kind == "two-patients"


def test_a_ct_has_units(tmp_path: Path) -> None:
    write_series(tmp_path, FOUR[:2], Modality="CT")
    assert only_volume(tmp_path).has_units


def test_files_without_a_suffix_are_read_and_those_without_an_image_are_said(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path, FOUR)):
        path.rename(tmp_path / f"1.2.{index}")
    write_dicom(tmp_path / "report.dcm", FOUR[0], Rows=None, Columns=None)
    write_dicom(tmp_path / "tumour.dcm", FOUR[0], Modality="SEG")
    (tmp_path / "notes").write_text("no image")
    found = find_volumes(str(tmp_path), ImageOptions())
    assert [file.path for file in found.volumes[0].files] == [f"1.2.{index}" for index in range(4)]
    assert found.ignored == (("report.dcm", "it holds no image"), ("tumour.dcm", "it holds a segmentation"))


def test_hidden_files_are_passed_over_and_links_followed(tmp_path: Path) -> None:
    write_series(tmp_path / "elsewhere", FOUR)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "._slice.dcm").write_bytes(b"x")
    assert only_volume(tmp_path / "in").name == "link"
