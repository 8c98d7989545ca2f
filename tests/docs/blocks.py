"""Fenced blocks of a Markdown page, and the commands that a console block holds."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_OPEN = re.compile(r"^(?P<indent>\s*)```(?P<language>\w*)(?P<rest>.*)$")
_NOT_RUN = re.compile(r"^\s*<!-- not run: (?P<reason>.+) -->$")
_TITLE = re.compile(r'title="(?P<title>[^"]+)"')


class Block(NamedTuple):
    """One fenced block.

    Attributes:
        line: of its fence, from 1.
        language: the word after the fence.
        title: a file's name: what the block holds is written there.
        reason: why it is not run; "" where it is.
        text: without the indent of the fence.
    """

    line: int
    language: str
    title: str
    reason: str
    text: str


class Command(NamedTuple):
    """One command of a console block and what the page says it prints."""

    line: int
    words: str
    output: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        opened = _OPEN.match(lines[at])
        if opened is None:
            at += 1
            continue
        indent = opened["indent"]
        end = next(here for here in range(at + 1, len(lines)) if lines[here].strip() == "```")
        text = "".join(f"{line.removeprefix(indent)}\n" for line in lines[at + 1 : end])
        marked = _NOT_RUN.match(lines[at - 1]) if at else None
        title = _TITLE.search(opened["rest"])
        yield Block(
            at + 1, opened["language"], title["title"] if title else "", marked["reason"] if marked else "", text
        )
        at = end + 1


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block: `$ ` begins one, a line that ends in a backslash goes on."""
    found: list[Command] = []
    lines = iter(enumerate(block.text.splitlines(), start=block.line + 1))
    for number, line in lines:
        if line.startswith("$ "):
            words = line[2:]
            while words.endswith("\\"):
                words = words[:-1] + next(lines)[1].strip()
            words = re.sub(r"\s{2,}#\s.*", "", words)
            found.append(Command(number, words, ""))
        else:
            assert found, f"line {number}: output before the first command"
            found[-1] = found[-1]._replace(output=f"{found[-1].output}{line}\n")
    return found


def as_pattern(output: str) -> re.Pattern[str]:
    """Return what the shown output matches: a line of `...` is any lines, `...` in a line is any text."""
    parts = []
    for line in output.strip("\n").rstrip().splitlines():
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*?".join(map(re.escape, line.rstrip().split("..."))) + r"\n")
    return re.compile("".join(parts) + r"(?:\s*\n)*")
