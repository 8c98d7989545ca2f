"""What an interrupted command leaves on the disk, and how to go on. Imported only after SIGINT or SIGTERM."""

import os
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from planbalance.dataset_files import RECEIPT
from planbalance.errors import InterruptedRunError
from planbalance.modes import MODE_TABLE
from planbalance.text import command_line

_NO_PLAN: Final = "no plan file is half written, and neither input nor output was touched"
# What is left by commands that build nothing.
_LEFT: Final[Mapping[str, str]] = {
    "scan": "it only reads, so nothing is left on the disk",
    "plan": _NO_PLAN,
    "import": _NO_PLAN,
    "repair": _NO_PLAN,
    "verify": "it only reads, so the dataset is as it was",
    "report": "it only reads, so the dataset is as it was",
    "diff": "it only reads, so nothing is left on the disk",
    "show": "it only reads, so nothing is left on the disk",
    "apply": "nothing was built by this run, and what an earlier one has built is kept",
    "demo": "what it has made is still there, and is made anew the next time",
}
_BUILDING: Final = ("build", "import")  # their plan may be in no file, so they themselves are run again


class Interruption(NamedTuple):
    """The sentence and the hint of an interrupted command."""

    message: str
    hint: str
    paths: tuple[str, ...] = ()


def interruption(error: BaseException, command: str, words: Sequence[str]) -> Interruption:
    """Return what to say of a command that a signal has ended.

    Args:
        error: what ended it.
        command: its name, "" where no command was called.
        words: the command line, without the program.
    """
    again = command_line(one for one in words if one != "--restart")
    if isinstance(error, InterruptedRunError):
        return _half_built(error, command, again)
    output = _output(words)
    built = None if output is None or command not in _BUILDING else _built(output)
    if built is not None:
        audit = command_line(["verify", built])
        return Interruption(f"Interrupted: {built} is built, and its audit was not finished: `{audit}`.", audit)
    left = _LEFT.get(command, "")
    if command == "build" and output is not None:  # it may be in the file of options, and then it is not known here
        left = "nothing was built yet, and nothing is left on the disk"
    return Interruption(f"Interrupted{left and ': '}{left}.", f"The same command begins anew: {again}" if words else "")


def _half_built(error: InterruptedRunError, command: str, again: str) -> Interruption:
    """Return what to say of a build: how to go on with it, and how to remove it."""
    hint = f"go on with: {again}" if command in _BUILDING else error.hint
    staging = next((path for path in error.paths if os.path.isdir(path)), None)
    if staging is None:
        return Interruption(error.message, hint)
    message = f"{error.message.rstrip('.')}. What is done is kept in {staging}."
    return Interruption(message, f"{hint}\nor remove it: {command_line(['clean', staging, '--yes'])}", (staging,))


def _built(output: str) -> str | None:
    """Return the dataset that stands at the output of a build: its folder, or its one file; None where none does."""
    if os.path.isfile(os.path.join(output, RECEIPT)):
        return output
    suffixes = [traits.one_file for traits in MODE_TABLE.values() if traits.one_file]
    files = [output if output.endswith(suffix) else output + suffix for suffix in suffixes]
    return next((file for file in files if os.path.isfile(file)), None)


def _output(words: Sequence[str]) -> str | None:
    """Return the value of `--output` on a command line."""
    for index, word in enumerate(words):
        if word in {"--output", "-o"}:
            return next(iter(words[index + 1 : index + 2]), None)
        if word.startswith("--output="):
            return word.partition("=")[2]
        if word.startswith("-o"):
            return word[2:]
    return None
