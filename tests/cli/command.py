"""The command line in this process, through click's own runner: fast, and the same code path up to the exit code."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from planbalance.cli.program import cli
from tests.builders import yolo_tree

# Enough volumes for 70/15/15 in both strata; positive volumes hold negative slices too.
KNEES = {f"01-02-{number:05d}": ".+." if number % 3 == 0 else "..." for number in range(12)}


def run(*words: object, code: int = 0) -> Result:
    """Run a command and assert its exit code; nothing may ever print a traceback."""
    result = runner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == code, f"exit {result.exit_code}, not {code}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr
    return result


def run_json(*words: object, code: int = 0) -> Any:
    """Run with --json and return the one document on stdout."""
    return json.loads(run(*words, "--json", code=code).stdout)


def knees(root: Path, **settings: Any) -> Path:
    """Write the small dataset."""
    return yolo_tree(root, KNEES, **settings)


def make_demo_small(patch: pytest.MonkeyPatch) -> None:
    """Let the demo draw half of its volumes, as many of them with a tear."""
    patch.setattr("planbalance.demo.VOLUMES", 18)


def runner() -> CliRunner:
    try:
        return CliRunner(mix_stderr=False)  # type: ignore[call-arg]
    except TypeError:  # click 8.2 and newer keep the streams apart always
        return CliRunner()
