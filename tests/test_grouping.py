"""Which volumes belong together."""

import hashlib
import hmac

import pytest
from hypothesis import strategies as st

from planbalance.errors import InputError
from planbalance.grouping import (
    csv_text,
    join_groups,
    joined_by_content,
    keyed_group,
    look_like_one_patient,
    parse_group_map,
    parse_split_map,
    require_known,
)

VOLUMES = st.sampled_from("abcdefghij")


@pytest.mark.parametrize(
    "text",
    [
        "volume,group\nv1,p1\nv2,p1\n",
        "volume,group\r\nv1,p1\r\nv2,p1\r\n",
        "\ufeffvolume,group\nv1,p1\nv2,p1",
        "volume;group\nv1;p1\nv2;p1\n",
        "volume\tgroup\nv1\tp1\nv2\tp1\n",
        ' volume , group \n\n v1 , p1\n"v2",p1\n\n',
        "group,site,volume\np1,,v1\np1,x,v2\n",
        "volume,group\nv1,p1\nv2,p1\nv1,p1\n",
    ],
)
def test_the_same_map_in_the_spellings_of_many_programs(text: str) -> None:
    assert parse_group_map(text).group_of == {"v1": "p1", "v2": "p1"}


def test_columns_are_chosen_by_name() -> None:
    text = "scan,patient,site,sex\ns1,p1,north,f\ns2,p2,south,m\n"
    group_map = parse_group_map(
        text, volume_column="scan", group_column="patient", columns=("site", "sex"), name="g.csv"
    )
    assert group_map.group_of == {"s1": "p1", "s2": "p2"}
    assert group_map.traits == {"site": {"s1": "north", "s2": "south"}, "sex": {"s1": "f", "s2": "m"}}
    assert (group_map.source, group_map.name) == ("map", "g.csv")


def test_the_volume_column_may_be_the_group_column() -> None:
    group_map = parse_group_map("volume,site\nv1,n\nv2,s\n", group_column="volume", columns=("site",))
    assert group_map.group_of == {"v1": "v1", "v2": "v2"}


@pytest.mark.parametrize(
    ("text", "sentence", "paths"),
    [
        ("", "g.csv is empty.", ("g.csv",)),
        ("\n\n", "g.csv is empty.", ("g.csv",)),
        ("id,group\nv1,p1\n", "g.csv has no column 'volume'; its columns are id, group.", ("g.csv",)),
        ("volume,group,group\nv1,p1,p2\n", "g.csv has more than one column 'group'; its columns are", ("g.csv",)),
        ("volume,group\nv1,\nv2,p2\n,p3\nv4\n", "g.csv has 3 empty values: row 2: group,", None),
        ("volume,group\nv1,p1\nv1,p2\nv2,p1\nv2,p3\n", "g.csv gives 2 volumes two values: v1: groups p1 and p2,", None),
        ('volume,group\n"v1,p1\n', "g.csv is not CSV text", ("g.csv",)),
    ],
)
def test_a_bad_map_is_one_sentence(text: str, sentence: str, paths: tuple[str, ...] | None) -> None:
    with pytest.raises(InputError) as caught:
        parse_group_map(text, name="g.csv")
    assert caught.value.message.startswith(sentence)
    assert caught.value.kind == "bad-map"
    if paths is not None:
        assert caught.value.paths == paths


def test_every_empty_value_is_listed() -> None:
    with pytest.raises(InputError) as caught:
        parse_group_map("volume,group\nv1,\nv2,p2\n,p3\nv4\n")
    assert caught.value.paths == ("row 2: group", "row 4: volume", "row 5: group")


def test_a_column_that_gives_one_volume_two_values_is_refused() -> None:
    with pytest.raises(InputError, match="v1: site n and s"):
        parse_group_map("volume,group,site\nv1,p,n\nv1,p,s\n", columns=("site",))


def test_a_split_map_without_its_column_is_told_how_it_begins() -> None:
    with pytest.raises(InputError, match="has no column 'split'") as caught:
        parse_split_map("volume,group\na,p1\n")
    assert "begins with the line `volume,split`" in str(caught.value.hint)


def test_a_split_map() -> None:
    assert parse_split_map("volume,split\na,train\nb,Valid\nc,TEST\na,Training\n") == {
        "a": "train",
        "b": "val",
        "c": "test",
    }


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("volume,split\na,dev\nb,test\n", ("a: dev",)),
        ("volume,split\na,test\na,train\nb,x\n", ("a: test and train", "b: x")),
    ],
)
def test_a_bad_split_map_lists_its_volumes(text: str, paths: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        parse_split_map(text)
    assert caught.value.paths == paths


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_bytes_of_spreadsheets_are_read(encoding: str) -> None:
    assert parse_group_map(csv_text("volume,group\nväl,p\n".encode(encoding), "m")).group_of == {"väl": "p"}


def test_csv_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InputError, match=r"m\.csv is not UTF-8 text \(byte 3\)"):
        csv_text("abc\xff".encode("latin-1"), "m.csv")


def test_volumes_unknown_to_the_map_are_all_listed() -> None:
    group_map = parse_group_map("volume,group\nv1,p1\n", name="g.csv")
    require_known(["v1", "v1"], group_map)
    with pytest.raises(InputError) as caught:
        require_known(["v9", "v1", "v10", "v9"], group_map)
    assert caught.value.kind == "unknown-volumes"
    assert caught.value.paths == ("v10", "v9")
    assert caught.value.message == "g.csv does not know 2 volumes: v10, v9."


def test_a_keyed_group_is_hmac_sha256_and_needs_its_key() -> None:
    assert keyed_group("P-17", b"k") == hmac.digest(b"k", b"P-17", hashlib.sha256).hex()[:32]
    assert keyed_group("P-17 ", b"k") == keyed_group("P-17", b"k")
    assert len({keyed_group("P-17", b"k"), keyed_group("P-18", b"k"), keyed_group("P-17", b"l")}) == 3


def test_volumes_that_share_content_are_joined_through_others() -> None:
    contents = [("a", "1"), ("b", "2"), ("c", "1"), ("c", "2"), ("d", "3"), ("d", "3"), ("e", "4"), ("f", "4")]
    assert joined_by_content(contents) == [("a", "b", "c"), ("e", "f")]


def test_joining_by_content_joins_whole_groups_of_the_map() -> None:
    group_of = {"a": "p1", "b": "p1", "c": "p2", "d": "p3"}
    assert join_groups(group_of, [("b", "c")]) == {"a": "p1", "b": "p1", "c": "p1", "d": "p3"}


@pytest.mark.parametrize(
    ("ids", "alike"),
    [
        (["0998a", "0998b", "0999a"], [("0998a", "0998b")]),
        (["patient7_L", "patient7_R", "patient8_L"], [("patient7_L", "patient7_R")]),
        (["p7-left-sag", "p7-right-sag", "p7-left-cor"], [("p7-left-sag", "p7-right-sag")]),
        (["12L", "12R"], [("12L", "12R")]),
        (["01-02-00011", "01-02-00012"], []),
        (["image_13", "image_130"], []),
        (["L", "R"], []),
        (["knee_1", "knee_2"], []),
        (["caseA", "caseB"], []),
    ],
)
def test_ids_that_look_like_one_patient(ids: list[str], alike: list[tuple[str, ...]]) -> None:
    assert look_like_one_patient(reversed(ids)) == alike
