"""Where things are printed: tables on stdout, the rest on stderr, and no way to make it crash."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import knees, run, run_json
from tests.cli.terminal import PROGRAM, in_terminal

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_tables_fit_the_terminal(here: Path, columns: int) -> None:
    """Only what people copy (paths, digests, commands) may be wider than the terminal."""
    for words in (("scan", "in"), ("plan", "in", "--output", "out"), ("show", "--volume", "01-02-00000")):
        seen = in_terminal(*words, cwd=here, columns=columns)
        lines = ESCAPE.sub("", seen).replace("\r\n", "\n").split("\r")[-1].splitlines()
        long = [line for line in lines if len(line) > columns]
        assert [line for line in long if not re.search(r"/|[0-9a-f]{64}| is slice | volume |apply", line)] == []
        assert "…" not in seen


def test_colours_and_bars_on_a_terminal_only(here: Path) -> None:
    seen = in_terminal("plan", "in", "--output", "out", cwd=here)
    assert "\x1b[1m" in seen
    assert "scan" in seen  # the bar
    plain = in_terminal("plan", "in", "--output", "out", cwd=here, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain)
    silent = in_terminal("plan", "in", "--output", "out", "--quiet", cwd=here)
    assert silent == ""


def test_what_a_notebook_starts_logs_lines_and_draws_no_bars(here: Path) -> None:
    """`!planbalance` has a terminal, and each refresh of a bar would stay in the notebook as text."""
    seen = in_terminal("plan", "in", "--output", "out", cwd=here, JPY_PARENT_PID="1", PLANBALANCE_LOG_SECONDS="0")
    assert not re.search(r"\x1b\[[0-9;?]*[AKhl]|\r(?!\n)", seen)
    assert re.search(r"\d\d:\d\d:\d\d scan: ", seen)
    assert "scan:" not in in_terminal("plan", "in", "--output", "out", cwd=here, JPY_PARENT_PID="1")


def test_a_pipe_gets_no_control_character_and_a_fixed_width(here: Path) -> None:
    done = process("plan", "in", "--output", "out", cwd=here, FORCE_COLOR="1", COLUMNS="30")
    again = process("plan", "in", "--output", "out", cwd=here, COLUMNS="300")
    assert not CONTROL.search(done.stdout)
    assert done.stdout == again.stdout
    assert done.stderr == ""
    assert not any(line != line.rstrip() for line in done.stdout.splitlines())


def test_json_is_one_document_and_nothing_else(here: Path) -> None:
    for words in (("scan", "in"), ("plan", "in", "--output", "out"), ("show",), ("apply",), ("verify",)):
        done = run(*words, "--json")
        assert isinstance(json.loads(done.stdout), dict)
        assert done.stderr == ""


def test_json_bars_go_to_the_terminal_and_the_document_to_the_file(here: Path) -> None:
    seen = in_terminal("scan", "in", "--json", cwd=here)
    document = seen[seen.index("{\r\n") :]
    assert "scan" in seen[: seen.index("{\r\n")]
    assert json.loads(document)["volumes"] == 12


def test_json_on_wrong_usage(here: Path) -> None:
    for words in (("plan", "in", "--no-such"), ("plan",), ("nothing",)):
        document = run_json(*words, code=2)
        assert document["exit"] == 2
        assert document["error"]["kind"] == "usage"
        assert document["error"]["hint"]


def test_quiet_prints_nothing_but_errors(here: Path) -> None:
    for words in (("plan", "in", "--output", "out"), ("apply",), ("verify",)):
        done = run(*words, "--quiet")
        assert (done.stdout, done.stderr) == ("", "")
    assert run("apply", "--quiet", code=4).stderr.startswith("Error: ")


def test_what_is_called_for_printing_prints_when_quiet(here: Path) -> None:
    assert "volumes" in run("scan", "in", "--quiet").stdout
    run("plan", "in", "--output", "out", "--quiet")
    assert run("show", "--csv", "--quiet").stdout.startswith("volume,group,split\n")


def test_a_reader_that_ends_early_ends_the_printing_without_an_error(here: Path) -> None:
    for words in (("scan", "in"), ("scan", "in", "--json"), ("demo", "--help"), ("--version",)):
        ours, theirs = os.pipe()
        os.close(ours)
        done = subprocess.run(
            [*PROGRAM, *words], cwd=here, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(theirs)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_build_goes_on_when_its_reader_ends(here: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run([*PROGRAM, "build", "in", "--output", "out"], cwd=here, stdout=theirs, check=False)
    os.close(theirs)
    assert done.returncode == 0
    run("verify", "out")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_stdout_is_said(here: Path) -> None:
    for words in (("scan", "in"), ("scan", "in", "--json")):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [*PROGRAM, *words], cwd=here, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert done.returncode == 5
        assert "Traceback" not in done.stderr


def test_no_stdout_at_all(here: Path) -> None:
    script = f"exec {' '.join(PROGRAM)} plan in --output out >&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", script], cwd=here, check=False)
    assert done.returncode == 0
    assert (here / "plan.json").exists()


@pytest.mark.parametrize(
    "environment",
    [{"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}],
    ids=["ascii", "latin-1"],
)
def test_names_beyond_ascii_on_a_terminal_that_has_only_ascii(tmp_path: Path, environment: dict[str, Any]) -> None:
    knees(tmp_path / "Knie-MRT-ä")
    done = process("scan", "Knie-MRT-ä", cwd=tmp_path, **environment)
    assert "Knie-MRT-" in done.stdout
    refused = process("scan", "Knie-MRT-ö", cwd=tmp_path, code=3, **environment)
    assert "Input directory not found" in refused.stderr
    assert json.loads(process("scan", "Knie-MRT-ä", "--json", cwd=tmp_path, **environment).stdout)["volumes"] == 12


def test_a_file_name_cannot_control_the_terminal(here: Path) -> None:
    (here / "in/images/train/IM1-\x1b[31mred.png").write_bytes(b"x")
    done = process("scan", "in", cwd=here)
    assert not CONTROL.search(done.stdout)
    assert "\\x1b[31mred" in done.stdout


def test_a_file_name_that_is_no_text_still_gives_a_document(here: Path) -> None:
    (here / "in/images/train").joinpath(os.fsdecode(b"IM1-\xff.png")).write_bytes(b"x")
    problems = run_json("scan", "in")["problems"]
    assert any("xff" in problem["path"] for problem in problems)


def test_a_bug_is_one_sentence(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no such thing")

    monkeypatch.setattr("planbalance.api.scan", broken)
    done = run("scan", "in", code=1)
    assert "ZeroDivisionError: no such thing" in done.stderr
    assert "report it" in done.stderr
    assert run_json("scan", "in", code=1)["error"]["kind"] == "bug"


def test_a_bug_shows_where_it_happened_when_asked(here: Path) -> None:
    patched = (
        "import sys, planbalance.api as api\n"
        "def broken(*_, **__): raise ZeroDivisionError('no such thing')\n"
        "api.scan = broken\n"
        "from planbalance.cli import main\n"
        "sys.argv = ['planbalance', 'scan', 'in']\n"
        "main()\n"
    )
    for wanted in (False, True):
        done = subprocess.run(
            [PROGRAM[0], "-c", patched],
            cwd=here,
            env={**os.environ, "PLANBALANCE_DEBUG": "1" if wanted else "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == wanted


def process(*words: object, cwd: Path, code: int = 0, **environment: Any) -> subprocess.CompletedProcess[str]:
    """Run in a process of its own, its streams pipes."""
    done = subprocess.run(
        [*PROGRAM, *map(str, words)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done
