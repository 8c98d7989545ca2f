"""How positive and negative slices are called: by the class, where there is one."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from planbalance.handoff import class_word


class Words(NamedTuple):
    """The names of the two kinds of slices: `tear` and `no tear`."""

    positive: str
    negative: str


NEUTRAL = Words("positive", "negative")


def words_of_names(names: Sequence[str] | None) -> Words:
    """Return the words for class names."""
    return _words(class_word(names))


def words_of_statistics(statistics: Mapping[str, Any]) -> Words:
    """Return the words that a plan's statistics use: those of their `total_no_tear`."""
    return _words(next((key[len("total_no_") :] for key in sorted(statistics) if key.startswith("total_no_")), None))


def _words(word: str | None) -> Words:
    return NEUTRAL if word is None else Words(word.replace("_", " "), "no " + word.replace("_", " "))
