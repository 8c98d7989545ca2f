"""Names of other kinds among the rest: a few stray files, or a second dataset in the same folder.

The form of a name is what remains if its words and numbers are left out: separators and folders.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from planbalance.naming.fields import ENOUGH, FEW, Field, fields_of
from planbalance.union_find import UnionFind

_BEFORE_A_WORD: Final = "\0"  # before a word, which may read as a form does
_BETWEEN: Final = re.compile("[0-9A-Za-z]+")
_MOST_STRAYS: Final = 3  # of one form
_ALL: Final = 0.98  # of the names, so that the others are strays
_LEAST: Final = 0.1  # of the names, so that they are a group


def by_form(paths: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of each form."""
    forms: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        forms[_BETWEEN.sub("x", path[: path.rfind(".")])].append(path)
    return forms


def strays(forms: Mapping[str, Sequence[str]]) -> dict[str, Field]:
    """Return a few files of another kind among many (`test.png`, `IMG_1234.png`, `unnamed (2).png`), with a field each.

    Strays with the same first field belong together; no other name has this field. All names of a form are strays, or
    none is.
    """
    count = sum(map(len, forms.values()))
    rare = [path for several in forms.values() if len(several) <= _MOST_STRAYS for path in several]
    if count < ENOUGH * ENOUGH or not rare or len(rare) > (1 - _ALL) * count:
        return {}
    others = (path for several in forms.values() if len(several) > _MOST_STRAYS for path in several)
    known = {one.text for path in others for one in _fields(path)}
    found = {path: next(iter(_fields(path)), None) for path in rare}
    if any(first is None or first.text in known or "/" in path for path, first in found.items()):
        return {}
    return {path: first for path, first in found.items() if first is not None}


def conventions(forms: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return groups of names, each of a tenth of all or more, that differ in form and share no word and no identity."""
    if len(forms) < 2:
        return []
    joined = UnionFind()
    for form, several in forms.items():
        joined.join([form, *(f"{_BEFORE_A_WORD}{token}" for path in several for token in _tokens(path))])
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for form, several in forms.items():
        groups[joined.root(form)] += several
    least = max(ENOUGH, _LEAST * sum(map(len, forms.values())))
    return [group for group in groups.values() if len(group) >= least]


def _fields(path: str) -> list[Field]:
    return fields_of(path[: path.rfind(".")])


def _tokens(path: str) -> set[str]:
    """Return the words and long numbers of a name, by which names of one dataset are recognised."""
    return {
        one.word if len(one.word) > 1 else one.text for one in _fields(path) if len(one.word) > 1 or len(one.text) > FEW
    }
