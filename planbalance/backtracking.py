"""How long a regular expression may search a text: patterns come from plan files too, and a plan is not trusted.

Python's matcher tries one way after the other. Repetitions beside each other cost as many steps as there are ways to
cut the text at them, a polynomial in its length; a repetition inside a repetition, or a choice inside one, may cost 2
to the power of the length. The second kind is refused, the first gets texts short enough.

Possessive repetitions and atomic groups (`[A-Z]++-`, `(?>...)`, Python 3.11) never try again and may stand anywhere.
"""

import math
import re
from collections.abc import Iterable
from typing import Any, Final

STEPS: Final = 30_000_000  # at most so many for one text: about half a second
LONGEST: Final = 4096  # characters; no path of a plan is longer
_FEW: Final = 8  # so many times what is repeated is looked at as if it were written out
_MOST_PARTS: Final = 10_000  # a pattern of 1,000 characters has that many only where it multiplies them
_LEAST: Final = 32  # a pattern that cannot be given texts of this length is of no use


_TOO_MANY: Final = "tries too many ways to cut a name"


def longest_text(pattern: str) -> int:
    """Return how many characters a text may have that this pattern is to be matched against.

    Raises ValueError with a clause that says why no text is short enough; re.error where the pattern does not compile.
    """
    cost = _Cost()
    cost.of(re._parser.parse(pattern))  # type: ignore[attr-defined]  # noqa: SLF001 - no public parser is left
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
        self._parts = 0

    def steps(self, length: int) -> int:
        """Return how many steps a text of this length may cost at most: a bound, not an estimate."""
        return self._factor * math.comb(length + self._repetitions, self._repetitions)

    def of(self, parts: Iterable[tuple[Any, Any]]) -> None:
        """Add what the parts of a pattern cost, one after the other."""
        for kind, value in parts:
            self._parts += 1
            if self._parts > _MOST_PARTS:
                raise ValueError(_TOO_MANY)
            self._one(str(kind), value)

    def _one(self, kind: str, value: Any) -> None:  # noqa: ANN401 - a node of the parser is one of many tuples
        if kind in ("MAX_REPEAT", "MIN_REPEAT"):
            self._repeat(*value)
        elif kind == "POSSESSIVE_REPEAT":
            self._repetitions += 1
            self.of(value[2])
        elif kind == "BRANCH":
            self._factor *= len(value[1])
            for choice in value[1]:
                self.of(choice)
        elif kind == "GROUPREF_EXISTS":
            for choice in filter(None, value[1:]):
                self.of(choice)
        elif kind == "GROUPREF":  # compares as many characters as the group holds
            self._repetitions += 1
        else:
            for inner in _inside(kind, value):
                self.of(inner)

    def _repeat(self, least: int, most: Any, body: Any) -> None:  # noqa: ANN401 - see `_one`
        most = int(most)
        if most <= _FEW:
            self._factor *= most - least + 1
            for _ in range(most):
                self.of(body)
        elif not _one_way(body):
            raise ValueError("holds a repetition or a choice inside a repetition, which may search for years")
        else:
            self._repetitions += most > least
            self.of(body)


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
