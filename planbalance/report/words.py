"""How positive and negative slices are called: by the name of the class, where there is one class and it has a name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from planbalance.handoff import class_word
from planbalance.model import are_named


class Words(NamedTuple):
    """The names of the two kinds of slices: `tear` and `no tear`."""

    positive: str
    negative: str


NEUTRAL = Words("positive", "negative")


def words_of_names(names: Sequence[str] | None) -> Words:
    """Return the words for class names; `positive` and `negative` where nothing names the one class."""
    return _words(class_word(names) if are_named(names) else None)


def words_of_plan(names: Sequence[str] | None, statistics: Mapping[str, Any]) -> Words:
    """Return the words of a plan's statistics, those of `total_no_tear`, where the plan names its classes."""
    if not are_named(names):
        return NEUTRAL
    return _words(next((key[len("total_no_") :] for key in sorted(statistics) if key.startswith("total_no_")), None))


def _words(word: str | None) -> Words:
    return NEUTRAL if word is None else Words(word.replace("_", " "), "no " + word.replace("_", " "))
