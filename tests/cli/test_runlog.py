"""The run log: what a file such as Slurm's output gets in place of bars."""

import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from planbalance.cli.runlog import SECONDS_VARIABLE, RunLog, duration
from tests.cli.command import knees
from tests.cli.terminal import PROGRAM, in_terminal

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [a-z ]+: .*\S")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def log(clock: Clock, said: list[str]) -> RunLog:
    return RunLog(said.append, every=5, clock=clock, now=lambda: datetime(2026, 3, 1, 4, 5, 6))  # noqa: DTZ001 - the wall's


def test_a_line_now_and_then_with_rate_bytes_and_time_left(log: RunLog, clock: Clock, said: list[str]) -> None:
    log.begin("apply", 53_914, "slices")
    for _ in range(100):
        clock.at += 0.25
        log.advance(256, 1 << 20)
    assert said[0] == "2026-03-01 04:05:06 apply: 5,120 of 53,914 slices, 1,024/s, 20.0 MiB, 48 s left"
    assert len(said) == 5, "every five seconds, however often work is reported"
    log.end()
    assert said[-1] == "2026-03-01 04:05:06 apply: 25,600 of 53,914 slices in 25 s, 1,024/s, 100.0 MiB"


def test_the_last_line_says_what_was_done_in_all(log: RunLog, clock: Clock, said: list[str]) -> None:
    log.begin("scan", None, "folders")
    clock.at += 6
    log.advance(12)
    clock.at += 6
    log.end()
    assert [one.partition(" scan: ")[2] for one in said] == ["12 folders, 2/s", "12 folders in 12 s, 1/s"]


def test_a_short_stage_says_nothing(log: RunLog, clock: Clock, said: list[str]) -> None:
    for _ in range(3):
        log.begin("verify", 10, "slices")
        clock.at += 4.9
        log.advance(10)
        log.end()
    log.advance(1)  # after the end: nowhere to count it
    log.end()
    assert said == []


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0 s"), (59.7, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_times_are_for_people(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_a_file_gets_lines_without_control_characters_and_stdout_stays_as_it_is(tmp_path: Path) -> None:
    knees(tmp_path / "in")
    outputs = {}
    for seconds in ("0", "3600"):
        done = subprocess.run(
            [*PROGRAM, "build", "in", "--output", f"out{seconds}", "--json"],
            cwd=tmp_path,
            env={"PATH": "", SECONDS_VARIABLE: seconds},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs[seconds] = done
    assert outputs["3600"].stderr == ""
    lines = outputs["0"].stderr.splitlines()
    assert any(" apply: " in line for line in lines)
    assert all(LINE.fullmatch(line) for line in lines), lines


def test_quiet_has_no_log(tmp_path: Path) -> None:
    knees(tmp_path / "in")
    done = subprocess.run(
        [*PROGRAM, "plan", "in", "--output", "out", "--quiet"],
        cwd=tmp_path,
        env={"PATH": "", SECONDS_VARIABLE: "0"},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_dumb_terminal_reads_the_log_too(tmp_path: Path) -> None:
    """An editor's shell: a terminal that moves no cursor."""
    knees(tmp_path / "in")
    seen = in_terminal("scan", "in", cwd=tmp_path, TERM="dumb", PLANBALANCE_LOG_SECONDS="0")
    assert "\x1b" not in seen
    assert LINE.match(seen.splitlines()[0])
