import base64
import io
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from planbalance.decode import NoPictureError
from planbalance.page.pixels import LONGEST, picture
from tests.builders import write


def drawn(mode: str, size: tuple[int, int], kind: str = "PNG", **settings: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, 100).save(file, kind, **settings)
    return file.getvalue()


def decoded(uri: str) -> Any:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "1"])
def test_a_large_picture_is_scaled_down_and_keeps_its_shape(tmp_path: Path, mode: str) -> None:
    found = picture(str(write(tmp_path / "a.png", drawn(mode, (1440, 720)))))
    assert (found.width, found.height) == (LONGEST, LONGEST // 2)
    assert found.uri.startswith("data:image/jpeg;base64,")
    assert decoded(found.uri).size == (found.width, found.height)


def test_metadata_does_not_travel_with_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "Doe, John"
    found = picture(str(write(tmp_path / "a.jpg", drawn("L", (20, 20), "JPEG", exif=exif))))
    assert b"Doe" not in base64.b64decode(found.uri.partition("base64,")[2])


def test_sixteen_bits_are_stretched_from_black_to_white(tmp_path: Path) -> None:
    image = Image.new("I;16", (64, 64), 1000)
    image.paste(3000, (32, 0, 64, 64))
    image.save(tmp_path / "a.png")
    dark, bright = decoded(picture(str(tmp_path / "a.png")).uri).convert("L").getextrema()
    assert dark < 10
    assert bright > 245


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        pytest.param("a.png", b"not a picture", "not a picture", id="noise"),
        pytest.param("a.png", b"", "not a picture", id="empty"),
        pytest.param("a.png", drawn("L", (300, 300))[:-60], "not a picture", id="cut off"),
        pytest.param("a.dcm", b"\0" * 128 + b"DICM", "not a DICOM", id="no DICOM"),
        pytest.param("a.png", drawn("1", (10_000, 10_000)), "too many", id="a bomb"),
    ],
)
def test_what_cannot_be_shown_says_why(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    with pytest.raises(NoPictureError, match=reason):
        picture(str(write(tmp_path / name, content)))


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for path in (tmp_path / "a.png", tmp_path, tmp_path / "nowhere.png"):
        with pytest.raises(NoPictureError, match=r"not (a regular file|readable: No such file)"):
            picture(str(path))


def dicom(path: Path, pixels: bytes, *, syntax: str = "ExplicitVRLittleEndian", **members: Any) -> str:
    """Write a DICOM file of 64 x 32 pixels, 16 bits unsigned where the members do not say otherwise."""
    pydicom = pytest.importorskip("pydicom")
    content = pydicom.Dataset()
    content.file_meta = pydicom.dataset.FileMetaDataset()
    content.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    content.file_meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
    content.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    content.Rows, content.Columns, content.BitsAllocated, content.SamplesPerPixel = 32, 64, 16, 1
    content.PhotometricInterpretation, content.PixelRepresentation = "MONOCHROME2", 0
    content.PatientName = "Doe^John"
    content.PixelData = pydicom.encaps.encapsulate([pixels]) if "JPEG" in syntax else pixels
    content["PixelData"].is_undefined_length = "JPEG" in syntax
    for name, value in members.items():
        setattr(content, name, value)
    content.BitsStored, content.HighBit = content.BitsAllocated, content.BitsAllocated - 1
    content.save_as(path, enforce_file_format=True)
    return str(path)


def halves(left: int, right: int, size: int = 2) -> bytes:
    return b"".join(
        (left if x < 32 else right).to_bytes(size, "little", signed=True) for _ in range(32) for x in range(64)
    )


@pytest.mark.parametrize(
    ("pixels", "members", "left", "right"),
    [
        pytest.param(halves(2000, 100), {}, 255, 0, id="from the darkest to the brightest"),
        pytest.param(halves(2000, 1000), {"WindowCenter": 1000, "WindowWidth": 1000}, 255, 128, id="its window"),
        pytest.param(halves(2000, 1000), {"WindowCenter": [1000, 5], "WindowWidth": [1000, 9]}, 255, 128, id="windows"),
        pytest.param(
            halves(2000, 1000),
            {"WindowCenter": 500, "WindowWidth": 500, "RescaleSlope": 0.5, "RescaleIntercept": 0},
            255,
            128,
            id="a window of rescaled values",
        ),
        pytest.param(halves(2000, 100), {"PhotometricInterpretation": "MONOCHROME1"}, 0, 255, id="white is low"),
        pytest.param(halves(-1000, 1000), {"PixelRepresentation": 1}, 0, 255, id="signed"),
        pytest.param(halves(90, 7, 1), {"BitsAllocated": 8}, 255, 0, id="8 bits"),
        pytest.param(halves(-90, 90, 1), {"BitsAllocated": 8, "PixelRepresentation": 1}, 0, 255, id="8 bits, signed"),
        pytest.param(halves(5, 5), {}, 0, 0, id="one value only"),
    ],
)
def test_dicom_is_shown_as_it_asks(
    tmp_path: Path, pixels: bytes, members: dict[str, Any], left: int, right: int
) -> None:
    found = picture(dicom(tmp_path / "a.dcm", pixels, **members))
    image = decoded(found.uri)
    assert image.size == (64, 32)
    assert image.getpixel((5, 16)) == pytest.approx(left, abs=6)
    assert image.getpixel((60, 16)) == pytest.approx(right, abs=6)
    assert b"Doe" not in base64.b64decode(found.uri.partition("base64,")[2])


def test_dicom_of_run_lengths_and_of_colours_is_decoded(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    path = dicom(tmp_path / "a.dcm", halves(2000, 100))
    content = pydicom.dcmread(path)
    content.compress(pydicom.uid.RLELossless)
    content.save_as(path)
    assert decoded(picture(path).uri).getpixel((5, 16)) == pytest.approx(255, abs=6)
    red = bytes((250, 5, 5)) * 64 * 32
    colours: dict[str, Any] = {
        "BitsAllocated": 8,
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "PlanarConfiguration": 0,
    }
    found = decoded(picture(dicom(tmp_path / "b.dcm", red, **colours)).uri)
    assert found.getpixel((5, 16)) == pytest.approx((250, 5, 5), abs=6)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        pytest.param({"Rows": 60_000, "Columns": 60_000}, "too many", id="a bomb"),
        pytest.param({"Rows": 0}, "too few", id="no row"),
        pytest.param({"Rows": 33}, "not a DICOM picture", id="cut off"),
    ],
)
def test_a_damaged_dicom_says_why_it_is_not_shown(tmp_path: Path, members: dict[str, Any], reason: str) -> None:
    path = dicom(tmp_path / "a.dcm", halves(2000, 100), **members)
    with pytest.raises(NoPictureError, match=reason):
        picture(path)


