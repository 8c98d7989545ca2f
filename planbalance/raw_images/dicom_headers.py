"""What the header of a DICOM image says of its place in a series, and which identities stand in it."""

import os
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from planbalance.decode import MOST_PIXELS, NoPictureError, quiet_decoders
from planbalance.raw_images.dicom_elements import (
    DAMAGED,
    ENCODED,
    Dataset,
    items_of,
    numbers_of,
    read_dataset,
    text_of,
    whole_of,
)
from planbalance.raw_images.dicom_pixels import SHAPE_TAGS, frame_count, is_grey, least_bytes
from planbalance.raw_images.listing import stands_in
from planbalance.text import error_text

# Elements that name people, places and times of birth, from the list of PS3.15 table E.1-1.
IDENTITY_TAGS: Final = (
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "ReferringPhysicianName",
    "StationName",
    "PhysiciansOfRecord",
    "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy",
    "OperatorsName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientBirthTime",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientAddress",
    "PatientMotherBirthName",
    "PatientTelephoneNumbers",
    "PatientComments",
    "ResponsiblePerson",
    "DeviceSerialNumber",
    "StudyID",
    "RequestingPhysician",
    "IssuerOfPatientID",
)
_IN_PATHS: Final = ("PatientID", "PatientName", "AccessionNumber")
_TAGS: Final = (
    *SHAPE_TAGS,
    *IDENTITY_TAGS,
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "InstanceNumber",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "Modality",
    "RescaleType",
    "SharedFunctionalGroupsSequence",
)
# Modalities whose pixels are no picture (PS3.3 C.7.3.1.1.1).
_DERIVED: Final = {"SEG": "a segmentation", "RTDOSE": "a dose"}
_WHOLE: Final = re.compile(r"\+?([0-9]{1,9})(\.0*)?", re.ASCII)


class DicomHeader(NamedTuple):
    """What is needed of one file.

    Attributes:
        fault: why it cannot be read; "" if it can. The other attributes are then empty.
        lacking: why it holds no picture of a patient; "" if it does.
        series: SeriesInstanceUID.
        study: StudyInstanceUID.
        uid: SOPInstanceUID.
        number: InstanceNumber, None if it has none that is a whole number.
        width: in pixels.
        height: in pixels.
        frames: how many it holds.
        grey: whether its pixels are grey.
        orientation: the cosines of a row and of a column; () if unknown.
        position: of the first pixel in the patient, in mm; () if unknown.
        patient: PatientID.
        identity_tags: those of `IDENTITY_TAGS` that are filled.
        in_path: those whose value stands in the path of the file.
        has_units: whether its values are Hounsfield units.
    """

    fault: str = ""
    lacking: str = ""
    series: str = ""
    study: str = ""
    uid: str = ""
    number: int | None = None
    width: int = 0
    height: int = 0
    frames: int = 1
    grey: bool = True
    orientation: tuple[float, ...] = ()
    position: tuple[float, ...] = ()
    patient: str = ""
    identity_tags: tuple[str, ...] = ()
    in_path: tuple[str, ...] = ()
    has_units: bool = False


def read_headers(files: tuple[str, Sequence[str]]) -> list[DicomHeader]:
    """Return the headers of files, given the root and paths relative to it."""
    root, paths = files
    with quiet_decoders:
        return [_read_header(root, path) for path in paths]


def _read_header(root: str, path: str) -> DicomHeader:
    try:
        with open(os.path.join(root, path), "rb") as file:
            return _header_of(read_dataset(file, _TAGS), path, os.fstat(file.fileno()).st_size)
    except NoPictureError as error:
        return DicomHeader(fault=str(error))
    except OSError as error:
        return DicomHeader(fault=error_text(error))
    except Exception:  # pydicom reads some elements only when they are asked for
        return DicomHeader(fault=DAMAGED)


def _header_of(dataset: Dataset, path: str, size: int) -> DicomHeader:
    width, height = whole_of(dataset, "Columns"), whole_of(dataset, "Rows")
    if not width or not height:
        return DicomHeader(lacking="it holds no image")
    if (kind := _DERIVED.get(text_of(dataset, "Modality"))) is not None:
        return DicomHeader(lacking=f"it holds {kind}")
    frames = frame_count(dataset)
    if width * height > MOST_PIXELS:
        raise NoPictureError(f"{width} × {height} pixels are too many")
    if frames > 1 and frames * least_bytes(dataset) > size:
        raise NoPictureError(f"a file of {size:,} bytes cannot hold {frames:,} frames")
    filled = tuple(keyword for keyword in IDENTITY_TAGS if text_of(dataset, keyword))
    return DicomHeader(
        series=text_of(dataset, "SeriesInstanceUID"),
        study=text_of(dataset, "StudyInstanceUID"),
        uid=text_of(dataset, "SOPInstanceUID"),
        number=whole_number(text_of(dataset, "InstanceNumber")),
        width=width,
        height=height,
        frames=frames,
        grey=is_grey(dataset),
        orientation=_numbers(_orientation_source(dataset, frames), "ImageOrientationPatient", 6),
        position=_numbers(dataset, "ImagePositionPatient", 3),
        patient=_patient(dataset),
        identity_tags=filled,
        in_path=tuple(keyword for keyword in _IN_PATHS if keyword in filled and _stands_in(path, dataset, keyword)),
        has_units=text_of(dataset, "Modality") == "CT" or text_of(dataset, "RescaleType") == "HU",
    )


def whole_number(text: str) -> int | None:
    """Return the number of an InstanceNumber, which some programs write as `5.0`; None where it is none."""
    match = _WHOLE.fullmatch(text)
    return int(match[1]) if match else None


def _orientation_source(dataset: Dataset, frames: int) -> Dataset:
    if frames > 1:
        for shared in items_of(dataset, "SharedFunctionalGroupsSequence")[:1]:
            for plane in items_of(shared, "PlaneOrientationSequence")[:1]:
                return plane
    return dataset


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """Return numbers, `()` where there are not as many as there should be: such a place is unknown."""
    try:
        found = numbers_of(dataset, keyword)
    except NoPictureError:
        return ()
    return found if len(found) == count else ()


def _patient(dataset: Dataset) -> str:
    """Return the PatientID as `planbalance.dicom` reads it, so that both have one keyed hash."""
    try:
        return str(dataset.get(ENCODED[0]) or "").strip(" \0")
    except Exception:  # letters of a character set that pydicom does not know
        return text_of(dataset, "PatientID")


def _stands_in(path: str, dataset: Dataset, keyword: str) -> bool:
    """Return whether a value, or a part of a name, stands in a path."""
    value = text_of(dataset, keyword)
    parts = re.split(r"[\^=\s]+", value) if "Name" in keyword else [value]
    return any(stands_in(path, part) for part in parts)
