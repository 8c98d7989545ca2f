"""A Python value written as text, such as `{'x': 1.0, 'y': np.float64(2.5)}`: a small grammar, never evaluated.

A value is a dict, a list, a tuple, a text, a number, None, True or False (also as JSON spells them), nan or inf, or one
of these values in the parentheses of a number type of NumPy.
"""

import re
from typing import Any, Final

from planbalance.annotations.drafts import UnreadableError

_LONGEST: Final = 4_000_000  # letters
_DEEPEST: Final = 20
_TOKEN: Final = re.compile(
    r"\s*(?:"
    r"(?P<mark>[{}\[\](),:])"
    r"|(?P<number>[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?)"
    r"|(?P<text>'(?:[^'\\\n]|\\[^\n])*'|\"(?:[^\"\\\n]|\\[^\n])*\")"
    r"|(?P<type>(?:np|numpy)\.(?:float|int|uint)[0-9]{1,3}|float|int)(?=\s*\()"
    r"|(?P<word>-?[A-Za-z]{1,8})"
    r")",
    re.ASCII,
)
_SPACE: Final = re.compile(r"\s*", re.ASCII)
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("None", "null")),
    **dict.fromkeys(("True", "true"), True),
    **dict.fromkeys(("False", "false"), False),
    **dict.fromkeys(("nan", "NaN"), float("nan")),
    "inf": float("inf"),
    "-inf": float("-inf"),
}


def parse_python_value(text: str) -> Any:  # noqa: ANN401 - a value of JSON
    """Return the value that a text writes: dicts with texts as keys, lists (of tuples too), texts, numbers, None.

    Raises:
        UnreadableError: it is no such text, too long, or nested too deep.
    """
    if len(text) > _LONGEST:
        raise UnreadableError(f"data has more than {_LONGEST:,} letters")
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._kind = self._part = ""
        self._advance()

    def whole(self) -> Any:  # noqa: ANN401 - as above
        value = self._value(1)
        if self._kind != "end":
            raise self._fault()
        return value

    def _advance(self) -> str:
        """Go to the next token, and return the present one."""
        before = self._part
        found = _TOKEN.match(self._text, self._place)
        if found is not None:
            self._kind, self._part, self._place = found.lastgroup or "", found[found.lastgroup or 0], found.end()
        elif (space := _SPACE.match(self._text, self._place)) and space.end() == len(self._text):
            self._kind, self._part = "end", ""
        else:
            self._kind, self._part = "other", ""
        return before

    def _fault(self) -> UnreadableError:
        return UnreadableError(f"data is no Python or JSON value (letter {self._place + 1})")

    def _take(self, mark: str) -> None:
        if self._kind != "mark" or self._part != mark:
            raise self._fault()
        self._advance()

    def _value(self, depth: int) -> Any:  # noqa: ANN401 - as above
        if depth > _DEEPEST:
            raise UnreadableError(f"data is nested more than {_DEEPEST} deep")
        if self._kind == "mark":
            return self._nested(depth)
        if self._kind == "type":
            self._advance()
            self._take("(")
            value = self._value(depth + 1)
            self._take(")")
            return value
        return self._scalar()

    def _nested(self, depth: int) -> Any:  # noqa: ANN401 - as above
        match self._part:
            case "{":
                return self._dict(depth)
            case "[":
                return self._list("]", depth)
            case "(":
                return self._list(")", depth)
        raise self._fault()

    def _scalar(self) -> Any:  # noqa: ANN401 - as above
        kind, token = self._kind, self._part
        if kind == "number":
            self._advance()
            return float(token) if re.search(r"[.eE]", token) else int(token)
        if kind == "text":
            self._advance()
            return re.sub(r"\\(.)", r"\1", token[1:-1])
        if kind == "word" and token in _WORDS:
            self._advance()
            return _WORDS[token]
        raise self._fault()

    def _list(self, end: str, depth: int) -> list[Any]:
        self._advance()
        values: list[Any] = []
        while not (self._kind == "mark" and self._part == end):
            values.append(self._value(depth + 1))
            if not (self._kind == "mark" and self._part == end):
                self._take(",")
        self._take(end)
        return values

    def _dict(self, depth: int) -> dict[str, Any]:
        self._advance()
        values: dict[str, Any] = {}
        while not (self._kind == "mark" and self._part == "}"):
            key = self._scalar()
            if not isinstance(key, str) or key in values:
                raise self._fault()
            self._take(":")
            values[key] = self._value(depth + 1)
            if not (self._kind == "mark" and self._part == "}"):
                self._take(",")
        self._take("}")
        return values
