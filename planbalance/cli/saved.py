"""`plan --save-config`: the options of a plan as a `planbalance.yaml`, so that the same plan can be made again."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import click
import yaml

from planbalance.cli.config import Text, keys_of, read_sections, source_of
from planbalance.errors import UsageError
from planbalance.model import InputSpec
from planbalance.text import error_text

_HEAD: Final = (
    "# Options of planbalance, read from the working folder; the command line wins. Paths count from that folder.\n"
)


_DECIDED: Final = frozenset((click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP))


class NewSection(NamedTuple):
    """A section to write to a file: the whole text of it, or "" where the file has it already."""

    path: str
    text: str


def new_section(path: str, name: str, settings: Mapping[str, Text], commands: Iterable[str]) -> NewSection:
    """Return the section that would be written, before anything else is done.

    Raises:
        UsageError: the file has such a section with other options (kind `config-exists`), or is refused.
    """
    there = {key: setting.value for key, setting in read_sections(path, commands).get(name, {}).items()}
    if there == settings:
        return NewSection(path, "")
    if there:
        others = [key for key in {**there, **settings} if there.get(key) != settings.get(key)]
        raise UsageError(
            f"{path} has other options for `{name}` already: {', '.join(others)}.",
            kind="config-exists",
            hint="Nothing is overwritten: change it by hand, or move it away.",
            paths=[os.path.abspath(path)],
        )
    plain = {key: _plain(value) for key, value in settings.items()}
    body = yaml.safe_dump({name: plain}, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1 << 20)
    return NewSection(path, body)


def save(section: NewSection) -> bool:
    """Write the section: a new file, or the end of the one that is there. Return whether something was written."""
    if not section.text:
        return False
    try:
        with open(section.path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(section.text if file.tell() else _HEAD + section.text)
    except OSError as error:
        raise UsageError(
            f"{section.path} cannot be written: {error_text(error)}.",
            kind="config-not-written",
            hint="The plan file was written; make room or permission here, and run the same command again.",
            paths=[os.path.abspath(section.path)],
        ) from error
    return True


def _plain(value: Text) -> Any:  # noqa: ANN401 - what YAML writes without quotes
    if isinstance(value, list):
        return list(map(_plain, value))
    for read in (int, float):
        try:
            if str(read(value)) == value:
                return read(value)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(value, value)


def given(ctx: click.Context) -> dict[str, Text]:
    """Return the options of a command that the command line or the file has set, by key, as texts."""
    found: dict[str, Text] = {}
    for parameter in ctx.command.params:
        value = ctx.params.get(parameter.name)
        decided = source_of(ctx, parameter.name) in _DECIDED
        key = next(keys_of(parameter), None)
        if not decided or key is None or value is None or value == ():
            continue
        if parameter.nargs == -1 or getattr(parameter, "multiple", False):
            found[key] = [*found.get(key, ()), *map(_typed, value)]
        else:
            found[key] = _typed(value)
    return found


def _typed(value: object) -> str:
    """Return a value as it would be typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, InputSpec):
        return f"{value.name}={value.path}" if value.name else value.path
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
