"""Collects the problems of one check, and makes the finished check of them. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from planbalance.audit.check_table import CHECKS
from planbalance.model import Check, Problem

# A list with a problem of every file would fill memory and page: beyond this number, problems are only counted.
SHOWN: Final = 10_000


class CheckBuilder:
    """A check that is being made: its problems up to a limit, and the count of what was looked at.

    Problems are listed by path; with `ranked`, in the order in which they were added. `title` is what people call it,
    where the table of checks does not say it.
    """

    def __init__(self, name: str, *, ranked: bool = False, title: str = "") -> None:
        self.name = name
        self._title = title
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
        ok = not self._errors
        detail = self.name in CHECKS and CHECKS[self.name].detail
        return Check(
            self.name, ok, "; ".join(notes), self.count, ordered, self._title or title_of(self.name, ok=ok), detail
        )


def _reading_order(problem: Problem) -> tuple[bool, str, str, str]:
    return (problem.severity != "error", problem.path, problem.kind, problem.message)


def title_of(name: str, *, ok: bool | None) -> str:
    """Return what people call a check; of one that failed, the fault."""
    kind = CHECKS.get(name)
    if kind is None:
        return name.replace("-", " ")
    return kind.fault if ok is False and kind.fault else kind.title


def noted(check: Check, note: str) -> Check:
    """Return a finished check with one more note after those that it has; an empty note adds nothing."""
    return check._replace(reason="; ".join(filter(None, (check.reason, note))))


def not_checked(name: str, reason: str, *, title: str = "", problems: Sequence[Problem] = ()) -> Check:
    """Return a check that was not made; `problems` are warnings of what nobody could check."""
    return Check(name, None, reason, 0, tuple(problems), title or title_of(name, ok=None))
