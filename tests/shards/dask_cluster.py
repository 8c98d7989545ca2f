"""A Dask cluster of separate processes on this machine, whose parts can be killed one by one."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Read by each worker before its first task: files take a while, so that there is a middle to kill in.
SLOW = """
import os, time
from planbalance import fs
def slow_rename(old, new, dir_fd):
    time.sleep({seconds})
    os.rename(old, new, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
fs.rename_within = slow_rename
"""


def until(condition: Callable[[], Any], seconds: float = 180.0) -> Any:
    """Wait for a condition; return what it gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


class Cluster:
    """A scheduler and workers, each a process of its own; all are gone at the end.

    Args:
        folder: for logs.
        workers: how many.
        slow: seconds that each rename takes on a worker.
    """

    def __init__(self, folder: Path, workers: int, *, slow: float = 0.0) -> None:
        self._folder = folder
        self._preload = folder / "slow.py"
        self._preload.write_text(SLOW.format(seconds=slow))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._count = workers
        self.scheduler: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self.start_scheduler()
        for _ in range(self._count):
            self.add_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def start_scheduler(self) -> None:
        words = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard"]
        self.scheduler = self._start(*words)

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self._port)) == 0

        until(answers)

    def add_worker(self) -> None:
        words = ["distributed.cli.dask_worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard"]
        words += ["--death-timeout", "60"]  # where a test was killed, so that nothing is left
        words += ["--preload", str(self._preload), "--local-directory", str(self._folder / "scratch")]
        self.workers.append(self._start(*words))

    def kill_worker(self, number: int) -> None:
        """Kill a worker as a lost node does, and put another in its place."""
        worker = self.workers.pop(number)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        self.add_worker()

    def restart_scheduler(self) -> None:
        """Lose the scheduler, and with it all workers; start both again."""
        self.scheduler.kill()
        self.scheduler.wait()
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers.clear()
        self.start_scheduler()
        for _ in range(self._count):
            self.add_worker()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self._folder / "cluster.log").open("ab") as log:
            environment = os.environ | {"PYTHONWARNINGS": "ignore", "DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "1h"}
            return subprocess.Popen(
                [sys.executable, "-m", *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment
            )
