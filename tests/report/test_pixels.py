import base64
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from planbalance.report.pixels import LARGEST_AS_IS, LONGEST, NoPictureError, picture
from tests.builders import write

Image = pytest.importorskip("PIL.Image")


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


def test_dicom_is_shown_through_its_window(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    content = pydicom.Dataset()
    content.file_meta = pydicom.dataset.FileMetaDataset()
    content.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    content.file_meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
    content.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    content.Rows, content.Columns, content.BitsAllocated, content.SamplesPerPixel = 32, 64, 16, 1
    content.BitsStored, content.HighBit, content.PixelRepresentation = 12, 11, 0
    content.PhotometricInterpretation, content.WindowCenter, content.WindowWidth = "MONOCHROME2", 1000, 1000
    content.PatientName = "Doe^John"
    content.PixelData = b"".join((2000 if x < 32 else 100).to_bytes(2, "little") for _ in range(32) for x in range(64))
    if pydicom.__version_info__[0] == "2":
        content.is_little_endian, content.is_implicit_VR = True, False
        content.save_as(tmp_path / "a.dcm", write_like_original=False)
    else:
        content.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    found = picture(str(tmp_path / "a.dcm"))
    image = decoded(found.uri)
    assert image.size == (64, 32)
    assert image.getpixel((5, 16)) > 245
    assert image.getpixel((60, 16)) < 10
    assert b"Doe" not in base64.b64decode(found.uri.partition("base64,")[2])


def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_without_pillow_a_small_file_is_embedded_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    data = drawn("L", (40, 30), kind)
    without_pillow(monkeypatch)
    found = picture(str(write(tmp_path / "a.png", data)))
    assert (found.width, found.height) == (40, 30)
    assert base64.b64decode(found.uri.partition("base64,")[2]) == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(LARGEST_AS_IS), "too large", id="large"),
        pytest.param(b"BM", "needs Pillow", id="another format"),
        pytest.param(b"\xff\xd8\xff", "not a picture", id="a JPEG without a frame"),
    ],
)
def test_without_pillow_the_rest_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, reason: str
) -> None:
    without_pillow(monkeypatch)
    with pytest.raises(NoPictureError, match=reason):
        picture(str(write(tmp_path / "a.png", data)))
