"""Signals to a whole build with its workers, as a terminal and Slurm send them: exit 130, and a resume."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import mixed_volumes, tree_content, tree_state, yolo_tree
from tests.conftest import memory_folder
from tests.faults.long import Long
from tests.systems import needs_processes


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Long]:
    with memory_folder(tmp_path_factory.mktemp("long")) as folder:
        long = Long(folder)
        yolo_tree(long.source, mixed_volumes(200, 800))  # enough for worker processes
        long.make_plan()
        yield long


@pytest.fixture(scope="module")
def whole(long: Long) -> dict[str, str]:
    return long.undisturbed("copy")


@needs_processes
@pytest.mark.xdist_group("signals")
@pytest.mark.parametrize(
    "signals",
    [
        [signal.SIGINT],
        pytest.param([signal.SIGTERM], marks=pytest.mark.torture(row=1)),
        [signal.SIGINT, signal.SIGINT],
        pytest.param([signal.SIGTERM, signal.SIGINT, signal.SIGTERM], marks=pytest.mark.torture(row=1)),
    ],
    ids=["SIGINT", "SIGTERM", "twice", "three-times"],
)
def test_every_process_gets_it_and_the_same_command_resumes(
    long: Long, whole: dict[str, str], signals: list[signal.Signals]
) -> None:
    """Two stop at the next file; three end the process, as SIGKILL would."""
    process = long.start_and_reach("copy", 0.05)
    for number in signals:
        os.killpg(process.pid, number)
    said, _ = process.communicate()
    assert process.returncode in (130, 0) if len(signals) < 3 else (130, 0, -number)
    if process.returncode == 130:
        error = json.loads(said)["error"]
        assert error["kind"] == "interrupted"
        assert f"planbalance apply {long.plan}" in error["hint"] or len(signals) > 2
    assert long.output.exists() == (process.returncode == 0)
    if not long.output.exists():
        placed = long.journalled()
        assert placed >= 0.05 * long.slices
        assert long.finish("copy")["resumed"] == placed
    resumed = tree_content(long.output)
    long.remove()
    assert resumed == whole


@needs_processes
@pytest.mark.xdist_group("signals")
def test_a_worker_that_is_killed_alone_ends_the_build_with_exit_5(long: Long, whole: dict[str, str]) -> None:
    """For example where memory ran out: exit 5, and the same command resumes."""
    process = long.start_and_reach("copy", 0.05)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    if not workers:
        process.communicate()
        long.remove()
        pytest.skip("one core: there are no worker processes")
    os.kill(int(workers[0]), signal.SIGKILL)
    said, _ = process.communicate()
    assert process.returncode in (0, 5)  # 0: it was at its last batch, or done
    assert long.output.exists() == (process.returncode == 0)
    if process.returncode == 5:
        assert json.loads(said)["error"]["kind"] == "worker-died"
        resumed = long.finish("copy")["resumed"]
        assert isinstance(resumed, int)
        assert resumed >= 0.05 * long.slices
    found = tree_content(long.output)
    long.remove()
    assert found == whole


@pytest.mark.xdist_group("signals")
def test_the_source_is_as_it_was(long: Long, whole: dict[str, str]) -> None:
    now = tree_state(long.source)
    assert now == long.before
