"""Pictures of any file: decoded, or refused with a reason; nothing else is raised, and no warning is left behind."""

import io
import random
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from planbalance.decode import NoPictureError, Probed, decode, is_one_value, probe, quiet_decoders
from tests.audit.pictures import png
from tests.builders import picture_bytes


def encoded(mode: str, kind: str = "PNG", size: tuple[int, int] = (12, 11), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def damaged(data: bytes) -> Iterator[bytes]:
    draw = random.Random(1)
    for place in range(0, len(data), 1 + len(data) // 200):
        yield data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]
        yield data[:place]
        yield data[:place] + draw.randbytes(4) + data[place + 4 :]


KINDS = {
    "PNG": picture_bytes("a"),
    "palette": encoded("P", transparency=b"\0\1\2"),
    "16 bits": encoded("I;16"),
    "animated": encoded("L", save_all=True, append_images=[Image.new("L", (12, 11), 9)]),
    "JPEG": encoded("L", "JPEG"),
    "JPEG 2000": encoded("RGB", "JPEG2000"),
    "TIFF": encoded("L", "TIFF", compression="tiff_lzw"),
    "GIF": encoded("P", "GIF"),
    "BMP": encoded("RGB", "BMP"),
    "WebP": encoded("RGB", "WEBP"),
}


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
def test_a_whole_file_is_a_picture_and_a_damaged_one_is_an_answer(data: bytes) -> None:
    assert (probe(data).format, *probe(data)[1:]) == (
        decode(data, dicom=False).format,
        *Image.open(io.BytesIO(data)).size,
    )
    refused = 0
    for one in damaged(data):
        for judge in (probe, lambda one: decode(one, dicom=False)):
            try:
                judge(one)
            except NoPictureError as error:
                refused += "\n" not in str(error)
    assert refused > 10


def test_a_wrong_sum_in_a_png_is_found_without_decoding_it() -> None:
    data = picture_bytes("a")
    assert probe(data) == Probed("PNG", 10, 10)
    for place in range(len(data) - 12):  # whatever stands after the last of the pixels
        with pytest.raises(NoPictureError, match="not a picture that can be opened"):
            probe(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def header_of(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + struct.pack(">I", zlib.crc32(header)) + picture_bytes("a")[33:]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "not a picture", id="empty"),
        pytest.param(header_of(50_000, 1_001), "50000 × 1001 pixels are too many", id="many pixels"),
        pytest.param(header_of(1 << 30, 1 << 30), "not a picture", id="more than Pillow opens"),
        pytest.param(encoded("RGB", "EPS"), "EPS is not decoded here", id="a program"),
        pytest.param(encoded("LAB", "TIFF"), "pixels of the kind LAB", id="unusual colours"),
        pytest.param(png([b"\0\7" * 36] * 11, 12, depth=16, colour=2), "16 bits a channel", id="rounded to one value"),
    ],
)
def test_what_is_not_decoded_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(NoPictureError, match=reason):
        decode(data, dicom=False)


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_sixteen_bits_of_either_byte_order_can_be_compared(mode: str) -> None:
    image = decode(encoded(mode, "TIFF"), dicom=False).image
    assert (image.mode, is_one_value(image)) == ("I", True)


def test_compressed_text_does_not_fill_memory() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * (PngImagePlugin.MAX_TEXT_CHUNK + 1), zip=True)
    with pytest.raises(NoPictureError):
        decode(encoded("L", pnginfo=text), dicom=False)


def test_without_the_extra_dicom_says_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("pydicom", "numpy"):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, missing, None)
            with pytest.raises(NoPictureError, match=r"pip install 'planbalance\[dicom\]'"):
                decode(b"", dicom=True)


def test_warnings_of_decoders_are_silent_and_others_are_not() -> None:
    """Whoever overlaps with another thread does not leave its filters behind."""
    malformed = encoded("L", exif=b"II*\0\x08\0\0\0\1\0\0\1\4\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0")
    before = list(warnings.filters)
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with quiet_decoders:
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with quiet_decoders:
        thread.start()
        assert entered.wait(60)
        with pytest.warns(UserWarning, match="ours"):
            warnings.warn("ours", stacklevel=1)
    probe(malformed)
    with quiet_decoders:
        leave.set()
        thread.join(60)
        warnings.warn_explicit("theirs", UserWarning, "Image.py", 1, module="PIL.Image")
    assert list(warnings.filters) == before
