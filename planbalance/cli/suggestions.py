"""What a wrong command line was meant to be. Imported only where one is refused: it reads all commands."""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple

import click

from planbalance.text import command_line, enumerated


class Suggestion(NamedTuple):
    """A sentence that says what is wrong and how to go on, and a command or two to copy."""

    message: str
    hint: str = ""


# Commands by the words that other tools have for them.
_COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "scan": ("ls", "list", "info", "inspect", "stats", "count", "analyze", "analyse", "summary"),
    "plan": ("split", "balance", "divide", "prepare", "create", "init", "undersample", "fold", "folds", "kfold"),
    "apply": ("execute", "exec", "do", "write", "materialize"),
    "build": ("run", "make", "all", "create-balanced-dataset"),
    "verify": ("audit", "check", "validate", "test", "leaks", "lint", "fsck"),
    "report": ("html", "page", "view", "open"),
    "repair": ("fix", "mend", "heal"),
    "relocate": ("mv", "move", "relink"),
    "clean": ("rm", "remove", "delete", "prune", "gc", "status", "reset"),
    "diff": ("compare",),
    "import": ("convert", "ingest", "add"),
    "tune": ("benchmark", "bench", "measure"),
    "slurm": ("sbatch", "submit"),
    "completion": ("completions", "install-completion", "show-completion"),
}
# Options by the names that other tools have for them. Of several, the first that the command has.
_OPTIONS: Final[Mapping[str, Sequence[str]]] = {
    "--output": ("o", "out", "out-dir", "outdir", "output-dir", "dest", "destination", "target", "save-dir", "to", "d"),
    "--html": ("o", "out", "output", "report"),
    "--report": ("html", "md", "markdown", "o", "out", "output"),
    "--plan-file": ("save", "plan", "plan-out"),
    "--plan": ("plan-file",),
    "--input": ("i", "in", "data", "dataset", "source", "src", "path", "dir", "input-dir"),
    "--train-ratio": ("train", "train-size", "train-split", "train-frac", "train-fraction", "split", "ratio", "ratios"),
    "--val-ratio": ("val", "valid", "validation", "val-size", "val-split", "val-frac", "valid-ratio", "valid-size"),
    "--test-ratio": ("test", "test-size", "test-split", "test-frac", "test-fraction", "holdout"),
    "--seed": ("random-state", "random-seed", "rng", "rng-seed", "s"),
    "--folds": ("k", "kfold", "kfolds", "k-folds", "n-splits", "n-folds", "cv", "fold"),
    "--group-map": ("group", "groups", "group-by", "patient", "patients", "patient-map", "subjects", "map"),
    "--negatives-per-positive": ("neg-ratio", "negative-ratio", "balance", "negatives", "neg-pos-ratio"),
    "--positive-class": ("class", "classes", "positive", "positives"),
    "--volume-pattern": ("pattern", "regex", "regexp", "volume-regex", "naming"),
    "--exclude": ("ignore", "skip"),
    "--restart": ("force", "f", "overwrite", "clobber", "fresh", "reset", "replace", "exist-ok"),
    "--dry-run": ("dry", "n", "check", "noop", "what-if", "simulate"),
    "--jobs": ("j", "workers", "num-workers", "w", "n-jobs", "njobs", "threads", "processes", "nproc", "cores", "p"),
    "--yes": ("y", "force", "f", "auto-approve", "assume-yes", "confirm", "delete", "remove"),
    "--mode symlink": ("symlink", "symlinks", "link", "links", "ln"),
    "--mode hardlink": ("hardlink", "hardlinks", "hard-link"),
    "--mode copy": ("copy", "cp"),
    "--mode reflink": ("reflink", "clone"),
    "--json": ("format", "as-json", "j"),
    "--quiet": ("silent", "s"),
    "--verbose": ("v", "vv", "verbosity", "debug", "details", "full"),
    "--shard": ("rank", "part", "array"),
    "--leave-out": ("loso", "leave-one-out", "site"),
}
# Options that a command does not need, by the option of ours that they mean; "" stands for all other commands.
_KEPT: Final = "a different plan in its place is kept as FILE.bak"
_CORES: Final = "it uses the cores that this process may use"
_NOT_NEEDED: Final[Mapping[str, Mapping[str, str]]] = {
    "--restart": {"plan": _KEPT, "repair": _KEPT, "import": _KEPT, "report": "an older page is replaced"},
    "--yes": {"": "it asks no question"},
    "--jobs": {"scan": _CORES, "plan": _CORES, "verify": _CORES, "repair": _CORES, "report": _CORES},
    "--verbose": {"": "it prints all it knows; --json has every number"},
    "--dry-run": dict.fromkeys(("scan", "plan", "verify", "repair", "import"), "it builds nothing"),
}
# What a command takes as an argument, by the option of other commands for it.
_ARGUMENTS: Final[Mapping[str, Sequence[str]]] = {
    "--plan": ("apply", "show", "slurm", "report", "export"),
    "--output": ("demo", "tune", "clean"),
}
# Words of other tools for what happens anyway, or never.
_ALWAYS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("resume", "continue", "c"), "the same command goes on with what is half built"),
    **dict.fromkeys(("shuffle", "random"), "volumes are always drawn by --seed"),
    **dict.fromkeys(("recursive", "r", "follow-symlinks", "l"), "folders below are always read, and links followed"),
    **dict.fromkeys(("move", "mv"), "inputs are only read, so nothing is ever moved"),
}
_MAIN: Final = ("scan", "plan", "apply", "verify", "build", "report")


