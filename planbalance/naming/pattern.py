"""Where the parts of names stand -> the regular expression that reads them so, which a plan stores and a user edits."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from planbalance.naming.fields import has_digit
from planbalance.naming.search import Layout, Span

_MOST_SHAPES: Final = 8  # a part with more forms than that is matched by any text
_MOST_WORDS: Final = 8  # the most words that a pattern lists
_UUID: Final = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_TOKEN: Final = re.compile(rf"{_UUID}(?![0-9A-Za-z])|[0-9A-Za-z]+|[^0-9A-Za-z]", re.DOTALL)
_LETTERS_AND_NUMBER: Final = re.compile(r"([A-Za-z]+)[0-9]+\Z")


def pattern_of(layouts: Sequence[Layout]) -> str:
    """Return a regular expression with the groups `volume` and, where there are any, `patient` and `slice`.

    It is made for these names, not checked: the caller reads them with it and compares. It matches the path below the
    image folder where it holds `/`, else the file name, without the suffix.
    """
    on_path = any("/" in one.text[min(one.volume.start, (one.number or one.volume).start) :] for one in layouts)
    starts = [0 if on_path else one.text.rfind("/") + 1 for one in layouts]
    with_patient = any(one.patient is not None for one in layouts)
    firsts = {_number_is_first(one) for one in layouts if one.number is not None}
    if len(firsts) > 1:  # some names have the slice before the volume, some behind it: a group has one place only
        layouts, firsts = [one._replace(number=None) for one in layouts], set()
    first = True in firsts
    pieces = [
        _pieces(one, start, with_patient=with_patient, first=first) for one, start in zip(layouts, starts, strict=True)
    ]
    before, lead, patient, rest, between, number, after = ([piece[at] for piece in pieces] for at in range(7))
    volume = f"{_general(lead)}(?P<patient>{_general(patient)}){_general(rest)}" if with_patient else _general(patient)
    volume = f"(?P<volume>{volume})"
    if not any(number):
        return f"{_general(before)}{volume}{_general(between)}{_general(after)}"
    counted = r"(?P<slice>\d+)"
    if first and all(number):
        return f"{_general(before)}{counted}{_general(between)}{volume}{_general(after)}"
    if first:
        rows = [row for row in zip(before, between, number, strict=True) if row[2]]
        counting = f"{_general([row[0] for row in rows])}{counted}{_general([row[1] for row in rows])}"
        return f"(?:{counting})?{volume}{_general(after)}"
    if all(number):
        return f"{_general(before)}{volume}{_general(between)}{counted}{_general(after)}"
    some = _general([gap for gap, digits in zip(between, number, strict=True) if digits])
    return f"{_general(before)}{volume}(?:{some}{counted})?{_general(after)}"


def _number_is_first(one: Layout) -> bool:
    return one.number is not None and one.number.start < one.volume.start


def _pieces(one: Layout, start: int, *, with_patient: bool, first: bool) -> tuple[str, str, str, str, str, str, str]:
    """Return a text's pieces: before, in the volume before the patient, patient, rest, between, number, after."""
    text, volume = one.text, one.volume
    patient = (one.patient or volume) if with_patient else volume
    patient = Span(max(patient.start, volume.start), min(patient.end, volume.end))
    inside = (text[volume.start : patient.start], text[patient.start : patient.end], text[patient.end : volume.end])
    number = one.number
    if number is None or volume.start <= number.start < volume.end:
        return (text[start : volume.start], *inside, "", "", text[volume.end :])
    if first:
        return (text[start : number.start], *inside, text[number.end : volume.start], "1", text[volume.end :])
    return (text[start : volume.start], *inside, text[volume.end : number.start], "1", text[number.end :])


def _general(texts: Iterable[str]) -> str:
    """Return a pattern for texts: one for each form that they have, by their separators."""
    several = sorted(set(texts))
    if several in ([], [""]):
        return ""
    forms: dict[tuple[str, ...], list[list[str]]] = {}
    for text in several:
        tokens = _TOKEN.findall(text)
        key = tuple("w" if _is_word(token) else token for token in tokens)
        forms.setdefault(key, []).append(tokens)
    optional = forms.pop((), None) is not None
    if len(forms) > _MOST_SHAPES:
        made = "[^/]+" if not any("/" in text for text in several) else ".+"
        return f"(?:{made})?" if optional else made
    patterns = sorted({_of_form(lists) for lists in forms.values()}, key=lambda made: (-len(made), made))
    joined = "|".join(patterns)
    if optional:
        return f"(?:{joined})?"
    return f"(?:{joined})" if len(patterns) > 1 else joined


def _is_word(token: str) -> bool:
    return token[0].isascii() and token[0].isalnum()


def _of_form(lists: Sequence[Sequence[str]]) -> str:
    return "".join(_of_column([tokens[at] for tokens in lists]) for at in range(len(lists[0])))


def _of_column(tokens: Sequence[str]) -> str:
    """Return a pattern for one field: the text where there is one only, digits, letters and digits, or a few words."""
    values = sorted(set(tokens))
    if all(len(value) == 36 and "-" in value for value in values):
        return "[0-9A-Fa-f-]{36}"
    if len(values) == 1 and not has_digit(values[0]):
        return _escaped(values[0])
    if all(map(str.isdigit, values)):
        return r"\d+"
    found = [_LETTERS_AND_NUMBER.match(value) for value in values]
    letters = {match[1] for match in found if match is not None}
    if all(found) and len(letters) == 1:
        return f"{letters.pop()}\\d+"
    if len(values) <= _MOST_WORDS and not has_digit("".join(values)):
        return f"(?:{'|'.join(map(_escaped, values))})"
    return "[0-9A-Za-z]+"


def _escaped(text: str) -> str:
    """Return a text as a pattern, with no more backslashes than it needs."""
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)
