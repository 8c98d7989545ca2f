"""Worker processes: every batch once, wherever it was done; a death costs nothing; no process is left behind.

pytest's own workers have threads, and ProcessPool does not fork where there are some: each script has its own process.
"""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from planbalance.executor.processes import ProcessPool
from tests.systems import needs_processes

BEFORE = """
import os, signal, sys, time
from planbalance.executor.processes import ProcessPool

def double(batch):
    if batch == -1:
        raise ValueError("no luck")
    return 2 * batch, os.getpid()

def die_there(batch):
    if os.getpid() != MAIN:
        os.kill(os.getpid(), signal.SIGKILL)
    return batch

def sleep(batch):
    time.sleep(60)

MAIN = os.getpid()

def children():
    return [name for name in os.listdir("/proc") if name.isdigit() and parent(name) == MAIN]

def parent(name):
    try:
        return int(open(f"/proc/{name}/stat").read().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0
"""


def output_of(script: str, tmp_path: Path) -> str:
    """Return what a script prints; it must end well."""
    path = tmp_path / "script.py"
    path.write_text(BEFORE + script)
    done = subprocess.run(
        [sys.executable, "-W", "error", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SCRIPTS = {
    "all batches, by both processes": (
        """
with ProcessPool(2) as pool:
    results = dict(pool.work_off(double, range(200)))
    assert children()
print(all(results[n][0] == 2 * n for n in range(200)), len(results), len({pid for _, pid in results.values()} - {MAIN}))
assert not children()
""",
        "True 200 2",
    ),
    "used again": (
        """
with ProcessPool(2) as pool:
    print(len(list(pool.work_off(double, range(5)))), len(list(pool.work_off(double, range(7)))), pool.count)
""",
        "5 7 2",
    ),
    "answers larger than the line holds": (
        """
with ProcessPool(2) as pool:
    print(sum(len(text) for _, text in pool.work_off(str.upper, ["x" * 3_000_000] * 4)))
""",
        "12000000",
    ),
    "the exception of the work": (
        """
with ProcessPool(2) as pool:
    try:
        list(pool.work_off(double, range(49, -2, -1)))
    except ValueError as error:
        print(error, pool.count, len(children()))
""",
        "no luck 0 0",
    ),
    "workers that die": (
        """
with ProcessPool(2) as pool:
    print(sorted(result for _, result in pool.work_off(die_there, range(6))), pool.count)
""",
        "[0, 1, 2, 3, 4, 5] 0",
    ),
    "what cannot be pickled is done here": (
        """
with ProcessPool(2) as pool:
    print([callable(result) for _, result in pool.work_off(make, range(3))], pool.count)
""".replace("with", "def make(batch):\n    return lambda: batch\nwith", 1),
        "[True, True, True] 0",
    ),
    "an interrupt": (
        """
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    with ProcessPool(2) as pool:
        list(pool.work_off(sleep, range(6)))
except KeyboardInterrupt:
    print("interrupted", len(children()))
""",
        "interrupted 0",
    ),
    "one is none": ("print(ProcessPool(1).count)", "0"),
    "fewer where no more can be forked": (
        """
real, forked = os.fork, []
def fork():
    forked.append(1)
    if len(forked) > 1:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return real()
os.fork = fork
for _ in range(2):
    with ProcessPool(3) as pool:
        print(pool.count, len(dict(pool.work_off(double, range(9)))), end=" ")
""",
        "1 9 0 9",
    ),
}


@needs_processes
@pytest.mark.parametrize(("script", "said"), SCRIPTS.values(), ids=SCRIPTS.keys())
def test_workers(script: str, said: str, tmp_path: Path) -> None:
    assert output_of(script, tmp_path) == said


def test_where_there_are_threads_nothing_is_forked() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with ProcessPool(4) as pool:
            assert pool.count == 0
            assert list(pool.work_off(abs, [-1, 2])) == [(0, 1), (1, 2)]
    finally:
        done.set()
        thread.join()