def suggestion(error: click.UsageError, words: Sequence[str]) -> Suggestion | None:
    """Return what to say of a wrong command line; None where click's own message has to do.

    Args:
        error: what click refused.
        words: the command line, without the program.
    """
    context = error.ctx
    root = None if context is None else context.find_root()
    if context is None or root is None or not isinstance(root.command, click.Group):
        return None
    asked = _Asked(root.command, root, context.command, list(words))
    if isinstance(context.command, click.Group):
        return _of_program(asked, error)
    if isinstance(error, click.NoSuchOption):
        return _unknown_option(asked, error.option_name)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return _missing(asked, error.param, context.params.get("inputs") or ())
    return _wrong_number(asked, error)


def _of_program(asked: "_Asked", error: click.UsageError) -> Suggestion | None:
    """Return what to say of a line that does not come to a command."""
    if isinstance(error, click.NoSuchOption):
        return _before_command(asked, error.option_name)
    return None if isinstance(error, click.BadParameter | click.BadOptionUsage) else _unknown_command(asked)


def _wrong_number(asked: "_Asked", error: click.UsageError) -> Suggestion | None:
    """Return what to say of an option without its value, or of an argument too many."""
    if isinstance(error, click.BadOptionUsage):
        flag = error.option_name
        again = command_line([*asked.words, _example_value(asked.command, flag)])
        return Suggestion(f"{flag} needs a value: {_quoted(again)}, for example.")
    if "unexpected extra argument" in error.message:
        return Suggestion(f"{error.message.rstrip('.')}: it is used as in {_quoted(asked.example)}.")
    return None


class _Asked:
    """A wrong command line: the program, the command that it names, and all words."""

    def __init__(self, program: click.Group, context: click.Context, command: click.Command, words: list[str]) -> None:
        self.program, self.command, self.words = program, command, words
        self.name = command.name or ""
        self._context = context

    @property
    def commands(self) -> list[str]:
        return self.program.list_commands(self._context)

    @property
    def example(self) -> str:
        return str(getattr(self.command, "example", f"planbalance {self.name}"))

    def owners(self, flag: str) -> list[str]:
        """Return the commands that have an option: those of each day, or else the others."""
        found = [name for name in self.commands if flag in _flags(self.program.get_command(self._context, name))]
        return [name for name in _MAIN if name in found] or found

    def all_flags(self) -> Iterator[str]:
        """Yield the options of all commands."""
        for name in self.commands:
            yield from _flags(self.program.get_command(self._context, name))


