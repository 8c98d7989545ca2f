"""A page's commands, run in a folder of their own; `python -m tests.docs.session PAGE` prints what they say."""

import ast
import contextlib
import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from planbalance import demo
from planbalance.cli.program import cli
from tests.docs.blocks import Block, Command, as_pattern, blocks, commands

# Where the pages say they are. As long as the folder that they really run in, so that tables and wrapped lines agree.
HOME = "/scratch/knee"
_SHELL = frozenset("|&;<>()$`*?[]#~")
_BUILT_IN = frozenset(("cd", "for"))


class DocsError(AssertionError):
    """What a page says is not what happens."""


class Session:
    """One reader, at work in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exit_code = 0
        self.lacking: list[str] = []
        self.names: dict[str, Any] = {"__name__": "page"}

    def do(self, block: Block) -> None:
        """Do what a block says."""
        if block.reason:
            return
        match block.language:
            case "console":
                for command in commands(block):
                    self.run(command)
                if self.exit_code:
                    raise DocsError(f"line {block.line}: the last command ends with exit {self.exit_code}")
            case "python":
                self._python(block)
            case _ if block.title:
                check_syntax(block)
                (self.folder / block.title).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / block.title).write_text(block.text, encoding="utf-8")

    def run(self, command: Command) -> None:
        """Run a command and compare what it prints; its exit code is 0 or is asked for next, by `echo $?`."""
        if self.exit_code and command.words != "echo $?":
            raise DocsError(f"line {command.line}: the command before this one ends with exit {self.exit_code}")
        program = command.words.split()[0]
        if program not in _BUILT_IN and shutil.which(program, path=self._path) is None:
            self.lacking.append(program)
            return
        said = self.output(command)
        if command.output.strip() and not as_pattern(command.output).fullmatch(said):
            difference = unified_diff(
                command.output.splitlines(), said.splitlines(), "the page", "printed", lineterm=""
            )
            raise DocsError("\n".join((f"line {command.line}: $ {command.words}", *difference)))

    def output(self, command: Command) -> str:
        """Return what a command prints."""
        if command.words == "echo $?":
            said, self.exit_code = f"{self.exit_code}\n", 0
            return said
        return self._said(command.words)

    @property
    def _path(self) -> str:
        return os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))

    def _said(self, words: str) -> str:
        with contextlib.chdir(self.folder):
            if words.startswith("planbalance ") and not _SHELL & set(words.replace("'", "")):
                said = self._in_this_process(shlex.split(words)[1:])
            else:
                said = self._in_a_shell(words)
        text = re.sub(rf"(?:/private)?{re.escape(os.fspath(self.folder))}", HOME, said)
        return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())

    def _in_this_process(self, words: list[str]) -> str:
        result = CliRunner().invoke(cli, words, env={"COLUMNS": None, "XDG_CONFIG_HOME": f"{self.folder}/.config"})
        self.exit_code = result.exit_code
        return result.output

    def _in_a_shell(self, words: str) -> str:
        done = subprocess.run(
            ["bash", "-c", words],
            env={**os.environ, "PATH": self._path, "HOME": os.fspath(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.exit_code = done.returncode
        return done.stdout

    def _python(self, block: Block) -> None:
        said = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(said):
            exec(compile(block.text, f"the block of line {block.line}", "exec"), self.names)
        if block.title:
            (self.folder / block.title).write_text(block.text, encoding="utf-8")


def check_syntax(block: Block) -> None:
    """Parse what a block that is not run holds."""
    match block.language:
        case "python":
            ast.parse(block.text)
        case "json":
            json.loads(block.text)
        case "yaml":
            yaml.safe_load(block.text)
        case "csv":
            widths = {len(row) for row in csv.reader(io.StringIO(block.text))}
            assert len(widths) == 1, f"line {block.line}: rows of {widths} columns"
        case "bash":
            subprocess.run(["bash", "-n", "-c", block.text], check=True)


@contextlib.contextmanager
def reader(drawn: Path | None) -> Iterator[Session]:
    """Give a reader a folder, with the drawn dataset where the demo puts it."""
    folder = Path(tempfile.mkdtemp(prefix="", dir="/tmp"))
    assert len(os.fspath(folder)) == len(HOME)
    try:
        if drawn is not None:
            demo.prepare_folder(os.fspath(folder / "planbalance-demo"))
            shutil.copytree(drawn, folder / "planbalance-demo" / demo.DATASET)
        yield Session(folder)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Run a page and print each command and what it says, for the author: nothing is compared."""
    with tempfile.TemporaryDirectory() as temporary:
        drawn = Path(temporary, "drawn")
        demo.write_dataset(os.fspath(drawn))
        with reader(drawn) as session:
            for block in blocks(Path(sys.argv[1])):
                if block.language != "console" or block.reason:
                    session.do(block)
                    continue
                for command in commands(block):
                    print(f"$ {command.words}\n{session.output(command)}")  # noqa: T201 - that is what it is for
                    session.exit_code = 0 if command.words == "echo $?" else session.exit_code


if __name__ == "__main__":
    main()
