import hashlib

import pytest

from planbalance.audit.documents import (
    UnreadableDocumentError,
    counted_twice,
    difference,
    json_value,
    listed_paths,
    manifest_sums,
    without_path,
    yaml_value,
)


@pytest.mark.parametrize(
    ("found", "planned", "said"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}, ""),
        ({"a": {"b": 2}}, {"a": {"b": 3}}, "a.b is 2, the plan gives 3"),
        ({}, {"a": 3}, "a is missing"),
        ({"a": 3, "x": 0}, {"a": 3}, "'x' is not in the plan"),
        ({"a": {"x": 0}}, {"a": {}}, "a.'x' is not in the plan"),
        ({"a": [1, 2]}, {"a": [1]}, "a has 2 entries, the plan gives 1"),
        ({"a": [1, 5]}, {"a": [1, 2]}, "a[1] is 5, the plan gives 2"),
        ({"a": "1"}, {"a": 1}, "a is '1', the plan gives 1"),
        ({"a": {}}, {"a": []}, "a is a mapping of 0, the plan gives a list of 0"),
        ({"a": None}, {"a": {}}, "a is None, the plan gives a mapping of 0"),
    ],
)
def test_the_first_difference_is_named(found: object, planned: object, said: str) -> None:
    assert difference(found, planned) == said


def test_a_document_that_grows_when_expanded_is_not_expanded() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    text = difference(yaml_value(bomb.encode()), {"path": "/x", "names": ["tear"]})
    assert text == "path is missing"
    assert difference({"names": yaml_value(bomb.encode())["a59"]}, {"names": {0: "tear"}}) == (
        "names is a list of 3, the plan gives a mapping of 1"
    )


@pytest.mark.parametrize(
    "data", [b"a: [", b"\xff\xfe\xfd", b"- 1\n- 2\n", b"", b"a: !!python/object:os.system {}", b"[" * 100_000]
)
def test_what_is_no_yaml_mapping_is_said(data: bytes) -> None:
    with pytest.raises(UnreadableDocumentError):
        yaml_value(data)


@pytest.mark.parametrize("data", [b"{", b"[1]", b"", b"\xff", b'{"a":' * 5000])
def test_what_is_no_json_object_is_said(data: bytes) -> None:
    with pytest.raises(UnreadableDocumentError):
        json_value(data)


def test_path_is_taken_apart() -> None:
    assert without_path({"path": "/a", "nc": 1}) == ({"nc": 1}, "/a")
    assert without_path({"nc": 1}) == ({"nc": 1}, None)


def test_a_manifest_is_read_as_sha256sum_writes_it() -> None:
    one, two = (hashlib.sha256(text).hexdigest().encode() for text in (b"1", b"2"))
    data = one + b"  images/train/a b.png\n" + two + b" *x\n\\" + one + b"  odd\\\\name\\n\n"
    sums, bad = manifest_sums(data)
    assert sums == {
        "images/train/a b.png": one.decode(),
        "x": two.decode(),
        "odd\\name\n": one.decode(),
    }
    assert bad == []


def test_plain_lines_and_lines_one_by_one_are_read_alike() -> None:
    lines = [
        hashlib.sha256(name).hexdigest().encode() + b"  " + name for name in (b"a", b"b  c", b"\xff\xfe", b" d\x85")
    ]
    sums, bad = manifest_sums(b"\n".join(lines) + b"\n")
    assert (len(sums), bad) == (4, [])
    assert manifest_sums(b"\n".join(lines)) == (sums, [])
    assert manifest_sums(b"") == ({}, [])
    assert manifest_sums(b"\n".join(lines) + b"\nx\n") == (sums, [5])


def test_lines_that_are_none_and_paths_named_again_are_numbered() -> None:
    sum_of = hashlib.sha256(b"1").hexdigest().encode()
    data = sum_of + b"  a\n" + sum_of[1:] + b"  b\n\nG" + sum_of[1:] + b"  c\n" + sum_of + b"  a\n"
    assert manifest_sums(data)[1] == [2, 4, 5]


def test_lists_name_images_one_a_line() -> None:
    paths = list(listed_paths(b"/a/1.png\r\n\n  \n/a/2.png\n/a/1.png"))
    assert paths == ["/a/1.png", "/a/2.png", "/a/1.png"]
    assert counted_twice(paths) == ({"/a/1.png", "/a/2.png"}, ["/a/1.png"])