def _flags(command: click.Command | None) -> list[str]:
    """Return the long names of a command's options that its help shows."""
    parameters = command.params if command is not None else ()
    shown = (one for one in parameters if isinstance(one, click.Option) and not one.hidden)
    return [name for one in shown for name in (*one.opts, *one.secondary_opts) if name.startswith("--")]


# ---- commands -------------------------------------------------------------------------------------------------------


def _unknown_command(asked: _Asked) -> Suggestion:
    word = next((one for one in asked.words if not one.startswith("-")), "")
    if word == "help":
        topic = next((one for one in asked.words if one in asked.commands), "")
        return Suggestion(f"Help is an option: {_quoted(' '.join(filter(None, ('planbalance', topic, '--help'))))}.")
    if word == "version":
        return Suggestion("The version is an option: `planbalance --version`.")
    known = [name for name in asked.commands if word.lower() in _COMMANDS.get(name, ())]
    meant = known or get_close_matches(word.lower(), asked.commands, n=2, cutoff=0.6)
    if os.path.lexists(word) and not known:
        return _path_first(asked, word)
    if meant:
        again = [meant[0] if one == word else one for one in asked.words]
        return Suggestion(f"There is no command {word}. Did you mean {enumerated(meant, 'or')}?", command_line(again))
    return Suggestion(f"There is no command {word}: it is one of {enumerated(asked.commands, 'or')}.")


def _path_first(asked: _Asked, path: str) -> Suggestion:
    """Say which command a file or folder needs before it."""
    index = next((index for index, one in enumerate(asked.words) if one in asked.commands), None)
    if index is not None:
        rest = [one for at, one in enumerate(asked.words) if at != index]
        return Suggestion(f"The command stands first: {_quoted(command_line([asked.words[index], *rest]))}.")
    does = ("show", "shows what is planned") if path.endswith(".json") else ("scan", "shows what is in it")
    return Suggestion(f"{path} is no command: {_quoted(command_line([does[0], path]))} {does[1]}.")


def _before_command(asked: _Asked, flag: str) -> Suggestion:
    """Say where an option of a command stands."""
    if flag in {"-v", "-V"} and len(asked.words) == 1:
        return Suggestion("The version is an option with two dashes: `planbalance --version`.")
    index = next((index for index, one in enumerate(asked.words) if one in asked.commands), None)
    if index is not None:
        words = asked.words
        again = [words[index], *words[index + 1 :], *words[:index]]
        return Suggestion(f"Options stand behind the command: {_quoted(command_line(again))}.")
    owners = asked.owners(flag)
    if owners:
        return Suggestion(f"{flag} stands behind a command: it belongs to {enumerated(owners)}.")
    return Suggestion(f"There is no option {flag}: begin with a command, such as `planbalance scan INPUT`.")


# ---- options --------------------------------------------------------------------------------------------------------


def _unknown_option(asked: _Asked, typed: str) -> Suggestion:
    name = typed.lstrip("-").replace("_", "-").lower()
    meant = [f"--{name}", *(flag for flag, others in _OPTIONS.items() if name in others)]
    own = _flags(asked.command)
    here = [flag for flag in meant if flag.split()[0] in own]
    owners = asked.owners(meant[0])
    why = _ALWAYS.get(name) or next(filter(None, (_not_needed(flag, asked.name) for flag in meant)), None)
    close = get_close_matches(meant[0], own, n=2, cutoff=0.7)
    if here:
        about = " It throws a partial build away; nothing else is ever overwritten." if here[0] == "--restart" else ""
        return Suggestion(f"{asked.name} has no option {typed}. Did you mean {here[0]}?{about}")
    value = _value_after(asked.words, typed)
    if value and any(asked.name in _ARGUMENTS.get(flag, ()) for flag in meant):
        again = _quoted(command_line([asked.name, value]))
        return Suggestion(f"{asked.name} takes {value} as an argument, not as the option {typed}: {again}.")
    if why:
        return Suggestion(f"{asked.name} needs no {typed}: {why}. Leave it out.")
    if close and not owners:
        return Suggestion(f"{asked.name} has no option {typed}. Did you mean {enumerated(close, 'or')}?")
    return _of_others(asked, typed, meant, owners)


