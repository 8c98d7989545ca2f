import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.errors import PlanError
from planbalance.model import PlannedVolume
from planbalance.render.strips import KeptSlice, Strip, runs_of, strip_of
from planbalance.runlength import encode, gaps


def planned(letters: str, first: int = 1) -> tuple[PlannedVolume, list[KeptSlice]]:
    """A volume from a word: `p` positive, `k` kept, `d` dropped, `m` missing."""
    numbers = {state: [first + i for i, letter in enumerate(letters) if letter == state] for state in "pkdm"}
    kept = [KeptSlice(n, positive=True) for n in numbers["p"]] + [KeptSlice(n, positive=False) for n in numbers["k"]]
    there = [*numbers["p"], *numbers["k"], *numbers["d"]]
    counts = (len(there), len(numbers["p"]), len(kept))
    return PlannedVolume("v", "v", "train", *counts, encode(numbers["d"]), gaps(there)), kept


def written_out(strip: Strip) -> str:
    return "".join(state * int(count or 1) for count, state in re.findall(r"(\d*)([pkdm])", strip.runs))


@pytest.mark.parametrize(
    ("letters", "runs"),
    [
        pytest.param("kkkpp", "3k2p", id="nothing dropped"),
        pytest.param("kdddpkd", "k3dpkd", id="undersampled"),
        pytest.param("kmmmmk", "k4mk", id="a gap"),
        pytest.param("dmd", "dmd", id="nothing kept"),
        pytest.param("p", "p", id="one slice"),
    ],
)
def test_a_strip_is_the_volume_in_slice_order(letters: str, runs: str) -> None:
    volume, kept = planned(letters, first=7)
    assert strip_of(volume, reversed(kept)) == Strip(7, runs)


@given(st.text("pkdm", min_size=1, max_size=60).filter(lambda word: word[0] != "m" and word[-1] != "m"))
def test_law_every_slice_is_in_the_strip_once(letters: str) -> None:
    volume, kept = planned(letters)
    assert written_out(strip_of(volume, kept)) == letters


def test_slices_without_a_number_stand_in_front_and_give_no_positions() -> None:
    volume = PlannedVolume("v", "v", "train", 4, 1, 2, "", "")
    strip = strip_of(volume, [KeptSlice(None, positive=True), KeptSlice(None, positive=False)])
    assert strip.first is None
    assert sorted(written_out(strip)) == ["d", "d", "k", "p"]


def test_a_number_that_two_slices_share_gives_no_positions() -> None:
    volume = PlannedVolume("v", "v", "train", 3, 2, 2, "5", "")
    strip = strip_of(volume, [KeptSlice(5, positive=True), KeptSlice(6, positive=True)])
    assert strip.first is None
    assert sorted(written_out(strip)) == ["d", "p", "p"]


def test_a_number_beyond_what_a_browser_counts_gives_no_positions() -> None:
    volume = PlannedVolume("v", "v", "train", 1, 0, 1, "", "")
    assert strip_of(volume, [KeptSlice(2**53, positive=False)]).first is None


@pytest.mark.parametrize("dropped", ["1-2", "0-" + "9" * 200], ids=["one too many", "absurdly many"])
def test_a_volume_that_drops_more_than_it_has_is_refused(dropped: str) -> None:
    volume = PlannedVolume("v", "v", "train", 1, 0, 0, dropped, "")
    with pytest.raises(PlanError, match="drops more slices than it has"):
        strip_of(volume, [])


@given(st.sets(st.integers(0, 200)))
def test_law_runs_hold_what_was_encoded(numbers: set[int]) -> None:
    text = encode(numbers)
    assert {n for first, last in runs_of(text) for n in range(first, last + 1)} == numbers
