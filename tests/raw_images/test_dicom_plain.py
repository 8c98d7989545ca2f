"""The walk through headers of plain DICOM files, against pydicom."""

import io
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from planbalance.raw_images.dicom_elements import read_dataset, text_of, whole_of
from planbalance.raw_images.dicom_plain import plain_elements
from tests.raw_images.sources import dataset, items

WANTED = ("Rows", "Columns", "PatientID", "WindowCenter", "InstanceNumber", "RescaleSlope", "StudyID", "LUTData")
TAGS = frozenset(tag_for_keyword(keyword) or 0 for keyword in WANTED)
WORDS = st.text("abcdefgh 0123456789", max_size=16)


def stored(content: Dataset) -> bytes:
    file = io.BytesIO()
    content.save_as(file, enforce_file_format=True)
    return file.getvalue()


def nested(draw: Any, depth: int) -> Any:
    """Return a sequence of up to three items, which may hold further sequences."""
    contents = []
    for _ in range(draw(st.integers(0, 3))):
        content: dict[str, Any] = {"PatientID": draw(WORDS), "Rows": draw(st.integers(0, 9))}
        if depth:
            content["ReferencedImageSequence"] = nested(draw, depth - 1)
        contents.append(content)
    made = items(*contents)
    for item in made:
        item.is_undefined_length_sequence_item = draw(st.booleans())
        for element in item:
            element.is_undefined_length = element.VR == "SQ" and draw(st.booleans())
    return made


@st.composite
def headers(draw: Any) -> Dataset:
    syntax = draw(st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian]))
    content = dataset(np.zeros((draw(st.integers(1, 3)), 2), "u2"), syntax=syntax)
    for keyword, values in (
        ("PatientID", WORDS),
        ("StudyID", WORDS),
        ("InstanceNumber", st.integers(-5, 5)),
        ("WindowCenter", st.lists(st.integers(-99, 99), max_size=3)),
        ("RescaleSlope", st.floats(-9, 9).map(lambda number: round(number, 3))),
        ("ImageComments", st.text("xyz", max_size=90)),
    ):
        if draw(st.booleans()):
            setattr(content, keyword, draw(values))
    if draw(st.booleans()):
        content.ReferencedImageSequence = nested(draw, 2)
        content["ReferencedImageSequence"].is_undefined_length = draw(st.booleans())
    if draw(st.booleans()):
        block = content.private_block(0x0019, "TESTS", create=True)
        block.add_new(1, draw(st.sampled_from(["OB", "UN", "OW"])), b"\0\1" * draw(st.integers(0, 9)))
    return content


@given(headers())
def test_elements_are_those_that_pydicom_reads(content: Dataset) -> None:
    data = stored(content)
    found = plain_elements(io.BytesIO(data), TAGS, frozenset())
    assert found is not None
    wanted = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    assert {tag: value or None for tag, value in found.found.items()} == {
        tag: wanted.get_item(tag).value or None for tag in TAGS if tag in wanted
    }
    assert data[found.end : found.end + 4] == b"\xe0\x7f\x10\x00"


@given(headers(), st.data())
def test_a_damaged_header_raises_nothing(content: Dataset, draws: st.DataObject) -> None:
    data = bytearray(stored(content))
    for _ in range(draws.draw(st.integers(1, 6))):
        data[draws.draw(st.integers(128, len(data) - 1))] = draws.draw(st.integers(0, 255))
    end = draws.draw(st.integers(0, len(data)))
    for damaged in (bytes(data), bytes(data[:end])):
        found = plain_elements(io.BytesIO(damaged), TAGS, frozenset())
        assert found is None or 132 < found.end <= len(damaged)


def test_what_is_not_plain_is_left_to_pydicom() -> None:
    content = dataset(np.zeros((2, 2), "u2"), PatientID="x")
    content.ModalityLUTSequence = items({"LUTDescriptor": [1, 0, 16]})
    content.ModalityLUTSequence[0]["LUTDescriptor"].VR = "US"
    data = stored(content)
    assert plain_elements(io.BytesIO(data), TAGS, frozenset()) is not None
    assert plain_elements(io.BytesIO(data), TAGS, frozenset({0x00283000})) is None
    assert plain_elements(io.BytesIO(data[132:]), TAGS, frozenset()) is None
    assert (
        plain_elements(io.BytesIO(data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0")), TAGS, frozenset())
        is None
    )
    deflated = dataset(np.zeros((2, 2), "u2"), syntax=DeflatedExplicitVRLittleEndian)
    assert plain_elements(io.BytesIO(stored(deflated)), TAGS, frozenset()) is None


@pytest.mark.parametrize("name", ["MÜLLER", "Müller", "山田"])
def test_letters_of_a_character_set_are_read_by_pydicom(name: str) -> None:
    content = dataset(np.zeros((2, 2), "u2"), SpecificCharacterSet="ISO_IR 192", PatientID=name)
    read = read_dataset(io.BytesIO(stored(content)), ("PatientID", "Rows"))
    assert str(read.get("PatientID")) == name
    assert whole_of(read, "Rows") == 2


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_values_may_be_empty(syntax: str) -> None:
    content = dataset(np.zeros((2, 2), "u2"), syntax=syntax, PatientID="", WindowCenter=None, StudyID=" a ")
    read = read_dataset(io.BytesIO(stored(content)), WANTED)
    assert (text_of(read, "PatientID"), text_of(read, "StudyID"), text_of(read, "WindowCenter")) == ("", "a", "")
    assert whole_of(read, "LUTData", 7) == 7
