"""Whatever an annotation file holds, reading and joining it gives a result that keeps the laws, or one sentence."""

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from planbalance.annotations import (
    AnnotationSource,
    FormatName,
    FormatOptions,
    JoinOptions,
    SourceFile,
    choose_classes,
    join,
    read_annotations,
    review_lines,
)
from planbalance.errors import InputError
from planbalance.import_files import ledger_csv
from planbalance.import_model import RawVolume
from planbalance.labels import read_label
from planbalance.text import text_fault
from tests.annotations import test_coco, test_mdai, test_mdai_frame, test_voc, test_xray_tables
from tests.annotations.raw import each, h5, multi_frame, series
from tests.conftest import Trials

VOLUMES: list[RawVolume] = [
    *each("train/a.jpg", "images/b.jpg", "p1.dcm", "000001_01_02/109.png", size=(200, 100)),
    *(h5("file1", 3), series("knee", ["1.1", "1.2"]), multi_frame("cine", "5.5", 3), series("77", ["9", "8"])),
]
COLUMNS = {"image": "f", "slice": "n", "left": "a", "top": "b", "right": "c", "bottom": "d", "label": "t"}
OPTIONS: dict[FormatName, FormatOptions] = {
    "fastmri-plus": FormatOptions(file_list=SourceFile("list.csv", b"file1\nfile2\nKnee data\n")),
    "mdai": FormatOptions(),
    "mdai-frame": FormatOptions(key=test_mdai_frame.KEY),
    "coco": FormatOptions(),
    "voc": FormatOptions(),
    "rsna": FormatOptions(finding="tear"),
    "retinanet": FormatOptions(),
    "vinbigdata": FormatOptions(),
    "deeplesion": FormatOptions(finding="tear"),
    "boxes-csv": FormatOptions(columns=COLUMNS, box="xyxy", origin=1, slice_base=1),
}
RUNS = {"size": [100, 200], "counts": [5020, 10, 14970]}
TEXTS: dict[FormatName, bytes] = {
    "fastmri-plus": b"file,slice,study_level,x,y,width,height,label\nfile1,0,No,1,2,30,40,tear \nfile1,0,Yes,,,,,c\n",
    "mdai": json.dumps(
        test_mdai.export(
            test_mdai.annotation(), test_mdai.annotation("5.5", frameNumber=1, data={"vertices": [[1, 2], [3, 4]]})
        )
    ).encode(),
    "mdai-frame": test_mdai_frame.rows(f"77,u1,tear,{test_mdai_frame.BOX}", "77,,tear,nan").encode(),
    "coco": json.dumps(
        test_coco.document(test_coco.annotation(), test_coco.annotation(bbox=None, segmentation=RUNS, image_id=7))
    ).encode(),
    "voc": test_voc.xml(test_voc.an_object(), test_voc.an_object("1 1 9 9")),
    "rsna": test_xray_tables.RSNA.encode() + b"p1,1,2,30,40,1\np2,,,,,0\n",
    "retinanet": b"train/a.jpg,1,2,30,40,tear\nimages/b.jpg,,,,,\n",
    "vinbigdata": test_xray_tables.VIN.encode() + b"a,tear,1,R1,1,2,30,40\nb,No finding,14,R2,,,,\n",
    "deeplesion": test_xray_tables.LESION.encode() + b'000001_01_02_109.png,1,109,"1, 2, 30, 40",0,"200, 100"\n',
    "boxes-csv": b"f,n,a,b,c,d,t\nfile1,1,1,2,30,40,tear\nknee,2,1,2,30,40,tear\n",
}
FORMAT_NAMES: tuple[FormatName, ...] = tuple(TEXTS)
NASTY = (
    *(b"", b"\0", b"\xff\xfe", b'"', b"'", b"\r\n", b",", b";", b"nan", b"NaN", b"-inf", b"1e999", b"-0", b"9" * 400),
    *(b"../../etc/passwd", b"/" * 50, b"C:\\x", b"&a;", b"<!DOCTYPE x>", b"<a>" * 40, b"[" * 3000, b"{" * 3000, b"]}"),
    *(b"\xc3\xa9", b"\xed\xa0\x80", b"\x1b[31m", b"null", b"true", b"1e-99", b"0.1", b"2147483648", b"=cmd()", b"u1"),
)


def mutated(draw: random.Random, data: bytes) -> bytes:
    """Change a file in a few places: bytes, nasty texts, and parts that are cut, doubled or moved."""
    for _ in range(draw.randrange(1, 4)):
        start = draw.randrange(len(data) + 1)
        end = min(len(data), start + draw.choice((0, 1, 1, 2, 8, 60)))
        part = draw.choice((draw.choice(NASTY), draw.randbytes(2), data[start:end] * 2, data[end : end + 20]))
        data = data[:start] + part + data[end:]
    return data


