"""The owner of a lock: the text that it writes about itself, that text for people, and whether it is known to be dead.

A lock of the kernel ends with its owner. What is written here is for people, and for file systems without locks.
"""

import os
import socket
from typing import Any, Final, NamedTuple

import orjson

from planbalance.platform_calls import boot_id, pid_namespace, process_start

SLURM_SECONDS: Final = 10.0  # how long to wait for an answer of Slurm's controller


class Node(NamedTuple):
    """A machine and its boot; the boot id alone tells two boots apart (it is random)."""

    host: str
    boot: str


def this_node() -> Node:
    """Return this machine and boot."""
    return Node(socket.gethostname(), boot_id())


def sign(**more: str) -> bytes:
    """Return what this process writes about itself, `more` included."""
    environ = os.environ
    who: dict[str, Any] = {
        "host": socket.gethostname(),
        "user": user_name(os.geteuid()),
        "boot": boot_id(),
        "pids": pid_namespace(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
        "slurm_job": environ.get("SLURM_ARRAY_JOB_ID") or environ.get("SLURM_JOB_ID"),
        "slurm_task": environ.get("SLURM_JOB_ID"),
        "slurm_restart": environ.get("SLURM_RESTART_COUNT", "0"),
    }
    return orjson.dumps(who | more)


def describe(owner: bytes) -> str:
    """Return who holds a lock, for a message."""
    who = _read(owner)
    if "pid" not in who or "host" not in who:
        return "a process that has not written yet who it is"
    shard = f"shard {who['shard']}, " if who.get("shard") else ""
    job = f" (Slurm job {who['slurm_job']})" if who.get("slurm_job") else ""
    user = f" of {who['user']}" if isinstance(who.get("user"), str) else ""  # older versions did not write it
    return f"{shard}process {who['pid']}{user} on {who['host']}{job}"


def user_name(number: int) -> str:
    """Return the name of a user by its id; `user 1000` where the system knows none."""
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def has_ended(owner: bytes, *, slurm_seconds: float = SLURM_SECONDS) -> bool:
    """Return whether an owner is known to be dead: its process, its machine's boot, or its Slurm job is over.

    An owner of which that cannot be known from here (another node, no Slurm) counts as alive.

    Args:
        owner: what it wrote about itself.
        slurm_seconds: how long to wait for Slurm's answer; without one the owner counts as alive.
    """
    who = _read(owner)
    if who.get("host") == socket.gethostname() and isinstance(who.get("boot"), str) and who["boot"]:
        if who["boot"] != boot_id():
            return True
        if who.get("pids") == pid_namespace():
            return not isinstance(who.get("pid"), int) or _other_start(process_start(who["pid"]), who.get("started"))
    task = who.get("slurm_task")
    return isinstance(task, str) and task.isdecimal() and _slurm_has_ended(task, who, slurm_seconds)


def _other_start(now: str | None, then: object) -> bool:
    """Return whether no process has this id now, or one that was started at another time; "" stands for not known."""
    return now is None or (now != then and "" not in (now, then))


def _read(owner: bytes) -> dict[str, Any]:
    try:
        who = orjson.loads(owner)
    except orjson.JSONDecodeError:
        return {}
    return who if isinstance(who, dict) else {}


def _slurm_has_ended(task: str, who: dict[str, Any], seconds: float) -> bool:
    if task == os.environ.get("SLURM_JOB_ID"):  # this job itself, which Slurm started again after its node died
        return str(who.get("slurm_restart")) != os.environ.get("SLURM_RESTART_COUNT", "0")
    import subprocess

    try:
        answer = subprocess.run(  # noqa: S603 - `task` is a number
            ["squeue", "--noheader", "--format=%T", f"--jobs={task}"],  # noqa: S607 - the cluster's own, by PATH
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    if answer.returncode != 0:
        return "Invalid job id" in answer.stderr
    return not answer.stdout.strip()
