"""What the system lacks that the tests run on, where `tests/without_linux` takes it away."""

import os

import pytest

from planbalance import platform_calls

# "": Linux. "macos", "bare": without what only Linux has, with and without what macOS has instead.
SYSTEM = os.environ.get("PLANBALANCE_SYSTEM", "")


def needs_linux(what: str) -> pytest.MarkDecorator:
    """Skip a test of a call that only Linux has."""
    return pytest.mark.skipif(bool(SYSTEM), reason=f"only Linux has {what}")


needs_processes = pytest.mark.skipif(
    platform_calls.thread_count() is None, reason="nothing tells how many threads there are, so nothing is forked"
)
needs_boot_id = pytest.mark.skipif(
    not platform_calls.boot_id(), reason="nothing tells one boot from another, so lines count once they are on disk"
)
needs_rename_new = pytest.mark.skipif(SYSTEM == "bare", reason="no rename refuses an empty folder")
