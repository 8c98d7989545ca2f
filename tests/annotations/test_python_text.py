"""Python values as text: read by a grammar, never evaluated."""

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.annotations.drafts import UnreadableError
from planbalance.annotations.python_text import parse_python_value

texts = st.text(st.sampled_from("abc xyz'\"é_,:{}[]"), max_size=8)
values: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_python_writes_is_read_again(value: Any) -> None:
    text = repr(value)
    if any(len(part) > 40 for part in text.replace(".", " ").split()):
        return  # numbers such as 1.7e-305 are written out
    assert parse_python_value(text) == ast.literal_eval(text) == value


def test_numbers_of_numpy_tuples_and_json_are_read() -> None:
    text = "{'a': np.float64(1.5), 'b': numpy.int32( -2 ), 'c': (1, [2.5e1,], ), \"d\": null, 'e': true, 'f': {},}"
    assert parse_python_value(text) == {"a": 1.5, "b": -2, "c": [1, [25.0]], "d": None, "e": True, "f": {}}


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "x", "__import__('os')", "1 + 1", "1 2", "[1", "{1: 2}", "{'a': 1, 'a': 2}", "{'a'}", "{'a': }"),
        *("np.float64", "np.float64(1", "np.float64()", "np.load('x')", "np.float64(1, 2)", "f'x'", "b'x'", "'a' 'b'"),
        *("(1 for x in y)", "lambda: 1", "{**{}}", "[*x]", "'\n'", "'\\", "]", "1j", "0x10", "1_000", "...", "é"),
        *("[" * 5000, "{'a':" * 5000, "np.float64(" * 5000, "9" * 5000, "'" + "\\" * 5001),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        parse_python_value(text)
