"""Several sources of groups at once: laws of the joining, which hold for any sources in any order."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.errors import UsageError
from planbalance.group_sources import GroupSource, JoinedSources, join_sources, of_sets, parse_sources, without_map

VOLUMES = [f"v{index}" for index in range(8)]
NAMES = ("map", "names", "dicom:PatientID", "h5:patient_id", "identical", "look-alikes")
partitions = st.lists(st.sampled_from("abcd"), min_size=8, max_size=8)
several = st.lists(partitions, min_size=1, max_size=4)


def sources_of(found: list[list[str]]) -> list[GroupSource]:
    return [
        GroupSource(name, {volume: f"{name}-{letter}" for volume, letter in zip(VOLUMES, letters, strict=True)})
        for name, letters in zip(NAMES, found, strict=False)
    ]


def sets_of(joined: JoinedSources) -> set[frozenset[str]]:
    groups: dict[str, set[str]] = {}
    for volume, group in joined.group_of.items():
        groups.setdefault(group, set()).add(volume)
    return set(map(frozenset, groups.values()))


@given(several)
def test_volumes_that_any_source_puts_together_are_in_one_group_and_no_others(found: list[list[str]]) -> None:
    sources = sources_of(found)
    groups = sets_of(join_sources(VOLUMES, sources))
    reached = {volume: {volume} for volume in VOLUMES}
    for _ in VOLUMES:  # spread until nothing changes: another method than the code's
        for one in VOLUMES:
            for other in VOLUMES:
                if any(source.group_of[one] == source.group_of[other] for source in sources):
                    reached[one] |= reached[other]
    assert groups == set(map(frozenset, reached.values()))


@given(several, st.randoms(use_true_random=False))
def test_neither_the_order_of_volumes_nor_that_of_the_other_sources_matters(
    found: list[list[str]], draw: random.Random
) -> None:
    sources = sources_of(found)
    joined = join_sources(VOLUMES, sources)
    volumes, others = draw.sample(VOLUMES, len(VOLUMES)), draw.sample(sources[1:], len(sources) - 1)
    again = join_sources(volumes, [sources[0], *others])
    assert again.group_of == joined.group_of
    assert sorted(again.joins) == sorted(joined.joins)


@given(partitions)
def test_one_source_alone_gives_its_own_groups(found: list[str]) -> None:
    source = sources_of([found])[0]
    joined = join_sources(VOLUMES, [source])
    assert joined.group_of == source.group_of
    assert joined.joins[0].joins == joined.joins[0].alone == len(VOLUMES) - len(set(found))


@given(several)
def test_joins_are_what_a_source_makes_and_what_nobody_else_makes(found: list[list[str]]) -> None:
    sources = sources_of(found)
    joined = join_sources(VOLUMES, sources)
    whole = len(sets_of(joined))
    for source, row in zip(sources, joined.joins, strict=True):
        others = [one for one in sources if one is not source]
        assert row.alone == len(sets_of(join_sources(VOLUMES, others))) - whole
        assert row.joins == len(VOLUMES) - len(set(source.group_of.values()))


def test_sets_are_what_the_first_source_keeps_apart() -> None:
    patients = GroupSource("map", {"a": "p1", "b": "p1", "c": "p2", "d": "p3"})
    pictures = of_sets("look-alikes", [("c", "d"), ("a", "b")])
    joined = join_sources(["a", "b", "c", "d"], [patients, pictures])
    assert joined.joins[1].sets == (("c", "d"),)
    assert joined.group_of == {"a": "p1", "b": "p1", "c": "p2", "d": "p2"}


def test_without_patients_a_group_is_called_as_its_first_volume() -> None:
    joined = join_sources(["c", "b", "a", "d"], [of_sets("look-alikes", [("c", "b"), ("b", "a")])])
    assert joined.group_of == {"a": "a", "b": "a", "c": "a", "d": "d"}
    assert joined.joins[0].sets == (("a", "b", "c"),)


@pytest.mark.parametrize(
    "given_as",
    [
        "look-alikes,map,dicom:PatientID",
        ["dicom:PatientID", "map , look-alikes"],
        ("map", "look-alikes", "dicom:PatientID", "map"),
    ],
)
def test_sources_are_taken_in_a_fixed_order(given_as: str | list[str]) -> None:
    assert parse_sources(given_as) == ("map", "dicom:PatientID", "look-alikes")


@pytest.mark.parametrize("word", ["dicom:PatientName", "h5:", "", "look-alike", "map;names"])
def test_a_word_that_is_no_source_is_refused(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_sources(f"names,{word}")
    assert caught.value.kind == "bad-group-source"


def test_a_map_is_contradicted_by_other_patients_alone() -> None:
    assert without_map(("dicom:PatientID", "look-alikes"))
    assert not without_map(("map", "dicom:PatientID"))
    assert not without_map(("identical", "look-alikes"))
    assert not without_map(())
