"""How long a regular expression may search a text: patterns come from plan files too, and a plan is not trusted.

Python's matcher tries one way after the other. Repetitions side by side cost as many steps as there are ways to divide
the text among them, a polynomial in its length. A repetition inside a repetition, or a choice inside one, may cost 2 to
the power of the length. Patterns of the second kind are refused; those of the first kind read only short texts.

A repetition of one character that is followed by a character outside its set (`[^_]+_`), or by the end, can end in one
place only, so it adds one pass over the text. Possessive repetitions and atomic groups (`[A-Z]++-`, `(?>...)`, Python
3.11) are never tried again, so they are allowed anywhere.
"""

import math
import re
from collections.abc import Iterable
from typing import Any, Final

STEPS: Final = 30_000_000  # the most steps for one text: about half a second
LONGEST: Final = 4096  # characters; no path of a plan is longer
_FEW: Final = 8  # up to this many repetitions are computed as if they were written out
_MOST_PARTS: Final = 10_000  # a pattern of 1,000 characters has that many only where it multiplies them
_LEAST: Final = 32  # a pattern that cannot be given texts of this length is of no use


_TOO_MANY: Final = "tries too many ways to cut a name"
_Codes = frozenset[int] | None
_END: Final = -1  # after a pattern comes the end of the text: the whole of a name must match


