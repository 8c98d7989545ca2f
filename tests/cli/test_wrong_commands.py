"""Wrong command lines, and the first line of the answer to each: it tells how to go on.

`wrong_commands.md` is the table, for a reader to judge: its last column is the part of the line that tells how to go
on. `python -m tests.cli.test_wrong_commands` prints the first three columns as they are now.
"""

import os
import re
import shlex
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from planbalance.cli.program import cli
from tests.builders import tree_state
from tests.cli.command import knees, run, runner

TABLE = Path(__file__).with_name("wrong_commands.md")
_CELLS = re.compile(r"^\| `(?P<command>[^|]*)` \| (?P<code>\d) \| (?P<line>.*) \| (?P<on>.*) \|$")


class Wrong(NamedTuple):
    """A row: what is typed, the exit code, the first line, and what in it tells how to go on ("": nothing does)."""

    command: str
    code: int
    line: str
    on: str


def rows() -> Iterator[Wrong]:
    for text in TABLE.read_text(encoding="utf-8").splitlines():
        found = _CELLS.match(text)
        if found is not None:
            yield Wrong(found["command"], int(found["code"]), found["line"], found["on"].strip())


ROWS = list(rows())


def prepare(here: Path) -> None:
    """Write what the commands find: a dataset, its plan, what was built, folds, a folder of datasets and more."""
    knees(here / "in")
    run("plan", "in", "--output", "balanced")
    run("apply", "--mode", "symlink", "--quiet")
    run("plan", "in", "--output", "folds", "--folds", "3", "--plan-file", "k.json")
    run("apply", *(f"k-fold{number}.json" for number in (1, 2, 3)), "--mode", "symlink", "--quiet")
    for name in ("left", "right"):
        knees(here / "all" / name, name=f"IM{{slice}}-{name}{{volume}}.png")
    (here / "knees").mkdir()
    (here / "list.yaml").write_bytes(b"nc: 1\nnames: [tear]\n")
    (here / "patient.csv").write_bytes(b"volume,group\n")
    with zipfile.ZipFile(here / "in.zip", "w") as archive:
        archive.write(here / "in/dataset.yaml", "dataset.yaml")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong").resolve()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepare(folder)
    return folder


def answer(command: str, here: Path) -> tuple[int, str]:
    """Return the exit code and the first line of a command's answer; `…` stands for the working folder."""
    result = runner().invoke(cli, shlex.split(command)[1:])
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    return result.exit_code, (lines[0] if lines else "").removeprefix("Error: ").replace(str(here), "…")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_the_first_line_is_the_one_of_the_table_and_nothing_is_changed(
    place: Path, monkeypatch: pytest.MonkeyPatch, row: Wrong
) -> None:
    monkeypatch.chdir(place)
    before = tree_state(place)
    assert answer(row.command, place) == (row.code, row.line)
    assert row.on in row.line
    assert tree_state(place) == before


def test_the_first_line_tells_how_to_go_on_in_nearly_all_of_many_wrong_commands() -> None:
    assert len({row.command for row in ROWS}) == len(ROWS) >= 40
    assert [row.command for row in ROWS if not row.on] == []


SUGGESTED = [match for row in ROWS for match in re.findall(r"`(planbalance [^`]*)`", row.line)]


@pytest.mark.parametrize("command", sorted(set(SUGGESTED)))
def test_a_command_in_an_answer_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """It ends well, or in an audit that finds something; the examples of `--help` name files that are not here."""
    if any(word in command for word in ("INPUT", "/scratch", "plan-new.json", "a.json", "--nodes 8", "SECONDS")):
        pytest.skip("an example")
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    code, line = answer(command, tmp_path)
    assert code in {0, 6} or "already built" in line


def test_a_pipe_among_the_plans_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.json")  # opening it would wait for whoever writes into it
    assert "makes a plan" in run("apply", "missing.json", code=4).stderr


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder).resolve()
        os.chdir(here)
        prepare(here)
        for row in ROWS or [Wrong(f"planbalance {line}", 0, "", "") for line in sys.stdin.read().splitlines()]:
            code, line = answer(row.command, here)
            sys.stdout.write(f"| `{row.command}` | {code} | {line} | {row.on} |\n")
