"""A common PNG is known without asking Pillow, and only where Pillow would say the same."""

import io
from collections.abc import Iterator

import pytest

from planbalance import decode
from planbalance.decode import NoPictureError, Probed, probe
from tests.audit.pictures import png
from tests.builders import picture_bytes

Image = pytest.importorskip("PIL.Image")


def asked(data: bytes) -> Probed | None:
    try:
        return probe(data)
    except NoPictureError:
        return None


def encoded(mode: str, size: tuple[int, int] = (12, 11), **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG", **options)
    return file.getvalue()


def damaged(data: bytes) -> Iterator[bytes]:
    for place in range(len(data)):
        for bit in (1, 128):
            yield data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        yield data[:place]
    yield data + b"behind it"
    yield data + data


@pytest.mark.parametrize("data", [picture_bytes("a"), encoded("L", dpi=(72, 72)), encoded("I;16"), encoded("RGBA")])
def test_damage_to_any_byte_is_judged_as_pillow_does(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert decode._plain_png(data) == asked(data) is not None
    every = list(damaged(data))
    told = list(map(asked, every))
    monkeypatch.setattr(decode, "_plain_png", lambda _: None)
    assert told == list(map(asked, every))
    assert None in told


@pytest.mark.parametrize("data", [b"", encoded("P"), png([b"\0" * 10] * 10, 10), b"GIF"])
def test_what_is_not_a_common_png_is_pillows(data: bytes) -> None:
    assert decode._plain_png(data) is None
