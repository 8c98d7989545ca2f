"""Every exception becomes one sentence, a hint and an exit code; a traceback only with PLANBALANCE_DEBUG=1."""

import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import click

from planbalance.cli.terminal import Terminal
from planbalance.errors import InterruptedRunError, PlanbalanceError
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
    list_paths: bool = True  # in the text, below the message

    @property
    def document(self) -> dict[str, Any]:
        """The document under `--json`."""
        error = {"kind": self.kind, "message": self.message, "hint": self.hint, "paths": list(self.paths)}
        return {"error": error, "exit": self.exit_code}


def failure_of(error: BaseException, command: str, words: Sequence[str] = ()) -> Failure:
    """Return the failure that an exception means; `words` are the command line, without the program."""
    if isinstance(error, KeyboardInterrupt | click.Abort | InterruptedRunError):
        from planbalance.cli.interruption import interruption

        return Failure(INTERRUPTED, "interrupted", *interruption(error, command, words))
    if isinstance(error, PlanbalanceError):
        return _refusal(error, command, words)
    if isinstance(error, click.ClickException):
        return _wrong_usage(error, command, words)
    if isinstance(error, OSError):
        return _system_refusal(error, command)
    message = f"This is a bug in planbalance: {type(error).__name__}: {error}"
    hint = "Please report it with the output of `planbalance --version`; PLANBALANCE_DEBUG=1 shows where it happened."
    return Failure(BUG, "bug", message, hint)


def _refusal(error: PlanbalanceError, command: str, words: Sequence[str]) -> Failure:
    from planbalance.cli.wrong_paths import path_answer

    answer = path_answer(error, command, words)
    if error.kind == "extra-missing" or "pip install" in f"{error.message}{error.hint}":
        from planbalance.cli.installed import with_commands

        message, hint = with_commands(error.message), with_commands(error.hint)
        if error.kind == "extra-missing":
            message = f"{message.rstrip('.')}: `{hint}` installs it."
        return Failure(error.exit_code, error.kind, message, hint, error.paths)
    if answer is None:
        return Failure(error.exit_code, error.kind, error.message, error.hint, error.paths)
    return Failure(error.exit_code, error.kind, answer.message, answer.hint, error.paths, list_paths=False)


def _wrong_usage(error: click.ClickException, command: str, words: Sequence[str]) -> Failure:
    from planbalance.cli.suggestions import suggestion

    program = f"planbalance {command}".rstrip()
    hint = f"`{program} --help` shows the options and an example."
    meant = suggestion(error, words) if isinstance(error, click.UsageError) else None
    if meant is None:
        return Failure(2, "usage", " ".join(error.format_message().split()), hint)
    return Failure(2, "usage", meant.message, meant.hint or hint)


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
    near = failure.hint.startswith("Did you mean")  # the answer to the error: beside it
    sentence = f"{_sentence(failure.message)} {failure.hint}" if near else _sentence(failure.message)
    terminal.print_error(message("Error:", sentence, style="bold red"))
    more = [path for path in failure.paths if failure.list_paths and path not in failure.message]
    for path in more[:_PATHS_SHOWN]:
        terminal.print_error(line("  " + path))
    if len(more) > _PATHS_SHOWN:
        terminal.print_error(line(f"  and {len(more) - _PATHS_SHOWN:,} more (--json lists all)"))
    said = failure.hint in failure.message  # a command that the sentence has: once is enough
    if failure.hint and not near and not said:
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
