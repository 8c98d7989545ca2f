"""The owner of a lock: described for people, and recognised when it is dead."""

import os
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from planbalance import lock_owner
from tests.systems import needs_boot_id


def signed(**changes: object) -> bytes:
    return orjson.dumps(orjson.loads(lock_owner.sign()) | changes)


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster's squeue, whose answer the test writes."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "squeue"


def answer(squeue: Path, text: str) -> None:
    squeue.write_text(f"#!/bin/sh\n{text}\n")
    squeue.chmod(0o755)


def test_this_process_lives() -> None:
    assert not lock_owner.has_ended(lock_owner.sign())


@needs_boot_id
def test_a_process_that_ended_is_dead_its_number_taken_by_another_or_not() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from planbalance import lock_owner; sys.stdout.buffer.write(lock_owner.sign())",
        ],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert lock_owner.has_ended(told)
    assert lock_owner.has_ended(signed(started="1"))


@needs_boot_id
@pytest.mark.parametrize(
    ("then", "now", "ended"),
    [("", "", False), ("", "12", False), ("12", "", False), ("", None, True), ("12", None, True), ("12", "12", False)],
)
def test_where_no_start_is_known_only_a_process_that_is_gone_is_dead(
    monkeypatch: pytest.MonkeyPatch, then: str, now: str | None, ended: bool
) -> None:
    monkeypatch.setattr(lock_owner, "process_start", lambda _pid: now)
    assert lock_owner.has_ended(signed(started=then)) == ended


@needs_boot_id
def test_a_zombie_is_dead() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        assert any(_ended_soon(child) for _ in range(1_000))
    finally:
        os.waitpid(child, 0)


def _ended_soon(child: int) -> bool:
    time.sleep(0.01)
    return lock_owner.has_ended(signed(pid=child))


@needs_boot_id
def test_another_boot_of_this_machine_is_over() -> None:
    assert lock_owner.has_ended(signed(boot="another"))


@pytest.mark.parametrize(
    "changes",
    [{"host": "elsewhere"}, {"pids": "pid:[1]", "pid": 1}, {"boot": ""}],
    ids=["another node", "another container", "no boot id"],
)
def test_what_cannot_be_known_from_here_is_alive(squeue: Path, changes: dict[str, object]) -> None:
    assert not lock_owner.has_ended(signed(started="1", **changes))


@pytest.mark.parametrize("signature", [b"", b"{}", b"[]", b"somebody", b"\xff", b'{"slurm_task":"1; rm"}'])
def test_an_owner_that_has_not_written_yet_is_alive_and_described(signature: bytes) -> None:
    assert not lock_owner.has_ended(signature)
    assert lock_owner.describe(signature) == "a process that has not written yet who it is"


def test_a_holder_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4711")
    assert lock_owner.describe(lock_owner.sign(host="node7", shard="2/8")) == (
        f"shard 2/8, process {os.getpid()} of {lock_owner.user_name(os.geteuid())} on node7 (Slurm job 4711)"
    )


ELSEWHERE = signed(host="node7", slurm_task="4711")


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ("echo RUNNING", False),
        ("echo COMPLETING", False),
        ("exit 0", True),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", True),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", False),
    ],
    ids=["running", "completing", "over", "forgotten", "no answer"],
)
def test_slurm_knows_whether_the_job_of_another_node_is_over(squeue: Path, said: str, ended: bool) -> None:
    answer(squeue, said)
    assert lock_owner.has_ended(ELSEWHERE) == ended


def test_without_slurm_the_job_of_another_node_is_alive(squeue: Path) -> None:
    assert not lock_owner.has_ended(ELSEWHERE)


def test_slurm_that_does_not_answer_is_not_waited_for(squeue: Path) -> None:
    answer(squeue, "exec /bin/sleep 5")
    assert not lock_owner.has_ended(ELSEWHERE, slurm_seconds=0.01)


@pytest.mark.parametrize(("restarts", "ended"), [("0", False), ("1", True)])
def test_a_job_requeued_after_its_node_died_takes_over_from_itself(
    squeue: Path, monkeypatch: pytest.MonkeyPatch, restarts: str, ended: bool
) -> None:
    answer(squeue, "echo RUNNING")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    assert lock_owner.has_ended(ELSEWHERE) == ended
