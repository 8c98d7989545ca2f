"""What a system may lack on which the tests run: `tests/without_linux` takes it away."""

import pytest

from planbalance import platform_calls

needs_processes = pytest.mark.skipif(
    platform_calls.thread_count() is None, reason="nothing tells how many threads there are, so nothing is forked"
)
needs_boot_id = pytest.mark.skipif(
    not platform_calls.boot_id(), reason="nothing tells one boot from another, so lines count once they are on disk"
)
