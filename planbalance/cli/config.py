"""`planbalance.yaml`: options from a file, under the command that takes them; the command line wins.

It is the working folder's, or the one that `--config FILE` names, which then is the only one.

    plan:
      input: [yolo_dataset]
      output: balanced_yolo_dataset
      seed: 42
    apply:
      mode: symlink

A key is an option's name without its dashes; `input`, `plan` and `dataset` are a command's arguments. Values are read
as texts, as a command line gives them: relative paths start at the working folder, wherever the file lies. `build`
takes the sections `plan` and `apply` too, where its own section has no such key.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import click

from planbalance.errors import UsageError
from planbalance.group_sources import without_map
from planbalance.text import error_text

FILE: Final = "planbalance.yaml"
LARGEST: Final = 1 << 20  # bytes
_FLAGS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
# A command's arguments, by the key that sets them.
_ARGUMENTS: Final = {"inputs": "input", "plans": "plan", "plan": "plan", "dataset": "dataset", "datasets": "dataset"}
# Options that must be typed each time: a file must not remove something or change what a script reads.
_NEVER: Final = frozenset(("help", "config", "json", "restart", "yes", "save-config"))
# Where the left one is on the command line, the file's right ones are ignored: they would contradict it or add to it.
_IGNORED_WITH: Final[Mapping[str, Sequence[str]]] = {
    "inputs": ("named", "images", "label_root"),
    "named": ("inputs", "images", "label_root"),
    "images": ("inputs", "named"),
    "seed": ("split_seed", "sample_seed"),
    "train_ratio": ("val_ratio", "test_ratio"),
    "val_ratio": ("train_ratio", "test_ratio"),
    "test_ratio": ("train_ratio", "val_ratio"),
    "folds": ("leave_out",),
    "leave_out": ("folds", "repeats"),
}
# The same, where the sources of groups on one side and the map on the other contradict each other.
_CONTRADICTING_MAP: Final[Mapping[str, Sequence[str]]] = {
    "group_map": ("group_from",),
    "group_from": ("group_map", "stratify"),
}
_SECTIONS_OF: Final[Mapping[str, Sequence[str]]] = {"build": ("plan", "apply", "build")}

FindCommand = Callable[[str], click.Command | None]
Text = str | list[str]


class Setting(NamedTuple):
    """One key of a section: its line in the file, and what it says."""

    line: int
    value: Text


Sections = Mapping[str, Mapping[str, Setting]]


class ConfigRefusedError(Exception):
    """A file of options is refused: why, and what to do."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint or "See `planbalance plan --save-config`, which writes such a file."


# ---- which file -----------------------------------------------------------------------------------------------------

_PATH: Final = "planbalance.config"
TYPED: Final = "planbalance.typed"  # the words of the command line, in a context's `meta`


def load(ctx: click.Context, _parameter: click.Parameter, path: str | None) -> None:
    """Read a file of options into click's `default_map`, before any other option of the command: what `--config` does.

    A command that was given defaults already (`demo` runs others, and shows what they do without a file) keeps them.

    Raises:
        UsageError: the file is refused; or it was named, is not there, and is not to be written (kind `bad-config`).
    """
    root, typed = ctx.find_root().command, ctx.meta[TYPED]
    looked_up = ctx.resilient_parsing or not typed.isdisjoint(("--help", "-h"))
    if looked_up or ctx.default_map is not None or not isinstance(root, click.Group):
        return
    if path is not None:
        if not os.path.exists(path) and "--save-config" not in typed:
            raise UsageError(
                f"There is no file of options {path}.",
                kind="bad-config",
                hint="Name a file that is there; `planbalance plan --save-config --config FILE` writes one.",
                paths=[os.path.abspath(path)],
            )
        ctx.meta[_PATH] = path
    names = root.list_commands(ctx)
    ctx.default_map = defaults(path_of(ctx), ctx.command, names, lambda name: root.get_command(ctx, name))


def path_of(ctx: click.Context) -> str:
    """Return the file that this run reads options from."""
    path: str = ctx.meta.get(_PATH, FILE)
    return path


@contextmanager
def _naming(path: str) -> Iterator[None]:
    try:
        yield
    except ConfigRefusedError as error:
        raise UsageError(
            f"{path} is refused: {error.reason}.", kind="bad-config", hint=error.hint, paths=[os.path.abspath(path)]
        ) from error


# ---- reading --------------------------------------------------------------------------------------------------------


def defaults(path: str, command: click.Command, commands: Sequence[str], find: FindCommand) -> dict[str, Any]:
    """Return a command's defaults from a file, as click's `default_map` has them.

    Args:
        path: of the file; the working folder's need not be there.
        command: whose defaults they are.
        commands: the names of all.
        find: returns a command by its name, for the sections that `build` reads beside its own.

    Raises:
        UsageError: the file cannot be read, or says something that no command understands (kind `bad-config`).
    """
    sections = read_sections(path, commands)
    with _naming(path):
        return _defaults(sections, command, find)


