"""Words for positive and negative slices, by the name of the one class, and for checks; problems that are alike."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.dataset_files import class_word
from planbalance.model import Check, are_named


class Words(NamedTuple):
    """The names of the two kinds of slices: `tear` and `no tear`."""

    positive: str
    negative: str

    @property
    def in_volumes(self) -> str:
        """What a positive volume has: `tear`, or `positive slices`."""
        return "positive slices" if self == NEUTRAL else self.positive


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


def title_of(check: Check) -> str:
    """Return what people call a check: its title, else its name."""
    return check.title or check.name


# ---- what is alike --------------------------------------------------------------------------------------------------


_OF_A_KIND: Final = 3


def several_alike(problems: Iterable[Mapping[str, str]]) -> list[tuple[Mapping[str, str], int]]:
    """Return the first three problems of each kind and message, in their order; the third with how many more there are.

    They differ in their paths, which a person looks up: one alone would not show which volumes leak.
    """
    firsts: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for problem in problems:
        said = problem["kind"], problem["message"]
        counts[said] += 1
        if counts[said] <= _OF_A_KIND:
            firsts.setdefault(said, []).append(problem)
    return [
        (problem, counts[said] - _OF_A_KIND if place == _OF_A_KIND else 0)
        for said, several in firsts.items()
        for place, problem in enumerate(several, start=1)
    ]


def and_others(others: int) -> str:
    """Return what follows a problem that is printed for others too."""
    return f" (and {others:,} more like it; --json lists all)" if others else ""
