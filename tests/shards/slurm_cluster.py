"""A real Slurm in one machine: a controller, two slurmd under other names, munge, in folders and on ports of its own.

Nothing of a Slurm that the machine may run already is touched. Needs root and Debian's slurmctld, slurmd, slurm-client
and munge.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PROGRAMS: Final = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "munged")
_SEARCHED: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_CONF: Final = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
KillWait=2
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={one} CPUs=16
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={two} CPUs=16
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""
_MUNGE: Final = (
    ("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed")
)  # fmt: skip


def lacking() -> str:
    """Return why no Slurm can be started here; "" where it can."""
    absent = [name for name in PROGRAMS if _found(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (.ci/packages installs them)"
    return "" if os.geteuid() == 0 else "only root can start slurmd for a test"


def _found(name: str) -> str | None:
    return shutil.which(name, path=_SEARCHED)


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on right now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class CannotStartError(Exception):
    """Slurm is installed and does not start here."""


class Slurm:
    """Two nodes and their controller; everything is ended at the end.

    Args:
        root: an empty folder with a short path (sockets lie in it).
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._started: list[subprocess.Popen[bytes]] = []
        self._environment = os.environ | {"SLURM_CONF": str(root / "slurm.conf"), "PATH": _SEARCHED}

    def __enter__(self) -> Self:
        for folder in ("state", "spool-n1", "spool-n2"):
            (self._root / folder).mkdir()
        host = socket.gethostname()
        controller, one, two = _free_ports(3)
        conf = _CONF.format(host=host, controller=controller, one=one, two=two, root=self._root)
        (self._root / "slurm.conf").write_text(conf)
        key = self._root / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        places = [f"--{each}={self._root}/munge.{end}" for each, end in _MUNGE]
        self._start("munged", "--foreground", "--force", *places)
        self._wait((self._root / "munge.socket").exists, "munged")
        self._start("slurmctld", "-D", "-f", str(self._root / "slurm.conf"))
        for node in ("n1", "n2"):
            self._start("slurmd", "-D", "-N", node, "-f", str(self._root / "slurm.conf"))
        self._wait(lambda: self.call("sinfo", "-h", "-o", "%T", may_fail=True).split() == ["idle"], "slurmd")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.call("squeue", "-h", "-o", "%A", may_fail=True):
            self.call("scancel", "--user=root", "--signal=KILL", "--full", may_fail=True)
            self.call("scancel", "--user=root", may_fail=True)
            time.sleep(1)
        for process in reversed(self._started):
            process.terminate()
        for process in reversed(self._started):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def call(self, *words: str, folder: Path | None = None, may_fail: bool = False, **more: str) -> str:
        """Run a client of Slurm and return what it printed."""
        said = subprocess.run(
            words, env=self._environment | more, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert may_fail or said.returncode == 0, f"{words}: {said.stderr}\n{self.logs()}"
        return said.stdout.strip()

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        return "\n".join(f"{path.name}:\n{path.read_text()[-1500:]}" for path in sorted(self._root.glob("*.log")))

    def _start(self, *words: str) -> None:
        program = _found(words[0])
        assert program is not None
        with (self._root / f"{words[0]}-{len(self._started)}.out.log").open("wb") as log:
            self._started.append(
                subprocess.Popen(
                    [program, *words[1:]], env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            )

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 30
        while not condition():
            if time.monotonic() > end:
                raise CannotStartError(f"{what} did not start:\n{self.logs()}")
            time.sleep(0.1)
