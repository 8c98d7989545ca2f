"""Raw image files, made by the libraries of their formats; and what their pixels should become, by other code."""

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from planbalance.import_model import RawVolume, Window
from planbalance.raw_images import ImageOptions, RenderedSlice, find_volumes, read_volume_facts, render

Array = np.ndarray[Any, np.dtype[Any]]

SERIES, STUDY = "1.2.3.4", "1.2.3"
SAGITTAL = (0, 1, 0, 0, 0, -1)


def pixels(seed: int, rows: int = 12, columns: int = 10, low: int = 0, high: int = 4000) -> Array:
    """Return a picture without any symmetry, of numbers from `low` to `high`."""
    found = np.random.default_rng(seed).integers(low, high, (rows, columns))
    found[0, 0], found[-1, -1] = low, high
    return found


def dataset(array: Array, **elements: Any) -> FileDataset:
    """Return a DICOM image of these stored values; `elements` are added, or taken away where they are None."""
    shape = array.shape[-2:] if array.dtype != np.uint8 or array.shape[-1] != 3 else array.shape[-3:-1]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.TransferSyntaxUID = UID(elements.pop("syntax", ExplicitVRLittleEndian))
    content = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    bits = 8 * array.dtype.itemsize
    values: dict[str, Any] = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": "1.2.3.4.5",
        "SeriesInstanceUID": SERIES,
        "StudyInstanceUID": STUDY,
        "Modality": "MR",
        "Rows": shape[0],
        "Columns": shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "PixelRepresentation": int(array.dtype.kind == "i"),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        **elements,
    }
    values.setdefault("HighBit", values["BitsStored"] - 1)
    for keyword, value in values.items():
        if value is not None:
            setattr(content, keyword, value)
    meta.MediaStorageSOPInstanceUID = content.SOPInstanceUID
    content.PixelData = array.tobytes() + b"\0" * (array.nbytes % 2)
    content["PixelData"].VR = "OB" if bits == 8 else "OW"
    return content


def write_dicom(path: Path, array: Array, **elements: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dataset(array, **elements)
    content.save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, arrays: Sequence[Array], **elements: Any) -> list[Path]:
    """Write a series: a file a slice, InstanceNumber from 1, places 3 mm apart.

    Values of `elements` may be functions of the slice.
    """
    paths = []
    for index, array in enumerate(arrays):
        own = {
            "SOPInstanceUID": f"{SERIES}.{index + 1}",
            "InstanceNumber": index + 1,
            "ImageOrientationPatient": list(SAGITTAL),
            "ImagePositionPatient": [3.0 * index, 0, 0],
            **{name: value(index) if callable(value) else value for name, value in elements.items()},
        }
        paths.append(write_dicom(folder / f"slice{index:03}.dcm", array, **own))
    return paths


def items(*contents: dict[str, Any]) -> Items:
    """Return a sequence of items."""
    made = []
    for content in contents:
        item = Dataset()
        for keyword, value in content.items():
            setattr(item, keyword, value)
        made.append(item)
    return Items(made)


def multi_frame_groups(frames: int, *, per_frame: bool = True) -> dict[str, Any]:
    """Return functional groups with a rescale and a window for each frame; or those of frame 1 for all."""
    groups = [
        {
            "PixelValueTransformationSequence": items({"RescaleSlope": 1 + index, "RescaleIntercept": 5 * index}),
            "FrameVOILUTSequence": items({"WindowCenter": 100 + index, "WindowWidth": 401}),
        }
        for index in range(frames)
    ]
    if per_frame:
        return {"PerFrameFunctionalGroupsSequence": items(*groups)}
    return {"SharedFunctionalGroupsSequence": items(groups[1])}


# ---- the product -----------------------------------------------------------------------------------------------------


def only_volume(root: Path, options: ImageOptions | None = None) -> RawVolume:
    found = find_volumes(str(root), options or ImageOptions())
    assert len(found.volumes) == 1, [volume.name for volume in found.volumes]
    return found.volumes[0]


def pictures_of(root: Path, options: ImageOptions | None = None) -> list[Array]:
    """Return the slices of the only volume below a folder, as it is rendered."""
    options = options or ImageOptions()
    volume = only_volume(root, options)
    facts = read_volume_facts(str(root), volume, options)
    frames = range(len(volume.frames))
    return [as_array(one) for one in render(str(root), volume, frames, facts.window, options)]


def window_of_volume(root: Path, options: ImageOptions | None = None) -> Window:
    options = options or ImageOptions()
    window = read_volume_facts(str(root), only_volume(root, options), options).window
    assert window is not None
    return window


def as_array(picture: RenderedSlice) -> Array:
    colours = len(picture.pixels) // (picture.width * picture.height)
    shape = (picture.height, picture.width, colours) if colours > 1 else (picture.height, picture.width)
    return np.frombuffer(picture.pixels, np.uint8).reshape(shape)


# ---- the truth, by other code ----------------------------------------------------------------------------------------


def values_of(path: Path) -> Array:
    """Return the values of a DICOM file, decoded and rescaled by pydicom."""
    content = pydicom.dcmread(path)
    return np.asarray(apply_modality_lut(content.pixel_array, content), dtype=np.float64)


def percentiles(arrays: Sequence[Array], low: str = "0.5", high: str = "99.5") -> tuple[float, float]:
    """Return the two values of the default window: all values in one list, in order."""
    ordered = sorted(float(value) for array in arrays for value in array.ravel())
    last = len(ordered) - 1
    at = math.floor(Fraction(low) / 100 * last), math.ceil(Fraction(high) / 100 * last)
    return ordered[at[0]], ordered[at[1]]


def grey(values: Array, low: float, high: float) -> Array:
    """Return 8-bit grey."""
    return np.clip(np.floor((values - low) * 255 / (high - low) + 0.5), 0, 255).astype(np.uint8)


def alike(found: Array, wanted: Array) -> bool:
    """Return whether two pictures differ by at most one level of grey."""
    return found.shape == wanted.shape and int(np.abs(found.astype(int) - wanted.astype(int)).max()) <= 1
