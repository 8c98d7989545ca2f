"""No pattern, whoever wrote it, searches a name for longer than a moment."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.backtracking import STEPS, longest_text


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        (r"(?P<volume>.+)_(?P<slice>\d+)", 4096),
        (r"IM(?P<slice>\d+)-(?P<volume>.+)", 4096),
        (r"(?P<patient>[^_]+)_(?P<volume>.+)_(?P<slice>\d+)", 255),
        (r"(?P<patient>[^_]+)_(?P<side>[LR]+)_(?P<volume>.+)_(?P<slice>\d+)", 100),
        (r"(?P<volume>[a-z]+(?:_[a-z]+)?)_(?P<slice>\d{3})(?:_jpg\.rf\.[0-9a-z]+)?", 255),
        (r"(?:img|scan)_(?P<volume>\w+)", 4096),
        (r"(?:[A-Z]++-)++(?P<volume>\d+)", 255),
        (r"(?:[A-Z]++-)+(?P<volume>\d+)", 255),
        (r"(?P<volume>(?:[a-z]\d){1,60})", 4096),
        (r"(?P<volume>\w+)-(?P=volume)", 1000),
        (r"(a)?(?(1)b+|c+)", 1000),
        (r"(?=.*x)(?P<volume>(?>.+))", 255),
        (r"(?P<volume>[0-9]{1,5})", 4096),
    ],
)
def test_patterns_that_people_write_read_names_that_people_give(pattern: str, least: int) -> None:
    assert longest_text(pattern) >= least


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+b",
        r"(?:a+)*b",
        r"(a*)*?b",
        r"(a|aa)+b",
        r"(x?){30}y",
        r"(.*a){20}",
        r"(?>(a+)+b)c",
        r"(?=(a+)+b)c",
        r"(?:(a+)+b)++c",
        r"(a+)?(?(1)(b+)+|c)d",
        r".*" * 12,
        "(" * 60 + "a" + "{0,8})" * 60,
        "(?:" * 120 + "a" + "){0,8}" * 120,
    ],
)
def test_patterns_that_can_backtrack_exponentially_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"exponentially|too many ways"):
        longest_text(pattern)


atoms = st.sampled_from(["a", "b", "[ab]", ".", "(?:ab)", "a?", "(?:a|ab)", "(?:a|b)?"])
repeated = st.builds("(?:{}){}".format, atoms, st.sampled_from(["", "*", "+", "*?", "{0,3}", "{2}", "++"]))
patterns = st.lists(repeated | st.builds("(?:{}{})*".format, repeated, repeated), min_size=1, max_size=6).map("".join)


@given(patterns)
def test_what_is_taken_ends_in_time_on_the_worst_text_that_it_gets(pattern: str) -> None:
    """Without the bound, one of a hundred such patterns would not end at all: this test would hang, not fail."""
    try:
        longest = min(longest_text(pattern), 60)
    except ValueError:
        return
    compiled = re.compile(pattern)
    for text in ("a" * longest, "ab" * (longest // 2), "b" * longest):
        compiled.fullmatch(text + "!")


def test_the_bound_is_one() -> None:
    """Three repetitions over the longest text that they get: as many steps as were promised, or fewer."""
    longest = longest_text(".*.*.*x")
    assert math.comb(longest + 3, 3) <= STEPS < math.comb(longest + 20, 3)
    assert re.fullmatch(".*.*.*x", "y" * longest) is None
