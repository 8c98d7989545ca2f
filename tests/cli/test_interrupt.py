"""Signals: every command ends with 130 and says so; what is half built stays, and the same command goes on."""

import fcntl
import json
import os
import resource
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from planbalance.cli.interruption import interruption
from planbalance.cli.terminal import Terminal
from planbalance.dataset_files import RECEIPT
from planbalance.errors import InterruptedRunError
from planbalance.model import Silent
from tests.builders import tree_content, tree_state
from tests.cli.command import run, run_json
from tests.cli.terminal import PROGRAM
from tests.running import make_batches_small

WAITING = {  # commands that come to read the group map, which is a pipe here
    "scan": ["scan", "in", "--group-map", "map.csv"],
    "plan": ["plan", "in", "--output", "out", "--group-map", "map.csv"],
    "build": ["build", "in", "--output", "out", "--group-map", "map.csv"],
    "verify": ["verify", "in", "--group-map", "map.csv"],
}


@pytest.mark.parametrize(
    ("name", "signal_sent"), [*((name, signal.SIGINT) for name in WAITING), ("build", signal.SIGTERM)]
)
def test_interrupted_is_130(here: Path, name: str, signal_sent: signal.Signals) -> None:
    os.mkfifo(here / "map.csv")
    before = tree_state(here / "in")
    process = subprocess.Popen(
        [*PROGRAM, *WAITING[name], "--json"], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with open(here / "map.csv", "wb"):  # opens once the command has opened its end: it waits for the map now
        process.send_signal(signal_sent)
        said, complained = process.communicate()
    assert process.returncode == 130
    assert json.loads(said)["exit"] == 130
    assert "Traceback" not in complained
    assert sorted(os.listdir(here)) == ["in", "map.csv"]
    assert tree_state(here / "in") == before


class InStage(Silent):
    """A progress that sends this process SIGINT when a stage reports for the first time."""

    def __init__(self, stage: str) -> None:
        self._stage, self._armed = stage, False

    def begin(self, what: str, total: int | None, unit: str) -> None:
        del total, unit
        self._armed = what == self._stage

    def advance(self, count: int, size: int = 0) -> None:
        del count, size
        if self._armed:
            self._stage, self._armed = "", False
            os.kill(os.getpid(), signal.SIGINT)


STAGING = ".out.planbalance-partial"
BUILD = "planbalance build in -o out --mode symlink"
READS = "it only reads, so the dataset is as it was."


@pytest.mark.parametrize(
    ("command", "stage", "message", "hints"),
    [
        ("planbalance scan in", "scan", "Interrupted: it only reads, so nothing is left on the disk.",
         ["The same command begins anew: planbalance scan in"]),
        ("planbalance plan in -o new", "scan",
         "Interrupted: no plan file is half written, and neither input nor output was touched.",
         ["The same command begins anew: planbalance plan in -o new"]),
        (BUILD, "scan", "Interrupted: nothing was built yet, and nothing is left on the disk.",
         [f"The same command begins anew: {BUILD}"]),
        (BUILD, "apply", "slices in place; nothing was published. What is done is kept in {here}/" + STAGING,
         [f"go on with: {BUILD}", "or remove it: planbalance clean {here}/" + STAGING + " --yes"]),
        (f"{BUILD} --restart", "apply", "What is done is kept in", [f"go on with: {BUILD} --json\n"]),
        (BUILD, "verify", "Interrupted: out is built, and its audit was not finished: `planbalance verify out`.",
         ["planbalance verify out"]),
        ("planbalance apply", "apply", "What is done is kept in {here}/" + STAGING,
         ["resume with: planbalance apply plan.json", "or remove it: planbalance clean {here}/" + STAGING + " --yes"]),
        ("planbalance verify in", "scan", f"Interrupted: {READS}",
         ["The same command begins anew: planbalance verify in"]),
        ("planbalance report in --html x.html", "scan", f"Interrupted: {READS}",
         ["The same command begins anew: planbalance report in --html x.html"]),
    ],
)  # fmt: skip
def test_what_is_left_and_how_to_go_on_is_said_and_works(
    here: Path, monkeypatch: pytest.MonkeyPatch, command: str, stage: str, message: str, hints: list[str]
) -> None:
    run("plan", "in", "-o", "out")
    make_batches_small(monkeypatch)
    words = shlex.split(command)[1:]
    progress = InStage(stage)
    with monkeypatch.context() as patch:
        patch.setattr(Terminal, "progress", progress)
        error = run_json(*words, code=130)["error"]
    assert message.format(here=here) in error["message"]
    assert error["kind"] == "interrupted"
    for hint in hints:
        assert hint.format(here=here) in f"{error['hint']}\n"
    assert (here / STAGING).exists() == ("What is done is kept" in error["message"])
    told = error["hint"].splitlines()[-1 if "--restart" in words else 0]  # the one that goes on, or that cleans
    run(*shlex.split(told[told.index("planbalance ") :])[1:], code=6 if "verify in" in told else 0)
    assert not (here / STAGING).exists()


@pytest.mark.parametrize(("given", "made"), [("-oout", "out"), ("--output=out", "out"), ("-oout", "out.tar")])
def test_a_build_that_is_there_is_named_however_its_output_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, made: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["build", "in", given]
    assert "nothing was built yet" in interruption(KeyboardInterrupt(), "build", words).message
    receipt = tmp_path / made / RECEIPT if made == "out" else tmp_path / made
    receipt.parent.mkdir(parents=True, exist_ok=True)
    receipt.write_bytes(b"")
    assert interruption(KeyboardInterrupt(), "build", words).hint == f"planbalance verify {made}"


def test_of_an_output_that_is_not_on_the_command_line_nothing_is_claimed() -> None:
    assert interruption(KeyboardInterrupt(), "build", ["build", "in"]).message == "Interrupted."


def test_of_an_import_the_same_is_said() -> None:
    words = ["import", "--sources", "s.toml", "-o", "new", "--build", "--restart"]
    began = interruption(KeyboardInterrupt(), "import", words)
    assert "no plan file is half written" in began.message
    assert began.hint.endswith("planbalance import --sources s.toml -o new --build")
    half = InterruptedRunError("Interrupted with 1 of 2 slices in place", kind="interrupted", paths=[os.getcwd()])
    assert interruption(half, "import", words).hint.startswith("go on with: planbalance import --sources s.toml -o new")


BIG, LIMIT = 300_000, 100_000  # bytes of one image, and what the kernel lets a file have while the disk is "full"


@pytest.fixture
def half_built(here: Path) -> Path:
    """A build that ended midway, because one image could not be written."""
    (here / "in/images/train/IM2-01-02-00000.png").write_bytes(b"tear" * (BIG // 4))
    run("plan", "in", "--output", "out")
    failed = subprocess.run(
        [*PROGRAM, "apply", "--json"], preexec_fn=full_disk, stdout=subprocess.PIPE, text=True, check=False
    )
    document = json.loads(failed.stdout)
    assert (failed.returncode, document["exit"]) == (5, 5)
    assert "IM2-01-02-00000.png" in document["error"]["message"] + "".join(document["error"]["paths"])
    assert sorted(os.listdir(here)) == [STAGING, "in", "plan.json"]
    return here


def full_disk() -> None:
    """Let no file of this process grow beyond the limit: EFBIG (setrlimit(2)), as a full disk gives ENOSPC."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


def test_the_same_call_resumes(half_built: Path) -> None:
    """The tree is that of an undisturbed run, and nothing is done twice."""
    resumed = run_json("apply")
    assert resumed["published"] is True
    assert resumed["resumed"] > 0
    run("verify", "--quiet")
    run("apply", "--output", "undisturbed")
    ours, theirs = tree_content(half_built / "out"), tree_content(half_built / "undisturbed")
    assert {path for path in ours if ours[path] != theirs.get(path)} == {"dataset.yaml"}  # its path: differs
    assert ours.keys() == theirs.keys()


def test_build_resumes_what_a_plan_began(half_built: Path) -> None:
    """`build` keeps no plan: it makes the same one again and knows the partial build by its digest."""
    built = run_json("build", "in", "--output", "out")
    assert built["apply"]["resumed"] > 0
    assert built["verify"]["ok"] is True


def test_other_options_than_the_pinned_ones_are_wrong_usage(half_built: Path) -> None:
    before = tree_state(half_built / STAGING, leave_out=(".planbalance",))
    refused = run("apply", "--mode", "symlink", code=2).stderr
    assert "planbalance apply" in refused  # the command that goes on
    assert tree_state(half_built / STAGING, leave_out=(".planbalance",)) == before


def test_another_plans_partial_build_is_never_adopted(half_built: Path) -> None:
    run("plan", "in", "--output", "out", "--seed", "7", "--quiet")
    assert "--restart" in run("apply", code=4).stderr
    assert run_json("apply", "--restart")["resumed"] == 0
    run("verify", "--quiet")


def test_a_live_holder_is_respected(half_built: Path) -> None:
    """Another process holds the lock: apply, --restart and clean all leave the partial build alone."""
    before = tree_state(half_built / STAGING / "images")
    with open(half_built / STAGING / ".planbalance/lock", "r+b") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        for words in (["apply"], ["apply", "--restart"], ["clean", ".", "--yes"]):
            refused = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, check=False)
            assert refused.returncode == 5, refused.stderr
    assert tree_state(half_built / STAGING / "images") == before


def test_clean_shows_and_removes(half_built: Path) -> None:
    shown = run_json("clean")
    assert [one["output"] for one in shown["partial_builds"]] == [str(half_built / "out")]
    assert str(half_built / STAGING) in run("clean", ".").stdout
    assert (half_built / STAGING).exists()
    assert run_json("clean", "--yes")["removed"] is True
    assert sorted(os.listdir(half_built)) == ["in", "plan.json"]
    assert "No partial builds" in run("clean").stdout
