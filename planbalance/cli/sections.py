"""Parses a `planbalance.yaml` into sections. A module of its own, since few runs have such a file."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Final

import yaml

from planbalance.cli.config import LARGEST, ConfigRefusedError, Sections, Setting, Text

_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))


def parse_sections(data: bytes, commands: Sequence[str]) -> Sections:
    """Return the sections of a file's text.

    Raises:
        ConfigRefusedError: it is not YAML, or has a section that is not a command (kind `bad-config`).
    """
    return _sections(_root(data), commands)


def _root(data: bytes) -> yaml.Node | None:
    if len(data) > LARGEST:
        raise ConfigRefusedError(f"it has more than {LARGEST:,} bytes")
    try:
        return yaml.compose(data.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        tabs = " (YAML is indented by blanks, not by tabs)" if b"\t" in data else ""
        raise ConfigRefusedError(f"it is not valid YAML{tabs}: {' '.join(str(error).split())}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigRefusedError("it is not valid YAML in UTF-8") from error


def _sections(root: yaml.Node | None, commands: Sequence[str]) -> dict[str, dict[str, Setting]]:
    sections: dict[str, dict[str, Setting]] = {}
    for name, line, node in [] if root is None else _pairs(root, "the file"):
        if name not in commands:
            raise _unknown_section(name, line, commands)
        if name in sections:
            raise ConfigRefusedError(f"line {line}: '{name}' is there twice")
        section = sections[name] = {}
        for key, at, value in _pairs(node, f"'{name}'"):
            dashed = key.replace("_", "-")
            if dashed in section:
                raise ConfigRefusedError(f"line {at}: '{key}' is in '{name}' twice")
            section[dashed] = Setting(at, _text(value, key, at))
    return sections


def _pairs(node: yaml.Node, what: str) -> Iterator[tuple[str, int, yaml.Node]]:
    """Yield (key, line, value) of a mapping; an empty one is written as nothing at all."""
    if isinstance(node, yaml.ScalarNode) and node.value in _NULLS:
        return
    if not isinstance(node, yaml.MappingNode):
        raise ConfigRefusedError(
            f"line {node.start_mark.line + 1}: {what} is no list of `key: value`: such as `seed: 42`"
        )
    for key, value in node.value:
        yield (key.value if isinstance(key, yaml.ScalarNode) else "?"), key.start_mark.line + 1, value


def _text(node: yaml.Node, key: str, line: int) -> Text:
    if isinstance(node, yaml.SequenceNode):
        return [_scalar(one, key, line) for one in node.value]
    return _scalar(node, key, line)


def _scalar(node: yaml.Node, key: str, line: int) -> str:
    if not isinstance(node, yaml.ScalarNode) or (node.style is None and node.value in _NULLS):
        raise ConfigRefusedError(f"line {line}: '{key}' has no value that an option could take: write `{key}: VALUE`")
    return str(node.value)


def _unknown_section(name: str, line: int, commands: Sequence[str]) -> ConfigRefusedError:
    close = get_close_matches(name, commands, n=3)
    if close:
        return ConfigRefusedError(f"line {line}: '{name}' is no command", f"Did you mean {' or '.join(close)}?")
    below = "an option stands below its command, such as `plan:` and in the next line `  seed: 42`"
    return ConfigRefusedError(f"line {line}: '{name}' is no command: {below}")
