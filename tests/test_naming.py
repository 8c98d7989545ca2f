"""File names -> volumes: rules, not plausibility."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.destination import clashing_ids
from planbalance.errors import InputError, UsageError
from planbalance.model import Naming
from planbalance.naming import PATHS_LISTED, Name, compile_pattern, find_naming, format_examples, reader
from tests.builders import mixed_volumes

HASH = "0123456789abcdef0123456789abcdef"


def im_dash(volumes: int, slices: int, step: int = 1) -> list[str]:
    return [f"IM{number}-01-02-{v:05d}.dcm" for v in range(volumes) for number in range(1, slices + 1, step)]


@pytest.mark.parametrize(
    ("volumes", "slices", "step"),
    [(10, 40, 1), (10_000, 3, 1), (120, 10, 1), (30, 200, 17), (1, 1, 1), (3, 1, 1)],
    ids=["10 volumes", "10,000 volumes", "more plausible the wrong way", "full of gaps", "one slice", "one slice each"],
)
def test_the_guides_names_are_im_dash_whatever_their_number(volumes: int, slices: int, step: int) -> None:
    naming = find_naming(im_dash(volumes, slices, step))
    assert naming == Naming("im-dash")
    assert reader(naming)("IM5-01-02-00011.dcm") == Name("01-02-00011", 5, None)
    assert reader(naming)("IM15-01-02-00011.dcm") == Name("01-02-00011", 15, None)


AUTO = [
    ("fastMRI", ["file1000001_17.png", "file1000002_3.png"], "trailing-number", Name("file1000001", 17, None)),
    (
        "slice word",
        ["case_0012_slice_034.png", "case_0013_slice_001.png"],
        "trailing-number",
        Name("case_0012", 34, None),
    ),
    (
        "slice word without a second separator",
        ["vol1_slice3.png", "vol2_SLC04.png"],
        "trailing-number",
        Name("vol1", 3, None),
    ),
    ("word that is part of a longer one", ["carsl_3.png", "carsl_4.png"], "trailing-number", Name("carsl", 3, None)),
    ("side", ["patient7_L_003.jpg", "patient7_R_003.jpg"], "trailing-number", Name("patient7_L", 3, None)),
    ("dot, blank", ["a.b.12.png", "a b 12.png"], "trailing-number", Name("a.b", 12, None)),
    ("several separators", ["a - 12.png", "b - 12.png"], "trailing-number", Name("a", 12, None)),
    ("a folder a volume", ["v1/001.png", "v2/001.png"], "parent-dir", Name("v1", 1, None)),
    ("a folder a volume, slice word", ["v1/slice_034.png", "v2/slice_034.png"], "parent-dir", Name("v1", 34, None)),
    ("a folder a volume, nested", ["s1/v1/i7x.png", "s1/v2/i7x.png"], "parent-dir", Name("s1/v1", 7, None)),
    ("a folder a volume, no number", ["v1/a.png", "v1/b.png"], "parent-dir", Name("v1", None, None)),
    ("both rules agree", ["v1/v1_3.png", "v2/v2_3.png"], "trailing-number", Name("v1", 3, None)),
    ("im-dash exported", [f"IM5-01-02-00011_jpg.rf.{HASH}.jpg"], "im-dash", Name("01-02-00011", 5, None)),
    ("trailing exported", [f"case_12_png.rf.{HASH}.jpg"], "trailing-number", Name("case", 12, None)),
    ("im-dash in sub-folders", ["s/IM5-01.dcm", "t/IM6-01.dcm"], "im-dash", Name("01", 5, None)),
    ("not all im-dash", ["IM5-01-02.dcm", "scan-7.dcm"], "trailing-number", Name("IM5-01", 2, None)),
]


@pytest.mark.parametrize(("paths", "rule", "first"), [case[1:] for case in AUTO], ids=[case[0] for case in AUTO])
def test_auto_finds_the_only_rule(paths: list[str], rule: str, first: Name) -> None:
    naming = find_naming(paths)
    assert naming.rule == rule
    assert reader(naming)(paths[0]) == first


@pytest.mark.parametrize(
    "paths",
    [
        ["v1/scan_1.png", "v2/scan_1.png"],
        ["site/a_1.png", "site/b_1.png"],
        ["v1/a_1.png", "v1/b_1.png", "v2/a_1.png"],
    ],
)
def test_two_partitions_are_refused_with_both_format_examples(paths: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        find_naming(paths)
    error = caught.value
    assert (error.kind, error.exit_code) == ("ambiguous-names", 3)
    for rule in ("trailing-number", "parent-dir"):
        assert f"by {rule}, {format_examples(Naming(rule), paths)[0]}" in error.message
        assert f"--volume-pattern {rule}" in error.hint
        assert find_naming(paths, rule).rule == rule


@pytest.mark.parametrize(
    ("paths", "listed"),
    [
        (["a1.png", "b.png", "c_3.png"], ["a1.png", "b.png"]),
        (["slice_034.png", "slice_035.png"], ["slice_034.png", "slice_035.png"]),
        (["_001.png"], ["_001.png"]),
        (["v1slice3.png"], ["v1slice3.png"]),
        (["case_1a.png"], ["case_1a.png"]),
        (["v/a.png", "b_1.png"], ["v/a.png"]),  # each is read by one rule; trailing-number misses as few as any
    ],
)
def test_names_that_no_rule_reads_are_listed(paths: list[str], listed: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        find_naming(paths)
    assert caught.value.kind == "unmatched-names"
    assert list(caught.value.paths) == listed
    assert listed[0] in caught.value.message
    assert "--volume-pattern" in caught.value.hint


def test_a_long_list_of_unread_names_is_cut() -> None:
    with pytest.raises(InputError, match="2,500") as caught:
        find_naming([f"x{number}y.png" for number in range(2500)])
    assert len(caught.value.paths) == PATHS_LISTED
    assert len(caught.value.message) < 300


def test_a_rule_that_was_asked_for_must_read_every_name() -> None:
    with pytest.raises(InputError, match=r"im-dash does not read 1 of 2 names: other_1\.png") as caught:
        find_naming(["IM1-a.png", "other_1.png"], "im-dash")
    assert caught.value.paths == ("other_1.png",)
    assert find_naming(["IM1-a.png", "IM2-a_1.png"], "im-dash").rule == "im-dash"


def test_a_rule_that_was_asked_for_reads_exported_names() -> None:
    assert reader(find_naming([f"case_12_jpg.rf.{HASH}.jpg"], "trailing-number"))(f"case_12_jpg.rf.{HASH}.jpg") == Name(
        "case", 12, None
    )


def test_no_names_at_all() -> None:
    with pytest.raises(InputError) as caught:
        find_naming([])
    assert caught.value.kind == "no-slices"


EXPORTS = [
    (f"case_12_jpg.rf.{HASH}.jpg", "case"),
    (f"case_12_JPEG.rf.{HASH.upper()}.png", "case"),
    (f"case_12-png.rf.{HASH}.jpg", "case"),
    (f"case_12.rf.{HASH}.jpg", "case"),
    ("case_12_jpg.rf.Abc123XyZ9.jpg", "case"),
    ("case.rf.12.jpg", "case.rf"),  # too short for a hash: a name of its own
    ("case_jpg_12.jpg", "case_jpg"),
]


@pytest.mark.parametrize(("path", "volume"), EXPORTS)
def test_export_suffixes_are_stripped(path: str, volume: str) -> None:
    name = reader(Naming("trailing-number"))(path)
    assert name is not None
    assert (name.volume, name.number) == (volume, 12)


REGEX = [
    ("stem", r"(?P<volume>.+)z(?P<slice>\d+)", "a/knee7z12.png", Name("knee7", 12, None)),
    ("patient", r"(?P<patient>p\d+)_(?P<volume>\w+)_(?P<slice>\d+)", "p7_L_3.png", Name("L", 3, "p7")),
    ("no slice", r"(?P<volume>\w+)", "abc.png", Name("abc", None, None)),
    ("slice not there", r"(?P<volume>[a-z]+)(?:_(?P<slice>\d+))?", "abc.png", Name("abc", None, None)),
    ("path", r"(?P<volume>.+)/x(?P<slice>\d+)", "s/v/x3.png", Name("s/v", 3, None)),
    ("path of a bare file", r"(?:(?P<patient>.+)/)?(?P<volume>.+)", "x3.png", Name("x3", None, None)),
    ("whole stem only", r"(?P<volume>[a-z]+)", "abc1.png", None),
    ("empty volume", r"(?P<volume>[a-z]*)(?P<slice>\d+)", "12.png", None),
    ("slice no number", r"(?P<volume>[a-z]+)_(?P<slice>.+)", "abc_x.png", None),
    ("empty patient", r"(?P<patient>p?)(?P<volume>v)", "v.png", Name("v", None, None)),
    ("export suffix stays", r"(?P<volume>.+)_jpg\.rf\.(?:.+)", "v_jpg.rf.12345678.jpg", Name("v", None, None)),
]


@pytest.mark.parametrize(("pattern", "path", "name"), [case[1:] for case in REGEX], ids=[case[0] for case in REGEX])
def test_a_regular_expression_reads_the_whole_stem_or_path(pattern: str, path: str, name: Name | None) -> None:
    assert reader(Naming("regex", pattern))(path) == name
    if name is not None:
        assert find_naming([path], pattern) == Naming("regex", pattern)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "neither a rule's name nor"),
        (r"(?P<slice>\d+)", "no group named volume"),
        ("imdash", "no group named volume"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_wrong_usage(pattern: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        find_naming(["a_1.png"], pattern)
    assert caught.value.exit_code == 2
    assert "(?P<volume>" in caught.value.hint


def test_a_pattern_of_any_length_is_not_compiled() -> None:
    with pytest.raises(UsageError, match="characters"):
        compile_pattern("(?P<volume>" + "a" * 5000 + ")")


@pytest.mark.parametrize(
    ("path", "requested"),
    [
        ("images_1.png", "auto"),
        ("labels/1.png", "parent-dir"),
        ("a/images/1.png", "parent-dir"),
        ("IM1-..png", "im-dash"),
        ("IM1-...png", "im-dash"),
        ("v/1.png", r"(?P<volume>v/)(?P<slice>\d+)"),
        ("IM1-labels.dcm", "auto"),
    ],
)
def test_ids_that_no_folder_can_have_are_refused(path: str, requested: str) -> None:
    with pytest.raises(InputError) as caught:
        find_naming([path, path], requested)
    assert caught.value.kind == "name-refused"
    assert caught.value.paths == (path, path)


def test_names_are_format_examples() -> None:
    paths = ["IM5-01-02-00011.dcm", "IM15-01-02-00011.dcm", "IM2-01-02-00012.dcm"]
    assert format_examples(Naming("im-dash"), paths) == (
        "IM5-01-02-00011.dcm is slice 5 of volume 01-02-00011",
        "IM2-01-02-00012.dcm is slice 2 of volume 01-02-00012",
    )
    assert format_examples(Naming("im-dash"), paths[:2])[1] == "IM15-01-02-00011.dcm is slice 15 of volume 01-02-00011"
    assert format_examples(Naming("im-dash"), paths[:1]) == ("IM5-01-02-00011.dcm is slice 5 of volume 01-02-00011",)
    assert format_examples(Naming("parent-dir"), ["v/a.png"]) == ("v/a.png is in volume v",)
    assert format_examples(Naming("regex", r"(?P<patient>p)(?P<volume>v)"), ["pv.png"]) == (
        "pv.png is in volume v of patient p",
    )
    assert format_examples(Naming("im-dash"), ["other.png"]) == ()


def test_ids_clash_after_normal_form_and_case_folding() -> None:
    assert clashing_ids(["b", "Knee", "knee", "KNEE", "a", "a"]) == [("KNEE", "Knee", "knee")]
    assert clashing_ids(["caf\u00e9", "cafe\u0301", "x"]) == [("cafe\u0301", "caf\u00e9")]
    assert clashing_ids(["stra\u00dfe", "STRASSE"]) == [("STRASSE", "stra\u00dfe")]
    assert clashing_ids(["image_13", "image_130"]) == []


word = st.text("abcXYZ0189", min_size=1, max_size=6)


@given(volume=st.lists(word, min_size=1, max_size=3).map("-".join), number=st.integers(0, 10**6))
def test_im_dash_is_the_inverse_of_writing_the_name(volume: str, number: int) -> None:
    path = f"IM{number}-{volume}.dcm"
    assert find_naming([path]) == Naming("im-dash")
    assert reader(Naming("im-dash"))(path) == Name(volume, number, None)


@given(
    stem=word.filter(lambda text: not re.search("[0-9]$", text)),
    separator=st.sampled_from("-_. "),
    number=st.integers(0, 10**6),
)
def test_trailing_number_is_the_inverse_of_writing_the_name(stem: str, separator: str, number: int) -> None:
    assert reader(Naming("trailing-number"))(f"{stem}{separator}{number:03d}.png") == Name(stem, number, None)


@given(st.permutations([*im_dash(3, 3), "v_1.png", "v_2.png"]))
def test_the_order_of_names_decides_nothing(paths: list[str]) -> None:
    assert find_naming(paths) == Naming("trailing-number")


@given(st.lists(st.text(max_size=12).map(lambda text: text + ".png"), max_size=8))
def test_any_names_are_read_or_refused(paths: list[str]) -> None:
    try:
        naming = find_naming(paths)
    except InputError:
        return
    assert all(reader(naming)(path) for path in paths)


def test_a_volume_stays_whole_in_the_vocabulary_of_the_tests() -> None:
    volumes = mixed_volumes(3, 5)
    paths = [f"IM{number}-{volume}.png" for volume, letters in volumes.items() for number in range(1, len(letters) + 1)]
    read = reader(find_naming(paths))
    assert {name.volume for path in paths if (name := read(path))} == set(volumes)
