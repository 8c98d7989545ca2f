"""The errors that a user can cause, each with its exit code: what is wrong, where, and what to do.

Scripts rely on the exit codes: 2 wrong usage, 3 input refused, 4 plan refused, 5 apply incomplete,
6 audit failed (a result, not an exception), 130 interrupted.
"""

from collections.abc import Iterable
from typing import ClassVar


class PlanbalanceError(Exception):
    """Something that a user can cause.

    Attributes:
        exit_code: the process's exit code.
        kind: a short stable slug for scripts, such as ``input-not-found``.
        message: one sentence: what is wrong, and where.
        hint: what to do about it; may be empty.
        paths: the files or folders concerned; may be empty. A message names the first few, this names all.
    """

    exit_code: ClassVar[int]

    def __init__(self, message: str, *, kind: str, hint: str = "", paths: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint
        self.paths = tuple(paths)

    def __reduce__(self) -> tuple[object, ...]:
        """Return how to pickle it, so that processes can pass it on."""
        return _again, (type(self), self.message, self.kind, self.hint, self.paths)


def _again(cls: type[PlanbalanceError], message: str, kind: str, hint: str, paths: tuple[str, ...]) -> PlanbalanceError:
    return cls(message, kind=kind, hint=hint, paths=paths)


class UsageError(PlanbalanceError):
    """Options that contradict each other, ratios, an output inside an input."""

    exit_code = 2


class InputError(PlanbalanceError):
    """The input dataset is refused: not found, empty, ambiguous, invalid labels, collisions."""

    exit_code = 3


class HoldsDatasetsError(InputError):
    """A folder is no dataset, but holds some: `paths` are these datasets."""


class PlanError(PlanbalanceError):
    """The plan is refused: not found, damaged, hostile, stale, or it cannot be built here."""

    exit_code = 4


class IncompleteError(PlanbalanceError):
    """Apply stopped part way; running it again resumes."""

    exit_code = 5


class InterruptedRunError(PlanbalanceError):
    """SIGINT or SIGTERM; running the same command again resumes."""

    exit_code = 130
