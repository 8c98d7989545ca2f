"""Pairs of volumes that look alike: what is joined, and the CSV that a person fills."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.errors import InputError
from planbalance.look_alikes import (
    COLUMNS,
    FoundPairs,
    PlannedPair,
    Undecoded,
    VolumePair,
    answers_of,
    csv_of,
    decide,
    edited_csv,
    pairs_document,
    parse_answers,
    planned_pairs,
    refuse_undecoded,
)

CERTAIN = VolumePair("a", "b", 9, 10, 12, 0.98)
POSSIBLE = VolumePair("b", "c", 5, 10, 12, 0.80)
FAR = VolumePair("c", "d", 1, 10, 12, 0.80)
FOUND = FoundPairs((CERTAIN, POSSIBLE, FAR), (), ())
HEAD = ",".join(COLUMNS) + "\n"


def planned(answers: dict[tuple[str, str], bool]) -> list[PlannedPair]:
    return planned_pairs({"groups": {"look_alikes": pairs_document(decide(FOUND, answers).pairs)}})


def test_certain_pairs_are_joined_and_possible_ones_are_shown() -> None:
    found = decide(FOUND, {})
    assert [(one.pair, one.joined) for one in found.pairs] == [(CERTAIN, True), (POSSIBLE, False)]
    assert found.joined == [("a", "b")]


def test_a_person_decides_over_what_was_found() -> None:
    found = decide(FOUND, {("a", "b"): False, ("b", "c"): True, ("a", "z"): True})
    assert found.joined == [("a", "z"), ("b", "c")]
    assert [one.answer for one in found.pairs] == [False, True, True]


@pytest.mark.parametrize(
    ("alike", "slices", "likeness", "certain", "possible"),
    [
        (6, (10, 40), 0.86, True, True),
        (5, (10, 40), 0.99, False, True),  # half of the smaller volume
        (6, (10, 40), 0.85, False, True),
        (2, (2, 9), 0.95, True, True),  # too few slices for less than nearly equal ones
        (2, (2, 9), 0.94, False, True),
        (1, (1, 1), 0.95, True, True),
        (1, (1, 1), 0.80, False, True),
        (1, (4, 9), 0.99, False, False),
        (3, (10, 40), 0.90, False, True),  # a small part of both, and much alike
        (3, (10, 40), 0.80, False, False),
        (0, (0, 5), 0.0, False, False),
    ],
)
def test_limits(alike: int, slices: tuple[int, int], likeness: float, certain: bool, possible: bool) -> None:
    pair = VolumePair("a", "b", alike, *slices, likeness)
    assert (pair.is_certain, pair.is_possible) == (certain, possible)


def test_the_csv_is_read_back_as_it_was_filled() -> None:
    text = csv_of(planned({}))
    assert text == f"{HEAD}a,b,9,10,12,0.98,yes,\nb,c,5,10,12,0.80,no,\n"
    filled = text.replace("yes,\n", "yes,NO \n").replace("no,\n", "no,yes\n")
    answers = parse_answers(filled, "abcd", "pairs.csv")
    assert answers == {("a", "b"): False, ("b", "c"): True}
    assert answers_of(planned(answers)) == answers


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1).map(str.strip)
ids = words.filter(bool)


rows = st.tuples(ids, ids, st.booleans()).filter(lambda row: row[0] != row[1])


@given(st.lists(rows, unique_by=lambda row: tuple(sorted(row[:2]))))
def test_any_ids_survive_the_csv(found: list[tuple[str, str, bool]]) -> None:
    pairs = [PlannedPair(left, right, 1, (1, 1), "1.00", answer, answer, ()) for left, right, answer in found]
    volumes = {volume for row in found for volume in row[:2]}
    assert parse_answers(csv_of(pairs), volumes, "pairs.csv") == answers_of(pairs)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,zz,1,1,1,1,no,yes\n", "line 2: there is no volume 'zz'"),
        ("a,b,1,1,1,1,no,\na,c,1,1,1,1,no,maybe\n", "line 3: same_patient is 'maybe'"),
        ("a,b,1,1,1,1,no,yes\nb,a,1,1,1,1,no,no\n", "line 3: 'b' and 'a' have yes and no"),
        ("\na,a,1,1,1,1,no,yes\n", "line 3: 'a' twice"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(rows: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_answers(HEAD + rows, "abc", "pairs.csv")
    assert caught.value.exit_code == 3
    assert said in caught.value.message
    assert "pairs.csv" in caught.value.message


def test_further_columns_and_other_separators_are_no_fault() -> None:
    assert parse_answers("same_patient;note;volume_b;volume_a\nyes;x;a;b\n", "ab", "f") == {("a", "b"): True}
    with pytest.raises(InputError, match="has no column 'same_patient'"):
        parse_answers("volume_a,volume_b\na,b\n", "ab", "f")
    with pytest.raises(InputError, match="has more than one column 'volume_a'"):
        parse_answers("volume_a,volume_b,volume_a,same_patient\na,b,c,yes\n", "abc", "f")


def test_what_a_person_has_written_is_noticed() -> None:
    text, pairs = csv_of(planned({})), planned({})
    assert edited_csv(text, pairs) == (False, True, False)
    filled = text.replace("0.80,no,", "0.80,no,yes")
    assert edited_csv(filled, pairs) == (True, True, True)
    assert edited_csv(filled, planned({("b", "c"): True})) == (True, True, False)
    assert edited_csv(text.replace("b,c,5,10,12,0.80,no,\n", ""), pairs) == (False, False, False)
    assert edited_csv("volume_a,volume_b,same_patient,note\n", pairs).edited
    assert edited_csv("anything", pairs).edited


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [1],
        [{"volumes": ["a"]}],
        [{**pairs_document(decide(FOUND, {}).pairs)[0], "likeness": 1}],
        [{"joined": 1}],
    ],
)
def test_what_is_no_pair_in_a_plan_is_left_out(document: object) -> None:
    assert planned_pairs({"groups": {"look_alikes": document}}) == []
    assert planned_pairs({"groups": document}) == []


def test_pictures_that_were_not_compared_are_named() -> None:
    found = FoundPairs((), (Undecoded("/in/x.png", "not a picture"),), ("v7",))
    said = decide(found, {}).warnings
    assert said[0] == "1 picture could not be compared with others: /in/x.png (not a picture)."
    assert "1 volume NOT CHECKED for look-alikes" in said[1]
    assert "v7" in said[1]
    refuse_undecoded(found, 2)
    with pytest.raises(InputError, match="No picture could be decoded"):
        refuse_undecoded(found, 1)
