"""The start of the program: what it reads before it works, and an interruption that comes while it reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import knees

PROGRAM = [sys.executable, "-m", "planbalance"]
ENTRY = [sys.executable, "-c", "from planbalance.__main__ import main; main()"]  # what an installed script does


def started(words: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("program", [PROGRAM, ENTRY], ids=["module", "script"])
@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("swallowed", [False, True], ids=["plain", "in a module that guards its imports"])
def test_an_interruption_while_modules_are_read_is_quiet(
    tmp_path: Path, program: list[str], signal: str, swallowed: bool
) -> None:
    """A module of click's name sends the signal as it is read: no clock decides when it comes."""
    send = f"os.kill(os.getpid(), signal.{signal})"
    body = f"try: {send}\nexcept BaseException: pass\n" if swallowed else f"{send}\n"
    (tmp_path / "click.py").write_text(f"import os, signal\n{body}raise ImportError('this line is not reached')\n")
    done = started([*program], tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interruption_that_the_caller_ignores_stays_ignored(tmp_path: Path) -> None:
    """As below nohup or in a script's background: the start goes on."""
    (tmp_path / "click.py").write_text(
        "import os, signal, sys\nos.kill(os.getpid(), signal.SIGINT)\nprint('went on')\nsys.exit(0)\n"
    )
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    done = started([sys.executable, "-c", ignoring, *PROGRAM], tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


LATER = ("rich", "yaml", "anyio", "asyncio", "subprocess")
UNNEEDED = (*LATER, "PIL", "dataclasses", "hashlib", "socket")


def test_what_is_registered_for_the_end_is_done_then(tmp_path: Path) -> None:
    words = "import atexit; atexit.register(print, 'the end'); from planbalance.__main__ import main; main()"
    for arguments, code in ((["--version"], 0), (["--versio"], 2)):
        done = started([sys.executable, "-c", words, *arguments], tmp_path)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (code, "the end")


@pytest.mark.parametrize(
    ("words", "unread"),
    [
        (["--help"], {*UNNEEDED, "orjson", "planbalance.api", "planbalance.cli.plan", "planbalance.render.apply"}),
        (["--version"], {"rich", "yaml", "anyio", "asyncio", "orjson", "planbalance.api", "planbalance.fs"}),
        (["apply", "--help"], {*LATER, "decimal", "planbalance.inputs", "planbalance.naming", "planbalance.engine"}),
        (["plan", "in", "--output", "out", "--quiet"], {"rich", "PIL"}),
        (
            ["apply", "--quiet"],
            {
                "rich",
                "PIL",
                "yaml",
                "decimal",
                *(f"planbalance.{room}" for room in ("audit", "planner", "scan", "inputs", "naming")),
            },
        ),
        (
            ["verify", "--json"],
            {"rich", "numpy", "planbalance.planner", "planbalance.engine", "planbalance.page.html"},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_reads_only_what_it_needs(tmp_path: Path, words: list[str], unread: set[str]) -> None:
    knees(tmp_path / "in")
    for before in (["plan", "in", "--output", "out", "--quiet"], ["apply", "--mode", "symlink", "--quiet"]):
        if words[0] == "plan" or words[-1] in {"--help", "--version"} or (words[0] == "apply" and before[0] == "apply"):
            continue
        assert started([*PROGRAM, *before], tmp_path).returncode == 0
    reading = (
        "import sys\nfrom planbalance.cli import main\n"
        "try: main()\nfinally: print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )
    done = started([sys.executable, "-c", reading, *words], tmp_path)
    read = set(done.stderr.splitlines())
    assert done.returncode == 0, done.stderr
    assert "planbalance.cli.program" in read
    assert not unread & read


def test_workers_are_forked_before_the_loop_is_read(tmp_path: Path) -> None:
    """What only the parent needs it reads while the workers parse the plan."""
    knees(tmp_path / "in")
    assert started([*PROGRAM, "plan", "in", "--output", "out", "--quiet"], tmp_path).returncode == 0
    watched = (
        "import os, sys\nfrom planbalance.__main__ import main\nfrom planbalance.executor import autoscaler\n"
        "autoscaler.LIMITS, fork = autoscaler.Limits(worth_forking=1), os.fork\n"
        "def told():\n    print(*sys.modules, sep='\\n', file=sys.stderr, flush=True)\n    return fork()\n"
        "os.fork = told\nmain()"
    )
    done = started([sys.executable, "-c", watched, "apply", "--jobs", "2", "--quiet"], tmp_path)
    read = set(done.stderr.splitlines())
    assert done.returncode == 0, done.stderr
    assert "planbalance.engine.placer_pool" in read
    later = {"engine.apply", "engine.context", "engine.staging", "engine.finish", "inputs", "naming"}
    assert not {"anyio", "asyncio", "aiofiles", "rich", "decimal", *(f"planbalance.{name}" for name in later)} & read
