"""The order of the tests, and how torture tests draw and report their trials: `@pytest.mark.torture(row=N)`.

The rows are those of the table in docs/reliability.md.
"""

import compileall
import os
import random
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import planbalance

# A busy machine breaks no law: examples are counted, not timed.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

SEED = "PLANBALANCE_SEED"


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of this run, before the workers of pytest-xdist inherit it, and compile what many tests start."""
    os.environ.setdefault(SEED, str(random.SystemRandom().randrange(1 << 32)))
    if not hasattr(config, "workerinput"):
        # As pip does when it installs: where PYTHONDONTWRITEBYTECODE is set, every process would compile it anew.
        compileall.compile_dir(Path(planbalance.__file__).parent, quiet=2)


def pytest_report_header() -> str:
    """Say it."""
    return f"trials: repeat these with {SEED}={os.environ[SEED]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no worker is left with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("full_size") is None)
    for item in items:
        marker = item.get_closest_marker("torture")
        if marker is not None and "row" in marker.kwargs:
            item.user_properties.append(("row", marker.kwargs["row"]))


class Trials:
    """The trials of one test: where they draw from, and how many there were."""

    def __init__(self, node: pytest.Item) -> None:
        self.seed = int(os.environ[SEED]) ^ zlib.crc32(node.nodeid.encode())
        self.draw = random.Random(self.seed)
        self._node = node

    def count(self, number: int = 1) -> None:
        """Count trials that went well; without any, a test is one trial."""
        self._node.user_properties.append(("trials", number))

    def tell(self, text: str) -> None:
        """Say something in the summary."""
        self._node.user_properties.append(("told", text))


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Trials:
    """How a torture test draws and counts."""
    return Trials(request.node)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many trials each row of the table had, and how many tests of them failed."""
    tried: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    told: list[str] = []
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        row = next((value for name, value in report.user_properties if name == "row"), None)
        if not isinstance(row, int):
            continue
        counted = [value for name, value in report.user_properties if name == "trials" and isinstance(value, int)]
        tried[row] += sum(counted) if counted else int(report.passed)
        failed[row] += report.failed
        told += [str(value) for name, value in report.user_properties if name == "told"]
    if tried:
        terminalreporter.section("trials")
        for row in sorted(tried):
            terminalreporter.write_line(f"row {row}: {tried[row]:,} trials, {failed[row]} tests failed")
        for text in sorted(told):
            terminalreporter.write_line(text)
        terminalreporter.write_line(f"repeat these with {SEED}={os.environ[SEED]} make torture")


# ---- where trials are made ------------------------------------------------------------------------------------------


@contextmanager
def memory_folder(otherwise: Path) -> Iterator[Path]:
    """Make a folder that costs no disk: on a tmpfs where there is one, else `otherwise`."""
    if not os.access("/dev/shm", os.W_OK):
        yield otherwise
        return
    folder = Path(tempfile.mkdtemp(prefix="planbalance-", dir="/dev/shm"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """Such a folder for one test."""
    with memory_folder(tmp_path) as folder:
        yield folder
