"""The raw study of the demo: the drawn knees as DICOM series, and what a reader marked in them as an MD.ai export.

Nobody is behind it. Two knees each are of one patient; file names say nothing; some annotations cannot be written, so
that the ledger of an import has something to say.
"""

import json
import os
import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from planbalance.demo import SIZE, DrawnBox, DrawnVolume, draw_slice, knees
from planbalance.errors import UsageError

RAW: Final = "raw"
IMAGES: Final = f"{RAW}/dicom"
EXPORT: Final = f"{RAW}/export.json"
IMPORTED: Final = "combined"
IMPORT_PLAN: Final = "import.json"
IMPORT_PAGE: Final = "import.html"
KEY: Final = "group-key"
LABEL: Final = "Meniscus tear"
_UNREAD: Final = 2  # so many series that nobody looked at
_ROOT: Final = "2.25."  # of UIDs that are derived from a UUID (DICOM PS3.5, B.2)
_TEAR, _CYST, _READ = "L_tear", "L_cyst", "L_read"


class _Series(NamedTuple):
    """One knee as a series: its UIDs, and of each slice its UID and the box of its tear."""

    study: str
    series: str
    slices: list[tuple[str, DrawnBox | None]]


def write_raw_study(folder: str, *, seed: int = 42) -> None:
    """Write DICOM series and an MD.ai export below a folder; the same pixels and boxes for the same seed.

    Raises:
        UsageError: pydicom is not installed (kind `extra-missing`).
    """
    try:
        import pydicom  # noqa: F401, PLC0415 - an extra
    except ImportError:
        raise UsageError(
            "The raw study is DICOM, which needs pydicom.",
            kind="extra-missing",
            hint="pip install 'planbalance[import]'",
        ) from None
    draw = random.Random(f"raw {seed}")  # noqa: S311 - names of a drawn study
    written = [_write_series(folder, index, volume, draw) for index, volume in enumerate(knees(seed))]
    with open(os.path.join(folder, EXPORT), "w", encoding="utf-8") as file:
        json.dump(_export(written), file, indent=1)


def _write_series(folder: str, index: int, volume: DrawnVolume, draw: random.Random) -> _Series:
    series = _Series(_uid(draw), _uid(draw), [])
    place = os.path.join(folder, IMAGES, f"knee-{index + 1:03d}")
    os.makedirs(place)
    for number in range(1, volume.slices + 1):
        picture, box = draw_slice(volume, number)
        uid = _uid(draw)
        series.slices.append((uid, box))
        # A scanner's values have no fixed scale: here each knee has its own.
        scale = 6 + 2 * (index % 5)
        values = b"".join((scale * grey + 40).to_bytes(2, "little") for grey in picture.tobytes())
        path = os.path.join(place, f"{draw.randrange(16**8):08x}.dcm")
        _dicom(series, uid, number, f"DEMO-{index // 2 + 1:03d}", values).save_as(path, enforce_file_format=True)
    return series


def _uid(draw: random.Random) -> str:
    return f"{_ROOT}{draw.randrange(10**37, 10**38)}"


def _dicom(series: _Series, uid: str, number: int, patient: str, values: bytes) -> Any:  # noqa: ANN401 - an extra's class
    from pydicom.dataset import Dataset, FileMetaDataset  # noqa: PLC0415 - an extra
    from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage  # noqa: PLC0415 - an extra

    content = Dataset()
    content.file_meta = FileMetaDataset()
    content.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    content.SOPClassUID = MRImageStorage
    content.SOPInstanceUID = UID(uid)
    content.StudyInstanceUID, content.SeriesInstanceUID = UID(series.study), UID(series.series)
    content.Modality, content.PatientID, content.InstanceNumber = "MR", patient, number
    content.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    content.ImagePositionPatient = [3.0 * number, 0, 0]
    content.Rows = content.Columns = SIZE
    content.SamplesPerPixel, content.PhotometricInterpretation = 1, "MONOCHROME2"
    content.BitsAllocated, content.BitsStored, content.HighBit, content.PixelRepresentation = 16, 12, 11, 0
    content.PixelData = values
    return content


# ---- the export -----------------------------------------------------------------------------------------------------


def _export(written: list[_Series]) -> dict[str, Any]:
    labels = [
        {"id": _TEAR, "name": LABEL, "scope": "INSTANCE", "annotationMode": "bbox"},
        {"id": _CYST, "name": "Cyst", "scope": "INSTANCE", "annotationMode": "bbox"},
        {"id": _READ, "name": "Read", "scope": "EXAM", "annotationMode": None},
    ]
    found = [{"id": f"A_{number:04d}", **one} for number, one in enumerate(_annotations(written), 1)]
    return {
        "name": "planbalance demo",
        "labelGroups": [{"id": "G_1", "name": "Reading", "labels": labels}],
        "datasets": [{"id": "D_1", "name": "knees", "annotations": found}],
    }


def _annotations(written: list[_Series]) -> Iterator[dict[str, Any]]:
    """Yield what the reader marked: every tear, some cysts, and three annotations that cannot be written."""
    torn = [series for series in written if any(box for _, box in series.slices)]
    for series in written[: len(written) - _UNREAD]:
        yield _annotation(_READ, series, None, None)
        for uid, box in series.slices:
            if box is not None:
                yield _annotation(_TEAR, series, uid, _data(box))
    for series in torn[:4]:
        yield _annotation(_CYST, series, series.slices[0][0], {"x": 40, "y": 12, "width": 9, "height": 7})
    first = torn[0]
    uid, box = next(each for each in first.slices if each[1] is not None)
    assert box is not None
    yield _annotation(_TEAR, first, uid, _data(box))  # the same once more
    yield _annotation(_TEAR, first, f"{_ROOT}1", _data(box))  # of an image that was deleted
    yield _annotation(
        _TEAR, first, first.slices[0][0], {"x": 50, "y": 50, "width": 0, "height": 0}
    )  # a slip of the hand


def _data(box: DrawnBox) -> dict[str, float]:
    left, top = round(box.left, 3), round(box.top, 3)
    return {"x": left, "y": top, "width": round(box.right - left, 3), "height": round(box.bottom - top, 3)}


def _annotation(label: str, series: _Series, uid: str | None, data: dict[str, float] | None) -> dict[str, Any]:
    return {
        "labelId": label,
        "StudyInstanceUID": series.study,
        "SeriesInstanceUID": None if uid is None else series.series,
        "SOPInstanceUID": uid,
        "frameNumber": None,
        "width": None if uid is None else SIZE,
        "height": None if uid is None else SIZE,
        "createdById": "U_1",
        "data": data,
    }
