"""Collects the problems of one check, and makes the finished check of them. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from planbalance.model import Check, Problem

# A list with a problem of every file would fill memory and page: beyond this number, problems are only counted.
SHOWN: Final = 10_000


class CheckBuilder:
    """A check that is being made: its problems up to a limit, and the count of what was looked at.

    Problems are listed by path; with `ranked`, in the order in which they were added.
    """

    def __init__(self, name: str, *, ranked: bool = False) -> None:
        self.name = name
        self._ranked = ranked
        self.count = 0
        self.notes: list[str] = []
        self._problems: list[Problem] = []
        self._errors: Counter[str] = Counter()
        self._beyond = 0

    def error(self, kind: str, path: str, message: str) -> None:
        """Note an error."""
        self.add(Problem(kind, "error", path, message))

    def warning(self, kind: str, path: str, message: str) -> None:
        """Note a warning."""
        self.add(Problem(kind, "warning", path, message))

    def add(self, problem: Problem) -> None:
        """Note a problem; beyond the limit it is only counted."""
        if problem.severity == "error":
            self._errors[problem.kind] += 1
        if len(self._problems) < SHOWN:
            self._problems.append(problem)
        else:
            self._beyond += 1

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note several problems."""
        for problem in problems:
            self.add(problem)

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return bool(self._errors)

    def errors_of(self, kind: str) -> int:
        """Return how many errors of one kind there are."""
        return self._errors[kind]

    def check(self) -> Check:
        """Return the finished check: problems sorted by path, ok unless there is an error."""
        notes = list(self.notes)
        if self._beyond:
            notes.append(f"{self._beyond} more problems are not listed")
        ordered = tuple(self._problems if self._ranked else sorted(self._problems, key=_reading_order))
        return Check(self.name, not self._errors, "; ".join(notes), self.count, ordered)


def _reading_order(problem: Problem) -> tuple[bool, str, str, str]:
    return (problem.severity != "error", problem.path, problem.kind, problem.message)


def noted(check: Check, note: str) -> Check:
    """Return a finished check with one more note after those that it has; an empty note adds nothing."""
    return check._replace(reason="; ".join(filter(None, (check.reason, note))))


def not_checked(name: str, reason: str) -> Check:
    """Return a check that was not made."""
    return Check(name, None, reason, 0, ())
