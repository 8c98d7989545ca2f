import pytest

from planbalance.audit.leak_counts import Leak
from planbalance.audit.summary import sentence
from planbalance.model import SPLITS, Check, Problem, Split
from planbalance.text import percent

BOTH: tuple[Split, ...] = ("train", "test")


def check(name: str, ok: bool | None, *problems: Problem) -> Check:
    return Check(name, ok, "", 1, problems)


def clean(*names: str) -> list[Check]:
    return [check(name, ok=True) for name in names]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.1234, "12.3 %"),
        (1.0, "100 %"),
        (0.5, "50 %"),
        (0.99996, "more than 99.9 %"),
        (0.0001, "less than 0.1 %"),
        (0.0, "0 %"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(share: float, text: str) -> None:
    assert percent(share) == text


def test_the_sentence_names_what_leaks_and_what_was_not_checked() -> None:
    checks = [check("volume-overlap", ok=False), check("group-overlap", None), check("near-duplicates", None)]
    leaks = [Leak("volume-overlap", "test", "train", 123, 1000, 4), Leak("volume-overlap", "train", "test", 9, 9000, 4)]
    assert sentence(checks, leaks, BOTH) == (
        "12.3 % of test slices share a volume with train; not checked: patients, look-alikes."
    )


@pytest.mark.parametrize(
    ("checks", "splits", "said"),
    [
        (
            clean("volume-overlap", "duplicate-content"),
            SPLITS,
            "No slice of val or test shares a volume or identical images with train or with each other.",
        ),
        (clean("volume-overlap", "group-overlap"), BOTH, "No slice of test shares a volume or a patient with train."),
        (clean("volume-overlap"), ("val", "test"), "No slice of val or test shares a volume with the other."),
        ([check("volume-overlap", None)], ("train",), "Not checked: volumes."),
        (
            [*clean("volume-overlap"), check("files", False, Problem("missing", "error", "a", ""))],
            BOTH,
            "No slice of test shares a volume with train; 1 error in files.",
        ),
    ],
)
def test_what_is_clean_is_said_of_what_was_checked(checks: list[Check], splits: tuple[Split, ...], said: str) -> None:
    assert sentence(checks, [], splits) == said


def test_every_kind_of_leak_and_every_pair_that_counts() -> None:
    leaks = [
        Leak("volume-overlap", "test", "train", 1, 2, 1),
        Leak("volume-overlap", "test", "val", 1, 4, 1),
        Leak("volume-overlap", "val", "train", 1, 10, 1),
        Leak("group-overlap", "test", "train", 2, 2, 1),
        Leak("duplicate-content", "val", "train", 3, 10, 1),
        Leak("volume-overlap", "train", "/other:test", 1, 100, 1),
    ]
    assert sentence([], leaks, SPLITS) == (
        "50 % of test slices and 10 % of val slices share a volume with train; 25 % of test slices share a volume with "
        "val; 1 % of train slices share a volume with /other:test; 100 % of test slices share a patient with train; "
        "30 % of val slices share identical images with train."
    )