def import_it(name: FormatName, data: bytes) -> None:
    """Read, choose and join as an import does; every refusal is one line of text without control characters."""
    try:
        source = read_annotations(name, [SourceFile("a.xml", data)], OPTIONS[name])
        check_source(source)
        labels = [label for label in source.labels if label]
        if not labels:
            return
        classes = choose_classes([source], labels, ())
        result = join(source, VOLUMES, classes, JoinOptions(all_readers=True))
    except InputError as error:
        for text in (error.message, error.hint):
            assert text_fault(text) is None
        return
    assert sum(result.fates.values()) == len(source.annotations)
    for frames in result.frames:
        for outcome in frames:
            assert not read_label(outcome.label.encode(), len(classes.names)).problems
    assert ledger_csv(tuple(map(str, row)) for row in result.ledger).count(b"\n") == len(source.annotations) + 1
    for text in result.warnings:
        assert text_fault(text) is None


def check_source(source: AnnotationSource) -> None:
    for annotation in source.annotations:
        for text in (annotation.where, annotation.label, annotation.reader, annotation.label_group, annotation.reason):
            assert text_fault(text) is None
        for value in annotation.box or ():
            assert abs(value) <= 4e9


@given(st.sampled_from(FORMAT_NAMES), st.integers(0, 2**64))
@settings(max_examples=400)
def test_mutated_files_are_read_or_refused(name: FormatName, drawn: int) -> None:
    import_it(name, mutated(random.Random(drawn), TEXTS[name]))


TABLES: tuple[FormatName, ...] = ("fastmri-plus", "mdai-frame", "rsna", "retinanet", "vinbigdata", "deeplesion")
cells = st.sampled_from(
    ["file1", "77", "u1", "p1", "0", "1", "No", "Yes", "", "nan", "-3.5", "tear", "x y", "a/b", "é"]
)


@given(
    st.sampled_from([*TABLES, "boxes-csv"]), st.lists(st.lists(cells, min_size=1, max_size=9).filter(any), max_size=6)
)
def test_every_row_that_is_not_blank_is_an_annotation(name: FormatName, drawn: list[list[str]]) -> None:
    head = TEXTS[name].decode().splitlines()[0]
    text = "\n".join([head, *map(",".join, drawn), ""])
    source = read_annotations(name, [SourceFile("file", text.encode())], OPTIONS[name])
    assert len(source.annotations) == len(drawn) + (name == "retinanet")
    assert [one.number for one in source.annotations] == list(range(1, len(source.annotations) + 1))


@given(st.sampled_from(FORMAT_NAMES), st.binary(max_size=300))
@settings(max_examples=200)
def test_any_bytes_are_read_or_refused(name: FormatName, data: bytes) -> None:
    import_it(name, data)


@given(st.sampled_from(FORMAT_NAMES), st.sampled_from(FORMAT_NAMES))
def test_a_file_of_another_format_is_refused(name: FormatName, other: FormatName) -> None:
    if name != other:
        with pytest.raises(InputError) as refusal:
            read_annotations(name, [SourceFile("file", TEXTS[other])], OPTIONS[name])
        assert refusal.value.kind == "other-format"
        assert f"--format {other}" in refusal.value.hint or other == "boxes-csv"


values: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["1.1", 0, 7, "L_1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every container of a document with each of its keys."""
    members = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(value, key) for key, _ in members] + [place for _, member in members for place in places(member)]


@given(st.sampled_from(["mdai", "coco"]), st.integers(0, 2**32), values)
@settings(max_examples=400)
def test_any_value_anywhere_in_a_document_is_read_or_refused(name: FormatName, drawn: int, value: object) -> None:
    document = json.loads(TEXTS[name])
    container, key = random.Random(drawn).choice(places(document))
    container[key] = value
    import_it(name, json.dumps(document).encode())


@pytest.mark.parametrize("name", FORMAT_NAMES)
@pytest.mark.parametrize(
    "data",
    [b"[" * 1_000_000, b'{"a":' * 300_000, b"<a>" * 300_000, b'"' * 1_000_001, b"," * 1_000_000, b"a,b\n" * 200_000],
)
def test_large_files_of_nothing_are_refused(name: FormatName, data: bytes) -> None:
    with pytest.raises(InputError):
        read_annotations(name, [SourceFile("file", data)], OPTIONS[name])


def test_a_long_mask_takes_no_memory_of_its_size() -> None:
    runs = {"size": [1_000_000, 1_000_000], "counts": [500_000, 1, 10**12 - 500_001]}
    annotation = test_coco.annotation(bbox=None, segmentation=runs)
    source = read_annotations(
        "coco", [SourceFile("file", json.dumps(test_coco.document(annotation)).encode())], FormatOptions()
    )
    assert source.annotations[0].box == (0, 500_000, 1, 500_001)


@pytest.mark.parametrize("data", [b"", b"\xff", b"#\n", b"\xff\xfe\x00", b"a\0b\n", b"\x1b[31m\n"])
def test_a_list_of_reviewed_names_is_read_or_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        review_lines(data, "list.txt")


TORTURE = 200_000
SHARES = 8


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(SHARES))
def test_200_000_mutated_annotation_files_are_read_or_refused(share: int, trials: Trials) -> None:
    """A share of 200,000 files: hypothesis draws a seed; its database is not used."""
    count = 0

    @seed(trials.seed)
    @settings(max_examples=TORTURE // SHARES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(drawn=st.integers(0, 2**64))
    def one(drawn: int) -> None:
        nonlocal count
        draw = random.Random(drawn)
        name = draw.choice(FORMAT_NAMES)
        import_it(name, mutated(draw, TEXTS[name]))
        count += 1

    one()
    trials.count(count)
