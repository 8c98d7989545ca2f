"""Every exception becomes one sentence, a hint and an exit code; a traceback only with PLANBALANCE_DEBUG=1."""

import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import click

from planbalance.cli.terminal import Terminal
from planbalance.errors import PlanbalanceError
from planbalance.render.table import line, lines, message
from planbalance.text import error_text

INTERRUPTED: Final = 130
BUG: Final = 1
# More paths than this would push the sentence off the screen; --json lists all.
_PATHS_SHOWN: Final = 20


class Failure(NamedTuple):
    """What went wrong, as `--json` prints it."""

    exit_code: int
    kind: str
    message: str
    hint: str = ""
    paths: Sequence[str] = ()

    @property
    def document(self) -> dict[str, Any]:
        """The document under `--json`."""
        error = {"kind": self.kind, "message": self.message, "hint": self.hint, "paths": list(self.paths)}
        return {"error": error, "exit": self.exit_code}


def failure_of(error: BaseException, command: str) -> Failure:
    """Return the failure that an exception means."""
    if isinstance(error, PlanbalanceError):
        return Failure(error.exit_code, error.kind, error.message, error.hint, error.paths)
    if isinstance(error, click.ClickException):
        return _wrong_usage(error, command)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Failure(INTERRUPTED, "interrupted", "Interrupted.", "Run the same command again.")
    if isinstance(error, OSError):
        return _system_refusal(error, command)
    message = f"This is a bug in planbalance: {type(error).__name__}: {error}"
    hint = "Please report it with the output of `planbalance --version`; PLANBALANCE_DEBUG=1 shows where it happened."
    return Failure(BUG, "bug", message, hint)


def _wrong_usage(error: click.ClickException, command: str) -> Failure:
    program = f"planbalance {command}".rstrip()
    message = " ".join(error.format_message().split())
    return Failure(2, "usage", message, f"`{program} --help` shows the options and an example.")


# What a command cannot read or write, by the kind of thing that it works on: input 3, plan 4, output 5.
_SYSTEM_EXIT: Final = {"scan": 3, "plan": 3, "verify": 3, "show": 4, "diff": 4}


def _system_refusal(error: OSError, command: str) -> Failure:
    paths = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    where = f": {' -> '.join(paths)}" if paths else ""
    message = f"{error_text(error)}{where}."
    return Failure(_SYSTEM_EXIT.get(command, 5), "io-error", message, "", paths)


def print_failure(failure: Failure, terminal: Terminal) -> None:
    """Print a failure: the document on stdout under `--json`, else the sentences on stderr."""
    if terminal.as_json:
        terminal.document(failure.document)
        return
    terminal.print_error(message("Error:", _sentence(failure.message), style="bold red"))
    more = [path for path in failure.paths if path not in failure.message]
    for path in more[:_PATHS_SHOWN]:
        terminal.print_error(line("  " + path))
    if len(more) > _PATHS_SHOWN:
        terminal.print_error(line(f"  and {len(more) - _PATHS_SHOWN:,} more (--json lists all)"))
    if failure.hint:
        first, *more = failure.hint.split("\n")
        terminal.print_error(message("Hint:", first, style="bold"))
        for words in more:  # commands to copy, one a line
            terminal.print_error(line("  " + words))


def _sentence(message: str) -> str:
    return message if message.endswith((".", "?", "!")) else message + "."


def debug_trace(error: BaseException, terminal: Terminal) -> None:
    """Show where it happened, where the user asked for it."""
    if os.environ.get("PLANBALANCE_DEBUG") == "1":
        import traceback

        terminal.print_error(lines("".join(traceback.format_exception(error))))
