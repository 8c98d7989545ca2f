"""Which labels are wanted: named exactly, or refused with the list of all."""

import pytest

from planbalance.annotations import AnnotationSource, choose_classes
from planbalance.errors import InputError, UsageError
from tests.annotations.raw import read

HEADER = "file,slice,study_level,x,y,width,height,label\n"


def source(*labels: str) -> AnnotationSource:
    return read("fastmri-plus", HEADER + "".join(f"f,0,No,1,1,1,1,{label}\n" for label in labels))


BOTH = [source("Tear", "Tear ", "Cyst"), source("Cyst", "tear")]


def test_without_a_choice_all_labels_are_listed_with_their_counts() -> None:
    with pytest.raises(InputError, match=r"The labels are: 'Cyst' \(2\), 'Tear' \(2\), 'tear' \(1\)\.") as refusal:
        choose_classes(BOTH, [], [])
    assert (refusal.value.kind, refusal.value.exit_code) == ("no-classes", 3)


def test_a_message_lists_no_more_than_200_labels() -> None:
    with pytest.raises(InputError, match=r"'199' \(1\) and 51 more\.") as refusal:
        choose_classes([source(*(f"{one:03d}" for one in range(251)))], [], [])
    assert len(refusal.value.message) < 4000


def test_classes_have_the_order_in_which_they_are_named() -> None:
    assert choose_classes(BOTH, ["Tear ", "Cyst"], []) == (("Tear", "Cyst"), {"Tear": 0, "Cyst": 1})
    mapping = [("tear", "lesion"), ("Cyst", "cyst"), ("Tear", "lesion")]
    assert choose_classes(BOTH, [], mapping) == (("lesion", "cyst"), {"tear": 0, "Cyst": 1, "Tear": 0})
    assert choose_classes(BOTH, ["cyst", "lesion"], mapping).id_of == {"tear": 1, "Cyst": 0, "Tear": 1}


def test_a_class_that_is_a_label_too_keeps_it() -> None:
    assert choose_classes(BOTH, ["Tear", "Cyst"], [("tear", "Tear")]).id_of == {"tear": 0, "Tear": 0, "Cyst": 1}


def test_nothing_is_matched_fuzzily() -> None:
    with pytest.raises(
        InputError, match=r"No annotation has the label 'TEAR'\. Perhaps '[Tt]ear' is meant\."
    ) as refusal:
        choose_classes(BOTH, ["TEAR"], [])
    assert refusal.value.kind == "unknown-label"
    with pytest.raises(InputError, match="'Tears'"):
        choose_classes(BOTH, [], [("Tears", "tear")])


@pytest.mark.parametrize(
    ("classes", "mapping", "message"),
    [
        (["Tear", "Tear"], [], "names 'Tear' twice"),
        (["Tear", ""], [], "names an empty class"),
        ([], [("Tear", "")], "has an empty side"),
        (["Cyst"], [("Tear", "tear")], "--classes does not have it"),
        ([], [("Tear", "a"), ("Tear", "b")], "makes both 'a' and 'b' of 'Tear'"),
    ],
)
def test_contradictions_are_refused(classes: list[str], mapping: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_classes(BOTH, classes, mapping)
