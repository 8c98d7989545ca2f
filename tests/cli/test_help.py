"""The help: an example that works, rarely needed options last, the guide's spellings accepted."""

import re
import shlex
from pathlib import Path

import click
import pytest

from planbalance.cli.options import Command
from planbalance.cli.program import COMMANDS, cli
from planbalance.cli.version import sorted_by_extra
from tests.cli.command import knees, run, run_json

NAMES = list(COMMANDS)


def test_commands_in_the_order_in_which_people_use_them() -> None:
    said = run("--help").stdout
    assert re.findall(r"^  ([a-z]+)  +\S", said, re.MULTILINE) == NAMES
    assert "..." not in said.split("Commands:")[1]  # no line is cut


def test_without_a_command_the_help_is_shown_and_it_is_wrong_usage() -> None:
    assert "Commands:" in run(code=2).stderr


@pytest.mark.parametrize("name", NAMES)
def test_help_ends_with_an_example_that_parses(name: str) -> None:
    said = run(name, "--help").stdout
    example = said.rstrip().splitlines()[-1].strip()
    assert said.rstrip().splitlines()[-2] == "Example:"
    words = shlex.split(example)
    assert words[:2] == ["planbalance", name]
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, Command)
    command.make_context(name, words[2:])  # raises where an option is unknown or a value refused
    assert "--json" in said
    assert "--quiet" in said
    assert not re.search(r"--[a-z]+_", said)
    assert run(name, "-h").stdout == said


@pytest.mark.parametrize("name", ["plan", "build", "apply", "show"])
def test_rarely_needed_options_come_last(name: str) -> None:
    said = run(name, "--help").stdout
    headings = re.findall(r"^(\w+):$", said, re.MULTILINE)
    assert headings[-2:] == ["Advanced", "Example"]


def test_the_guides_spellings_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's command line, option for option; the dashed spellings give the same plan."""
    monkeypatch.chdir(tmp_path)
    knees(tmp_path / "in")
    guide = ("--train_ratio", "0.7", "--val_ratio=0.15", "--test_ratio", "0.15", "--seed", "42")
    dashed = ("--train-ratio", "0.7", "--val-ratio", "0.15")
    first = run_json("plan", "--input", "in", "--output", "out", *guide)
    second = run_json("plan", "in", "--output", "out", *dashed)
    assert first["digest"] == second["digest"]
    assert second["replaced"] is None


def test_version_says_what_a_bug_report_needs() -> None:
    said = run("--version").stdout
    for word in ("planbalance ", "Python 3.", "Linux", "cores", "click ", "anyio ", "orjson ", "rich "):
        assert word in said
    assert "extra [dicom]: numpy " in said


def test_extras_are_told_apart_as_a_wheels_metadata_has_them() -> None:
    lines = (
        "click>=8.1.7",
        "pydicom>=2.4.4 ; extra == 'dicom'",
        'jinja2>=3.1.2; extra == "report"',
        "planbalance[dicom]",
    )
    assert sorted_by_extra(lines) == {"": ["click"], "dicom": ["pydicom"], "report": ["jinja2"]}