def _defaults(sections: Sections, command: click.Command, find: FindCommand) -> dict[str, Any]:
    found: dict[str, Any] = {}
    name = command.name or ""
    known = settings_of(command)
    for section in _SECTIONS_OF.get(name, (name,)):
        owner = command if section == name else find(section)
        own = settings_of(owner) if owner is not None else {}
        for key, setting in sections.get(section, {}).items():
            if key not in own:
                raise _unknown(section, key, setting.line, own)
            parameter = known.get(key)
            if parameter is not None:
                value = _value(parameter, key, setting)
                joined = section == "apply" and isinstance(value, list)
                found[parameter.name] = [*found.get(parameter.name, ()), *value] if joined else value
    return found


def settings_of(command: click.Command) -> dict[str, click.Parameter]:
    """Return the keys that a section of the file may have, with the parameter that each one sets."""
    keys: dict[str, click.Parameter] = {}
    for parameter in sorted(command.params, key=lambda one: isinstance(one, click.Option)):
        keys |= dict.fromkeys(keys_of(parameter), parameter)
    return keys


def keys_of(parameter: click.Parameter) -> Iterator[str]:
    """Yield a parameter's keys in the file; none where it cannot be in a file."""
    if isinstance(parameter, click.Argument):
        if parameter.name in _ARGUMENTS:
            yield _ARGUMENTS[parameter.name]
    elif not getattr(parameter, "hidden", False):
        yield from (name[2:] for name in parameter.opts if name.startswith("--") and name[2:] not in _NEVER)


def read_sections(path: str, commands: Iterable[str]) -> Sections:
    """Return the sections of a file; none where there is no file.

    Raises:
        UsageError: it cannot be read, is not YAML, or has a section that is not a command (kind `bad-config`).
    """
    with _naming(path):
        try:
            with open(path, "rb") as file:
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigRefusedError(f"it cannot be read: {error_text(error)}") from error
        from planbalance.cli.sections import parse_sections

        return parse_sections(data, tuple(commands))


def _value(parameter: click.Parameter, key: str, setting: Setting) -> Any:  # noqa: ANN401 - what click's default_map takes
    line, value = setting
    if parameter.nargs == -1 or getattr(parameter, "multiple", False):
        return [value] if isinstance(value, str) else value
    if not isinstance(value, str):
        example = f": write `{key}: {value[0]}`, for example" if value else ""
        raise ConfigRefusedError(f"line {line}: '{key}' takes one value, not a list{example}")
    if getattr(parameter, "is_flag", False):
        if value.lower() not in _FLAGS:
            raise ConfigRefusedError(f"line {line}: '{key}' is true or false, not '{value}': write `{key}: true`")
        return _FLAGS[value.lower()]
    return value


def _unknown(section: str, key: str, line: int, known: Iterable[str]) -> ConfigRefusedError:
    from difflib import get_close_matches

    close = get_close_matches(key, sorted(known), n=3)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"`planbalance {section} --help` shows the options."
    if key in _NEVER:
        hint = f"--{key} is for the command line alone."
    return ConfigRefusedError(f"line {line}: '{section}' knows no '{key}'", hint)


# ---- the command line wins ------------------------------------------------------------------------------------------


def settle(ctx: click.Context) -> list[str]:
    """Leave out of a parsed command what the command line displaces; return the keys that the file has decided."""
    _fill_arguments(ctx)
    typed = {name for name in ctx.params if source_of(ctx, name) is click.core.ParameterSource.COMMANDLINE}
    ignored = {other for name in typed for other in _IGNORED_WITH.get(name, ())}
    if without_map(word for text in ctx.params.get("group_from") or () for word in text.split(",")):
        ignored |= {other for name in typed for other in _CONTRADICTING_MAP.get(name, ())}
    decided = []
    for parameter in ctx.command.params:
        if source_of(ctx, parameter.name) is not click.core.ParameterSource.DEFAULT_MAP:
            continue
        if parameter.name in ignored:
            ctx.params[parameter.name] = () if parameter.nargs == -1 or getattr(parameter, "multiple", False) else None
        else:
            decided += list(keys_of(parameter))[:1]
    return decided


def _fill_arguments(ctx: click.Context) -> None:
    """Give arguments that were not typed the file's values: click before 8.2 takes an empty command line for typed."""
    for parameter in ctx.command.params:
        if parameter.nargs == -1 and ctx.params.get(parameter.name) == ():
            found = (ctx.default_map or {}).get(parameter.name)
            ctx.params[parameter.name] = parameter.type_cast_value(ctx, found or ())
            source = click.core.ParameterSource.DEFAULT_MAP if found else click.core.ParameterSource.DEFAULT
            ctx.set_parameter_source(parameter.name, source)


def source_of(ctx: click.Context, name: str) -> click.core.ParameterSource | None:
    """Return where a parameter's value comes from."""
    return ctx.get_parameter_source(name)