def _not_needed(flag: str, command: str) -> str | None:
    reasons = _NOT_NEEDED.get(flag, {})
    return reasons.get(command) or reasons.get("")


def _of_others(asked: _Asked, typed: str, meant: Sequence[str], owners: Sequence[str]) -> Suggestion:
    """Say to which commands an option belongs, and give the command that takes it where it needs nothing else."""
    if owners:
        flag, start, end = meant[0], "", ": leave it out here."
    else:
        near = list(meant[1:2])
        if not near and len(meant[0]) > len("--x"):  # one letter is alike to any short word
            near = get_close_matches(meant[0], sorted(set(asked.all_flags())), n=1, cutoff=0.75)
        if not near:
            return Suggestion(f"{asked.name} has no option {typed}: {_quoted(_help(asked.name))} lists those it has.")
        flag, start, end = near[0], f"{asked.name} has no option {typed}. ", "."
        owners = asked.owners(flag.split()[0])
    message = f"{start}{flag} belongs to {enumerated(owners)}, not to {asked.name}{end}"
    if owners[0] not in {"apply", "verify"}:
        return Suggestion(message)
    value = "" if start else _value_after(asked.words, typed)
    return Suggestion(message, command_line([owners[0], *flag.split(), *filter(None, [value])]))


def _value_after(words: Sequence[str], typed: str) -> str:
    """Return the value that was given with an option; "" where none is seen."""
    for index, word in enumerate(words):
        if word.startswith(f"{typed}="):
            return word.partition("=")[2]
        if word == typed:
            following = words[index + 1 : index + 2]
            return following[0] if following and not following[0].startswith("-") else ""
    return ""


# ---- what is missing ------------------------------------------------------------------------------------------------


def _missing(asked: _Asked, parameter: click.Parameter, inputs: Iterable[str]) -> Suggestion:
    if asked.words[-1:] == ["help"]:
        return Suggestion(f"Help is an option: {_quoted(_help(asked.name))}.")
    if isinstance(parameter, click.Argument):
        needed = (parameter.metavar or parameter.name or "").upper()
        return Suggestion(f"{asked.name} needs {needed}: {_quoted(asked.example)}, for example.")
    flag = max(parameter.opts, key=len)
    value = _example_value(asked.command, flag)
    words = list(asked.words)
    given = list(inputs)
    if flag == "--output" and len(given) > 1 and not os.path.lexists(given[-1]):  # as `cp` has it: IN OUT
        value = given[-1]
        words.remove(value)
    metavar = f" {parameter.metavar}" if parameter.metavar else ""
    return Suggestion(
        f"{asked.name} needs {flag}{metavar}: {_quoted(command_line([*words, flag, value]))}, for example."
    )


def _example_value(command: click.Command, flag: str) -> str:
    """Return the value that a command's example has for an option, else the option's placeholder."""
    words = shlex.split(getattr(command, "example", ""))
    option = next((one for one in command.params if flag in one.opts), None)
    for name in () if option is None else option.opts:
        if name in words[:-1]:
            return words[words.index(name) + 1]
    return "VALUE" if option is None or not option.metavar else option.metavar


def _help(command: str) -> str:
    return f"planbalance {command} --help"


def _quoted(command: str) -> str:
    return f"`{command}`"