@pytest.mark.parametrize("members", [{"WindowWidth": "1e301", "RescaleSlope": "1e-20"}, {"WindowWidth": "-5"}])
def test_a_window_of_any_size_is_a_picture(tmp_path: Path, members: dict[str, Any]) -> None:
    found = picture(dicom(tmp_path / "a.dcm", halves(2000, 100), WindowCenter="1e300", **members))
    assert (found.width, found.height) == (64, 32)


def test_dicom_that_is_inflated_as_a_whole_is_refused(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", halves(2000, 100), syntax="DeflatedExplicitVRLittleEndian")
    with pytest.raises(NoPictureError, match="deflated DICOM is not decoded here"):
        picture(path)


def test_a_compressed_dicom_is_shown_where_pillow_decodes_it(tmp_path: Path) -> None:
    frame = drawn("L", (64, 32), "JPEG")
    found = picture(dicom(tmp_path / "a.dcm", frame, syntax="JPEGBaseline8Bit", BitsAllocated=8))
    assert decoded(found.uri).size == (64, 32)
    with pytest.raises(NoPictureError, match="this compression is not decoded"):
        picture(dicom(tmp_path / "b.dcm", b"\xff\xd8\xff\xc3 lossless", syntax="JPEGLosslessSV1", BitsAllocated=8))
