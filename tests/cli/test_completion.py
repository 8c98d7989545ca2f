"""Shell completion, tried in the shells that this machine has."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import knees, run
from tests.cli.terminal import PROGRAM

# A bash that was asked to complete a line says what it would offer.
BASH = """
eval "$(planbalance completion bash)"
compopt() { printf '%s ' "$@"; }
offer() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _planbalance_completion planbalance; }
"""
OFFERS = {
    "planbalance pl": "plan",
    "planbalance apply --mode sym": "symlink",
    "planbalance plan in --volume-pattern im": "im-dash image",
    "planbalance show --volume 01-02-0001": "01-02-00010 01-02-00011",
    "planbalance show --volume no-such": "",
    "planbalance apply ''": "-o default",
    "planbalance plan in --output ''": "-o dirnames",
}
FISH = "planbalance completion fish | source; complete -C {line}"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan, and `planbalance` on the path."""
    tmp_path = tmp_path_factory.mktemp("here")
    knees(tmp_path / "in")
    program = tmp_path / "bin/planbalance"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
    program.chmod(0o755)
    subprocess.run([program, "plan", "in", "--output", "out", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def offered(shell: str, script: str, here: Path) -> list[str]:
    environment = {**os.environ, "PATH": f"{here / 'bin'}:{os.environ['PATH']}", "HOME": str(here)}
    done = subprocess.run([shell, "-c", script], cwd=here, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_commands_choices_volumes_and_files(here: Path) -> None:
    script = BASH + "".join(f"offer {line}; printf '%s ' \"${{COMPREPLY[@]}}\"; echo\n" for line in OFFERS)
    assert [one.strip() for one in offered("bash", script, here)] == list(OFFERS.values())


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_completes(here: Path) -> None:
    found = offered("fish", FISH.format(line="'planbalance apply --mode sym'"), here)
    assert [one.split("\t")[0] for one in found] == ["symlink"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_takes_the_script(here: Path) -> None:
    script = 'autoload -U compinit; compinit -u -D; eval "$(planbalance completion zsh)"; print $_comps[planbalance]'
    assert offered("zsh", script, here) == ["_planbalance_completion"]


def test_the_shell_in_use_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/bash")
    assert run("completion").stdout == run("completion", "bash").stdout
    monkeypatch.setenv("SHELL", "/bin/ksh")
    assert "Name the shell: bash, zsh, fish." in run("completion", code=2).stderr