def longest_text(pattern: str) -> int:
    """Return how many characters a text may have that this pattern is to be matched against.

    Raises ValueError with a clause that says why no text is short enough; re.error where the pattern does not compile.
    """
    cost = _Cost()
    cost.of(re._parser.parse(pattern), frozenset((_END,)))  # type: ignore[attr-defined]  # noqa: SLF001 - no public parser is left
    longest = LONGEST
    while cost.steps(longest) > STEPS:
        longest -= max(1, longest // 64)
        if longest < _LEAST:
            raise ValueError(_TOO_MANY)
    return longest


class _Cost:
    """What the parts of a pattern cost together: a factor, and repetitions that share the text between them."""

    def __init__(self) -> None:
        self._factor = 1
        self._repetitions = 0
        self._ended = 0  # repetitions that can end in one place only
        self._parts = 0

    def steps(self, length: int) -> int:
        """Return how many steps a text of this length may cost at most: a bound, not an estimate."""
        ways = self._factor * math.comb(length + self._repetitions, self._repetitions)
        return ways * max(1, self._ended * length)

    def of(self, parts: Iterable[tuple[Any, Any]], after: _Codes = None) -> None:
        """Add what the parts of a pattern cost, one after the other.

        `after` are the characters that may follow them (`_END`: the end of the text), None where they are not known.
        """
        listed = list(parts)
        following = [after] * len(listed)
        for index in range(len(listed) - 1, 0, -1):
            following[index - 1] = _first_codes(*listed[index], following[index])
        for (kind, value), codes in zip(listed, following, strict=True):
            self._parts += 1
            if self._parts > _MOST_PARTS:
                raise ValueError(_TOO_MANY)
            self._one(str(kind), value, codes)

    def _one(self, kind: str, value: Any, after: _Codes) -> None:  # noqa: ANN401 - a node of the parser is one of many tuples
        if kind in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, body = value
            self._repeat(least, int(most), body, after)
        elif kind == "POSSESSIVE_REPEAT":
            if _is_one_character(value[2]):
                self._ended += 1
            else:
                self._repetitions += 1
                self.of(value[2])
        elif kind == "BRANCH":
            self._factor *= len(value[1])
            for choice in value[1]:
                self.of(choice, after)
        elif kind == "GROUPREF_EXISTS":
            for choice in filter(None, value[1:]):
                self.of(choice)
        elif kind == "GROUPREF":  # compares as many characters as the group holds
            self._repetitions += 1
        else:
            for inner in _inside(kind, value):
                self.of(inner, after if kind == "SUBPATTERN" else None)

    def _repeat(self, least: int, most: int, body: Any, after: _Codes) -> None:  # noqa: ANN401 - see `_one`
        if (
            most > least
            and _is_one_character(body)
            and after is not None
            and not any(_may_match(body[0], code) for code in after)
        ):
            self._ended += 1
        elif most <= _FEW:
            self._factor *= most - least + 1
            again = _united((_of_sequence(body, None), after)) if most > 1 else after
            for _ in range(most):
                self.of(body, again)
        elif not _one_way(body):
            raise ValueError("holds a repetition or a choice inside a repetition, which can backtrack exponentially")
        else:
            self._repetitions += most > least
            self.of(body)


def _is_one_character(body: Any) -> bool:  # noqa: ANN401 - see `_Cost`
    """Return whether what is repeated is one character of a set."""
    return len(body) == 1 and str(body[0][0]) in ("LITERAL", "NOT_LITERAL", "IN")


def _first_codes(kind: object, value: Any, after: _Codes) -> _Codes:  # noqa: ANN401 - see `_Cost`
    """Return the codes of the characters that a part may begin with, those behind it where it may be empty."""
    name = str(kind)
    if name == "LITERAL":
        return frozenset((value,))
    if name == "SUBPATTERN":
        return _of_sequence(value[-1], after)
    if name == "BRANCH":
        return _united(_of_sequence(choice, after) for choice in value[1])
    if name in ("MAX_REPEAT", "MIN_REPEAT"):
        least, _, body = value
        first = _of_sequence(body, None)
        return first if least else _united((first, after))
    return None


def _of_sequence(parts: Any, after: _Codes) -> _Codes:  # noqa: ANN401 - see `_Cost`
    for kind, value in reversed(list(parts)):
        after = _first_codes(kind, value, after)
    return after


def _united(several: Iterable[_Codes]) -> _Codes:
    found: frozenset[int] = frozenset()
    for codes in several:
        if codes is None:
            return None
        found |= codes
    return found


def _may_match(node: tuple[Any, Any], code: int) -> bool:
    """Return whether a character (or the other letter of its pair) may belong to the set that is repeated."""
    if code == _END:
        return False
    letter = chr(code)
    return any(_holds(node, ord(each)) for each in {letter, *letter.lower(), *letter.upper()})


def _holds(node: tuple[Any, Any], code: int) -> bool:
    kind, value = str(node[0]), node[1]
    if kind == "LITERAL":
        return bool(code == value)
    if kind == "NOT_LITERAL":
        return bool(code != value)
    negated = bool(value) and str(value[0][0]) == "NEGATE"
    return any(_is_in(str(each), what, code) for each, what in value[negated:]) != negated


def _is_in(kind: str, value: Any, code: int) -> bool:  # noqa: ANN401 - see `_Cost`
    if kind == "RANGE":
        return bool(value[0] <= code <= value[1])
    if kind == "LITERAL":
        return bool(value == code)
    letter = chr(code)
    digit, word = letter.isdecimal(), letter.isalnum() or letter == "_"
    known = {"CATEGORY_DIGIT": digit, "CATEGORY_NOT_DIGIT": not digit, "CATEGORY_WORD": word}
    return known.get(str(value), True) if kind == "CATEGORY" else True


def _inside(kind: str, value: Any) -> list[Any]:  # noqa: ANN401 - see `_Cost`
    """Return the parts that a part consists of: of a group, or of what is looked at ahead."""
    if kind == "SUBPATTERN":
        return [value[-1]]
    if kind == "ATOMIC_GROUP":
        return [value]
    return [value[1]] if kind in ("ASSERT", "ASSERT_NOT") else []


_PLAIN: Final = frozenset(("LITERAL", "NOT_LITERAL", "ANY", "IN", "CATEGORY", "AT"))
_NEVER_AGAIN: Final = frozenset(("POSSESSIVE_REPEAT", "ATOMIC_GROUP"))


def _one_way(parts: Iterable[tuple[Any, Any]]) -> bool:
    """Return whether there is one way only in which the parts match from a place in a text."""
    for kind, value in ((str(kind), value) for kind, value in parts):
        if kind in _PLAIN or kind in _NEVER_AGAIN:
            continue
        if kind in ("MAX_REPEAT", "MIN_REPEAT") and value[0] == value[1]:
            if _one_way(value[2]):
                continue
        elif kind == "SUBPATTERN" and _one_way(value[-1]):
            continue
        return False
    return True
