"""Pixels of DICOM files against pydicom's own, and each trap that makes a picture wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import compress
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from planbalance.errors import InputError
from planbalance.import_model import Window
from planbalance.raw_images import ImageOptions
from tests.raw_images.sources import (
    Array,
    alike,
    grey,
    items,
    multi_frame_groups,
    only_volume,
    percentiles,
    pictures_of,
    pixels,
    values_of,
    window_of_volume,
    write_dicom,
    write_series,
)

SIGNED = [pixels(seed, low=-1000, high=3000).astype("i2") for seed in range(4)]
FULL = ImageOptions(window="minmax")


def assert_shown(root: Path, values: Sequence[Array], *, inverted: bool = False, window: str = "") -> None:
    """Compare the rendered slices with values that other code has found."""
    options = ImageOptions(window=window) if window else ImageOptions()
    low, high = percentiles(values, *(("0", "100") if window == "minmax" else ()))
    assert window_of_volume(root, options) == (low, high)
    wanted = [grey(each, low, high) for each in values]
    for found, each in zip(pictures_of(root, options), wanted, strict=True):
        assert alike(found, 255 - each if inverted else each)


def test_signed_pixels_share_one_window_of_all_slices(tmp_path: Path) -> None:
    arrays = [array // (index + 1) for index, array in enumerate(SIGNED)]  # each slice has another range
    paths = write_series(tmp_path, arrays, WindowCenter=lambda index: 100 * index, WindowWidth=lambda index: 50 + index)
    assert_shown(tmp_path, [values_of(path) for path in paths])


@pytest.mark.parametrize(
    ("kind", "elements"),
    [
        ("u2", {}),
        ("i2", {}),
        ("u1", {}),
        ("u2", {"BitsStored": 12}),
        ("i2", {"BitsStored": 12}),
        ("u2", {"syntax": ImplicitVRLittleEndian}),
        ("i2", {"syntax": ImplicitVRLittleEndian}),
        ("u2", {"RescaleSlope": 2.5, "RescaleIntercept": -1024}),
        ("i2", {"RescaleSlope": -1, "RescaleIntercept": 7}),
        ("u4", {}),
    ],
)
def test_pixels_are_those_that_pydicom_decodes(tmp_path: Path, kind: str, elements: dict[str, Any]) -> None:
    low = -120 if kind[0] == "i" else 0
    arrays = [pixels(seed, 7, 9, low, 120 if kind == "u1" else 1900).astype(kind) for seed in range(3)]
    paths = write_series(tmp_path, arrays, **elements)
    assert_shown(tmp_path, [values_of(path) for path in paths])


def test_bits_that_do_not_count_are_ignored(tmp_path: Path) -> None:
    arrays = [pixels(seed, high=4095).astype("u2") for seed in range(2)]
    write_series(tmp_path, [array | 0xA000 for array in arrays], BitsStored=12)
    assert_shown(tmp_path, [array.astype(float) for array in arrays])


def test_big_endian_pixels(tmp_path: Path) -> None:
    array = pixels(1).astype("u2")
    write_series(tmp_path, [array])
    path = tmp_path / "slice000.dcm"
    content = pydicom.dcmread(path)
    content.PixelData = array.astype(">u2").tobytes()
    content.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(path, content, implicit_vr=False, little_endian=False, overwrite=True)
    assert_shown(tmp_path, [array.astype(float)])


def test_monochrome1_is_inverted_once_and_last(tmp_path: Path) -> None:
    paths = write_series(tmp_path, SIGNED, PhotometricInterpretation="MONOCHROME1")
    assert_shown(tmp_path, [values_of(path) for path in paths], inverted=True)


def test_slices_are_rescaled_each_by_its_own_header(tmp_path: Path) -> None:
    paths = write_series(
        tmp_path, SIGNED, RescaleSlope=lambda index: 1 + index / 4, RescaleIntercept=lambda index: 10 * index
    )
    assert_shown(tmp_path, [values_of(path) for path in paths])


def multi_frame(path: Path, arrays: Sequence[Array], *, per_frame: bool = True) -> Path:
    groups = multi_frame_groups(len(arrays), per_frame=per_frame)
    return write_dicom(path, np.stack(arrays), NumberOfFrames=len(arrays), **groups)


def test_frames_are_rescaled_each_by_its_own_group(tmp_path: Path) -> None:
    multi_frame(tmp_path / "cine" / "run7.dcm", SIGNED)
    volume = only_volume(tmp_path)
    assert volume.name == "cine-run7"
    assert [(frame.file, frame.plane, frame.number) for frame in volume.frames] == [(0, n, n + 1) for n in range(4)]
    values = [array * (1.0 + index) + 5 * index for index, array in enumerate(SIGNED)]
    assert_shown(tmp_path, values)
    assert_shown(tmp_path, values, window="minmax")


def test_frames_may_share_a_group(tmp_path: Path) -> None:
    multi_frame(tmp_path / "run.dcm", SIGNED, per_frame=False)
    assert_shown(tmp_path, [array * 2.0 + 5 for array in SIGNED])


def test_padding_has_no_part_in_the_window(tmp_path: Path) -> None:
    arrays = [array.copy() for array in SIGNED]
    for array in arrays:
        array[:6] = -2000
    write_series(tmp_path, arrays, PixelPaddingValue=-2000)
    low, high = percentiles([array[6:] for array in arrays])
    assert window_of_volume(tmp_path) == (low, high)
    assert all(alike(found, grey(each, low, high)) for found, each in zip(pictures_of(tmp_path), arrays, strict=True))


def test_padding_may_be_a_range(tmp_path: Path) -> None:
    write_series(tmp_path, SIGNED, PixelPaddingValue=-1000, PixelPaddingRangeLimit=-400)
    assert window_of_volume(tmp_path, FULL).low == min(int(array[array > -400].min()) for array in SIGNED)


def test_padding_of_32_bits(tmp_path: Path) -> None:
    array = pixels(1, low=70_000, high=90_000).astype("u4")
    array[:3] = 0
    content = pydicom.dcmread(write_series(tmp_path, [array])[0])
    content.add_new("PixelPaddingValue", "US", 0)
    content.save_as(tmp_path / "slice000.dcm", overwrite=True)
    assert window_of_volume(tmp_path, FULL) == (float(array[3:].min()), float(array[3:].max()))


def test_values_that_become_infinite_have_no_part_in_the_window(tmp_path: Path) -> None:
    write_series(tmp_path, [pixels(1).astype("u2")], RescaleSlope="1e306", RescaleIntercept=0)
    window = window_of_volume(tmp_path, FULL)
    assert 0 <= window.low < window.high < float("inf")


def test_a_volume_of_padding_alone_is_black(tmp_path: Path) -> None:
    write_series(tmp_path, [np.full((4, 4), 7, "u2")], PixelPaddingValue=7)
    assert window_of_volume(tmp_path) == Window(0, 0)


@pytest.mark.parametrize("first", [-500, 100])
def test_a_modality_lut_takes_the_place_of_the_rescale(tmp_path: Path, first: int) -> None:
    table = [int(value) for value in np.random.default_rng(3).integers(0, 60000, 900)]
    item = items({"LUTDescriptor": [len(table), first, 16], "LUTData": table, "ModalityLUTType": "US"})
    item[0]["LUTDescriptor"].VR = "SS"
    item[0]["LUTData"].VR = "US"
    paths = write_series(tmp_path, SIGNED, ModalityLUTSequence=item, RescaleSlope=3)
    assert_shown(tmp_path, [values_of(path) for path in paths])


def test_voi_is_one_window_for_the_volume_the_median(tmp_path: Path) -> None:
    write_series(
        tmp_path,
        [*SIGNED, SIGNED[0]],
        WindowCenter=lambda index: [100, 900, 300, 500, 200][index],
        WindowWidth=lambda index: [11, 3001, 2001, 1001, 501][index],
    )
    assert window_of_volume(tmp_path, ImageOptions(window="voi")) == (300 - 0.5 - 500, 300 - 0.5 + 500)


def test_voi_of_frames_and_its_absence(tmp_path: Path) -> None:
    multi_frame(tmp_path / "a" / "run.dcm", SIGNED[:3])
    assert window_of_volume(tmp_path / "a", ImageOptions(window="voi")) == (101 - 0.5 - 200, 101 - 0.5 + 200)
    write_series(tmp_path / "b", SIGNED)
    with pytest.raises(InputError) as error:
        window_of_volume(tmp_path / "b", ImageOptions(window="voi"))
    assert error.value.kind == "no-window"


def test_a_fixed_window_is_in_rescaled_values(tmp_path: Path) -> None:
    write_series(tmp_path, SIGNED, RescaleIntercept=-1000, RescaleSlope=1)
    found = pictures_of(tmp_path, ImageOptions(window="fixed:-1500,500.5"))
    for picture, array in zip(found, SIGNED, strict=True):
        assert alike(picture, grey(array.astype(float) - 1000, -1500, 500.5))


def test_a_volume_of_one_value_is_black(tmp_path: Path) -> None:
    write_series(tmp_path, [np.full((4, 4), 7, "u2")])
    assert not pictures_of(tmp_path)[0].any()


def test_colours_stay_colours(tmp_path: Path) -> None:
    array = np.random.default_rng(2).integers(0, 256, (6, 5, 3)).astype("u1")
    write_series(tmp_path, [array], PhotometricInterpretation="RGB", SamplesPerPixel=3, PlanarConfiguration=0)
    assert (pictures_of(tmp_path)[0] == array).all()


def test_colours_by_planes_and_by_a_palette(tmp_path: Path) -> None:
    array = np.random.default_rng(2).integers(0, 256, (6, 5, 3)).astype("u1")
    planar = np.ascontiguousarray(array.transpose(2, 0, 1))
    elements = {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "PlanarConfiguration": 1}
    write_dicom(tmp_path / "a" / "1.dcm", planar, Rows=6, Columns=5, **elements)
    assert (pictures_of(tmp_path / "a")[0] == array).all()
    indices = np.random.default_rng(3).integers(0, 4, (6, 5)).astype("u1")
    tables = {
        f"{colour}PaletteColorLookupTable": np.array([n, 50, 99, 255], "u2") << 8
        for n, colour in enumerate(("Red", "Green", "Blue"))
    }
    palette: dict[str, Any] = {f"{name}Data": table.tobytes() for name, table in tables.items()}
    palette |= {f"{name}Descriptor": [4, 0, 16] for name in tables}
    write_dicom(tmp_path / "b" / "1.dcm", indices, PhotometricInterpretation="PALETTE COLOR", **palette)
    wanted = np.stack([table[indices] >> 8 for table in tables.values()], axis=2)
    assert (pictures_of(tmp_path / "b")[0] == wanted).all()


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=["RLE", "JPEG 2000"])
def test_compressed_pixels(tmp_path: Path, syntax: str) -> None:
    arrays = [pixels(seed, 64, 72).astype("u2") for seed in range(2)]
    paths = write_series(tmp_path, arrays, RescaleIntercept=-7, RescaleSlope=2)
    values = [values_of(path) for path in paths]
    for path in paths:
        content = pydicom.dcmread(path)
        compress(content, syntax, generate_instance_uid=False)
        content.save_as(path, overwrite=True)
    assert_shown(tmp_path, values)


def test_a_compression_that_nothing_here_decodes_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_series(tmp_path, [pixels(1, 64, 72).astype("u2")])[0]
    content = pydicom.dcmread(path)
    compress(content, JPEG2000Lossless)
    content.save_as(path, overwrite=True)
    monkeypatch.setattr(get_decoder(JPEG2000Lossless), "_available", {})
    with pytest.raises(InputError, match=r"JPEG 2000.*need pip install 'planbalance\[import-compressed\]'"):
        window_of_volume(tmp_path)
